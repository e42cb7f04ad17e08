//! All SQL of `vault_intents`, and of credentials whose secret is on its way to Vault.

use countersign_ground::clock::Time;
use countersign_ground::db::{self, Row, Tx};
use countersign_ground::params;
use countersign_ground::problem::Problem;
use countersign_ground::secret::SecretDigest;

use super::super::vault::{Due, Intent, IntentId, Kind};
use super::super::{Credential, CredentialError};
use super::{credential, why_not};
use crate::law::action::{CreateCredential, RotateCredential};
use crate::law::permit::Permit;

/// Begins to make a credential: it is nobody's proof until [`confirm_creation`].
///
/// # Errors
/// The database's failure.
pub async fn begin_creation(
    tx: &mut Tx,
    permit: &Permit<CreateCredential>,
    intent: &Intent,
    (path, expires_at): (&str, Option<Time>),
) -> db::Result<()> {
    let (agent, id, now) = (&intent.agent, &intent.credential, intent.taken_at);
    tx.execute(
        "INSERT INTO credentials
            (id, client_id, tenant, digest_key, vault_path, revision, created_at, expires_at)
         VALUES ($1, $2, $3, 0, $4, 1, $5, $6)",
        params![id, agent, permit.tenant(), path, now, expires_at],
    )
    .await?;
    begin(tx, permit, intent).await.map(drop)
}

/// Begins to rotate a live credential, unless something of it is under way; gives it as it is.
///
/// # Errors
/// A [`CredentialError`], or the database's failure.
pub async fn begin_rotation(
    tx: &mut Tx,
    permit: &Permit<RotateCredential>,
    intent: &Intent,
    path: &str,
) -> Result<Credential, Problem> {
    let (ids, now) = ((intent.agent, intent.credential), intent.taken_at);
    let row = tx
        .query_opt(
            columns!(
                "UPDATE credentials SET vault_path = $4
                  WHERE tenant = $1 AND client_id = $2 AND id = $3 AND revoked_at IS NULL
                    AND (expires_at IS NULL OR expires_at > $5) AND certificate IS NULL
                    AND (digest IS NOT NULL OR vault_version IS NOT NULL)
              RETURNING",
                ""
            ),
            params![permit.tenant(), &ids.0, &ids.1, path, now],
        )
        .await?;
    let Some(mut row) = row else {
        return Err(why_not(tx, permit.tenant(), ids, now).await?.into());
    };
    if !begin(tx, permit, intent).await? {
        return Err(CredentialError::Changing(intent.credential).into());
    }
    Ok(credential(&mut row)?)
}

/// Whether there is none yet for this credential.
async fn begin<A>(tx: &mut Tx, permit: &Permit<A>, intent: &Intent) -> db::Result<bool> {
    let begun = tx
        .execute(
            "INSERT INTO vault_intents
                (id, kind, credential_id, agent_id, tenant, created_at, taken_at)
             VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT (credential_id) DO NOTHING",
            params![
                &intent.id,
                intent.kind.as_str(),
                &intent.credential,
                &intent.agent,
                permit.tenant(),
                intent.taken_at
            ],
        )
        .await?;
    Ok(begun == 1)
}

/// Puts a new credential in force: Vault has its secret.
///
/// # Errors
/// A [`CredentialError`] when it was revoked or undone meanwhile, or the database's failure.
pub async fn confirm_creation(
    tx: &mut Tx,
    permit: &Permit<CreateCredential>,
    intent: &Intent,
    version: i64,
) -> Result<Credential, Problem> {
    let row = tx
        .query_opt(
            columns!(
                "UPDATE credentials SET vault_version = $3, revision = revision + 1
                  WHERE tenant = $1 AND id = $2 AND revoked_at IS NULL AND vault_version IS NULL
              RETURNING",
                ""
            ),
            params![permit.tenant(), &intent.credential, version],
        )
        .await?;
    confirmed(tx, permit, intent, row).await
}

/// Puts a new secret in force: Vault has it. The old one is good until the end of its grace.
///
/// # Errors
/// As [`confirm_creation`].
pub async fn confirm_rotation(
    tx: &mut Tx,
    permit: &Permit<RotateCredential>,
    intent: &Intent,
    version: i64,
    (previous, until): (Option<&SecretDigest>, Option<Time>),
) -> Result<Credential, Problem> {
    let row = tx
        .query_opt(
            columns!(
                "UPDATE credentials
                    SET previous_digest = CASE WHEN $5 IS NULL THEN NULL WHEN digest IS NOT NULL
                            THEN digest ELSE $4 END,
                        previous_until = $5, digest = NULL, digest_key = 0, vault_version = $3,
                        revision = revision + 1
                  WHERE tenant = $1 AND id = $2 AND revoked_at IS NULL RETURNING",
                ""
            ),
            params![permit.tenant(), &intent.credential, version, previous, until],
        )
        .await?;
    confirmed(tx, permit, intent, row).await
}

/// INVARIANT: a version comes into force together with the end of the intent that wrote it. One that
/// somebody else has taken over meanwhile ends nothing, and so nothing comes into force.
async fn confirmed<A>(
    tx: &mut Tx,
    permit: &Permit<A>,
    intent: &Intent,
    row: Option<Row>,
) -> Result<Credential, Problem> {
    let ended = tx
        .execute(
            "DELETE FROM vault_intents WHERE id = $1 AND kind = $2",
            params![&intent.id, intent.kind.as_str()],
        )
        .await?;
    match row {
        Some(mut row) if ended == 1 => Ok(credential(&mut row)?),
        _ => {
            let ids = (intent.agent, intent.credential);
            Err(why_not(tx, permit.tenant(), ids, intent.taken_at).await?.into())
        }
    }
}

