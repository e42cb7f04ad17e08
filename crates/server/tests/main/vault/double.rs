//! A double of Vault's KV engine of version 2, on a port of its own, that can be told to fail.
//!
//! Its answers have the shapes that Vault and OpenBao document, errors among them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use futures_util::stream;
use http::{HeaderMap, Method, StatusCode, Uri, header};
use serde_json::{Value, json};
use tokio::sync::watch;

/// The token that it knows.
pub const TOKEN: &str = "hvs.token-of-the-tests-never-to-be-seen";

/// What it can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Write,
    Read,
    Versions,
    Destroy,
    Erase,
    LookUpSelf,
    RenewSelf,
}

/// How it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ailment {
    Sealed,
    Forbidden,
    Slow,
    HalfClosed,
    Garbage,
    Redirecting,
    Endless,
    Broken,
    Unmounted,
}

pub const AILMENTS: [Ailment; 9] = [
    Ailment::Sealed,
    Ailment::Forbidden,
    Ailment::Slow,
    Ailment::HalfClosed,
    Ailment::Garbage,
    Ailment::Redirecting,
    Ailment::Endless,
    Ailment::Broken,
    Ailment::Unmounted,
];

/// One version of a secret.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Version {
    pub data: Value,
    pub deleted: bool,
    pub destroyed: bool,
}

#[derive(Default)]
struct Inside {
    mount: String,
    secrets: BTreeMap<String, BTreeMap<i64, Version>>,
    calls: Vec<Call>,
    headers: Vec<HeaderMap>,
    ailing: Option<(Call, Ailment, bool)>,
    all_ailing: Option<Ailment>,
    held: Option<Call>,
    doubled: Option<Call>,
    token: Value,
}

/// The double.
pub struct Double {
    pub address: String,
    inside: Arc<Shared>,
}

struct Shared {
    inside: Mutex<Inside>,
    /// How many calls were held so far, and how many were let go.
    held: watch::Sender<u32>,
    let_go: watch::Sender<u32>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap()
    }
}

impl Double {
    pub async fn start() -> Self {
        Self::mounted("secret").await
    }

    /// With its engine at another path.
    pub async fn mounted(mount: &str) -> Self {
        let token = json!({"ttl": 0, "creation_ttl": 0, "renewable": false, "policies": ["root"]});
        let inside = Inside { mount: mount.to_owned(), token, ..Inside::default() };
        let inside = Arc::new(Shared {
            inside: Mutex::new(inside),
            held: watch::Sender::new(0),
            let_go: watch::Sender::new(0),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&inside));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, inside }
    }

    /// What a server needs to be told.
    pub fn settings(&self) -> [(&str, &str); 2] {
        [("VAULT_ADDR", &self.address), ("VAULT_TOKEN", TOKEN)]
    }

    /// Every call fails in this way, and nothing is done.
    pub fn ails(&self, ailment: Ailment) {
        self.inside.lock().all_ailing = Some(ailment);
    }

    /// Calls of this kind fail, and nothing is done.
    pub fn fails_at(&self, call: Call, ailment: Ailment) {
        self.inside.lock().ailing = Some((call, ailment, false));
    }

    /// Calls of this kind are done, but their answer is spoilt.
    pub fn does_and_fails_at(&self, call: Call, ailment: Ailment) {
        self.inside.lock().ailing = Some((call, ailment, true));
    }

    /// Calls of this kind arrive twice, and the second is answered.
    pub fn is_asked_twice(&self, call: Call) {
        self.inside.lock().doubled = Some(call);
    }

    pub fn recovers(&self) {
        let mut inside = self.inside.lock();
        (inside.all_ailing, inside.ailing, inside.doubled) = (None, None, None);
    }

    /// The next call of this kind is done and not answered until [`Self::let_go`].
    pub fn hold(&self, call: Call) {
        self.inside.lock().held = Some(call);
    }

    /// Until a call is held.
    pub async fn holds(&self) {
        let let_go = *self.inside.let_go.borrow();
        let mut held = self.inside.held.subscribe();
        in_time(held.wait_for(|held| *held > let_go)).await.unwrap();
    }

    pub fn let_go(&self) {
        self.inside.let_go.send_modify(|let_go| *let_go += 1);
    }

    /// How often it was asked for this.
    pub fn calls(&self, call: Call) -> usize {
        self.inside.lock().calls.iter().filter(|one| **one == call).count()
    }

    /// Which calls about secrets there were, in their order; forgets them.
    pub fn take_calls(&self) -> Vec<Call> {
        let mut calls = std::mem::take(&mut self.inside.lock().calls);
        calls.retain(|call| *call != Call::LookUpSelf);
        calls
    }

    /// What it says of the token.
    pub fn says_of_the_token(&self, token: Value) {
        self.inside.lock().token = token;
    }

    /// The headers of the latest call.
    pub fn headers(&self) -> HeaderMap {
        self.inside.lock().headers.last().unwrap().clone()
    }

    /// Where there are secrets.
    pub fn paths(&self) -> Vec<String> {
        self.inside.lock().secrets.keys().cloned().collect()
    }

    /// The versions of a secret.
    pub fn versions(&self, path: &str) -> BTreeMap<i64, Version> {
        self.inside.lock().secrets.get(path).cloned().unwrap_or_default()
    }

    /// Somebody changes a version behind everybody's back.
    pub fn tamper(&self, path: &str, version: i64, change: impl FnOnce(&mut Version)) {
        change(self.inside.lock().secrets.get_mut(path).unwrap().get_mut(&version).unwrap());
    }

    /// Somebody writes a version behind everybody's back.
    pub fn forge(&self, path: &str, data: Value) {
        let mut inside = self.inside.lock();
        let versions = inside.secrets.entry(path.to_owned()).or_default();
        let newest = versions.keys().last().copied().unwrap_or(0);
        versions.insert(newest + 1, Version { data, ..Version::default() });
    }
}

