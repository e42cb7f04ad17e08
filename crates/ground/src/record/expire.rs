//! Retention: rows of sealed events go, their leaf hashes and seals stay, and an event says which.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::sealed::Place;
use super::search::Cursor;
use super::verify::{Ranges, expiry_text};
use super::{EXPIRED, Event, Record, lookup, seals};
use crate::clock::Time;
use crate::db::{self, Db, Value};
use crate::keyring::{KeyRing, RingError, TokenKey};
use crate::params;

/// Rows that are looked at for one piece, so that nothing else waits long behind it.
const PIECE: i64 = 5_000;

/// Which events are to go.
#[derive(Debug, Clone)]
pub struct Expiry {
    /// Whose.
    pub tenant: String,
    /// Of this action alone.
    pub action: Option<&'static str>,
    /// From before then.
    pub before: Time,
}

impl Record {
    /// Lets events go, in pieces; gives how many went. `tell` makes an event for each piece, which
    /// commits with it. What waits for its seal stays, and so does what tells of earlier expiries.
    ///
    /// # Errors
    /// When the database fails, or the key that vouches for it can't be opened; those of the pieces before
    /// are gone, as the record says.
    pub async fn expire(
        &self,
        keys: &KeyRing,
        expiry: &Expiry,
        tell: impl Fn() -> Event,
    ) -> Result<i64, RingError> {
        let key = keys.seal_key(&self.db, &self.clock, &self.entropy).await?;
        let mut cursor = match expiry.action {
            // How far all of a tenant's events have expired already need not be looked at again.
            None => Cursor::at(expired_until(&self.db, &expiry.tenant).await?),
            Some(_) => Cursor::OLDEST,
        };
        let mut count = 0;
        loop {
            let (found, next) = piece(&self.db, expiry, cursor).await?;
            count += remove(&self.db, &key, expiry, found, tell()).await?;
            match next {
                Some(next) => cursor = next,
                None => break,
            }
        }
        if expiry.action.is_none() {
            note(&self.db, expiry).await?;
        }
        if count > 0 {
            lookup::forget(&self.db).await?;
        }
        Ok(count)
    }
}

/// Up to when the events of a tenant have expired.
async fn expired_until(db: &Db, tenant: &str) -> db::Result<Time> {
    let row =
        db.query_opt("SELECT until FROM audit_expired WHERE tenant = $1", params![tenant]).await?;
    row.map_or(Ok(Time(i64::MIN)), |mut row| row.take())
}

/// The events among the next few rows that are to go, by their positions, and where to go on.
async fn piece(db: &Db, expiry: &Expiry, from: Cursor) -> db::Result<(Vec<i64>, Option<Cursor>)> {
    let (time, position) = from.parts();
    let rows = db
        .query(
            "SELECT time, position, CASE WHEN tenant = $4 AND action <> $5
                        AND ($6 IS NULL OR action = $6) THEN 1 ELSE 0 END
               FROM (SELECT time, position, tenant, action FROM audit_events
                      WHERE (time, position) > ($1, $2) AND time < $3
                      ORDER BY time, position LIMIT $7) AS oldest
              ORDER BY time, position",
            params![time, position, expiry.before, &expiry.tenant, EXPIRED, expiry.action, PIECE],
        )
        .await?;
    let is_full = i64::try_from(rows.len()) == Ok(PIECE);
    let (mut found, mut last) = (Vec::new(), None);
    for mut row in rows {
        let (time, position, goes): (i64, i64, i64) = (row.take()?, row.take()?, row.take()?);
        last = Some(Cursor::new(time, position));
        if goes == 1 {
            found.push(position);
        }
    }
    Ok((found, last.filter(|_| is_full)))
}

/// Removes rows that are under a seal; gives how many.
async fn remove(
    db: &Db,
    key: &TokenKey,
    expiry: &Expiry,
    positions: Vec<i64>,
    tell: Event,
) -> Result<i64, RingError> {
    let mut sealed: Vec<(Place, i64)> = Vec::with_capacity(positions.len());
    for position in positions {
        if let Some((seal, index)) = seals::place(db, position).await? {
            let index = i64::try_from(index).unwrap_or(i64::MAX);
            sealed.push((Place { seal, index }, position));
        }
    }
    if sealed.is_empty() {
        return Ok(0);
    }
    sealed.sort_unstable();
    let mut places = Ranges::default();
    for (place, _) in &sealed {
        places.add(place.seal, place.index);
    }
    let count = i64::try_from(sealed.len()).unwrap_or(i64::MAX);
    let mut told = tell;
    told.action = EXPIRED;
    told.tenant = expiry.tenant.as_str().into();
    let (before, leaves) = (expiry.before.to_string(), places.texts());
    let text = expiry_text(&before, count, key.kid(), &leaves, &expiry.tenant);
    let signature = URL_SAFE_NO_PAD.encode(key.signature(text.as_bytes())?);
    told.meta("before", before);
    told.meta("count", count);
    told.meta("kid", key.kid().to_owned());
    told.meta("leaves", leaves);
    told.meta("signature", signature);
    let each: Vec<Vec<Value>> =
        sealed.iter().map(|(_, position)| params![*position].to_vec()).collect();
    db.write((told, each), |tx, (told, each)| {
        Box::pin(async move {
            tx.execute_each("DELETE FROM audit_events WHERE position = $1", each).await?;
            tx.record(told.leaf());
            Ok::<_, db::Error>(())
        })
    })
    .await?;
    Ok(count)
}

/// Notes that all of a tenant's events up to then are gone.
async fn note(db: &Db, expiry: &Expiry) -> db::Result<()> {
    // What waited for its seal is looked at again the next time.
    let Expiry { tenant, before, .. } = expiry.clone();
    let rest = db
        .query_opt(
            "SELECT time FROM audit_events WHERE tenant = $1 AND time < $2 AND action <> $3
              ORDER BY time LIMIT 1",
            params![&tenant, before, EXPIRED],
        )
        .await?;
    if rest.is_some() {
        return Ok(());
    }
    db.write(tenant, move |tx, tenant| {
        Box::pin(async move {
            tx.execute(
                "INSERT INTO audit_expired (tenant, until) VALUES ($1, $2)
                 ON CONFLICT (tenant) DO UPDATE SET until = EXCLUDED.until",
                params![tenant, before],
            )
            .await
            .map(drop)
        })
    })
    .await
}
