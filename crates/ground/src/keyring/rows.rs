//! The ring's rows. All SQL of `signing_keys` is here and in `rotation`.

use std::sync::Arc;

use super::{Algorithm, Masters, RingError, RingKey, State, TokenKey, UnusableKey};
use crate::clock::{Clock, Time};
use crate::db::{self, Db, Row, Tx};
use crate::entropy::Entropy;
use crate::params;
use crate::secret::{DigestKey, SealedSecret};

pub(super) const TOKEN: &str = "token";
const DIGEST: &str = "digest";

/// What a sealed row is bound to. Tenant and owner are empty for the keys of the installation.
pub(super) fn place(purpose: &str, version: i64) -> String {
    format!("{purpose}|||{version}")
}

pub(super) struct NewKey {
    pub(super) purpose: &'static str,
    pub(super) version: i64,
    pub(super) kid: Option<String>,
    pub(super) algorithm: Option<&'static str>,
    pub(super) state: State,
    pub(super) origin: &'static str,
    pub(super) sealed: SealedSecret,
    pub(super) master: String,
    /// The published half, for keys that outlive their private one.
    pub(super) public: Option<String>,
    pub(super) now: Time,
}

/// Inserts unless another node was first; false when one was.
pub(super) async fn insert(tx: &mut Tx, key: &NewKey) -> db::Result<bool> {
    let active_since = (key.state == State::Active).then_some(key.now);
    let inserted = tx
        .execute(
            "INSERT INTO signing_keys
                (purpose, version, kid, alg, state, origin, sealed, master, created_at, activated_at,
                 public)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING",
            params![
                key.purpose,
                key.version,
                key.kid.clone(),
                key.algorithm,
                key.state.as_str(),
                key.origin,
                &key.sealed,
                &key.master,
                key.now,
                active_since,
                key.public.clone(),
            ],
        )
        .await?;
    Ok(inserted > 0)
}

async fn insert_alone(db: &Db, key: NewKey) -> db::Result<()> {
    db.write(key, |tx, key| Box::pin(async move { insert(tx, key).await.map(drop) })).await
}

pub(super) async fn is_empty(db: &Db) -> db::Result<bool> {
    Ok(db.query_opt("SELECT version FROM signing_keys LIMIT 1", params![]).await?.is_none())
}

/// The active digest key, made at the first start.
pub(super) async fn digest_key(
    db: &Db,
    masters: &Masters,
    clock: &Clock,
    entropy: &Entropy,
) -> Result<DigestKey, RingError> {
    const FIND: &str = "SELECT version, sealed, master FROM signing_keys
                         WHERE purpose = $1 AND state = 'active' ORDER BY version DESC LIMIT 1";
    if db.query_opt(FIND, params![DIGEST]).await?.is_none() {
        let row = NewKey {
            purpose: DIGEST,
            version: 1,
            kid: None,
            algorithm: None,
            state: State::Active,
            origin: "generated",
            sealed: masters.seal(&place(DIGEST, 1), &entropy.secret(), entropy),
            master: masters.current.id().to_owned(),
            public: None,
            now: clock.now(),
        };
        insert_alone(db, row).await?;
    }
    let missing = || db::Error::Query("the digest key is missing".into());
    let mut row = db.query_opt(FIND, params![DIGEST]).await?.ok_or_else(missing)?;
    let (version, sealed, by): (i64, SealedSecret, String) =
        (row.take()?, row.take()?, row.take()?);
    let bytes = masters.open(&place(DIGEST, version), &by, &sealed)?;
    Ok(DigestKey::new(version, &bytes))
}

/// Makes a token key in `state`, unless there is one.
pub(super) async fn ensure_token_key(
    db: &Db,
    masters: &Masters,
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
    let version = last.first_mut().map_or(Ok(0), Row::take::<i64>)? + 1;
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
        origin: "generated",
        sealed: masters.seal(&place(TOKEN, version), &der, entropy),
        master: masters.current.id().to_owned(),
        public: None,
        now: clock.now(),
    };
    Ok(insert_alone(db, row).await?)
}

