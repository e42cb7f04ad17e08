//! Rotating a credential whose secret is, or is to be, kept in Vault.

use std::sync::Arc;

use countersign_ground::clock::Time;
use countersign_ground::ids::{AgentId, CredentialId};
use countersign_ground::problem::Problem;
use countersign_ground::secret::{Secret, SecretDigest};

use super::answer::Failure;
use super::change::Stuck;
use super::{Intent, Kind, Vault};
use crate::features::agents;
use crate::features::credentials::store::intents;
use crate::features::credentials::{Credential, changed, in_memory};
use crate::law::action::RotateCredential;
use crate::law::permit::Permit;

impl Vault {
    /// Gives a credential another secret; the old one is good until the grace ends.
    ///
    /// # Errors
    /// A refusal, the database's failure, or Vault's: then the old secret stays in force.
    pub async fn rotate(
        &self,
        permit: Permit<RotateCredential>,
        (agent, id): (AgentId, CredentialId),
        grace_until: Option<Time>,
        now: Time,
    ) -> Result<(Credential, Secret), Problem> {
        let intent = self.intent(Kind::Rotate, (agent, id), &permit, now);
        let permit = Arc::new(permit);
        let held = self.begin_rotation(&permit, &intent).await?;
        let secret = Secret::generate("sk_live_", &self.parts.entropy);
        match self.rotated(&permit, &intent, (&held, grace_until), &secret).await {
            Ok(credential) => Ok((credential, secret)),
            Err(stuck) => Err(self.give_up(&permit, &intent, stuck).await),
        }
    }

    async fn begin_rotation(
        &self,
        permit: &Arc<Permit<RotateCredential>>,
        intent: &Intent,
    ) -> Result<Credential, Problem> {
        let event = self.event("credential.rotating", intent);
        let path = self.client.path((intent.agent, intent.credential));
        let input = (Arc::clone(permit), intent.clone(), path, event);
        let begun = self.parts.db.write(input, |tx, (permit, intent, path, event)| {
            Box::pin(async move {
                agents::store::hold_active(tx, permit.tenant(), intent.agent).await?;
                let held = intents::begin_rotation(tx, permit, intent, path).await?;
                tx.record(permit.sign(event.clone()).leaf());
                Ok::<_, Problem>(held)
            })
        });
        begun.await
    }

    async fn rotated(
        &self,
        permit: &Arc<Permit<RotateCredential>>,
        intent: &Intent,
        (held, grace_until): (&Credential, Option<Time>),
        secret: &Secret,
    ) -> Result<Credential, Stuck> {
        let of = (intent.agent, intent.credential);
        let previous = match grace_until {
            Some(_) => self.digest_of(held).await.map_err(Failure::unsent)?,
            None => None,
        };
        let found = self.noted(self.client.versions(of).await).map_err(Failure::unsent)?;
        let version = self.noted(self.client.write(of, secret, found.newest).await)?;

        let mut event = self.confirmation("credential.rotated", intent, version);
        // One that is gone has no grace.
        if let (Some(until), Some(_)) = (grace_until, &previous) {
            event.meta("graceUntil", until.to_string());
        }
        let digest = self.parts.keys.digest().digest(secret.reveal());
        let directory = Arc::clone(&self.parts.directory);
        let input = (Arc::clone(permit), intent.clone(), event, directory);
        let confirmed =
            self.parts.db.write(input, move |tx, (permit, intent, event, directory)| {
                Box::pin(async move {
                    agents::store::hold_active(tx, permit.tenant(), intent.agent).await?;
                    let old = (previous.as_ref(), grace_until);
                    let mut made =
                        intents::confirm_rotation(tx, permit, intent, version, old).await?;
                    made.digest = Some(digest);
                    changed(tx, permit, event.clone(), &made, directory);
                    Ok::<_, Problem>(made)
                })
            });
        Ok(confirmed.await?)
    }

    /// The digest of the secret in force, from wherever it is; `None` when it is gone.
    async fn digest_of(&self, held: &Credential) -> Result<Option<SecretDigest>, Failure> {
        let of = (held.agent, held.id);
        let known = in_memory(&self.parts.directory, of);
        let known = known.filter(|(_, revision)| *revision == held.revision);
        match (held.digest.or(known.map(|(digest, _)| digest)), held.vault_version) {
            (None, Some(version)) => {
                let secret = self.noted(self.client.read(of, version).await)?;
                Ok(secret.map(|secret| self.parts.keys.digest().digest(secret.reveal())))
            }
            (digest, _) => Ok(digest),
        }
    }
}
