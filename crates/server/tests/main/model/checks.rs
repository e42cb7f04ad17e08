//! What must hold at any moment, asked of the server.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::Value;

use super::agents::AGENTS;
use super::run::Run;
use super::state::{KeyState, Status, World};
use crate::support::Answer;

/// Events of a tenant by action and by what they are about.
pub type Events = BTreeMap<(String, String), i64>;

/// How many tokens of an agent are looked at after each change of it.
const LATEST: usize = 3;

impl World {
    /// What kind of state this is: how many of what there is, not which.
    pub fn summary(&self) -> String {
        let few = |n: usize| n.min(2);
        let agents = self.agents.iter().enumerate().map(|(i, agent)| {
            let words = ["active", "expired", "revoked"];
            let credentials = words.map(|word| {
                few(agent.credentials.iter().filter(|one| one.status(self.now) == word).count())
            });
            let grace = agent.credentials.iter().any(|one| {
                one.is_live(self.now) && one.grace_until.is_some_and(|at| self.now < at)
            });
            let own = || (0..self.tokens.len()).filter(|&token| self.tokens[token].agent == i);
            let live = few(own().filter(|&token| self.is_live(token)).count());
            let dead = own().any(|token| self.is_dead_for_good(token));
            let word = agent.word();
            format!("{}{word}{credentials:?}{grace}{live}{dead}", agent.tenant)
        });
        let mut agents: Vec<String> = agents.collect();
        agents.sort_unstable();
        let state = |state| few(self.keys.iter().filter(|key| key.state == state).count());
        let operators = self.operators.iter().filter(|one| !one.removed).count();
        let plans: Vec<bool> = self.tenants.iter().map(|tenant| tenant.free).collect();
        format!("{agents:?}{plans:?}{}{operators}", state(KeyState::Retiring))
    }
}

