//! One agent, changed, rotated, revoked, quarantined, asked for and asked about, all at once: what
//! comes of it is what some order of the calls would have brought.

use std::collections::BTreeMap;
use std::time::Duration;

use countersign_ground::clock::Stopwatch;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, As, TestAgent, TestApp};

/// Rounds, each with an agent of its own.
const ROUNDS: usize = 60;
/// Calls at once.
const CALLS: usize = 14;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Suspend,
    Activate,
    Scopes(bool),
    Rotate,
    Revoke,
    Quarantine,
    Reinstate,
    Token,
    Introspect,
}

const SCOPES: [&[&str]; 2] = [&["agents:read"], &["agents:read", "tokens:read"]];

/// The calls of a round: always the same ones, and each round others.
fn calls(round: usize) -> Vec<Call> {
    use Call::{
        Activate, Introspect, Quarantine, Reinstate, Revoke, Rotate, Scopes, Suspend, Token,
    };
    let mut state = round as u64 * 2_654_435_761 + 1;
    let mut pick = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let kinds = [
            Suspend,
            Activate,
            Activate,
            Scopes(false),
            Scopes(true),
            Rotate,
            Rotate,
            Rotate,
            Revoke,
            Quarantine,
            Reinstate,
            Token,
            Token,
            Token,
            Token,
            Introspect,
        ];
        kinds[usize::try_from(state % kinds.len() as u64).unwrap()]
    };
    (0..CALLS).map(|_| pick()).collect()
}

async fn make(app: &TestApp, agent: &TestAgent, first: &str, call: Call) -> Answer {
    let path = format!("/api/v1/agents/{}", agent.id);
    let credential = format!("{path}/credentials/{}", agent.credential);
    let patch = async |change: Value| app.operator().patch(&path, change).await;
    match call {
        Call::Suspend => patch(json!({"status": "suspended"})).await,
        Call::Activate => patch(json!({"status": "active"})).await,
        Call::Scopes(more) => patch(json!({"scopes": SCOPES[usize::from(more)]})).await,
        Call::Rotate => app.operator().post(&format!("{credential}/rotate"), json!({})).await,
        Call::Revoke => app.operator().delete(&credential).await,
        Call::Quarantine => {
            app.operator().post(&format!("{path}/quarantine"), json!({"reason": "storm"})).await
        }
        Call::Reinstate => app.operator().post(&format!("{path}/reinstate"), json!({})).await,
        Call::Token => app.token_answer(agent, &[]).await,
        Call::Introspect => {
            app.operator().form("/api/v1/token/introspect", &[("token", first)]).await
        }
    }
}

fn is_allowed(call: Call, answer: &Answer) -> bool {
    let status = answer.status.as_u16();
    let word = |name: &str| answer.json()[name].as_str().unwrap_or_default().to_owned();
    let refused: &[(u16, &str)] = match call {
        Call::Suspend | Call::Activate | Call::Scopes(_) | Call::Quarantine | Call::Introspect => {
            &[]
        }
        Call::Rotate => &[(409, "AGENT_NOT_ACTIVE"), (409, "CREDENTIAL_ALREADY_REVOKED")],
        Call::Revoke => &[(409, "CREDENTIAL_ALREADY_REVOKED")],
        Call::Reinstate => &[(409, "CONFLICT")],
        Call::Token => &[(401, "invalid_client"), (403, "unauthorized_client")],
    };
    let wanted = if call == Call::Revoke { 204 } else { 200 };
    if status == wanted {
        return true;
    }
    let named = if call == Call::Token { word("error") } else { word("code") };
    assert!(refused.contains(&(status, &*named)), "{call:?}: {status} {}", answer.text);
    false
}

/// Events about an agent by action.
async fn events(app: &TestApp, agent: &TestAgent) -> Vec<(String, Value)> {
    let path = format!("/api/v1/audit?limit=500&agentId={}", agent.id);
    let page = app.operator().get(&path).await.expect(200);
    let events = page["data"].as_array().unwrap().iter().rev();
    events.map(|event| (event["action"].as_str().unwrap().to_owned(), event.clone())).collect()
}

#[derive(Default)]
struct Figures {
    calls: usize,
    accepted: BTreeMap<String, usize>,
}