/// What should come soon.
pub async fn in_time<T>(awaited: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), awaited).await.expect("it comes in time")
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let token = headers.get("x-vault-token").map(|token| token.as_bytes().to_vec());
    let known = token.as_deref() == Some(TOKEN.as_bytes());
    let mount = shared.lock().mount.clone();
    let rest = uri.path().strip_prefix("/v1/").unwrap();
    let within = rest.strip_prefix(&format!("{mount}/")).and_then(|rest| rest.split_once('/'));
    let call = match (&method, within) {
        (&Method::GET, None) if rest == "auth/token/lookup-self" => Call::LookUpSelf,
        (&Method::POST, None) if rest == "auth/token/renew-self" => Call::RenewSelf,
        (&Method::POST, Some(("data", _))) => Call::Write,
        (&Method::GET, Some(("data", _))) => Call::Read,
        (&Method::GET, Some(("metadata", _))) => Call::Versions,
        (&Method::POST, Some(("destroy", _))) => Call::Destroy,
        (&Method::DELETE, Some(("metadata", _))) => Call::Erase,
        _ => return spoilt(Ailment::Unmounted).await,
    };
    let path = within.map_or("", |(_, path)| path).to_owned();
    let (ailing, held) = {
        let mut inside = shared.lock();
        inside.calls.push(call);
        inside.headers.push(headers);
        let ailing = inside.all_ailing.map(|ailment| (ailment, false)).or(inside
            .ailing
            .filter(|(at, ..)| *at == call)
            .map(|(_, ailment, done)| (ailment, done)));
        let held = inside.held.take_if(|held| *held == call).is_some();
        (ailing, held)
    };
    if let Some((ailment, false)) = ailing {
        return spoilt(ailment).await;
    }
    if !known {
        return spoilt(Ailment::Forbidden).await;
    }
    let version = uri.query().and_then(|query| query.strip_prefix("version=")?.parse().ok());
    if shared.lock().doubled == Some(call) {
        act(&mut shared.lock().secrets, call, &path, version, &body);
    }
    let done = match call {
        Call::LookUpSelf => enveloped(200, shared.lock().token.clone()),
        _ => act(&mut shared.lock().secrets, call, &path, version, &body),
    };
    if held {
        shared.held.send_modify(|held| *held += 1);
        let number = *shared.held.borrow();
        let mut let_go = shared.let_go.subscribe();
        let _ = let_go.wait_for(|let_go| *let_go >= number).await;
    }
    match ailing {
        Some((ailment, _)) => spoilt(ailment).await,
        None => done,
    }
}

