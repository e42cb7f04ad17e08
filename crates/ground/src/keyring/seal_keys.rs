//! Keys that seal the record: Ed25519, one active at a time. A public half is never unpublished, for
//! a seal is never too old to be verified; a private half goes when the next key follows it.

use super::rotation::ERASED;
use super::rows::{NewKey, insert, place};
use super::{Algorithm, KeyRing, RingError, State, TokenKey};
use crate::clock::{Clock, Time};
use crate::db::{self, Db, Row, Tx};
use crate::entropy::Entropy;
use crate::params;
use crate::secret::SealedSecret;

const SEAL: &str = "seal";

impl KeyRing {
    /// The key that seals now. It is read anew each time: another node may have moved the ring.
    ///
    /// # Errors
    /// When the database fails or the master key is another.
    pub async fn seal_key(
        &self,
        db: &Db,
        clock: &Clock,
        entropy: &Entropy,
    ) -> Result<TokenKey, RingError> {
        if let Some(key) = self.stored_seal_key(db).await? {
            return Ok(key);
        }
        let first = self.new_seal_key(1, clock.now(), entropy)?;
        db.write(first, |tx, first| Box::pin(async move { insert(tx, first).await.map(drop) }))
            .await?;
        let missing = || db::Error::Query("the key of seals is missing".into());
        Ok(self.stored_seal_key(db).await?.ok_or_else(missing)?)
    }

    async fn stored_seal_key(&self, db: &Db) -> Result<Option<TokenKey>, RingError> {
        let row = db
            .query_opt(
                "SELECT version, sealed, master FROM signing_keys
                  WHERE purpose = $1 AND state = 'active' ORDER BY version DESC LIMIT 1",
                params![SEAL],
            )
            .await?;
        let Some(mut row) = row else { return Ok(None) };
        let (version, sealed, by): (i64, SealedSecret, String) =
            (row.take()?, row.take()?, row.take()?);
        let der = self.masters.open(&place(SEAL, version), &by, &sealed)?;
        Ok(Some(TokenKey::from_pkcs8(Algorithm::EdDsa, &der)?))
    }

    fn new_seal_key(&self, version: i64, now: Time, entropy: &Entropy) -> db::Result<NewKey> {
        let der = TokenKey::generate(Algorithm::EdDsa)?;
        let jwk = TokenKey::from_pkcs8(Algorithm::EdDsa, &der)?.jwk().clone();
        Ok(NewKey {
            purpose: SEAL,
            version,
            kid: Some(jwk.kid.clone()),
            algorithm: Some(Algorithm::EdDsa.as_str()),
            state: State::Active,
            origin: "generated",
            sealed: self.masters.seal(&place(SEAL, version), &der, entropy),
            master: self.masters.current.id().to_owned(),
            public: serde_json::to_string(&jwk).ok(),
            now,
        })
    }

    /// Has a new key seal from now on; gives its id and the former's, whose private half is erased.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rotate_seal_key(
        &self,
        tx: &mut Tx,
        entropy: &Entropy,
        now: Time,
    ) -> db::Result<(String, Option<String>)> {
        let mut rows = tx
            .query(
                "SELECT version, kid FROM signing_keys WHERE purpose = $1
                  ORDER BY version DESC LIMIT 1 FOR UPDATE",
                params![SEAL],
            )
            .await?;
        let mut last = |row: &mut Row| Ok::<(i64, String), db::Error>((row.take()?, row.take()?));
        let (version, former) = match rows.first_mut().map(&mut last).transpose()? {
            Some((version, kid)) => (version, Some(kid)),
            None => (0, None),
        };
        tx.execute(
            "UPDATE signing_keys SET state = 'retired', sealed = $2
              WHERE purpose = $1 AND state = 'active'",
            params![SEAL, ERASED],
        )
        .await?;
        let key = self.new_seal_key(version + 1, now, entropy)?;
        let kid = key.kid.clone().unwrap_or_default();
        // Two that rotate at once both see the same last version.
        if !insert(tx, &key).await? {
            return Err(db::Error::Busy);
        }
        Ok((kid, former))
    }
}

/// Every key that ever sealed, oldest first, as RFC 7517 texts.
///
/// # Errors
/// The database's failure.
pub async fn seal_jwks(db: &Db) -> db::Result<Vec<String>> {
    let rows = db
        .query(
            "SELECT CAST(public AS TEXT) FROM signing_keys
              WHERE purpose = $1 AND public IS NOT NULL ORDER BY version",
            params![SEAL],
        )
        .await?;
    rows.into_iter().map(|mut row| row.take()).collect()
}
