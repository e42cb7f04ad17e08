//! Retention: how long the record keeps events, tenant by tenant.

use std::time::Duration;

use countersign_ground::clock::Time;
use countersign_ground::keyring::{KeyRing, RingError};
use countersign_ground::record::{EXPIRED, Event, Expiry, Record};

use crate::law::action::ExpireEvents;
use crate::law::directory::Directory;
use crate::law::permit::{Job, Permit};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Lets go what is older than its tenant's plan, or the whole installation, keeps; gives how many.
/// `tell` makes the event that goes with each piece.
///
/// # Errors
/// The database's failure.
pub async fn expire(
    (record, keys): (&Record, &KeyRing),
    directory: &Directory,
    days: Option<i64>,
    now: Time,
    tell: impl Fn(&'static str) -> Event,
) -> Result<i64, RingError> {
    let permit = Permit::<ExpireEvents>::system(Job::Retention);
    let mut count = 0;
    for tenant in directory.tenants() {
        let Some(days) = tenant.limits.audit_days.into_iter().chain(days).min() else { continue };
        let kept = DAY.saturating_mul(u32::try_from(days).unwrap_or(u32::MAX));
        let expiry = Expiry { tenant: tenant.id.to_string(), action: None, before: now - kept };
        let tell = || {
            let mut event = permit.sign(tell(EXPIRED));
            event.resource = Some("audit".into());
            event
        };
        count += record.expire(keys, &expiry, tell).await?;
    }
    Ok(count)
}
