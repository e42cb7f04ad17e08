//! Signing keys: how they follow one another. What a key is, and its rows, are the key ring's
//! (`countersign_ground::keyring`).

pub mod http;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use countersign_ground::clock::Time;
use countersign_ground::db::{self, Db};
use countersign_ground::entropy::Entropy;
use countersign_ground::keyring::{self, GivenKey, KeyRing, RingError, Rotated, State};
use countersign_ground::problem::Problem;
use countersign_ground::record::Event;

use crate::law::action::WriteKeys;
use crate::law::change::Changed;
use crate::law::permit::Permit;

/// What every change of the ring needs.
pub struct RingChange {
    /// The keys in memory.
    pub ring: Arc<KeyRing>,
    /// Where they are stored.
    pub db: Db,
    /// Tells of the change.
    pub event: Event,
    /// How long a token lives.
    pub ttl: Duration,
    /// Now.
    pub at: Time,
}

/// Makes the next key sign, for whoever `permit` is.
///
/// # Errors
/// When there is no next key that is old enough, or the database fails.
pub async fn rotate(
    change: &RingChange,
    permit: Permit<WriteKeys>,
    force: bool,
) -> Result<Rotated, Problem> {
    let RingChange { ring, db, event, ttl, at } = change;
    let (ttl, at) = (*ttl, *at);
    let input = (permit, event.clone(), AssertUnwindSafe(Arc::clone(ring)));
    db.write(input, move |tx, (permit, event, ring)| {
        Box::pin(async move {
            let rotated = keyring::rotate(tx, force, ttl, at).await?;
            tx.record(permit.sign(told(event, &rotated)).leaf());
            let (ring, moves) = (Arc::clone(ring), rotated.moves.clone());
            Changed::Keys.announce(tx);
            tx.after_commit(move || ring.advance(&moves));
            Ok::<_, Problem>(rotated)
        })
    })
    .await
}

/// Has another key seal the record from now on; gives its id and the former's.
///
/// # Errors
/// The database's failure.
pub async fn rotate_seal_key(
    change: &RingChange,
    permit: Permit<WriteKeys>,
    entropy: Entropy,
) -> Result<(String, Option<String>), Problem> {
    let RingChange { ring, db, event, at, .. } = change;
    let at = *at;
    let input = (permit, event.clone(), AssertUnwindSafe(Arc::clone(ring)), entropy);
    db.write(input, move |tx, (permit, event, ring, entropy)| {
        Box::pin(async move {
            let (active, former) = ring.rotate_seal_key(tx, entropy, at).await?;
            let mut event = event.clone();
            event.resource = Some(format!("keys/{active}"));
            event.meta("active", active.clone());
            event.meta("purpose", "seal");
            tx.record(permit.sign(event).leaf());
            Ok::<_, Problem>((active, former))
        })
    })
    .await
}

/// Retires the keys whose last token has expired.
///
/// # Errors
/// The database's failure.
pub async fn retire(change: &RingChange, permit: Permit<WriteKeys>) -> db::Result<()> {
    let RingChange { ring, db, event, at, .. } = change;
    let at = *at;
    // Every minute, and nearly always there is nothing to do: then there is nothing to write.
    if ring.token_keys().iter().all(|one| one.state() != State::Retiring) {
        return Ok(());
    }
    let input = (permit, event.clone(), AssertUnwindSafe(Arc::clone(ring)));
    db.write(input, move |tx, (permit, event, ring)| {
        Box::pin(async move {
            let retired = keyring::retire(tx, at).await?;
            if retired.is_empty() {
                return Ok(());
            }
            let mut event = event.clone();
            event.resource = Some("keys".into());
            event.meta("kids", retired.clone());
            tx.record(permit.sign(event).leaf());
            let moves: Vec<_> = retired.into_iter().map(|kid| (kid, State::Retired)).collect();
            let ring = Arc::clone(ring);
            Changed::Keys.announce(tx);
            tx.after_commit(move || ring.advance(&moves));
            Ok(())
        })
    })
    .await
}

/// Takes a configured pair into the ring: active, unless it is or was in it already.
///
/// # Errors
/// When it is not usable, or the database fails.
pub async fn import(
    change: RingChange,
    permit: Permit<WriteKeys>,
    given: GivenKey,
    entropy: Entropy,
) -> Result<(), RingError> {
    let RingChange { ring, db, event, ttl, at } = change;
    let input = (permit, event, given, entropy, AssertUnwindSafe(Arc::clone(&ring)));
    db.write(input, move |tx, (permit, event, given, entropy, ring)| {
        Box::pin(async move {
            let imported = keyring::import(tx, ring.masters(), given, ttl, at, entropy).await?;
            if let Some(rotated) = imported {
                tx.record(permit.sign(told(event, &rotated)).leaf());
                let ring = Arc::clone(ring);
                Changed::Keys.announce(tx);
                tx.after_commit(move || ring.advance(&rotated.moves));
            }
            Ok::<_, RingError>(())
        })
    })
    .await?;
    ring.reload(&db).await
}

/// What the record says of a move.
fn told(event: &Event, rotated: &Rotated) -> Event {
    let mut event = event.clone();
    event.resource = Some(format!("keys/{}", rotated.active));
    event.meta("active", rotated.active.clone());
    if let (Some(former), Some(until)) = (&rotated.former, rotated.retires_at) {
        event.meta("retiresAt", until.to_string());
        event.meta("retiring", former.clone());
    }
    event
}
