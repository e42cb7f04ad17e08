//! What was begun in Vault and not brought to its end is undone; what is to be removed is removed,
//! however long Vault is away.

use std::sync::Arc;

use countersign_ground::db;

use super::answer::Failure;
use super::{ABANDONED, Due, Intent, Kind, Vault};
use crate::features::credentials::store::intents;
use crate::law::action::RevokeCredential;
use crate::law::permit::{Job, Permit};

/// In one turn.
const MOST: usize = 100;

impl Vault {
    /// Brings to its end what nobody is at, the oldest first, until Vault fails.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn settle(&self) -> db::Result<()> {
        for _ in 0..MOST {
            let Some(due) = self.next().await? else { return Ok(()) };
            let Some(taken) = self.take(due).await? else { continue };
            if !self.finish(&taken).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Removes what was revoked just now. Nobody waits for it; what fails has its turn later, and so has
    /// what is too much at once.
    pub fn erase_soon(self: &Arc<Self>, erasures: Vec<Intent>) {
        if erasures.is_empty() {
            return;
        }
        let Ok(place) = Arc::clone(&self.removals).try_acquire_owned() else { return };
        let vault = Arc::clone(self);
        tokio::spawn(async move {
            let _place = place;
            for intent in erasures {
                let credential = intent.credential;
                match vault.finish(&Due { intent, in_force: None }).await {
                    Ok(true) => {}
                    Ok(false) => return,
                    Err(error) => tracing::warn!(%credential, %error, "removed, and not noted"),
                }
            }
        });
    }

    /// What nobody is at, the oldest of it.
    async fn next(&self) -> db::Result<Option<Due>> {
        let before = self.parts.clock.now() - ABANDONED;
        let due = self
            .parts
            .db
            .write((), move |tx, ()| Box::pin(async move { intents::due(tx, before).await }));
        due.await
    }

    /// Taken over, from then on nothing of it can come into force; `None` when somebody else was first.
    async fn take(&self, mut due: Due) -> db::Result<Option<Due>> {
        let now = self.parts.clock.now();
        let event = self.failed(&due.intent);
        let permit = permit(&due.intent);
        let input = (permit, due.intent.clone(), event);
        let taken = self.parts.db.write(input, move |tx, (permit, intent, event)| {
            Box::pin(async move {
                let taken = intents::take(tx, permit, intent, now).await?;
                if taken && matches!(intent.kind, Kind::Create | Kind::Rotate) {
                    tx.record(permit.sign(event.clone()).leaf());
                }
                Ok::<_, db::Error>(taken)
            })
        });
        if !taken.await? {
            return Ok(None);
        }
        due.intent.kind = due.intent.kind.undone();
        Ok(Some(due))
    }

    /// Has Vault do it, and notes that it has; `false` when Vault did not.
    async fn finish(&self, due: &Due) -> db::Result<bool> {
        let intent = &due.intent;
        if let Err(error) = self.noted(self.remove(due).await) {
            tracing::warn!(credential = %intent.credential, %error, "not removed from Vault yet");
            return Ok(false);
        }
        let input = (permit(intent), intent.clone(), self.event("credential.erased", intent));
        let settled = self.parts.db.write(input, |tx, (permit, intent, event)| {
            Box::pin(async move {
                if intents::settle(tx, permit, intent).await? {
                    tx.record(permit.sign(event.clone()).leaf());
                }
                Ok::<_, db::Error>(())
            })
        });
        settled.await.map(|()| true)
    }

    /// The database says which version is in force: newer ones never were.
    async fn remove(&self, due: &Due) -> Result<(), Failure> {
        let of = (due.intent.agent, due.intent.credential);
        let (Kind::Undo, Some(in_force)) = (due.intent.kind, due.in_force) else {
            return self.client.erase(of).await;
        };
        let strays = self.client.versions(of).await?.after(in_force);
        if strays.is_empty() { Ok(()) } else { self.client.destroy(of, &strays).await }
    }
}

fn permit(intent: &Intent) -> Permit<RevokeCredential> {
    Permit::system_in(Job::Vault, &intent.tenant)
}
