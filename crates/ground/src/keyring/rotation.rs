//! How keys follow one another: rotation, revocation, retirement, import, and another master key.

use std::time::Duration;

use super::rows::{KeyRow, NewKey, TOKEN, columns, insert, key_row, place, unknown};
use super::{GivenKey, MARGIN, Masters, PUBLISHED_FOR, RingError, State, TokenKey};
use crate::clock::Time;
use crate::db::{self, Tx};
use crate::entropy::Entropy;
use crate::params;
use crate::problem::{Code, Problem};
use crate::secret::SealedSecret;

/// What is left of a private half that is needed no more.
pub(super) const ERASED: &[u8] = &[];

/// What became of the ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// Signs from now on.
    pub active: String,
    /// Signs no more.
    pub former: Option<String>,
    /// Until when the former verifies.
    pub retires_at: Option<Time>,
    /// What must move in memory.
    pub moves: Vec<(String, State)>,
}

/// Why the ring did not move.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// It is being made.
    #[error("the next key is not there yet")]
    NoNext,
    /// Others may not have seen it yet.
    #[error("the next key is too young: whoever keeps the published keys may not know it yet")]
    TooYoung(Duration),
    /// By this id.
    #[error("no key `{0}`")]
    Unknown(String),
    /// It signs and verifies no more.
    #[error("key `{0}` is retired already")]
    Retired(String),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] db::Error),
}

impl From<RotateError> for Problem {
    fn from(error: RotateError) -> Self {
        let text = error.to_string();
        let wait = match error {
            RotateError::Database(error) => return error.into(),
            RotateError::Unknown(_) => return Self::new(Code::KeyNotFound, text),
            RotateError::Retired(_) => return Self::new(Code::Conflict, text),
            RotateError::NoNext => Duration::from_secs(1),
            RotateError::TooYoung(wait) => wait,
        };
        Self::new(Code::Conflict, text).retry_after(wait)
    }
}

/// Makes the next key active and the active one retiring. `ttl` is how long a token lives.
///
/// # Errors
/// A [`RotateError`].
pub async fn rotate(
    tx: &mut Tx,
    force: bool,
    ttl: Duration,
    now: Time,
) -> Result<Rotated, RotateError> {
    let keys = hold(tx).await?;
    let next = keys.iter().find(|key| key.state == State::Next).ok_or(RotateError::NoNext)?;
    let old_enough = next.created_at + PUBLISHED_FOR;
    if !force && now < old_enough {
        return Err(RotateError::TooYoung(old_enough.since(now)));
    }
    follow(tx, &keys, &next.kid, ttl, now).await.map_err(RotateError::from)
}

/// Retires a leaked key at once: its tokens die. If it signs, the next one follows it, however young.
/// The private half is erased.
///
/// # Errors
/// A [`RotateError`].
pub async fn revoke(
    tx: &mut Tx,
    kid: &str,
    ttl: Duration,
    now: Time,
) -> Result<Rotated, RotateError> {
    let keys = hold(tx).await?;
    let Some(leaked) = keys.iter().find(|key| key.kid == kid) else {
        let known = tx
            .query_opt(
                "SELECT kid FROM signing_keys WHERE purpose = $1 AND kid = $2",
                params![TOKEN, kid],
            )
            .await?;
        let kid = kid.to_owned();
        return Err(known.map_or(RotateError::Unknown(kid.clone()), |_| RotateError::Retired(kid)));
    };
    let of_state = |state| keys.iter().find(|key| key.state == state && key.kid != kid);
    let mut rotated = if leaked.state == State::Active {
        let next = of_state(State::Next).ok_or(RotateError::NoNext)?;
        let others: Vec<KeyRow> = keys.iter().filter(|key| key.kid != kid).cloned().collect();
        follow(tx, &others, &next.kid, ttl, now).await?
    } else {
        let active = of_state(State::Active).ok_or(RotateError::NoNext)?.kid.clone();
        Rotated { active, former: None, retires_at: None, moves: Vec::new() }
    };
    tx.execute(
        "UPDATE signing_keys SET state = 'retired', revoked_at = $3, sealed = $4
          WHERE purpose = $1 AND kid = $2",
        params![TOKEN, kid, now, ERASED],
    )
    .await?;
    rotated.moves.push((kid.to_owned(), State::Retired));
    Ok(rotated)
}

/// Retires the keys whose last token has expired, and erases their private halves; gives their ids.
///
/// # Errors
/// The database's failure.
pub async fn retire(tx: &mut Tx, now: Time) -> db::Result<Vec<String>> {
    let rows = tx
        .query(
            "UPDATE signing_keys SET state = 'retired', sealed = $3
              WHERE purpose = $1 AND state = 'retiring' AND retires_at <= $2 RETURNING kid",
            params![TOKEN, now, ERASED],
        )
        .await?;
    rows.into_iter().map(|mut row| row.take()).collect()
}

