//! The one way to a server: its address, the caller's token and tenant, the time limit, and what an answer means.

mod address;
mod answer;
mod connection;
mod tenant;

use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{RequestBuilder, Url, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::Value;

pub(crate) use self::address::{PathId, Server, ask_for};
pub(crate) use self::answer::Answer;
pub(crate) use self::connection::{Connection, GLOBAL};
pub(crate) use self::tenant::TenantId;
use self::tenant::X_TENANT;
use crate::refusal::Unreachable;

const TIMEOUT: Duration = Duration::from_secs(30);
const UPLOAD: Duration = Duration::from_secs(600);

pub(crate) struct Client {
    http: reqwest::Client,
    server: Server,
    bearer: Option<HeaderValue>,
    tenant: Option<HeaderValue>,
}

impl Client {
    pub(crate) fn new(
        server: Server,
        token: Option<&SecretString>,
        tenant: Option<&TenantId>,
    ) -> anyhow::Result<Self> {
        let bearer = token.map(bearer).transpose()?;
        Ok(Self { http: http(&server)?, server, bearer, tenant: tenant.map(TenantId::header) })
    }

    /// `/api/v1/` and these segments.
    pub(crate) fn api(&self, path: &[&str]) -> Url {
        self.server.join(&[&["api", "v1"], path].concat())
    }

    /// These segments, from the server's root.
    pub(crate) fn root(&self, path: &[&str]) -> Url {
        self.server.join(path)
    }

    pub(crate) async fn get(&self, url: Url) -> anyhow::Result<Value> {
        self.exchange(self.http.get(url)).await?.value()
    }

    pub(crate) async fn post(&self, url: Url, body: &impl Serialize) -> anyhow::Result<Value> {
        self.exchange(self.http.post(url).json(body)).await?.value()
    }

    pub(crate) async fn post_form(&self, url: Url, form: &[(&str, &str)]) -> anyhow::Result<Value> {
        self.exchange(self.http.post(url).form(form)).await?.value()
    }

    pub(crate) async fn patch(&self, url: Url, body: &impl Serialize) -> anyhow::Result<Value> {
        self.exchange(self.http.patch(url).json(body)).await?.value()
    }

    pub(crate) async fn put(&self, url: Url, body: &impl Serialize) -> anyhow::Result<Value> {
        self.exchange(self.http.put(url).json(body)).await?.value()
    }

    /// A whole document, which may be long.
    pub(crate) async fn put_document(&self, url: Url, json: Vec<u8>) -> anyhow::Result<Value> {
        let request = self.http.put(url).header(CONTENT_TYPE, "application/json").body(json);
        self.exchange_within(UPLOAD, request).await?.value()
    }

    /// The same, posted.
    pub(crate) async fn post_document(&self, url: Url, json: Vec<u8>) -> anyhow::Result<Value> {
        let request = self.http.post(url).header(CONTENT_TYPE, "application/json").body(json);
        self.exchange_within(UPLOAD, request).await?.value()
    }

    pub(crate) async fn delete(&self, url: Url) -> anyhow::Result<Value> {
        self.exchange(self.http.delete(url)).await?.value()
    }

    /// Writes a long answer to `out` as it comes; `told` hears how many bytes there are so far.
    pub(crate) async fn download(
        &self,
        url: Url,
        out: &mut (impl std::io::Write + ?Sized),
        mut told: impl FnMut(u64),
    ) -> anyhow::Result<()> {
        let unreachable = |error: reqwest::Error| Unreachable::new(&self.server, &error, TIMEOUT);
        let request = self.as_caller(self.http.get(url));
        let mut response = request.send().await.map_err(unreachable)?;
        if !response.status().is_success() {
            Answer::read(response).await.map_err(unreachable)?.value()?;
            return Ok(());
        }
        let mut bytes = 0;
        while let Some(piece) = response.chunk().await.map_err(unreachable)? {
            out.write_all(&piece)?;
            bytes += piece.len() as u64;
            told(bytes);
        }
        Ok(())
    }

    /// The answer as it came, also when it is a refusal.
    pub(crate) async fn peek(&self, url: Url) -> anyhow::Result<Answer> {
        self.exchange(self.http.get(url)).await
    }

    /// With who asks, and in which tenant.
    fn as_caller(&self, mut request: RequestBuilder) -> RequestBuilder {
        if let Some(bearer) = &self.bearer {
            request = request.header(AUTHORIZATION, bearer.clone());
        }
        if let Some(tenant) = &self.tenant {
            request = request.header(X_TENANT, tenant.clone());
        }
        request
    }

    async fn exchange(&self, request: RequestBuilder) -> anyhow::Result<Answer> {
        self.exchange_within(TIMEOUT, request).await
    }

    async fn exchange_within(
        &self,
        limit: Duration,
        request: RequestBuilder,
    ) -> anyhow::Result<Answer> {
        let request = self.as_caller(request).timeout(limit);
        let answered = async { Answer::read(request.send().await?).await };
        Ok(answered.await.map_err(|error| Unreachable::new(&self.server, &error, limit))?)
    }
}

/// RFC 6750 section 2.1 has ASCII alone; anything else is a slip, such as two lines of a file.
fn bearer(token: &SecretString) -> anyhow::Result<HeaderValue> {
    const NEVER: &str = "the token holds a character that no token has";
    let token = token.expose_secret();
    ensure!(token.bytes().all(|byte| byte.is_ascii_graphic()), NEVER);
    let mut header = HeaderValue::from_str(&format!("Bearer {token}")).context(NEVER)?;
    header.set_sensitive(true);
    Ok(header)
}

fn http(server: &Server) -> anyhow::Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
        // A redirect followed would carry a client secret to an address that nobody named.
        .redirect(redirect::Policy::none());
    if server.is_loopback() {
        // A proxy's loopback is another machine.
        builder = builder.no_proxy();
    }
    if server.is_plain() {
        // Without this a machine that has no CA certificates could not even ask its own loopback.
        builder = builder.tls_certs_only([]);
    }
    builder.build().context("cannot set up the HTTP client")
}
