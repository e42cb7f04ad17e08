//! All SQL of `operators` and `operator_tokens`.

use countersign_ground::clock::Time;
use countersign_ground::db::{self, Db};
use countersign_ground::params;
use countersign_ground::secret::SecretDigest;

use super::BOOTSTRAP;
use crate::law::directory::{Directory, OperatorFacts};

/// Whether the first operator has a token.
///
/// # Errors
/// The database's failure.
pub async fn has_bootstrap(db: &Db) -> db::Result<bool> {
    let row = db
        .query_opt(
            "SELECT id FROM operator_tokens WHERE operator_id = $1 AND revoked_at IS NULL LIMIT 1",
            params![BOOTSTRAP],
        )
        .await?;
    Ok(row.is_some())
}

/// Gives the first operator this token; a former one ends.
///
/// # Errors
/// The database's failure.
pub async fn set_bootstrap(
    db: &Db,
    digest: SecretDigest,
    digest_key: i64,
    now: Time,
) -> db::Result<()> {
    db.write((), move |tx, ()| {
        Box::pin(async move {
            tx.execute(
                "INSERT INTO operators
                    (id, tenant, display_name, roles, max_approval_level, created_at)
                 VALUES ($1, 'default', 'First operator', 'admin infra', 5, $2)
                 ON CONFLICT DO NOTHING",
                params![BOOTSTRAP, now],
            )
            .await?;
            tx.execute(
                "INSERT INTO operator_tokens (id, operator_id, digest, digest_key, created_at)
                 VALUES ($1, $1, $2, $3, $4)
                 ON CONFLICT (id) DO UPDATE
                    SET digest = EXCLUDED.digest, digest_key = EXCLUDED.digest_key",
                params![BOOTSTRAP, &digest, digest_key, now],
            )
            .await?;
            Ok(())
        })
    })
    .await
}

/// Reads every operator's live tokens into memory.
///
/// # Errors
/// The database's failure.
pub async fn load(db: &Db, directory: &Directory) -> db::Result<()> {
    let rows = db
        .query(
            "SELECT t.digest, o.id, o.tenant, o.roles FROM operator_tokens t
               JOIN operators o ON o.id = t.operator_id
              WHERE t.revoked_at IS NULL",
            &[],
        )
        .await?;
    for mut row in rows {
        let digest: SecretDigest = row.take()?;
        let (id, tenant, roles): (String, String, String) = (row.take()?, row.take()?, row.take()?);
        let facts = OperatorFacts {
            holds_everything: id == BOOTSTRAP,
            id: id.into(),
            tenant: tenant.into(),
            roles: roles.split(' ').map(str::to_owned).collect(),
        };
        directory.put_operator(&digest, facts);
    }
    Ok(())
}
