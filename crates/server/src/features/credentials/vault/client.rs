//! KV version 2 over HTTP, as Vault and OpenBao document it.
//!
//! No redirect is followed and no proxy asked: the token would go where nobody sent it. No answer is
//! read beyond a bound, or waited for longer than two seconds.

use std::collections::BTreeMap;
use std::time::Duration;

use countersign_ground::config::VaultSettings;
use countersign_ground::ids::{AgentId, CredentialId};
use countersign_ground::secret::Secret;
use http::HeaderValue;
use reqwest::{RequestBuilder, redirect};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, Failure};

const PATIENCE: Duration = Duration::from_secs(2);
/// Metadata of a version are 200 bytes, and a mount may keep thousands of them.
const LONGEST_ANSWER: usize = 1 << 20;

pub(super) struct Client {
    http: reqwest::Client,
    address: String,
    mount: String,
    token: HeaderValue,
    namespace: Option<HeaderValue>,
}

/// Which secret.
pub(super) type Of = (AgentId, CredentialId);

/// Which versions of a secret there are.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Versions {
    #[serde(rename = "current_version")]
    pub(super) newest: i64,
    versions: BTreeMap<i64, Version>,
}

#[derive(Debug, Deserialize)]
struct Version {
    destroyed: bool,
}

impl Versions {
    /// Those that can still be read, or be made so, and are newer than this one.
    pub(super) fn after(&self, version: i64) -> Vec<i64> {
        let left = self.versions.iter().filter(|(at, one)| **at > version && !one.destroyed);
        left.map(|(at, _)| *at).collect()
    }
}

/// This server's token.
#[derive(Debug, Deserialize)]
pub(super) struct Token {
    /// Seconds that it still lives; 0 when it never ends.
    ttl: i64,
    #[serde(default)]
    creation_ttl: i64,
    #[serde(default)]
    renewable: bool,
}

impl Token {
    /// Half of its life is over, and it can be given another.
    pub(super) fn wants_renewal(&self) -> bool {
        self.renewable && 0 < self.ttl && self.ttl <= self.creation_ttl / 2
    }
}

#[derive(Deserialize)]
struct Written {
    version: i64,
}

#[derive(Deserialize)]
struct Read {
    data: Value,
    metadata: Written,
}

#[derive(Deserialize)]
struct Kept {
    client_id: String,
    client_secret: String,
}

impl Client {
    pub(super) fn new(settings: &VaultSettings) -> Result<Self, String> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .timeout(PATIENCE);
        if settings.address.is_plain() {
            // Without this a machine that has no CA certificates could not even ask its own loopback.
            builder = builder.tls_certs_only([]);
        }
        let http = builder.build().map_err(|error| error.to_string())?;
        let header = |text: &str| HeaderValue::from_str(text).map_err(|error| error.to_string());
        let mut token = header(settings.token.reveal())?;
        token.set_sensitive(true);
        let namespace = settings.namespace.as_deref().map(header).transpose()?;
        let (address, mount) = (settings.address.as_str().to_owned(), settings.mount.clone());
        Ok(Self { http, address, mount, token, namespace })
    }

    /// Where the versions of a secret are, as its row says it.
    pub(super) fn path(&self, of: Of) -> String {
        self.at("data", of)
    }

    /// Writes a version behind `newest`, and only there; gives its number.
    pub(super) async fn write(&self, of: Of, secret: &Secret, newest: i64) -> Result<i64, Failure> {
        let body = json!({
            "options": {"cas": newest},
            "data": {"client_id": of.0, "client_secret": secret.reveal()},
        });
        let request = self.http.post(self.url(&self.path(of))).json(&body);
        let written: Written = self.call(request).await?.done()?.data()?;
        if written.version <= newest {
            return Err(Failure::strange("the version that was written is not a new one"));
        }
        Ok(written.version)
    }

    /// Reads a version; `None` when it is gone.
    pub(super) async fn read(&self, of: Of, version: i64) -> Result<Option<Secret>, Failure> {
        let request = self.http.get(format!("{}?version={version}", self.url(&self.path(of))));
        let Some(answer) = self.call(request).await?.found()? else { return Ok(None) };
        let Read { data, metadata } = answer.data()?;
        let kept: Kept = serde_json::from_value(data).map_err(|_| Failure::foreign())?;
        if kept.client_id != of.0.to_string() || metadata.version != version {
            return Err(Failure::foreign());
        }
        Ok(Some(Secret::new(kept.client_secret)))
    }

    /// Which versions there are.
    pub(super) async fn versions(&self, of: Of) -> Result<Versions, Failure> {
        let request = self.http.get(self.url(&self.at("metadata", of)));
        let found = self.call(request).await?.found()?;
        found.map_or(Ok(Versions::default()), |answer| answer.data())
    }

    /// Removes versions for good.
    pub(super) async fn destroy(&self, of: Of, versions: &[i64]) -> Result<(), Failure> {
        let body = json!({"versions": versions});
        let request = self.http.post(self.url(&self.at("destroy", of))).json(&body);
        self.call(request).await?.accepted()
    }

    /// Removes all versions, and that there were any.
    pub(super) async fn erase(&self, of: Of) -> Result<(), Failure> {
        let request = self.http.delete(self.url(&self.at("metadata", of)));
        self.call(request).await?.found()?.map_or(Ok(()), Answer::accepted)
    }

    /// What Vault says of this server's token. Its default policy lets every token ask, and renew itself.
    pub(super) async fn look_up_self(&self) -> Result<Token, Failure> {
        let request = self.http.get(self.url("auth/token/lookup-self"));
        self.call(request).await?.done()?.data()
    }

    /// Has the token live on.
    pub(super) async fn renew_self(&self) -> Result<(), Failure> {
        let request = self.http.post(self.url("auth/token/renew-self"));
        self.call(request).await?.accepted()
    }

    fn at(&self, what: &str, (agent, credential): Of) -> String {
        format!("{}/{what}/agentidp/agents/{agent}/credentials/{credential}", self.mount)
    }

    fn url(&self, path: &str) -> String {
        format!("{}/v1/{path}", self.address)
    }

    async fn call(&self, request: RequestBuilder) -> Result<Answer, Failure> {
        // Agents that stand before Vault may ask for the second, against forged requests.
        let mut request =
            request.header("x-vault-token", self.token.clone()).header("x-vault-request", "true");
        if let Some(namespace) = &self.namespace {
            request = request.header("x-vault-namespace", namespace.clone());
        }
        let mut response = request.send().await?;
        let (status, mut body) = (response.status(), Vec::new());
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                return Err(Failure::strange("an answer that does not end"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, body: body.into(), token: self.token.clone() })
    }
}
