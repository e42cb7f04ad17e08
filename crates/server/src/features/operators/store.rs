//! All SQL of `operators` and `operator_tokens`.

pub mod present;
pub mod tokens;

use countersign_ground::clock::Time;
use countersign_ground::db::{self, Db, Row, Tx};
use countersign_ground::ids::OperatorId;
use countersign_ground::params;
use countersign_ground::problem::Problem;
use countersign_ground::secret::SecretDigest;

use self::present::Administration;
use super::wire::NewOperator;
use super::{Operator, OperatorError, Patch, approval_level};
use crate::law::action::{ChangeOperator, CreateOperator, ReadOperators};
use crate::law::directory::Directory;
use crate::law::permit::Permit;

macro_rules! columns {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " id, tenant, email, display_name, roles, max_approval_level, revision, created_at,
              updated_at, deleted_at ",
            $after
        )
    };
}

fn operator(row: &mut Row) -> db::Result<Operator> {
    let (operator_id, tenant, email, display_name) =
        (row.take()?, row.take()?, row.take()?, row.take()?);
    let (roles, max_approval_level): (String, Option<i64>) = (row.take()?, row.take()?);
    let roles: Vec<String> = roles.split_whitespace().map(str::to_owned).collect();
    Ok(Operator {
        operator_id,
        tenant,
        email,
        display_name,
        approval_level: approval_level(max_approval_level, roles.iter().map(String::as_str)),
        roles,
        max_approval_level,
        revision: row.take()?,
        created_at: row.take()?,
        updated_at: row.take()?,
        removed: row.take::<Option<Time>>()?.is_some(),
    })
}

/// What is known of the first operator's token.
#[derive(Debug)]
pub struct Bootstrap {
    /// Of the token.
    pub digest: Option<SecretDigest>,
    /// The token, or the operator, is no more.
    pub ended: bool,
}

/// The first operator, if there ever was one.
///
/// # Errors
/// The database's failure.
pub async fn bootstrap(db: &Db) -> db::Result<Option<Bootstrap>> {
    let row = db
        .query_opt(
            "SELECT t.digest, t.revoked_at, o.deleted_at FROM operators o
               LEFT JOIN operator_tokens t ON t.id = o.id WHERE o.id = $1",
            params![&OperatorId::bootstrap()],
        )
        .await?;
    let Some(mut row) = row else { return Ok(None) };
    let digest = row.take()?;
    let (revoked, deleted): (Option<Time>, Option<Time>) = (row.take()?, row.take()?);
    Ok(Some(Bootstrap { digest, ended: revoked.or(deleted).is_some() }))
}

/// Gives the first operator this token; a former one ends. One who was removed is back, without the
/// address that somebody else may have by now; roles and level are those of the beginning.
///
/// # Errors
/// The database's failure.
pub async fn set_bootstrap(
    tx: &mut Tx,
    _: &Permit<CreateOperator>,
    digest: &SecretDigest,
    digest_key: i64,
    now: Time,
) -> db::Result<()> {
    let id = OperatorId::bootstrap();
    tx.execute(
        "INSERT INTO operators
            (id, tenant, display_name, roles, max_approval_level, created_at, updated_at)
         VALUES ($1, 'default', 'First operator', 'admin infra', 5, $2, $2)
         ON CONFLICT (id) DO UPDATE
            SET roles = EXCLUDED.roles, max_approval_level = EXCLUDED.max_approval_level,
                email = CASE WHEN operators.deleted_at IS NULL THEN operators.email END,
                deleted_at = NULL, revision = operators.revision + 1",
        params![&id, now],
    )
    .await?;
    tx.execute(
        "INSERT INTO operator_tokens (id, operator_id, digest, digest_key, created_at)
         VALUES ($1, $1, $2, $3, $4)
         ON CONFLICT (id) DO UPDATE
            SET digest = EXCLUDED.digest, digest_key = EXCLUDED.digest_key,
                created_at = EXCLUDED.created_at, revoked_at = NULL, expires_at = NULL",
        params![&id, digest, digest_key, now],
    )
    .await?;
    Ok(())
}

/// Makes an operator.
///
/// # Errors
/// [`OperatorError::EmailTaken`], or the database's failure.
pub async fn create(
    tx: &mut Tx,
    permit: &Permit<CreateOperator>,
    id: &OperatorId,
    new: &NewOperator,
    now: Time,
) -> Result<Operator, Problem> {
    let row = tx
        .query_opt(
            columns!(
                "INSERT INTO operators (id, tenant, email, display_name, roles,
                        max_approval_level, created_at, updated_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $7) ON CONFLICT DO NOTHING RETURNING",
                ""
            ),
            params![
                id,
                permit.tenant(),
                &new.email,
                &new.display_name,
                new.roles.join(" "),
                new.max_approval_level,
                now,
            ],
        )
        .await?;
    let mut row = row.ok_or_else(|| OperatorError::EmailTaken(new.email.clone()))?;
    Ok(operator(&mut row)?)
}

/// One operator of the permit's tenant.
///
/// # Errors
/// [`OperatorError::NotFound`], or the database's failure.
pub async fn find(
    db: &Db,
    permit: &Permit<ReadOperators>,
    id: &OperatorId,
) -> Result<Operator, Problem> {
    let row = db
        .query_opt(
            columns!(
                "SELECT",
                "FROM operators WHERE tenant = $1 AND id = $2 AND deleted_at IS NULL"
            ),
            params![permit.tenant(), id],
        )
        .await?;
    let mut row = row.ok_or_else(|| OperatorError::NotFound(id.clone()))?;
    Ok(operator(&mut row)?)
}

