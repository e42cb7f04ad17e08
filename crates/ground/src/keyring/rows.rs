//! The ring's rows. All SQL of `signing_keys` is here.

use std::sync::Arc;

use super::{Algorithm, MasterKey, RingError, RingKey, State, TokenKey};
use crate::clock::{Clock, Time};
use crate::db::{self, Db};
use crate::entropy::Entropy;
use crate::params;
use crate::secret::{DigestKey, SealedSecret};

const TOKEN: &str = "token";
const DIGEST: &str = "digest";

/// What a sealed row is bound to. Tenant and owner are empty for the keys of the installation.
fn place(purpose: &str, version: i64) -> String {
    format!("{purpose}|||{version}")
}

struct NewKey {
    purpose: &'static str,
    version: i64,
    kid: Option<String>,
    algorithm: Option<&'static str>,
    state: State,
    sealed: SealedSecret,
    master: String,
    now: Time,
}

/// Inserts unless another node was first.
async fn insert(db: &Db, key: NewKey) -> db::Result<()> {
    db.write(key, |tx, key| {
        Box::pin(async move {
            tx.execute(
                "INSERT INTO signing_keys (purpose, version, kid, alg, state, sealed, master, created_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
                params![
                    key.purpose,
                    key.version,
                    key.kid.clone(),
                    key.algorithm,
                    key.state.as_str(),
                    &key.sealed,
                    &key.master,
                    key.now,
                ],
            )
            .await?;
            Ok(())
        })
    })
    .await
}

pub(super) async fn is_empty(db: &Db) -> db::Result<bool> {
    Ok(db.query_opt("SELECT version FROM signing_keys LIMIT 1", params![]).await?.is_none())
}

/// The active digest key, made at the first start.
pub(super) async fn digest_key(
    db: &Db,
    master: &MasterKey,
    clock: &Clock,
    entropy: &Entropy,
) -> Result<DigestKey, RingError> {
    const FIND: &str = "SELECT version, sealed, master FROM signing_keys
                         WHERE purpose = $1 AND state = 'active' ORDER BY version DESC LIMIT 1";
    if db.query_opt(FIND, params![DIGEST]).await?.is_none() {
        let key = entropy.secret();
        let sealed = master.seal(&place(DIGEST, 1), &key, entropy);
        let row = NewKey {
            purpose: DIGEST,
            version: 1,
            kid: None,
            algorithm: None,
            state: State::Active,
            sealed,
            master: master.id().to_owned(),
            now: clock.now(),
        };
        insert(db, row).await?;
    }
    let missing = || db::Error::Query("the digest key is missing".into());
    let mut row = db.query_opt(FIND, params![DIGEST]).await?.ok_or_else(missing)?;
    let (version, sealed, by): (i64, SealedSecret, String) =
        (row.take()?, row.take()?, row.take()?);
    let bytes = master.open(&place(DIGEST, version), &by, &sealed)?;
    Ok(DigestKey::new(version, &bytes))
}

/// Makes a token key in `state`, unless there is one.
pub(super) async fn ensure_token_key(
    db: &Db,
    master: &MasterKey,
    algorithm: Algorithm,
    state: State,
    clock: &Clock,
    entropy: &Entropy,
) -> Result<(), RingError> {
    let found = db
        .query_opt(
            "SELECT version FROM signing_keys WHERE purpose = $1 AND state = $2 LIMIT 1",
            params![TOKEN, state.as_str()],
        )
        .await?;
    if found.is_some() {
        return Ok(());
    }
    let mut last = db
        .query(
            "SELECT COALESCE(MAX(version), 0) FROM signing_keys WHERE purpose = $1",
            params![TOKEN],
        )
        .await?;
    let version = last.first_mut().map_or(Ok(0), db::Row::take::<i64>)? + 1;
    let der = tokio::task::spawn_blocking(move || TokenKey::generate(algorithm))
        .await
        .map_err(|error| db::Error::Query(error.to_string()))??;
    let kid = TokenKey::from_pkcs8(algorithm, &der)?.kid().to_owned();
    let row = NewKey {
        purpose: TOKEN,
        version,
        kid: Some(kid),
        algorithm: Some(algorithm.as_str()),
        state,
        sealed: master.seal(&place(TOKEN, version), &der, entropy),
        master: master.id().to_owned(),
        now: clock.now(),
    };
    Ok(insert(db, row).await?)
}

/// Every token key that is not retired, newest first.
pub(super) async fn token_keys(
    db: &Db,
    master: &MasterKey,
) -> Result<Vec<Arc<RingKey>>, RingError> {
    let rows = db
        .query(
            "SELECT version, alg, state, sealed, master, created_at FROM signing_keys
              WHERE purpose = $1 AND state <> 'retired' ORDER BY version DESC",
            params![TOKEN],
        )
        .await?;
    rows.into_iter()
        .map(|mut row| {
            let version: i64 = row.take()?;
            let (alg, state): (String, String) = (row.take()?, row.take()?);
            let (sealed, by): (SealedSecret, String) = (row.take()?, row.take()?);
            let der = master.open(&place(TOKEN, version), &by, &sealed)?;
            let unknown = |what: &str| db::Error::Query(format!("unknown {what} in the key ring"));
            let algorithm: Algorithm = alg.parse().map_err(|_| unknown("algorithm"))?;
            let state = State::parse(&state).ok_or_else(|| unknown("state"))?;
            let key = TokenKey::from_pkcs8(algorithm, &der)?;
            Ok(Arc::new(RingKey { key, state, created_at: row.take()? }))
        })
        .collect()
}
