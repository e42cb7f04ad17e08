//! All SQL of `operator_tokens` but what the first operator's start says.

use countersign_ground::clock::Time;
use countersign_ground::db::{self, Db, Row, Tx};
use countersign_ground::ids::{OperatorId, OperatorTokenId};
use countersign_ground::params;
use countersign_ground::problem::Problem;

use super::super::OperatorError;
use super::super::tokens::{NewToken, Token};
use super::held;
use super::present::{self, Administration};
use crate::law::action::{ChangeOperator, CreateOperator, ReadOperators};
use crate::law::directory::Directory;
use crate::law::permit::Permit;

macro_rules! token_columns {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " id, operator_id, name, digest, created_at, expires_at, revoked_at, last_used_at ",
            $after
        )
    };
}

fn token(row: &mut Row) -> db::Result<Token> {
    Ok(Token {
        id: row.take()?,
        operator: row.take()?,
        name: row.take()?,
        digest: row.take()?,
        created_at: row.take()?,
        expires_at: row.take()?,
        revoked_at: row.take()?,
        last_used_at: row.take()?,
    })
}

/// Makes a token for an operator.
///
/// # Errors
/// [`OperatorError::NotFound`], or the database's failure.
pub async fn create(
    tx: &mut Tx,
    permit: &Permit<CreateOperator>,
    operator: &OperatorId,
    new: &NewToken,
    now: Time,
) -> Result<Token, Problem> {
    // Held, so that a removal can't slip past.
    let row = tx
        .query_opt(
            "SELECT id FROM operators
              WHERE tenant = $1 AND id = $2 AND deleted_at IS NULL FOR SHARE",
            params![permit.tenant(), operator],
        )
        .await?;
    row.ok_or_else(|| OperatorError::NotFound(operator.clone()))?;
    let row = tx
        .query_opt(
            token_columns!(
                "INSERT INTO operator_tokens
                    (id, operator_id, name, digest, digest_key, created_at, expires_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING",
                ""
            ),
            params![
                &new.id,
                operator,
                new.name.clone(),
                &new.digest,
                new.digest_key,
                now,
                new.expires_at,
            ],
        )
        .await?;
    let mut row = row.ok_or_else(|| OperatorError::NoToken(new.id.clone()))?;
    Ok(token(&mut row)?)
}

/// One page of an operator's tokens, newest first, and how many there are on all pages.
///
/// # Errors
/// The database's failure.
pub async fn list(
    db: &Db,
    _: &Permit<ReadOperators>,
    operator: &OperatorId,
    limit: i64,
    offset: i64,
) -> db::Result<(Vec<Token>, i64)> {
    let mut count = db
        .query("SELECT COUNT(*) FROM operator_tokens WHERE operator_id = $1", params![operator])
        .await?;
    let total = count.first_mut().map_or(Ok(0), Row::take)?;
    let rows = db
        .query(
            token_columns!(
                "SELECT",
                "FROM operator_tokens WHERE operator_id = $1
                  ORDER BY created_at DESC, id DESC LIMIT $2 OFFSET $3"
            ),
            params![operator, limit, offset],
        )
        .await?;
    let found: db::Result<_> = rows.into_iter().map(|mut row| token(&mut row)).collect();
    Ok((found?, total))
}

/// Ends a token of an operator.
///
/// # Errors
/// An [`OperatorError`], or the database's failure.
pub async fn revoke(
    tx: &mut Tx,
    permit: &Permit<ChangeOperator>,
    administration: &Administration,
    (operator, id): (&OperatorId, &OperatorTokenId),
    now: Time,
) -> Result<Token, Problem> {
    held(tx, permit, (operator, None)).await?;
    let row = tx
        .query_opt(
            token_columns!(
                "UPDATE operator_tokens SET revoked_at = $3
                  WHERE operator_id = $1 AND id = $2 AND revoked_at IS NULL RETURNING",
                ""
            ),
            params![operator, id, now],
        )
        .await?;
    let Some(mut row) = row else {
        let known = tx
            .query_opt(
                "SELECT id FROM operator_tokens WHERE operator_id = $1 AND id = $2",
                params![operator, id],
            )
            .await?;
        return Err(match known {
            Some(_) => OperatorError::TokenRevoked(id.clone()).into(),
            None => OperatorError::NoToken(id.clone()).into(),
        });
    };
    present::somebody_left(tx, administration, operator, now).await?;
    Ok(token(&mut row)?)
}

/// Notes when tokens were last used; an older time never replaces a newer.
///
/// # Errors
/// The database's failure.
pub async fn used(tx: &mut Tx, uses: &[(OperatorTokenId, Time)]) -> db::Result<()> {
    for (id, at) in uses {
        tx.execute(
            "UPDATE operator_tokens SET last_used_at = $2
              WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)",
            params![id, *at],
        )
        .await?;
    }
    Ok(())
}

/// Reads every token into memory, ended ones, too.
///
/// # Errors
/// The database's failure.
pub async fn load_of(db: &Db, directory: &Directory, operator: &OperatorId) -> db::Result<()> {
    let sql = token_columns!("SELECT", "FROM operator_tokens WHERE operator_id = $1");
    for mut row in db.query(sql, params![operator]).await? {
        let token = token(&mut row)?;
        directory.put_operator_token(&token.digest, token.facts());
    }
    Ok(())
}

/// Reads every token of operators into memory.
///
/// # Errors
/// The database's failure.
pub async fn load(db: &Db, directory: &Directory) -> db::Result<()> {
    for mut row in db.query(token_columns!("SELECT", "FROM operator_tokens"), &[]).await? {
        let token = token(&mut row)?;
        directory.put_operator_token(&token.digest, token.facts());
    }
    Ok(())
}
