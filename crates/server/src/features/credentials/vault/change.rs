//! What making and rotating have in common.
//!
//! The secret is shown only after the outcome is committed. When a change is dropped in between, because
//! its client has gone away, the intent stays and is undone later: nobody has seen the secret.

use std::sync::Arc;

use countersign_ground::clock::Time;
use countersign_ground::ids::{AgentId, CredentialId};
use countersign_ground::problem::Problem;
use countersign_ground::record::{Event, Outcome};

use super::answer::Failure;
use super::{Intent, IntentId, Kind, Vault};
use crate::features::credentials::store::intents;
use crate::law::permit::Permit;

/// Why something was not brought to its end, and whether Vault has nothing of it for `certain`.
pub(super) struct Stuck {
    problem: Problem,
    certain: bool,
}

impl From<Failure> for Stuck {
    fn from(failure: Failure) -> Self {
        Self { certain: failure.certain, problem: failure.into() }
    }
}

impl From<Problem> for Stuck {
    fn from(problem: Problem) -> Self {
        Self { problem, certain: false }
    }
}

impl Vault {
    pub(super) fn intent<A>(
        &self,
        kind: Kind,
        (agent, credential): (AgentId, CredentialId),
        permit: &Permit<A>,
        taken_at: Time,
    ) -> Intent {
        let id = IntentId::new(taken_at, &self.parts.entropy);
        Intent { id, kind, credential, agent, tenant: permit.tenant().to_owned(), taken_at }
    }

    /// The event of a version that comes into force.
    pub(super) fn confirmation(
        &self,
        action: &'static str,
        intent: &Intent,
        version: i64,
    ) -> Event {
        let mut event = self.event(action, intent);
        event.meta("vaultVersion", version);
        event
    }

    /// Gives the problem back, after the database knows that nothing came of it. When that can't be
    /// committed either, the intent says it.
    pub(super) async fn give_up<A: 'static>(
        &self,
        permit: &Arc<Permit<A>>,
        intent: &Intent,
        Stuck { problem, certain }: Stuck,
    ) -> Problem {
        let event = self.failed(intent);
        let now = self.parts.clock.now();
        let input = (Arc::clone(permit), intent.clone(), event);
        let given_up = self.parts.db.write(input, move |tx, (permit, intent, event)| {
            Box::pin(async move {
                if intents::give_up(tx, permit, intent, certain, now).await? {
                    tx.record(permit.sign(event.clone()).leaf());
                }
                Ok::<_, Problem>(())
            })
        });
        if let Err(error) = given_up.await {
            tracing::warn!(credential = %intent.credential, ?error, "it will be undone later");
        }
        problem
    }

    /// The event of a change that did not come about.
    pub(super) fn failed(&self, intent: &Intent) -> Event {
        let action = match intent.kind {
            Kind::Rotate | Kind::Undo => "credential.rotated",
            Kind::Create | Kind::Erase => "credential.generated",
        };
        let mut event = self.event(action, intent);
        event.outcome = Outcome::Failure;
        event
    }
}
