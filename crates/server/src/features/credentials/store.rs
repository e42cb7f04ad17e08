//! All SQL of `credentials`.

use std::sync::Arc;

use countersign_ground::clock::Time;
use countersign_ground::db::{self, Db, Row, Tx, Value};
use countersign_ground::ids::{AgentId, CredentialId};
use countersign_ground::params;
use countersign_ground::problem::Problem;
use countersign_ground::secret::SecretDigest;

use super::{Credential, CredentialError, Status};
use crate::law::action::{
    CreateCredential, QuarantineAgent, ReadCredentials, RevokeCredential, RotateCredential,
};
use crate::law::directory::{Directory, Thumbprint};
use crate::law::permit::Permit;

macro_rules! columns {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " id, client_id, digest, certificate, previous_digest, previous_until, vault_path,
              vault_version, revision, created_at, expires_at, revoked_at, last_used_at,
              last_used_from ",
            $after
        )
    };
}

pub mod intents;

fn credential(row: &mut Row) -> db::Result<Credential> {
    let (id, agent, digest) = (row.take()?, row.take()?, row.take()?);
    let certificate: Option<Vec<u8>> = row.take()?;
    let unreadable = |_| db::Error::Query("credentials.certificate is not readable".into());
    let certificate = certificate.map(|bytes| bytes.try_into().map_err(unreadable)).transpose()?;
    let previous: (Option<SecretDigest>, Option<Time>) = (row.take()?, row.take()?);
    Ok(Credential {
        id,
        agent,
        digest,
        certificate,
        previous: previous.0.zip(previous.1),
        vault_path: row.take()?,
        vault_version: row.take()?,
        revision: row.take()?,
        created_at: row.take()?,
        expires_at: row.take()?,
        revoked_at: row.take()?,
        last_used_at: row.take()?,
        last_used_from: row.take()?,
    })
}

/// A new secret, digested.
#[derive(Debug)]
pub struct NewSecret {
    /// Of the secret that is shown once.
    pub digest: SecretDigest,
    /// The version of the key it was digested under.
    pub digest_key: i64,
}

/// What a new credential proves by.
#[derive(Debug)]
pub enum NewProof {
    /// A secret.
    Secret(NewSecret),
    /// A client certificate.
    Certificate(Thumbprint),
}

/// Makes a credential.
///
/// # Errors
/// [`CredentialError::CertificateTaken`], or the database's failure.
pub async fn create(
    tx: &mut Tx,
    permit: &Permit<CreateCredential>,
    (agent, id): (AgentId, CredentialId),
    proof: &NewProof,
    expires_at: Option<Time>,
    now: Time,
) -> Result<Credential, Problem> {
    let (digest, digest_key, certificate) = match proof {
        NewProof::Secret(secret) => (Some(&secret.digest), secret.digest_key, None),
        NewProof::Certificate(thumbprint) => (None, 0, Some(thumbprint.as_slice())),
    };
    if let Some(thumbprint) = certificate {
        // What can prove nobody any more must not keep a certificate to itself.
        tx.execute(
            "UPDATE credentials SET revoked_at = $2, revision = revision + 1
              WHERE certificate = $1 AND revoked_at IS NULL AND (expires_at <= $2
                 OR client_id IN (SELECT id FROM agents WHERE status = 'decommissioned'))",
            params![thumbprint, now],
        )
        .await?;
    }
    let row = tx
        .query_opt(
            columns!(
                "INSERT INTO credentials
                    (id, client_id, tenant, digest, digest_key, certificate, revision, created_at,
                     expires_at)
                 VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8) ON CONFLICT DO NOTHING RETURNING",
                ""
            ),
            params![&id, &agent, permit.tenant(), digest, digest_key, certificate, now, expires_at],
        )
        .await?;
    // Ids are random: only a certificate can be there before.
    let mut row = row.ok_or(CredentialError::CertificateTaken)?;
    Ok(credential(&mut row)?)
}

