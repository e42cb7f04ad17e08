//! Takes a sequence through the server and the model at once.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::callers::{Acting, No, Sent, Verdict};
use super::calls::{By, Call, Step, Within};
use super::state::{Key, KeyState, World};
use crate::support::{Answer, As, Client, TestApp};

/// What was done, over all sequences.
#[derive(Default)]
pub struct Figures {
    pub sequences: usize,
    pub calls: usize,
    /// By hundreds of the status.
    pub answers: BTreeMap<u16, usize>,
    /// Kinds of call with the word that each was answered with.
    pub kinds: BTreeSet<String>,
    pub states: BTreeSet<String>,
    pub token_checks: usize,
}

impl Figures {
    pub fn add(&mut self, more: Self) {
        self.sequences += more.sequences;
        self.calls += more.calls;
        for (hundreds, count) in more.answers {
            *self.answers.entry(hundreds).or_default() += count;
        }
        self.kinds.extend(more.kinds);
        self.states.extend(more.states);
        self.token_checks += more.token_checks;
    }
}

/// One sequence on its way.
pub struct Run<'a> {
    pub app: &'a TestApp,
    pub world: World,
    pub figures: &'a mut Figures,
    /// Tells sequences on one server apart.
    pub name: String,
    /// The call that is being made, for whoever reads of a failure.
    pub at: String,
    pub kind: String,
    pub turn: usize,
}

/// A call's sender.
#[derive(Debug, Clone)]
pub struct Asked {
    pub sent: Sent,
    pub acting: Result<Acting, No>,
}