/// Every token key that is not retired, newest first.
pub(super) async fn token_keys(db: &Db, masters: &Masters) -> Result<Vec<Arc<RingKey>>, RingError> {
    let rows = db
        .query(
            "SELECT version, alg, state, sealed, master FROM signing_keys
              WHERE purpose = $1 AND state <> 'retired' ORDER BY version DESC",
            params![TOKEN],
        )
        .await?;
    rows.into_iter()
        .map(|mut row| {
            let version: i64 = row.take()?;
            let (alg, state): (String, String) = (row.take()?, row.take()?);
            let (sealed, by): (SealedSecret, String) = (row.take()?, row.take()?);
            let der = masters.open(&place(TOKEN, version), &by, &sealed)?;
            let algorithm: Algorithm = alg.parse().map_err(|_| unknown("algorithm"))?;
            let state = State::parse(&state).ok_or_else(|| unknown("state"))?;
            Ok(Arc::new(RingKey::new(TokenKey::from_pkcs8(algorithm, &der)?, state)))
        })
        .collect()
}

pub(super) fn unknown(what: &str) -> db::Error {
    db::Error::Query(format!("unknown {what} in the key ring"))
}

/// A token key as its row has it, without the key.
#[derive(Debug, Clone)]
pub struct KeyRow {
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// `RS256`, `ES256` or `EdDSA`.
    pub alg: String,
    /// Where it stands.
    pub state: State,
    /// `generated` or `imported`.
    pub origin: String,
    /// When it came into the ring.
    pub created_at: Time,
    /// Since when it signs, or signed.
    pub activated_at: Option<Time>,
    /// When a retiring key will be retired.
    pub retires_at: Option<Time>,
    /// It was revoked, for a leak.
    pub revoked_at: Option<Time>,
    /// When it last signed a token.
    pub last_used_at: Option<Time>,
    pub(super) signed_until: Option<Time>,
}

macro_rules! columns {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " kid, alg, state, origin, created_at, activated_at, retires_at, revoked_at,
              last_used_at, signed_until ",
            $after
        )
    };
}
pub(super) use columns;

pub(super) fn key_row(row: &mut Row) -> db::Result<KeyRow> {
    let (kid, alg, state): (_, _, String) = (row.take()?, row.take()?, row.take()?);
    Ok(KeyRow {
        kid,
        alg,
        state: State::parse(&state).ok_or_else(|| unknown("state"))?,
        origin: row.take()?,
        created_at: row.take()?,
        activated_at: row.take()?,
        retires_at: row.take()?,
        revoked_at: row.take()?,
        last_used_at: row.take()?,
        signed_until: row.take()?,
    })
}

/// One page of token keys, newest first, and how many there are on all pages.
///
/// # Errors
/// The database's failure.
pub async fn rows(db: &Db, limit: i64, offset: i64) -> db::Result<(Vec<KeyRow>, i64)> {
    let mut count =
        db.query("SELECT COUNT(*) FROM signing_keys WHERE purpose = $1", params![TOKEN]).await?;
    let total = count.first_mut().map_or(Ok(0), Row::take)?;
    let found = db
        .query(
            columns!(
                "SELECT",
                "FROM signing_keys WHERE purpose = $1 ORDER BY version DESC LIMIT $2 OFFSET $3"
            ),
            params![TOKEN, limit, offset],
        )
        .await?;
    let found: db::Result<_> = found.into_iter().map(|mut row| key_row(&mut row)).collect();
    Ok((found?, total))
}

/// Since when the active token key signs.
///
/// # Errors
/// The database's failure.
pub async fn active_since(db: &Db) -> db::Result<Option<Time>> {
    let row = db
        .query_opt(
            "SELECT activated_at FROM signing_keys WHERE purpose = $1 AND state = 'active'
              ORDER BY version DESC LIMIT 1",
            params![TOKEN],
        )
        .await?;
    row.map_or(Ok(None), |mut row| row.take())
}

/// Notes what keys have signed; an older time never replaces a newer.
///
/// # Errors
/// The database's failure.
pub async fn last_used(tx: &mut Tx, uses: &[(String, Time, Time)]) -> db::Result<()> {
    for (kid, at, until) in uses {
        tx.execute(
            "UPDATE signing_keys
                SET last_used_at = CASE WHEN last_used_at > $3 THEN last_used_at ELSE $3 END,
                    signed_until = CASE WHEN signed_until > $4 THEN signed_until ELSE $4 END
              WHERE purpose = $1 AND kid = $2",
            params![TOKEN, kid, *at, *until],
        )
        .await?;
    }
    Ok(())
}

impl From<UnusableKey> for db::Error {
    fn from(error: UnusableKey) -> Self {
        Self::Query(error.to_string())
    }
}