/// One page of the tenant's operators by id, and how many there are on all pages.
///
/// # Errors
/// The database's failure.
pub async fn list(
    db: &Db,
    permit: &Permit<ReadOperators>,
    limit: i64,
    offset: i64,
) -> db::Result<(Vec<Operator>, i64)> {
    let mut count = db
        .query(
            "SELECT COUNT(*) FROM operators WHERE tenant = $1 AND deleted_at IS NULL",
            params![permit.tenant()],
        )
        .await?;
    let total = count.first_mut().map_or(Ok(0), Row::take)?;
    let rows = db
        .query(
            columns!(
                "SELECT",
                "FROM operators WHERE tenant = $1 AND deleted_at IS NULL
                  ORDER BY id DESC LIMIT $2 OFFSET $3"
            ),
            params![permit.tenant(), limit, offset],
        )
        .await?;
    let found: db::Result<_> = rows.into_iter().map(|mut row| operator(&mut row)).collect();
    Ok((found?, total))
}

/// Changes an operator, if they still have the revision that the client read.
///
/// # Errors
/// An [`OperatorError`], or the database's failure.
pub async fn change(
    tx: &mut Tx,
    permit: &Permit<ChangeOperator>,
    administration: &Administration,
    (id, if_match): (&OperatorId, Option<&[String]>),
    patch: &Patch,
    now: Time,
) -> Result<Operator, Problem> {
    let mut changed = held(tx, permit, (id, if_match)).await?;
    patch.apply(&mut changed, now);
    // Whether the address is taken shows in the row count, on both databases.
    let updated = tx
        .execute(
            "UPDATE operators SET email = $3, display_name = $4, roles = $5,
                    max_approval_level = $6, revision = $7, updated_at = $8
              WHERE tenant = $1 AND id = $2 AND NOT EXISTS (
                    SELECT 1 FROM operators other WHERE other.tenant = $1 AND other.email = $3
                       AND other.deleted_at IS NULL AND other.id <> $2)",
            params![
                permit.tenant(),
                id,
                changed.email.clone(),
                &changed.display_name,
                changed.roles.join(" "),
                changed.max_approval_level,
                changed.revision,
                now,
            ],
        )
        .await?;
    if updated == 0 {
        return Err(OperatorError::EmailTaken(changed.email.unwrap_or_default()).into());
    }
    present::somebody_left(tx, administration, id, now).await?;
    Ok(changed)
}

/// Removes an operator; the tokens end with them.
///
/// # Errors
/// An [`OperatorError`], or the database's failure.
pub async fn remove(
    tx: &mut Tx,
    permit: &Permit<ChangeOperator>,
    administration: &Administration,
    (id, if_match): (&OperatorId, Option<&[String]>),
    now: Time,
) -> Result<Operator, Problem> {
    let mut removed = held(tx, permit, (id, if_match)).await?;
    removed.revision += 1;
    removed.removed = true;
    tx.execute(
        "UPDATE operators SET deleted_at = $2, revision = $3, updated_at = $2 WHERE id = $1",
        params![id, now, removed.revision],
    )
    .await?;
    tx.execute(
        "UPDATE operator_tokens SET revoked_at = $2 WHERE operator_id = $1 AND revoked_at IS NULL",
        params![id, now],
    )
    .await?;
    present::somebody_left(tx, administration, id, now).await?;
    Ok(removed)
}

/// The operator's row, held until the transaction ends.
async fn held(
    tx: &mut Tx,
    permit: &Permit<ChangeOperator>,
    (id, if_match): (&OperatorId, Option<&[String]>),
) -> Result<Operator, Problem> {
    let row = tx
        .query_opt(
            columns!(
                "SELECT",
                "FROM operators
                  WHERE tenant = $1 AND id = $2 AND deleted_at IS NULL FOR UPDATE"
            ),
            params![permit.tenant(), id],
        )
        .await?;
    let mut row = row.ok_or_else(|| OperatorError::NotFound(id.clone()))?;
    let found = operator(&mut row)?;
    if if_match.is_some_and(|tags| !tags.contains(&found.etag())) {
        return Err(OperatorError::Changed(id.clone()).into());
    }
    Ok(found)
}

/// Reads one operator and their tokens into memory, ended ones, too.
///
/// # Errors
/// The database's failure.
pub async fn load_one(db: &Db, directory: &Directory, id: &OperatorId) -> db::Result<()> {
    let row = db.query_opt(columns!("SELECT", "FROM operators WHERE id = $1"), params![id]).await?;
    if let Some(mut row) = row {
        directory.put_operator(operator(&mut row)?.facts());
    }
    tokens::load_of(db, directory, id).await
}

/// Reads every operator and every token of theirs into memory, ended ones, too: memory may have
/// missed that they ended.
///
/// # Errors
/// The database's failure.
pub async fn load(db: &Db, directory: &Directory) -> db::Result<()> {
    for mut row in db.query(columns!("SELECT", "FROM operators"), &[]).await? {
        directory.put_operator(operator(&mut row)?.facts());
    }
    tokens::load(db, directory).await
}