async fn round(app: &TestApp, number: usize, figures: &mut Figures) {
    let agent = app.agent(&format!("stormy{number}"), SCOPES[0]).await;
    let first = app.token(&agent).await;
    let before = events(app, &agent).await.len();
    let calls = calls(number);
    let answers = join_all(calls.iter().map(|&call| make(app, &agent, &first, call))).await;
    figures.calls += calls.len();
    let answered: Vec<(Call, &Answer, bool)> = calls
        .iter()
        .zip(&answers)
        .map(|(&call, answer)| (call, answer, is_allowed(call, answer)))
        .collect();
    let accepted = |call: Call| answered.iter().filter(|(one, _, ok)| *one == call && *ok).count();
    for (call, _, _) in answered.iter().filter(|(_, _, ok)| *ok) {
        *figures.accepted.entry(format!("{call:?}")).or_default() += 1;
    }

    // As many events as accepted changes, in an order that leads to what is there now.
    let happened: Vec<_> = events(app, &agent).await.split_off(before);
    let count = |action: &str| happened.iter().filter(|(one, _)| one == action).count();
    assert_eq!(count("credential.rotated"), accepted(Call::Rotate));
    assert_eq!(count("credential.revoked"), accepted(Call::Revoke));
    assert_eq!(count("agent.quarantined"), accepted(Call::Quarantine));
    assert_eq!(count("agent.reinstated"), accepted(Call::Reinstate));
    let patched = ["agent.suspended", "agent.reactivated", "agent.updated"].map(count);
    let patches = [Call::Suspend, Call::Activate, Call::Scopes(false), Call::Scopes(true)];
    assert_eq!(patched.iter().sum::<usize>(), patches.map(accepted).iter().sum::<usize>());
    let issued = count("token.issued");
    assert!(issued >= accepted(Call::Token), "a token without its event");

    let order = Order::of(&happened);
    let path = format!("/api/v1/agents/{}", agent.id);
    let shown = app.operator().get(&path).await.expect(200);
    assert_eq!(shown["status"] == "active", order.active, "{happened:?}");
    let tag = format!("\"{}\"", 1 + order.changes);
    assert_eq!(app.operator().get(&path).await.header("etag"), tag);
    if accepted(Call::Quarantine) + accepted(Call::Revoke) > 0 {
        assert!(order.revoked);
    }

    // Of all secrets that were given, the last one works, if the order leaves it alive.
    let rotated = answered.iter().filter(|(call, _, ok)| *call == Call::Rotate && *ok);
    let secrets: Vec<String> = rotated
        .map(|(_, answer, _)| answer.json()["clientSecret"].as_str().unwrap().to_owned())
        .collect();
    let live_tokens = live(app, &answered, &first).await;
    if order.stopped() {
        assert!(live_tokens.is_empty(), "live after a stop: {happened:?}");
    }
    if order.ever_stopped {
        assert!(!live_tokens.contains(&first), "of a time before a stop: {happened:?}");
    }
    app.operator().patch(&path, json!({"status": "active"})).await.expect(200);
    assert_eq!(
        live(app, &answered, &first).await,
        live_tokens,
        "reactivated, and tokens live again"
    );
    let mut works = 0;
    for secret in secrets.iter().chain([&agent.secret]) {
        let (id, credential) = (agent.id.clone(), agent.credential.clone());
        let again = TestAgent { id, credential, secret: secret.clone() };
        let answer = app.token_answer(&again, &[]).await;
        works += usize::from(is_allowed(Call::Token, &answer));
        if secret == &agent.secret && !secrets.is_empty() {
            answer.oauth(401, "invalid_client");
        }
    }
    assert_eq!(works, usize::from(!order.revoked), "{happened:?}");
}

/// Which of the tokens that were answered, and the one before, are good, by introspection and at a
/// door.
async fn live(app: &TestApp, answered: &[(Call, &Answer, bool)], first: &str) -> Vec<String> {
    let tokens = answered.iter().filter(|(call, _, ok)| *call == Call::Token && *ok);
    let mut tokens: Vec<String> = tokens
        .map(|(_, answer, _)| answer.json()["access_token"].as_str().unwrap().to_owned())
        .collect();
    tokens.push(first.to_owned());
    let mut live = Vec::new();
    for token in tokens {
        let door = app.client(As::Bearer(&token)).get("/api/v1/whoami").await.status == 200;
        assert_eq!(app.is_live(&token).await, door);
        if door {
            live.push(token);
        }
    }
    live
}

/// What the record's order of changes leaves.
struct Order {
    active: bool,
    revoked: bool,
    /// Tokens of before are dead.
    ever_stopped: bool,
    changes: usize,
}

impl Order {
    fn of(happened: &[(String, Value)]) -> Self {
        let mut order = Self { active: true, revoked: false, ever_stopped: false, changes: 0 };
        for (action, _) in happened {
            match action.as_str() {
                "agent.suspended" => {
                    assert!(order.active, "suspended twice: {happened:?}");
                    order.active = false;
                }
                "agent.reactivated" | "agent.reinstated" => {
                    assert!(!order.active, "reactivated twice: {happened:?}");
                    order.active = true;
                }
                "agent.quarantined" => (order.active, order.revoked) = (false, true),
                "credential.revoked" => {
                    assert!(!order.revoked, "revoked twice: {happened:?}");
                    order.revoked = true;
                }
                "credential.rotated" => {
                    assert!(order.active && !order.revoked, "rotated late: {happened:?}");
                }
                _ => {}
            }
            order.ever_stopped |= order.stopped();
            order.changes += usize::from(action.starts_with("agent."));
        }
        order
    }

    /// No token is good.
    fn stopped(&self) -> bool {
        !self.active || self.revoked
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_done_to_an_agent_at_once_could_have_been_done_in_some_order() {
    let app = TestApp::start().await;
    let mut figures = Figures::default();
    for number in 0..ROUNDS {
        round(&app, number, &mut figures).await;
    }
    let Figures { calls, accepted } = figures;
    println!("{ROUNDS} rounds, {calls} calls at once, accepted {accepted:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_who_quarantine_an_agent_at_once_all_succeed() {
    let app = TestApp::start().await;
    for number in 0..10 {
        let agent = app.agent(&format!("stopped{number}"), SCOPES[0]).await;
        let watch = Stopwatch::start();
        let calls = (0..4).map(|_| make(&app, &agent, "", Call::Quarantine));
        for answer in join_all(calls).await {
            answer.expect(200);
        }
        // PostgreSQL takes a second to find that two wait for each other.
        assert!(watch.elapsed() < Duration::from_secs(1), "{:?}", watch.elapsed());
    }
}