/// Takes a given pair into the ring, active from now on; `None` when it is, or was, in it already.
///
/// # Errors
/// When it is not usable, or the database fails.
pub async fn import(
    tx: &mut Tx,
    masters: &Masters,
    given: &GivenKey,
    ttl: Duration,
    now: Time,
    entropy: &Entropy,
) -> Result<Option<Rotated>, RingError> {
    let kid = TokenKey::from_pkcs8(given.algorithm, &given.der)?.kid().to_owned();
    let keys = hold(tx).await?;
    let mut last = tx
        .query(
            "SELECT COALESCE(MAX(version), 0), COALESCE(MAX(CASE WHEN kid = $2 THEN 1 ELSE 0 END), 0)
               FROM signing_keys WHERE purpose = $1",
            params![TOKEN, &kid],
        )
        .await?;
    let row = last.first_mut().ok_or_else(|| unknown("version"))?;
    let (version, known): (i64, i64) = (row.take::<i64>()? + 1, row.take()?);
    if known == 1 {
        return Ok(None);
    }
    let row = NewKey {
        purpose: TOKEN,
        version,
        kid: Some(kid.clone()),
        algorithm: Some(given.algorithm.as_str()),
        state: State::Active,
        origin: "imported",
        sealed: masters.seal(&place(TOKEN, version), &given.der, entropy),
        master: masters.current.id().to_owned(),
        public: None,
        now,
    };
    if !insert(tx, &row).await? {
        return Ok(None);
    }
    Ok(Some(follow(tx, &keys, &kid, ttl, now).await?))
}

/// Seals everything under the current master key; gives how many rows moved, and how many there are.
///
/// # Errors
/// When a row does not open, or the database fails: then none has moved.
pub async fn reseal(
    tx: &mut Tx,
    masters: &Masters,
    entropy: &Entropy,
) -> Result<(i64, i64), RingError> {
    let rows = tx
        .query("SELECT purpose, version, sealed, master FROM signing_keys FOR UPDATE", &[])
        .await?;
    let (mut moved, mut total) = (0, 0);
    for mut row in rows {
        let (purpose, version): (String, i64) = (row.take()?, row.take()?);
        let (sealed, by): (SealedSecret, String) = (row.take()?, row.take()?);
        // What was retired has nothing left to seal.
        if sealed.as_bytes().is_empty() {
            continue;
        }
        total += 1;
        if by == masters.current.id() {
            continue;
        }
        let place = place(&purpose, version);
        let plain = masters.open(&place, &by, &sealed)?;
        let sealed = masters.seal(&place, &plain, entropy);
        tx.execute(
            "UPDATE signing_keys SET sealed = $3, master = $4 WHERE purpose = $1 AND version = $2",
            params![&purpose, version, &sealed, masters.current.id()],
        )
        .await?;
        moved += 1;
    }
    Ok((moved, total))
}

/// Makes `kid` the active key; who was retires when the last token it signed has expired.
async fn follow(
    tx: &mut Tx,
    keys: &[KeyRow],
    kid: &str,
    ttl: Duration,
    now: Time,
) -> db::Result<Rotated> {
    let mut rotated = Rotated {
        active: kid.to_owned(),
        former: None,
        retires_at: None,
        moves: vec![(kid.to_owned(), State::Active)],
    };
    for former in keys.iter().filter(|key| key.state == State::Active && key.kid != kid) {
        let last = former.signed_until.unwrap_or(now).max(now + ttl);
        let retires_at = last + MARGIN;
        tx.execute(
            "UPDATE signing_keys SET state = 'retiring', retires_at = $3
              WHERE purpose = $1 AND kid = $2",
            params![TOKEN, &former.kid, retires_at],
        )
        .await?;
        rotated.former = Some(former.kid.clone());
        rotated.retires_at = Some(retires_at);
        rotated.moves.push((former.kid.clone(), State::Retiring));
    }
    tx.execute(
        "UPDATE signing_keys SET state = 'active', activated_at = $3
          WHERE purpose = $1 AND kid = $2",
        params![TOKEN, kid, now],
    )
    .await?;
    Ok(rotated)
}

/// Every token key that is not retired, newest first, held until the transaction ends.
async fn hold(tx: &mut Tx) -> db::Result<Vec<KeyRow>> {
    let rows = tx
        .query(
            columns!(
                "SELECT",
                "FROM signing_keys WHERE purpose = $1 AND state <> 'retired'
                  ORDER BY version DESC FOR UPDATE"
            ),
            params![TOKEN],
        )
        .await?;
    rows.into_iter().map(|mut row| key_row(&mut row)).collect()
}
