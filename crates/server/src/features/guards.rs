//! Guards: which there are, how one is changed, and what its variable says when a server starts. What one does to
//! a request is `law/guards.rs`.

pub mod http;
pub mod report;
pub mod store;
pub mod suggest;

use std::sync::Arc;

use countersign_ground::clock::Time;
use countersign_ground::config::GuardSettings;
use countersign_ground::db::{self, Db};
use countersign_ground::entropy::Entropy;
use countersign_ground::ids::EventId;
use countersign_ground::problem::{Code, Problem};
use countersign_ground::record::Event;
use serde::Serialize;
use utoipa::ToSchema;

use crate::law::action::WriteGuards;
use crate::law::change::Changed;
use crate::law::guards::{Guards, Mode};
use crate::law::permit::{Job, Permit};
use crate::metrics::Metrics;

/// A guard as it is stored.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Stored {
    /// Its name.
    pub name: String,
    /// `off`, `observe` or `enforce`.
    #[schema(value_type = String)]
    pub mode: Mode,
    /// For how many of a hundred callers it enforces, when it does.
    pub percent: u8,
    /// Why it is so, in somebody's words.
    pub reason: String,
    #[schema(value_type = String, format = "date-time")]
    changed_at: Time,
    changed_by: String,
    /// The variable that says what it starts with, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    variable: Option<&'static str>,
    /// The stored mode is in force, and another one than the variable's.
    overrides_variable: bool,
}

impl Stored {
    /// A warning, where it does not do what its variable says.
    #[must_use]
    pub fn overrides(&self) -> Option<String> {
        let (variable, name) = (self.variable.filter(|_| self.overrides_variable)?, &self.name);
        Some(format!("{variable} does not say what the guard `{name}` does: that was set by hand"))
    }
}

/// What a guard is to do.
#[derive(Debug, Clone)]
pub struct Change {
    /// Which.
    pub name: Arc<str>,
    /// What it does from now on.
    pub mode: Mode,
    /// For how many of a hundred; as it was when absent, all of them for a new one.
    pub percent: Option<u8>,
    /// Why.
    pub reason: String,
}

/// The most guards: they are labels of metrics.
const MOST: i64 = 200;

/// Why a guard was not changed or found.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// There is none of this name.
    #[error("there is no guard `{0}`: `PUT` makes one")]
    NotFound(String),
    /// There are too many already.
    #[error("there may be {MOST} guards: change one that is there")]
    TooMany,
    /// Nobody said that it is expected.
    #[error("nobody has accepted this group: `report` lists what is")]
    NotAccepted,
}

impl From<GuardError> for Problem {
    fn from(error: GuardError) -> Self {
        let code = match error {
            GuardError::NotFound(_) | GuardError::NotAccepted => Code::NotFound,
            GuardError::TooMany => Code::Conflict,
        };
        Self::new(code, error.to_string())
    }
}

/// A guard that is always there, and what its variable says.
#[derive(Debug, Clone, Copy)]
pub struct BuiltIn {
    name: &'static str,
    variable: &'static str,
    mode: Mode,
    percent: u8,
}

impl BuiltIn {
    /// Whether its variables say nothing, or what they would say anyhow.
    fn is_usual(&self) -> bool {
        (self.mode == Mode::Enforce) == (self.name != "service-auth") && self.percent == 100
    }

    /// As it is remembered, to notice another one.
    fn said(&self) -> String {
        format!("{}:{}", self.mode.as_str(), self.percent)
    }

    /// What its variables want changed, that said `boot` at the last start: only what one of them says anew.
    fn wants(&self, before: Option<&Stored>, boot: Option<&str>) -> Option<Change> {
        let name = self.name.into();
        let (Some(before), Some((mode, percent))) =
            (before, boot.and_then(|it| it.split_once(':')))
        else {
            let reason = format!("as `{}` says", self.variable);
            return Some(Change { name, mode: self.mode, percent: Some(self.percent), reason });
        };
        let anew = (mode != self.mode.as_str(), percent != self.percent.to_string());
        let (mode, percent, variable) = match anew {
            (false, false) => return None,
            (true, true) => (self.mode, self.percent, self.variable),
            (true, false) => (self.mode, before.percent, self.variable),
            (false, true) => (before.mode, self.percent, PERCENTAGE),
        };
        Some(Change { name, mode, percent: Some(percent), reason: format!("as `{variable}` says") })
    }
}

