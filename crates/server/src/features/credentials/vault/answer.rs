//! What Vault answers, and what it means when it is not what was asked for.

use std::time::Duration;

use bytes::Bytes;
use countersign_ground::problem::{Code, Problem};
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// An answer that came in whole.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
    /// That was sent with the question.
    pub(super) token: HeaderValue,
}

impl Answer {
    /// What a good answer holds.
    pub(super) fn data<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        #[derive(Deserialize)]
        struct Enveloped<T> {
            data: T,
        }
        let strange = || Failure::strange("an answer that is not one of KV version 2");
        let data: Enveloped<T> = serde_json::from_slice(&self.body).map_err(|_| strange())?;
        Ok(data.data)
    }

    /// A good answer, or why it isn't one.
    pub(super) fn done(self) -> Result<Self, Failure> {
        if self.status == StatusCode::OK || self.status == StatusCode::NO_CONTENT {
            return Ok(self);
        }
        Err(self.failure())
    }

    /// That it was done: what does not say so in Vault's words may be somebody else's welcome.
    pub(super) fn accepted(self) -> Result<(), Failure> {
        #[derive(Deserialize)]
        struct Accepted {
            #[serde(rename = "request_id")]
            _request_id: String,
        }
        let done = self.done()?;
        let empty = done.status == StatusCode::NO_CONTENT;
        if empty || serde_json::from_slice::<Accepted>(&done.body).is_ok() {
            return Ok(());
        }
        Err(Failure::strange("an answer that is not one of Vault"))
    }

    /// A good answer, or `None` when it says that there is nothing, or nothing any more.
    pub(super) fn found(self) -> Result<Option<Self>, Failure> {
        if self.status != StatusCode::NOT_FOUND {
            return self.done().map(Some);
        }
        match self.errors() {
            // A deleted version: the body still tells of it.
            None if self.data::<Remains>().is_ok() => Ok(None),
            Some(errors) if errors.is_empty() => Ok(None),
            // Nothing is mounted there.
            _ => Err(self.failure()),
        }
    }

    fn failure(&self) -> Failure {
        let errors = self.errors();
        let said = errors.as_ref().map_or("no errors", |all| all.first().map_or("", |one| one));
        // It may repeat what was sent, and that must not be logged.
        let token = self.token.to_str().unwrap_or_default();
        let repeats = said.contains("sk_live_") || said.contains(token);
        let said = if repeats { "what was sent" } else { said };
        let said: String = said.chars().take(200).collect();
        let cause = format!("answered {}: {said:?}", self.status.as_u16());
        let told = errors.is_some();
        let what = match self.status {
            StatusCode::SERVICE_UNAVAILABLE if told => What::Sealed,
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED if told => What::Forbidden,
            StatusCode::BAD_REQUEST if said.contains("check-and-set") => What::Crossed,
            StatusCode::TOO_MANY_REQUESTS => What::Silent,
            status if status.is_server_error() => What::Silent,
            _ => What::Strange,
        };
        // A version that crosses may be our own, if something on the way has asked twice; and what is
        // sealed now may have been written before.
        let refused = self.status.is_client_error() && what != What::Crossed;
        Failure { what, certain: told && refused, cause }
    }

    fn errors(&self) -> Option<Vec<String>> {
        #[derive(Deserialize)]
        struct Errors {
            errors: Vec<String>,
        }
        serde_json::from_slice::<Errors>(&self.body).ok().map(|body| body.errors)
    }
}

/// What is left of a version that was deleted or destroyed.
#[derive(Deserialize)]
struct Remains {
    #[serde(rename = "metadata")]
    _metadata: serde_json::Map<String, serde_json::Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Silent,
    Sealed,
    Forbidden,
    Crossed,
    Foreign,
    Strange,
}

/// Vault did not do what it was asked for.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{cause}")]
pub(super) struct Failure {
    what: What,
    /// It says itself that nothing was done.
    pub(super) certain: bool,
    cause: String,
}

impl Failure {
    /// No answer in time, or none at all.
    pub(super) fn silent(cause: impl Into<String>) -> Self {
        Self { what: What::Silent, certain: false, cause: cause.into() }
    }

    /// Something answers that is not Vault, or not this part of it.
    pub(super) fn strange(cause: impl Into<String>) -> Self {
        Self { what: What::Strange, certain: false, cause: cause.into() }
    }

    /// Vault works, but what it holds is not what was written there.
    pub(super) fn foreign() -> Self {
        let cause = "what is kept there is not this credential's secret".into();
        Self { what: What::Foreign, certain: false, cause }
    }

    /// Nothing was sent.
    pub(super) fn unsent(mut self) -> Self {
        self.certain = true;
        self
    }

    /// Whether Vault works all the same.
    pub(super) fn works(&self) -> bool {
        matches!(self.what, What::Crossed | What::Foreign)
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        let connecting = error.is_connect();
        let error = error.without_url();
        let mut cause = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(inner) = source {
            cause = format!("{cause}: {inner}");
            source = inner.source();
        }
        let failure = Self::silent(cause);
        if connecting { failure.unsent() } else { failure }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let detail = match failure.what {
            What::Silent => {
                "Vault, where secrets are kept, does not answer; nothing was changed: see that it \
                 runs and can be reached, and try again"
            }
            What::Sealed => {
                "Vault, where secrets are kept, is sealed or not ready; nothing was changed: unseal \
                 it, and try again"
            }
            What::Forbidden => {
                "Vault, where secrets are kept, refuses this server's token; nothing was changed: \
                 set VAULT_TOKEN to one that is live and may use the paths below `agentidp`"
            }
            What::Crossed => {
                "Vault, where secrets are kept, holds a newer version of this one than expected; \
                 nothing was changed: try again in a minute"
            }
            What::Foreign => {
                "what Vault holds in place of the old secret is not what was written there; nothing \
                 was changed: rotate without `graceSeconds`"
            }
            What::Strange => {
                "what answers in place of Vault is not its KV engine of version 2; nothing was \
                 changed: see that VAULT_ADDR and VAULT_MOUNT lead there"
            }
        };
        Self::new(Code::Unavailable, detail)
            .retry_after(Duration::from_secs(1))
            .because(format!("vault: {}", failure.cause))
    }
}