impl Run<'_> {
    /// After a change of an agent: it and its latest tokens; else some token, each in turn.
    pub async fn look_at(&mut self, agent: Option<usize>) {
        if let Some(agent) = agent {
            self.check_agent(agent).await;
            let own = |token: &usize| self.world.tokens[*token].agent == agent;
            let own = (0..self.world.tokens.len()).rev().filter(own).take(LATEST).collect();
            self.check_tokens(own).await;
        } else if let Some(token) = self.turn.checked_rem(self.world.tokens.len()) {
            self.turn += 1;
            self.check_tokens(vec![token]).await;
        }
    }

    /// An agent is what the model says, and is not there for the other tenant.
    async fn check_agent(&self, agent: usize) {
        let known = &self.world.agents[agent];
        let path = format!("{AGENTS}/{}", known.id);
        let shown = self.bootstrap(known.tenant).get(&path).await;
        self.is_as_shown(agent, &shown.expect(200));
        assert_eq!(shown.header("etag"), known.etag(), "{}", self.at);
    }

    /// Tokens are as good as the model says, where they are asked about and where they are used.
    pub async fn check_tokens(&mut self, tokens: Vec<usize>) {
        let tenant = |token: usize| self.world.agents[self.world.tokens[token].agent].tenant;
        let own: Vec<_> = tokens.iter().map(|&token| (token, tenant(token))).collect();
        self.check_introspection(own).await;
        for token in tokens {
            let wanted = self.world.bearer(token).map_or_else(|no| no.status, |_| 200);
            let status = self.door(&self.world.tokens[token].text).await;
            assert_eq!(status, wanted, "{}: token {token} at a door", self.at);
            let agent = &self.world.agents[self.world.tokens[token].agent];
            let open = status == 200 && agent.status != Status::Active;
            assert!(!open, "{}: a door is open to {}", self.at, agent.word());
        }
    }

    /// Asks with a token that a plan limits until it is refused, and once more.
    pub async fn insist(&mut self, token: u8) {
        let Some(token) = usize::from(token).checked_rem(self.world.tokens.len()) else { return };
        let tenant = self.world.agents[self.world.tokens[token].agent].tenant;
        let mut refused = if self.world.tenants[tenant].free { 0 } else { 2 };
        while refused < 2 {
            let wanted = self.world.bearer(token).map_or_else(|no| no.status, |_| 200);
            let status = self.door(&self.world.tokens[token].text).await;
            assert_eq!(status, wanted, "{}", self.at);
            *self.figures.answers.entry(status / 100).or_default() += 1;
            self.figures.kinds.insert(format!("Insist {status}"));
            refused += usize::from(status != 200);
        }
    }

    /// Tokens are known in these tenants as the model says. Asked all at once: it is the record that
    /// takes its time.
    async fn check_introspection(&mut self, tokens: Vec<(usize, usize)>) {
        let ask = async |&(token, tenant): &(usize, usize)| {
            let form = [("token", self.world.tokens[token].text.as_str())];
            self.bootstrap(tenant).form("/api/v1/token/introspect", &form).await
        };
        let answers = join_all(tokens.iter().map(ask)).await;
        for ((token, tenant), answer) in tokens.into_iter().zip(answers) {
            assert_eq!(answer.status, 200, "{}: {}", self.at, answer.text);
            self.introspected(&answer, Some(token), tenant);
        }
    }

    /// Everything, at the end of a sequence.
    pub async fn check_all(&mut self, before: &[Events; 2]) {
        self.at = format!("{}, at the end", self.at);
        self.kind = "Token".into();
        for agent in 0..self.world.agents.len() {
            self.check_agent(agent).await;
            let known = &self.world.agents[agent];
            let path = format!("{AGENTS}/{}/credentials?limit=100", known.id);
            let listing = self.bootstrap(known.tenant).get(&path).await.expect(200);
            let elsewhere = self.bootstrap(usize::from(known.tenant == 0)).get(&path).await;
            elsewhere.problem(404, "AGENT_NOT_FOUND");
            self.are_as_listed(agent, &listing);
            let credentials = known.credentials.iter();
            let secrets: Vec<String> = credentials.flat_map(|one| one.secrets.clone()).collect();
            for secret in secrets {
                self.ask_with(agent, &secret).await;
            }
        }
        let tokens: Vec<usize> = (0..self.world.tokens.len()).collect();
        let of = |token: usize| self.world.agents[self.world.tokens[token].agent].tenant;
        let foreign = tokens.iter().map(|&token| (token, usize::from(of(token) == 0))).collect();
        self.check_introspection(foreign).await;
        self.check_tokens(tokens).await;
        for operator in 0..self.world.operators.len() {
            self.look_at_operator(operator).await;
        }
        self.check_published_keys().await;
        for tenant in [0, 1] {
            self.check_agents_of(tenant).await;
            self.check_record(tenant, &before[tenant]).await;
        }
    }

    async fn check_published_keys(&self) {
        let published = self.app.nobody().get("/.well-known/jwks.json").await.expect(200);
        let kids = published["keys"].as_array().unwrap().iter().map(|key| &key["kid"]);
        let kids: BTreeSet<&str> = kids.map(|kid| kid.as_str().unwrap()).collect();
        let known = self.world.keys.iter().filter(|key| key.state != KeyState::Retired);
        assert_eq!(kids, known.map(|key| key.kid.as_str()).collect(), "{}", self.at);
    }

    /// A tenant's listing has its own agents, all of them, and no others.
    async fn check_agents_of(&self, tenant: usize) {
        let mut listed = BTreeSet::new();
        for page in [1, 2] {
            let path = format!("{AGENTS}?limit=100&page={page}");
            let page = self.bootstrap(tenant).get(&path).await.expect(200);
            let ids = page["data"].as_array().unwrap().iter().map(|agent| &agent["agentId"]);
            listed.extend(ids.map(|id| id.as_str().unwrap().to_owned()));
        }
        let known = self.world.agents.iter().filter(|agent| agent.tenant == tenant);
        let known: BTreeSet<String> = known.map(|agent| agent.id.clone()).collect();
        assert!(listed.is_superset(&known), "{}: not listed", self.at);
        assert_eq!(listed.len() - known.len(), self.world.tenants[tenant].crowd, "{}", self.at);
    }

    /// The record has one event for each change, refusal, token and introspection, and no other.
    async fn check_record(&self, tenant: usize, before: &Events) {
        let mut found = self.events(tenant).await;
        for (kind, count) in before {
            *found.entry(kind.clone()).or_default() -= count;
        }
        let mut wanted = Events::new();
        for ((of, action, about), count) in &self.world.events {
            if *of == tenant {
                wanted.insert((action.clone(), about.clone()), *count);
            }
        }
        let doubtful: Vec<_> =
            wanted.extract_if(.., |(action, _), _| action.ends_with('?')).collect();
        for ((action, about), most) in doubtful {
            let kind = (action.trim_end_matches('?').to_owned(), about);
            let sure = wanted.get(&kind).copied().unwrap_or_default();
            let there = found.get(&kind).copied().unwrap_or_default();
            assert!((sure..=sure + most).contains(&there), "{}: {kind:?} {there}", self.at);
            wanted.insert(kind, there);
        }
        found.retain(|_, count| *count != 0);
        wanted.retain(|_, count| *count != 0);
        assert_eq!(found, wanted, "{}: the record of tenant {tenant}", self.at);
    }

    /// The record of a tenant, save those who failed to prove who they are: of those, many count as
    /// one.
    pub async fn events(&self, tenant: usize) -> Events {
        let (mut events, mut cursor) = (Events::new(), String::new());
        loop {
            let path = format!("/api/v1/audit?limit=500{cursor}");
            let page = self.bootstrap(tenant).request(Method::GET, &path);
            let page = Answer::to(page).await.expect(200);
            for event in page["data"].as_array().unwrap() {
                let action = event["action"].as_str().unwrap();
                let about = event["resource"].as_str().or(event["agentId"].as_str());
                if action != "auth.failed" {
                    let kind = (action.to_owned(), about.unwrap_or_default().to_owned());
                    *events.entry(kind).or_default() += 1;
                }
            }
            match &page["nextCursor"] {
                Value::String(next) => cursor = format!("&cursor={next}"),
                _ => return events,
            }
        }
    }
}