/// The variable of a share.
const PERCENTAGE: &str = "SERVICE_AUTH_CIRCUIT_BREAKER_PERCENTAGE";

/// The variables of the guards that are built in.
const VARIABLES: [(&str, &str); 3] = [
    ("rbac", "RBAC_ENFORCE"),
    ("service-auth", "SERVICE_AUTH_ENFORCEMENT_MODE"),
    ("ssh-sign", "SSH_SIGN_ENFORCE"),
];

fn variable(name: &str) -> Option<&'static str> {
    VARIABLES.into_iter().find(|(guard, _)| *guard == name).map(|(_, variable)| variable)
}

/// The guards that are built in, as their variables want them.
#[must_use]
pub fn built_in(settings: &GuardSettings) -> [BuiltIn; 3] {
    let percents = [100, settings.service_auth_percent, 100];
    let enforce = [settings.rbac, settings.service_auth, settings.ssh_sign];
    std::array::from_fn(|i| BuiltIn {
        name: VARIABLES[i].0,
        variable: VARIABLES[i].1,
        mode: if enforce[i] { Mode::Enforce } else { Mode::Observe },
        percent: percents[i],
    })
}

/// Makes the guards that are built in, and applies a variable that says something else than at the last start.
/// Gives those whose stored mode is another one than the variable's.
///
/// # Errors
/// The database's failure.
pub async fn start(
    db: &Db,
    settings: &GuardSettings,
    now: Time,
    entropy: &Entropy,
) -> db::Result<Vec<String>> {
    let mut overridden = Vec::new();
    for guard in built_in(settings) {
        let mut event = Event::new(EventId::new(now, entropy), now, "guard.changed");
        event.resource = Some(format!("guards/{}", guard.name));
        let permit: Permit<WriteGuards> = Permit::system(Job::GuardVariable);
        let input = (permit, event, entropy.bytes::<32>());
        let applied = db.write(input, move |tx, (permit, event, key)| {
            Box::pin(async move {
                let before = store::find(tx, guard.name).await?;
                let boot = store::boot(tx, guard.name).await?;
                let Some(change) = guard.wants(before.as_ref(), boot.as_deref()) else {
                    return Ok(before);
                };
                let after = store::set(tx, permit, &change, &key[..], now).await?;
                store::set_boot(tx, guard.name, &guard.said()).await?;
                // A new installation as it is meant to be is no change.
                if before.is_some() || !guard.is_usual() {
                    let mut event = event.clone();
                    tell(&mut event, before.as_ref(), &after);
                    Changed::Guards.announce(tx);
                    tx.record(permit.sign(event).leaf());
                }
                Ok::<_, db::Error>(Some(after))
            })
        });
        overridden.extend(applied.await?.as_ref().and_then(Stored::overrides));
    }
    Ok(overridden)
}

/// Tells the record what a guard did before, and what it does now.
fn tell(event: &mut Event, before: Option<&Stored>, after: &Stored) {
    event.meta("mode", after.mode.as_str());
    event.meta("percent", i64::from(after.percent));
    if let Some(before) = before {
        event.meta("previousMode", before.mode.as_str());
        event.meta("previousPercent", i64::from(before.percent));
    }
    if !after.reason.is_empty() {
        event.meta("reason", after.reason.clone());
    }
}

/// Takes over into memory what the database has.
///
/// # Errors
/// The database's failure.
pub async fn remember(db: &Db, guards: &Guards, metrics: &Metrics) -> db::Result<()> {
    guards.put(store::all(db).await?);
    for guard in guards.all() {
        metrics.guard(&guard.name, guard.mode as i64, guard.percent);
    }
    Ok(())
}

/// Writes down what guards have let through and denied since the last time.
///
/// # Errors
/// The database's failure: then it is written the next time.
pub async fn write_traffic(db: &Db, guards: &Guards, now: Time) -> db::Result<()> {
    let (passed, noted) = (guards.take_passed(), guards.traffic.take());
    if passed.is_empty() && noted.groups.is_empty() && noted.sources.is_empty() {
        return Ok(());
    }
    let rows = store::rows(&passed, &noted, now);
    let written = db.write(rows, |tx, rows| Box::pin(store::add(tx, rows)));
    if let Err(error) = written.await {
        guards.put_back(passed, noted);
        return Err(error);
    }
    Ok(())
}