impl Run<'_> {
    pub async fn step(&mut self, number: usize, step: Step) {
        self.at = format!("call {number}: {step:?}");
        self.kind = format!("{:?}", step.call);
        self.figures.calls += 1;
        if let Call::Clock(millis) = step.call {
            self.app.clock.step(millis * 1000);
            self.world.now += millis * 1000;
        } else if let Call::Token { client, scope, resource } = step.call {
            self.token(client, scope, resource).await;
        } else {
            self.call(step).await;
        }
        self.figures.states.insert(self.world.summary());
    }

    async fn call(&mut self, step: Step) {
        let as_client = matches!(
            step.call,
            Call::Introspect { client: Some(_), .. }
                | Call::RevokeToken { client: Some(_), .. }
                | Call::Housekeeping
                | Call::Insist(_)
        );
        let (by, within) =
            if as_client { (By::Nobody, Within::Nothing) } else { self.world.fitted(step) };
        let (sent, acting) = self.world.enter(by, within);
        let asked = Asked { sent, acting };
        match step.call {
            Call::CreateAgent { email, scopes, resources } => {
                self.create_agent(asked, email, scopes, resources).await;
            }
            Call::ListAgents => self.list_agents(asked).await,
            Call::ShowAgent(agent) => self.show_agent(asked, agent).await,
            Call::PatchAgent { agent, change, tag } => {
                self.patch_agent(asked, agent, change, tag).await;
            }
            Call::DeleteAgent { agent, tag } => self.delete_agent(asked, agent, tag).await,
            Call::Quarantine(agent) => self.quarantine(asked, agent).await,
            Call::Reinstate(agent) => self.reinstate(asked, agent).await,
            Call::CreateCredential { agent, life } => {
                self.create_credential(asked, agent, life).await;
            }
            Call::ListCredentials(agent) => self.list_credentials(asked, agent).await,
            Call::RotateCredential { agent, credential, grace } => {
                self.rotate_credential(asked, agent, credential, grace).await;
            }
            Call::RevokeCredential { agent, credential } => {
                self.revoke_credential(asked, agent, credential).await;
            }
            Call::Introspect { token, client } => self.introspect(asked, token, client).await,
            Call::RevokeToken { token, client } => self.revoke_token(asked, token, client).await,
            Call::CreateOperator { email, roles, level } => {
                self.create_operator(asked, email, roles, level).await;
            }
            Call::ListOperators => self.list_operators(asked).await,
            Call::ShowOperator(operator) => self.show_operator(asked, operator).await,
            Call::PatchOperator { operator, change, tag } => {
                self.patch_operator(asked, operator, change, tag).await;
            }
            Call::DeleteOperator { operator, tag } => {
                self.delete_operator(asked, operator, tag).await;
            }
            Call::CreateOperatorToken { operator, life } => {
                self.create_operator_token(asked, operator, life).await;
            }
            Call::ListOperatorTokens(operator) => self.list_operator_tokens(asked, operator).await,
            Call::RevokeOperatorToken { operator, token } => {
                self.revoke_operator_token(asked, operator, token).await;
            }
            Call::CreateTenant(tenant) => self.create_tenant(asked, tenant).await,
            Call::ShowTenant(tenant) => self.show_tenant(asked, tenant).await,
            Call::PatchTenant { tenant, free } => self.patch_tenant(asked, tenant, free).await,
            Call::ListKeys => self.list_keys(asked).await,
            Call::RotateKeys { force } => self.rotate_keys(asked, force).await,
            Call::RevokeKey(key) => self.revoke_key(asked, key).await,
            Call::RbacInfo => self.rbac_info(asked).await,
            Call::WhoAmI => self.who_am_i(asked).await,
            Call::Insist(token) => self.insist(token).await,
            Call::Housekeeping => self.housekeeping().await,
            Call::Clock(_) | Call::Token { .. } => {}
        }
    }

    pub fn client<'s>(&'s self, sent: &'s Sent) -> Client<'s> {
        let client = self.app.client(sent.credentials.as_them());
        match &sent.tenant {
            Some(tenant) => client.within(tenant),
            None => client,
        }
    }

    /// The first operator, within a tenant.
    pub fn bootstrap<'s>(&'s self, tenant: usize) -> Client<'s> {
        self.app.operator().within(&self.world.tenants[tenant].id)
    }

    pub async fn send(&self, asked: &Asked, method: Method, path: &str, body: Value) -> Answer {
        self.send_if(asked, method, path, body, None).await
    }

    /// With `If-Match`.
    pub async fn send_if(
        &self,
        asked: &Asked,
        method: Method,
        path: &str,
        body: Value,
        tag: Option<String>,
    ) -> Answer {
        let mut request: RequestBuilder = self.client(&asked.sent).request(method, path);
        if !body.is_null() {
            request = request.json(&body);
        }
        if let Some(tag) = tag {
            request = request.header("if-match", tag);
        }
        Answer::to(request).await
    }

    /// The answer is the one that the model has; true when the call was allowed.
    pub fn agrees(&mut self, answer: &Answer, status: u16, verdict: &Verdict) -> bool {
        self.compare(answer, status, verdict, "code")
    }

    /// As [`Run::agrees`], where refusals are written as RFC 6749 asks.
    pub fn agrees_in_oauth(&mut self, answer: &Answer, status: u16, verdict: &Verdict) -> bool {
        self.compare(answer, status, verdict, "error")
    }

    fn compare(&mut self, answer: &Answer, status: u16, verdict: &Verdict, named: &str) -> bool {
        let (given, text) = (answer.status.as_u16(), &answer.text);
        *self.figures.answers.entry(given / 100).or_default() += 1;
        let (status, code) =
            verdict.as_ref().map_or_else(|no| (no.status, no.code), |()| (status, ""));
        let kind: String = self.kind.chars().take_while(char::is_ascii_alphanumeric).collect();
        self.figures.kinds.insert(format!("{kind} {status} {code}"));
        assert_eq!(given, status, "{}: wanted {verdict:?}, got {text}", self.at);
        if let Err(No { decided, .. }) = verdict {
            assert_eq!(answer.json()[named], code, "{}: {text}", self.at);
            if let Some((tenant, about)) = decided.clone() {
                self.world.note(tenant, "decision.made", about);
            }
        }
        verdict.is_ok()
    }

    /// Learns of keys that were made meanwhile; waits until there is one to follow.
    pub async fn learn_keys(&mut self) {
        loop {
            let page = self.app.operator().get("/api/v1/keys?limit=100").await.expect(200);
            let rows = page["data"].as_array().unwrap();
            for row in rows.iter().rev() {
                let kid = row["kid"].as_str().unwrap();
                if self.world.keys.iter().all(|key| key.kid != kid) {
                    self.world.keys.push(key(row));
                }
            }
            if self.world.keys.iter().any(|key| key.state == KeyState::Next) {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    /// A moment that is written with milliseconds.
    pub fn moment(micros: i64) -> Value {
        json!(countersign_ground::clock::Time(micros).to_string())
    }

    /// Whether somebody with these credentials is known at a door of the API.
    pub async fn door(&self, token: &str) -> u16 {
        self.app.client(As::Bearer(token)).get("/api/v1/whoami").await.status.as_u16()
    }
}

fn key(row: &Value) -> Key {
    let time = |name: &str| row[name].as_str().map(micros);
    let state = match row["state"].as_str().unwrap() {
        "next" => KeyState::Next,
        "active" => KeyState::Active,
        "retiring" => KeyState::Retiring,
        _ => KeyState::Retired,
    };
    let kid = row["kid"].as_str().unwrap().to_owned();
    Key { kid, state, created_at: time("createdAt").unwrap(), retires_at: time("retiresAt") }
}

/// Microseconds of a time as RFC 3339 writes it.
pub fn micros(text: &str) -> i64 {
    text.parse::<countersign_ground::clock::Time>().unwrap().0
}
