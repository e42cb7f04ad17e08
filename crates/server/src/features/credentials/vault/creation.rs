//! Making a credential whose secret is kept in Vault.

use std::sync::Arc;

use countersign_ground::clock::Time;
use countersign_ground::ids::{AgentId, CredentialId};
use countersign_ground::problem::Problem;
use countersign_ground::secret::Secret;

use super::change::Stuck;
use super::{Intent, Kind, Vault};
use crate::features::agents;
use crate::features::credentials::store::intents;
use crate::features::credentials::{Credential, changed};
use crate::law::action::CreateCredential;
use crate::law::permit::Permit;

impl Vault {
    /// Makes a credential; gives its secret.
    ///
    /// # Errors
    /// A refusal, the database's failure, or Vault's: then there is no credential.
    pub async fn create(
        &self,
        permit: Permit<CreateCredential>,
        agent: AgentId,
        expires_at: Option<Time>,
        now: Time,
    ) -> Result<(Credential, Secret), Problem> {
        let id = CredentialId::new(now, &self.parts.entropy);
        let intent = self.intent(Kind::Create, (agent, id), &permit, now);
        let permit = Arc::new(permit);
        self.begin_creation(&permit, &intent, expires_at).await?;
        let secret = Secret::generate("sk_live_", &self.parts.entropy);
        match self.created(&permit, &intent, &secret).await {
            Ok(credential) => Ok((credential, secret)),
            Err(stuck) => Err(self.give_up(&permit, &intent, stuck).await),
        }
    }

    async fn begin_creation(
        &self,
        permit: &Arc<Permit<CreateCredential>>,
        intent: &Intent,
        expires_at: Option<Time>,
    ) -> Result<(), Problem> {
        let event = self.event("credential.generating", intent);
        let path = self.client.path((intent.agent, intent.credential));
        let input = (Arc::clone(permit), intent.clone(), path, event);
        let begun = self.parts.db.write(input, move |tx, (permit, intent, path, event)| {
            Box::pin(async move {
                agents::store::hold_active(tx, permit.tenant(), intent.agent).await?;
                intents::begin_creation(tx, permit, intent, (path, expires_at)).await?;
                tx.record(permit.sign(event.clone()).leaf());
                Ok::<_, Problem>(())
            })
        });
        begun.await
    }

    async fn created(
        &self,
        permit: &Arc<Permit<CreateCredential>>,
        intent: &Intent,
        secret: &Secret,
    ) -> Result<Credential, Stuck> {
        let of = (intent.agent, intent.credential);
        let version = self.noted(self.client.write(of, secret, 0).await)?;
        let event = self.confirmation("credential.generated", intent, version);
        let digest = self.parts.keys.digest().digest(secret.reveal());
        let directory = Arc::clone(&self.parts.directory);
        let input = (Arc::clone(permit), intent.clone(), event, directory);
        let confirmed =
            self.parts.db.write(input, move |tx, (permit, intent, event, directory)| {
                Box::pin(async move {
                    agents::store::hold_active(tx, permit.tenant(), intent.agent).await?;
                    let mut made = intents::confirm_creation(tx, permit, intent, version).await?;
                    made.digest = Some(digest);
                    changed(tx, permit, event.clone(), &made, directory);
                    Ok::<_, Problem>(made)
                })
            });
        Ok(confirmed.await?)
    }
}