fn act(
    secrets: &mut BTreeMap<String, BTreeMap<i64, Version>>,
    call: Call,
    path: &str,
    version: Option<i64>,
    body: &[u8],
) -> Response {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    match call {
        Call::Write => {
            let versions = secrets.get(path);
            let newest = versions.and_then(|all| all.keys().last().copied()).unwrap_or(0);
            if body["options"]["cas"].as_i64().is_some_and(|cas| cas != newest) {
                let said = "check-and-set parameter did not match the current version";
                return errors(400, &[said]);
            }
            let one = Version { data: body["data"].clone(), ..Version::default() };
            let versions = secrets.entry(path.to_owned()).or_default();
            versions.insert(newest + 1, one.clone());
            enveloped(200, metadata(newest + 1, &one))
        }
        Call::Read => {
            let Some(versions) = secrets.get(path) else { return errors(404, &[]) };
            let newest = versions.keys().last().copied().unwrap_or(0);
            let number = version.filter(|version| *version > 0).unwrap_or(newest);
            let Some(one) = versions.get(&number) else { return errors(404, &[]) };
            let gone = one.deleted || one.destroyed;
            let data = if gone { Value::Null } else { one.data.clone() };
            let body = json!({"data": data, "metadata": metadata(number, one)});
            enveloped(if gone { 404 } else { 200 }, body)
        }
        Call::Versions => {
            let Some(versions) = secrets.get(path) else { return errors(404, &[]) };
            let newest = versions.keys().last().copied().unwrap_or(0);
            let each: serde_json::Map<String, Value> = versions
                .iter()
                .map(|(number, one)| (number.to_string(), metadata(*number, one)))
                .collect();
            let body = json!({
                "cas_required": false, "created_time": CREATED, "current_version": newest,
                "custom_metadata": null, "delete_version_after": "0s", "max_versions": 0,
                "oldest_version": 0, "updated_time": CREATED, "versions": each,
            });
            enveloped(200, body)
        }
        Call::Destroy => {
            for number in body["versions"].as_array().unwrap() {
                let one = secrets.get_mut(path).and_then(|all| all.get_mut(&number.as_i64()?));
                if let Some(one) = one {
                    (one.destroyed, one.data) = (true, Value::Null);
                }
            }
            StatusCode::NO_CONTENT.into_response()
        }
        Call::Erase => {
            secrets.remove(path);
            StatusCode::NO_CONTENT.into_response()
        }
        Call::LookUpSelf | Call::RenewSelf => enveloped(200, Value::Null),
    }
}

const CREATED: &str = "2026-01-01T00:00:00.123456789Z";

fn metadata(version: i64, one: &Version) -> Value {
    json!({
        "created_time": CREATED, "custom_metadata": null,
        "deletion_time": if one.deleted { CREATED } else { "" }, "destroyed": one.destroyed,
        "version": version,
    })
}

fn enveloped(status: u16, data: Value) -> Response {
    let body = json!({
        "request_id": "5b1b9a7c-0000-0000-0000-000000000000", "lease_id": "", "renewable": false,
        "lease_duration": 0, "data": data, "wrap_info": null, "warnings": null, "auth": null,
    });
    (StatusCode::from_u16(status).unwrap(), Json(body)).into_response()
}

fn errors(status: u16, errors: &[&str]) -> Response {
    (StatusCode::from_u16(status).unwrap(), Json(json!({"errors": errors}))).into_response()
}

async fn spoilt(ailment: Ailment) -> Response {
    match ailment {
        Ailment::Sealed => errors(503, &["Vault is sealed"]),
        Ailment::Forbidden => errors(403, &["1 error occurred:\n\t* permission denied\n\n"]),
        Ailment::Slow => std::future::pending().await,
        Ailment::HalfClosed => {
            let broken = stream::iter([Ok("{\"data\":"), Err(std::io::Error::other("gone"))]);
            Body::from_stream(broken).into_response()
        }
        Ailment::Garbage => "<html>welcome</html>".into_response(),
        Ailment::Redirecting => {
            let elsewhere = [(header::LOCATION, "http://127.0.0.1:1/v1/sys/health")];
            (StatusCode::TEMPORARY_REDIRECT, elsewhere).into_response()
        }
        Ailment::Endless => {
            let chunk = || Ok::<_, Infallible>(Bytes::from_static(&[b' '; 16 << 10]));
            Body::from_stream(stream::repeat_with(chunk)).into_response()
        }
        Ailment::Broken => errors(500, &["internal error"]),
        Ailment::Unmounted => {
            errors(404, &["no handler for route \"secret/data/x\". route entry not found."])
        }
    }
}
