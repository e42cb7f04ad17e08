//! All SQL of `operators` and `operator_tokens`.

use std::sync::Arc;

use countersign_ground::clock::Time;
use countersign_ground::db::{self, Db, Row, Tx};
use countersign_ground::ids::{OperatorId, OperatorTokenId};
use countersign_ground::params;
use countersign_ground::problem::Problem;
use countersign_ground::record::default_tenant;
use countersign_ground::secret::SecretDigest;
use countersign_policy::Matrix;

use super::tokens::{NewToken, Token};
use super::wire::NewOperator;
use super::{Operator, OperatorError, Patch, approval_level};
use crate::law::InForce;
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
    matrix: &InForce,
    (id, if_match): (&OperatorId, Option<&[String]>),
    patch: &Patch,
    now: Time,
) -> Result<Operator, Problem> {
    let present = hold(tx, now).await?;
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
    somebody_left(tx, matrix, &present, id, now).await?;
    Ok(changed)
}

/// Removes an operator; the tokens end with them.
///
/// # Errors
/// An [`OperatorError`], or the database's failure.
pub async fn remove(
    tx: &mut Tx,
    permit: &Permit<ChangeOperator>,
    matrix: &InForce,
    (id, if_match): (&OperatorId, Option<&[String]>),
    now: Time,
) -> Result<Operator, Problem> {
    let present = hold(tx, now).await?;
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
    somebody_left(tx, matrix, &present, id, now).await?;
    Ok(removed)
}

/// Makes a token for an operator.
///
/// # Errors
/// [`OperatorError::NotFound`], or the database's failure.
pub async fn create_token(
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
pub async fn list_tokens(
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
pub async fn revoke_token(
    tx: &mut Tx,
    permit: &Permit<ChangeOperator>,
    matrix: &InForce,
    (operator, id): (&OperatorId, &OperatorTokenId),
    now: Time,
) -> Result<Token, Problem> {
    let present = hold(tx, now).await?;
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
    somebody_left(tx, matrix, &present, operator, now).await?;
    Ok(token(&mut row)?)
}

/// Somebody with a token that is good now.
#[derive(Debug)]
pub struct Present {
    /// Who.
    pub id: OperatorId,
    tenant: Arc<str>,
    roles: Vec<String>,
}

impl Present {
    /// Whether one of their roles holds a permission over the whole installation.
    #[must_use]
    pub fn may_everywhere(&self, matrix: &Matrix, resource: &str, action: &str) -> bool {
        let reaches = *self.tenant == *default_tenant() || self.is_infra(matrix);
        reaches && self.may(matrix, resource, action)
    }

    /// Whether one of their roles crosses tenants.
    #[must_use]
    pub fn is_infra(&self, matrix: &Matrix) -> bool {
        self.roles.iter().any(|role| matrix.role(role) == Some("infra"))
    }

    fn may(&self, matrix: &Matrix, resource: &str, action: &str) -> bool {
        let roles = self.roles.iter().map(String::as_str);
        matrix.granting(roles, resource, action).is_some()
    }

    /// Whether they may change operators in their tenant.
    fn administers(&self, matrix: &Matrix) -> bool {
        self.id.is_bootstrap() || self.may(matrix, "operators", "write")
    }

    fn crosses_tenants(&self, matrix: &Matrix) -> bool {
        self.id.is_bootstrap() || self.is_infra(matrix)
    }
}

/// Everybody who could sign in now. Changes of operators stand in line for one row, so that two who
/// remove each other don't both succeed.
async fn hold(tx: &mut Tx, now: Time) -> db::Result<Vec<Present>> {
    hold_administration(tx).await?;
    present(tx, now).await
}

/// Stands in line with all that changes who may administer: operators, their tokens, the matrix.
///
/// # Errors
/// The database's failure.
pub async fn hold_administration(tx: &mut Tx) -> db::Result<()> {
    tx.query("SELECT id FROM tenants WHERE id = 'default' FOR UPDATE", &[]).await.map(drop)
}

/// Everybody who could sign in now.
///
/// # Errors
/// The database's failure.
pub async fn present(tx: &mut Tx, now: Time) -> db::Result<Vec<Present>> {
    let rows = tx
        .query(
            "SELECT o.id, o.tenant, o.roles FROM operators o
              WHERE o.deleted_at IS NULL AND EXISTS (
                    SELECT 1 FROM operator_tokens t
                     WHERE t.operator_id = o.id AND t.revoked_at IS NULL
                       AND (t.expires_at IS NULL OR t.expires_at > $1))",
            params![now],
        )
        .await?;
    let present = rows.into_iter().map(|mut row| {
        let (id, tenant, roles): (_, String, String) = (row.take()?, row.take()?, row.take()?);
        let roles = roles.split_whitespace().map(str::to_owned).collect();
        Ok(Present { id, tenant: tenant.into(), roles })
    });
    present.collect()
}

/// Refuses a change after which nobody could administer what somebody could before.
async fn somebody_left(
    tx: &mut Tx,
    matrix: &InForce,
    before: &[Present],
    changed: &OperatorId,
    now: Time,
) -> Result<(), Problem> {
    let Some(was) = before.iter().find(|one| one.id == *changed) else { return Ok(()) };
    let after = present(tx, now).await?;
    // Only now: the matrix may have changed while this stood in line.
    let matrix = &**matrix.load();
    let mut administrators = after.iter().filter(|one| one.administers(matrix));
    let lost_tenant =
        was.administers(matrix) && !administrators.clone().any(|one| one.tenant == was.tenant);
    let lost_all = was.administers(matrix)
        && was.crosses_tenants(matrix)
        && !administrators.any(|one| one.crosses_tenants(matrix));
    let what: Arc<str> = match (lost_all, lost_tenant) {
        (true, _) => "the installation".into(),
        (false, true) => format!("the tenant `{}`", was.tenant).into(),
        (false, false) => return Ok(()),
    };
    Err(OperatorError::LastAdministrator(changed.clone(), what).into())
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

/// Reads every operator and every token of theirs into memory, ended ones, too: memory may have
/// missed that they ended.
///
/// # Errors
/// The database's failure.
pub async fn load(db: &Db, directory: &Directory) -> db::Result<()> {
    for mut row in db.query(columns!("SELECT", "FROM operators"), &[]).await? {
        directory.put_operator(operator(&mut row)?.facts());
    }
    for mut row in db.query(token_columns!("SELECT", "FROM operator_tokens"), &[]).await? {
        let token = token(&mut row)?;
        directory.put_operator_token(&token.digest, token.facts());
    }
    Ok(())
}