/// The agent's credentials, newest first, without those that are still being made in Vault.
///
/// # Errors
/// The database's failure.
pub async fn list(
    db: &Db,
    permit: &Permit<ReadCredentials>,
    agent: AgentId,
    limit: i64,
    offset: i64,
) -> db::Result<(Vec<Credential>, i64)> {
    let mut count = db
        .query(
            "SELECT COUNT(*) FROM credentials WHERE tenant = $1 AND client_id = $2
                AND (digest IS NOT NULL OR certificate IS NOT NULL OR vault_version IS NOT NULL
                     OR revoked_at IS NOT NULL)",
            params![permit.tenant(), &agent],
        )
        .await?;
    let total = count.first_mut().map_or(Ok(0), Row::take)?;
    let rows = db
        .query(
            columns!(
                "SELECT",
                "FROM credentials WHERE tenant = $1 AND client_id = $2
                    AND (digest IS NOT NULL OR certificate IS NOT NULL OR vault_version IS NOT NULL
                         OR revoked_at IS NOT NULL)
                  ORDER BY id DESC LIMIT $3 OFFSET $4"
            ),
            params![permit.tenant(), &agent, limit, offset],
        )
        .await?;
    let found: db::Result<_> = rows.into_iter().map(|mut row| credential(&mut row)).collect();
    Ok((found?, total))
}

/// How a rotation treats the old secret.
#[derive(Debug, Clone, Copy)]
pub struct Grace {
    /// Until when it is good; not at all when absent.
    pub until: Option<Time>,
    /// Its digest as memory has it, and of which revision of the row: the row has none of a secret
    /// that is kept in Vault.
    pub known: Option<(SecretDigest, i64)>,
}

/// Gives a live credential a new secret, which is kept here. The old one is good until the grace ends,
/// if there is one.
///
/// One statement, so two rotations can't interleave: the later one's old secret is the earlier's
/// new one.
///
/// # Errors
/// A [`CredentialError`], or the database's failure.
pub async fn rotate(
    tx: &mut Tx,
    permit: &Permit<RotateCredential>,
    (agent, id): (AgentId, CredentialId),
    secret: &NewSecret,
    grace: Grace,
    now: Time,
) -> Result<Credential, Problem> {
    let (known, of) = grace.known.unzip();
    let row = tx
        .query_opt(
            columns!(
                "UPDATE credentials
                    SET previous_digest = CASE WHEN $7 IS NULL THEN NULL WHEN digest IS NOT NULL
                            THEN digest WHEN revision = $9 THEN $8 END,
                        previous_until = $7, digest = $4, digest_key = $5, vault_version = NULL,
                        revision = revision + 1
                  WHERE tenant = $1 AND client_id = $2 AND id = $3 AND revoked_at IS NULL
                    AND (expires_at IS NULL OR expires_at > $6) AND certificate IS NULL
                    AND (digest IS NOT NULL OR vault_version IS NOT NULL)
              RETURNING",
                ""
            ),
            params![
                permit.tenant(),
                &agent,
                &id,
                &secret.digest,
                secret.digest_key,
                now,
                grace.until,
                known.as_ref(),
                of
            ],
        )
        .await?;
    let Some(mut row) = row else {
        return Err(why_not(tx, permit.tenant(), (agent, id), now).await?.into());
    };
    let rotated = credential(&mut row)?;
    if grace.until.is_some() && rotated.previous.is_none() {
        return Err(CredentialError::OutOfReach(id).into());
    }
    Ok(rotated)
}

/// Ends a credential; its digests go.
///
/// # Errors
/// A [`CredentialError`], or the database's failure.
pub async fn revoke(
    tx: &mut Tx,
    permit: &Permit<RevokeCredential>,
    (agent, id): (AgentId, CredentialId),
    now: Time,
) -> Result<Credential, Problem> {
    let row = tx
        .query_opt(
            columns!(
                "UPDATE credentials
                    SET revoked_at = $4, revision = revision + 1,
                        previous_digest = NULL, previous_until = NULL
                  WHERE tenant = $1 AND client_id = $2 AND id = $3 AND revoked_at IS NULL
              RETURNING",
                ""
            ),
            params![permit.tenant(), &agent, &id, now],
        )
        .await?;
    match row {
        Some(mut row) => Ok(credential(&mut row)?),
        None => Err(why_not(tx, permit.tenant(), (agent, id), now).await?.into()),
    }
}