/// Ends what did not succeed: nothing of it comes into force any more. Unless it is `certain` that
/// Vault has nothing of it, that is left to be undone. `false` when somebody else has taken it over.
///
/// # Errors
/// The database's failure.
pub async fn give_up<A>(
    tx: &mut Tx,
    permit: &Permit<A>,
    intent: &Intent,
    certain: bool,
    now: Time,
) -> db::Result<bool> {
    if intent.kind == Kind::Create {
        end_unmade(tx, permit, intent, now).await?;
    }
    let (id, kind) = (&intent.id, intent.kind.as_str());
    let ended = if certain {
        let sql = "DELETE FROM vault_intents WHERE id = $1 AND kind = $2";
        tx.execute(sql, params![id, kind]).await?
    } else {
        let sql = "UPDATE vault_intents SET kind = $3 WHERE id = $1 AND kind = $2";
        tx.execute(sql, params![id, kind, intent.kind.undone().as_str()]).await?
    };
    Ok(ended == 1)
}

/// A credential that was never in force is revoked.
async fn end_unmade<A>(
    tx: &mut Tx,
    permit: &Permit<A>,
    intent: &Intent,
    now: Time,
) -> db::Result<()> {
    tx.execute(
        "UPDATE credentials SET revoked_at = $3, revision = revision + 1
          WHERE tenant = $1 AND id = $2 AND revoked_at IS NULL AND vault_version IS NULL
            AND digest IS NULL",
        params![permit.tenant(), &intent.credential, now],
    )
    .await
    .map(drop)
}

/// Has all that Vault may hold of a credential removed; gives what can be set about now. What is being
/// written at this moment must have ended first: that is left to its turn.
///
/// # Errors
/// The database's failure.
pub async fn erase<A>(
    tx: &mut Tx,
    permit: &Permit<A>,
    credential: &Credential,
    id: IntentId,
    now: Time,
) -> db::Result<Option<Intent>> {
    if credential.vault_path.is_none() {
        return Ok(None);
    }
    let kind = Kind::Erase;
    let under_way = tx
        .execute(
            "UPDATE vault_intents SET id = $2, kind = $3, taken_at = $4 WHERE credential_id = $1",
            params![&credential.id, &id, kind.as_str(), now],
        )
        .await?;
    if under_way > 0 {
        return Ok(None);
    }
    let tenant = permit.tenant().to_owned();
    let (agent, credential) = (credential.agent, credential.id);
    let intent = Intent { id, kind, credential, agent, tenant, taken_at: now };
    Ok(begin(tx, permit, &intent).await?.then_some(intent))
}

/// What nobody has set about since `before`, the oldest first.
///
/// # Errors
/// The database's failure.
pub async fn due(tx: &mut Tx, before: Time) -> db::Result<Option<Due>> {
    let row = tx
        .query_opt(
            "SELECT i.id, i.kind, i.credential_id, i.agent_id, i.tenant, i.taken_at, c.vault_version
               FROM vault_intents i JOIN credentials c ON c.id = i.credential_id
              WHERE i.taken_at <= $1 ORDER BY i.taken_at, i.id LIMIT 1",
            params![before],
        )
        .await?;
    let Some(mut row) = row else { return Ok(None) };
    let (id, kind) = (row.take()?, row.take::<String>()?);
    let unreadable = || db::Error::Query("vault_intents.kind is not readable".into());
    let intent = Intent {
        id,
        kind: Kind::parse(&kind).ok_or_else(unreadable)?,
        credential: row.take()?,
        agent: row.take()?,
        tenant: row.take()?,
        taken_at: row.take()?,
    };
    Ok(Some(Due { intent, in_force: row.take()? }))
}

/// Takes it over, so that nobody else sets about it for a while and nothing of it comes into force.
/// `false` when somebody else was first.
///
/// # Errors
/// The database's failure.
pub async fn take<A>(
    tx: &mut Tx,
    permit: &Permit<A>,
    intent: &Intent,
    now: Time,
) -> db::Result<bool> {
    if intent.kind == Kind::Create {
        end_unmade(tx, permit, intent, now).await?;
    }
    let taken = tx
        .execute(
            "UPDATE vault_intents SET taken_at = $4, kind = $5
              WHERE id = $1 AND kind = $2 AND taken_at = $3",
            params![
                &intent.id,
                intent.kind.as_str(),
                intent.taken_at,
                now,
                intent.kind.undone().as_str()
            ],
        )
        .await?;
    Ok(taken == 1)
}

/// Forgets what Vault has done. `false` when somebody else was first.
///
/// # Errors
/// The database's failure.
pub async fn settle<A>(tx: &mut Tx, permit: &Permit<A>, intent: &Intent) -> db::Result<bool> {
    let sql = "DELETE FROM vault_intents WHERE id = $1 AND kind = $2 AND tenant = $3";
    let settled = params![&intent.id, intent.kind.as_str(), permit.tenant()];
    Ok(tx.execute(sql, settled).await? == 1)
}