/// Ends every live credential of an agent; gives them as they are now.
///
/// # Errors
/// The database's failure.
pub async fn revoke_all(
    tx: &mut Tx,
    permit: &Permit<QuarantineAgent>,
    agent: AgentId,
    now: Time,
) -> db::Result<Vec<Credential>> {
    let rows = tx
        .query(
            columns!(
                "UPDATE credentials
                    SET revoked_at = $3, revision = revision + 1,
                        previous_digest = NULL, previous_until = NULL
                  WHERE tenant = $1 AND client_id = $2 AND revoked_at IS NULL RETURNING",
                ""
            ),
            params![permit.tenant(), &agent, now],
        )
        .await?;
    rows.into_iter().map(|mut row| credential(&mut row)).collect()
}

/// Why a conditional change found no row.
async fn why_not(
    tx: &mut Tx,
    tenant: &str,
    (agent, id): (AgentId, CredentialId),
    now: Time,
) -> db::Result<CredentialError> {
    let row = tx
        .query_opt(
            columns!("SELECT", "FROM credentials WHERE tenant = $1 AND client_id = $2 AND id = $3"),
            params![tenant, &agent, &id],
        )
        .await?;
    let found = row.map(|mut row| credential(&mut row)).transpose()?;
    // What is still being made is not there yet.
    let found = found.filter(|one| one.revoked_at.is_some() || one.facts().is_some());
    Ok(match found {
        None => CredentialError::NotFound(id),
        Some(one) if one.certificate.is_some() && one.status(now) == Status::Active => {
            CredentialError::IsCertificate(id)
        }
        Some(one) => match one.status(now) {
            Status::Revoked => CredentialError::Revoked(id),
            Status::Expired => CredentialError::Expired(id),
            Status::Active => CredentialError::Changing(id),
        },
    })
}

/// One use of a credential.
#[derive(Debug)]
pub struct Use {
    /// Which.
    pub id: CredentialId,
    /// When.
    pub at: Time,
    /// From which address.
    pub from: Option<String>,
}

/// Notes when credentials were last used; an older time never replaces a newer.
///
/// # Errors
/// The database's failure.
pub async fn used(tx: &mut Tx, uses: &[Use]) -> db::Result<()> {
    let each: Vec<Vec<Value>> =
        uses.iter().map(|one| params![&one.id, one.at, one.from.clone()].to_vec()).collect();
    tx.execute_each(
        "UPDATE credentials SET last_used_at = $2, last_used_from = $3
          WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)",
        &each,
    )
    .await
}

/// Reads an agent's credentials into memory, those that have ended, too: memory may have missed it.
///
/// # Errors
/// The database's failure.
pub async fn load_of(db: &Db, directory: &Arc<Directory>, agent: AgentId) -> db::Result<()> {
    // Of one that has had thousands, the older have been dead for long.
    const MOST: i64 = 1_000;
    let rows = db
        .query(
            columns!("SELECT", "FROM credentials WHERE client_id = $1 ORDER BY id DESC LIMIT $2"),
            params![&agent, MOST],
        )
        .await?;
    for mut row in rows {
        if let Some(facts) = credential(&mut row)?.facts() {
            directory.put_credential(agent, facts);
        }
    }
    Ok(())
}

/// Reads credentials into memory, a page at a time: all that are not revoked, and those that were
/// revoked after `revoked_since`, which memory may still take for live.
///
/// # Errors
/// The database's failure.
pub async fn load(db: &Db, directory: &Arc<Directory>, revoked_since: Time) -> db::Result<()> {
    const PAGE: i64 = 5_000;
    let mut after = String::new();
    loop {
        let rows = db
            .query(
                columns!(
                    "SELECT",
                    "FROM credentials
                      WHERE id > $1 AND (revoked_at IS NULL OR revoked_at > $3)
                      ORDER BY id LIMIT $2"
                ),
                params![&after, PAGE, revoked_since],
            )
            .await?;
        if rows.is_empty() {
            return Ok(());
        }
        for mut row in rows {
            let credential = credential(&mut row)?;
            after = credential.id.to_string();
            if let Some(facts) = credential.facts() {
                directory.put_credential(credential.agent, facts);
            }
        }
    }
}
