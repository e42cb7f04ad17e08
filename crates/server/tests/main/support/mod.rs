//! [`TestApp`]: a server on a database of its own, with a clock that the test moves.

mod client;
mod database;

use std::time::Duration;

use countersign_ground::clock::{Clock, Time};
use countersign_ground::config::{Config, Sources};
use countersign_ground::entropy::Entropy;
use countersign_server::{Environs, Server};
use serde_json::{Value, json};

pub use client::{Answer, As, Client};
pub use database::{Database, Engine, redis_url};

/// Where every test's clock starts: 2026-01-01T00:00:00Z.
pub const START: Time = Time(1_767_225_600_000_000);
/// The first operator's token in every test. Made of nothing secret.
pub const OPERATOR: &str =
    concat!("op_live_", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
/// The machine token in every test.
pub const MACHINE: &str = "machine-token-of-the-tests-0123456789";

/// A running server.
pub struct TestApp {
    pub server: Server,
    pub clock: Clock,
    pub database: Database,
    client: reqwest::Client,
    settings: Vec<(String, String)>,
    numbers: std::sync::atomic::AtomicU32,
}

/// An agent with a credential.
pub struct TestAgent {
    pub id: String,
    pub credential: String,
    pub secret: String,
}

impl TestApp {
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With these settings besides the usual ones.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        let database = Database::create().await;
        let settings = settings.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        Self::on(database, settings, Clock::manual(START)).await
    }

    /// A node with these settings; on the database of another, if there is one already.
    pub async fn beside(other: Option<&Self>, settings: &[(&str, &str)], clock: &Clock) -> Self {
        let database = match other {
            Some(other) => other.database.again(),
            None => Database::create().await,
        };
        let settings = settings.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        Self::on(database, settings, clock.clone()).await
    }

    async fn on(database: Database, settings: Vec<(String, String)>, clock: Clock) -> Self {
        // A provider may be there already; then there is one.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let config = config(&database, &settings);
        let environs = Environs { clock: clock.clone(), entropy: Entropy::System };
        let server = Server::start(config, environs).await.expect("the server starts");
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { server, clock, database, client, settings, numbers: Default::default() }
    }

    /// Stops the server and starts it again on the same database, under the same issuer, though
    /// on another port.
    pub async fn restart(self) -> Self {
        self.restart_with(&[]).await
    }

    /// As [`Self::restart`], with these settings in place of those that were given so far.
    pub async fn restart_with(self, more: &[(&str, &str)]) -> Self {
        let Self { server, clock, database, mut settings, .. } = self;
        settings.push(("ISSUER_URL".into(), server.app.law.issuer.to_string()));
        // Another master key is given alone, or with the one before it.
        if more.iter().any(|(name, _)| name.starts_with("MASTER_KEY")) {
            settings.retain(|(name, _)| !name.starts_with("MASTER_KEY"));
        }
        settings.extend(more.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        server.stop().await;
        Self::on(database, settings, clock).await
    }

    /// As [`Self::restart`], with these settings unset again.
    pub async fn restart_without(mut self, unset: &[&str]) -> Self {
        self.settings.retain(|(name, _)| !unset.contains(&&**name));
        self.restart().await
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        self.clock.step(i64::try_from(time.as_micros()).unwrap());
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.address)
    }

    /// Somebody who sends requests.
    pub fn client<'a>(&'a self, who: As<'a>) -> Client<'a> {
        Client::new(self, &self.client, who)
    }

    pub fn operator(&self) -> Client<'_> {
        self.client(As::Bearer(OPERATOR))
    }

    pub fn nobody(&self) -> Client<'_> {
        self.client(As::Nobody)
    }

    /// Registers an agent that holds these scopes, with a credential.
    pub async fn agent(&self, name: &str, scopes: &[&str]) -> TestAgent {
        let mut body = new_agent(name);
        body["scopes"] = json!(scopes);
        let agent = self.operator().post("/api/v1/agents", body).await.expect(201);
        let id = agent["agentId"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/agents/{id}/credentials");
        let made = self.operator().post(&path, json!({})).await.expect(201);
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        TestAgent { id, credential: text("credentialId"), secret: text("clientSecret") }
    }

    /// Makes a tenant; gives the token of its one administrator.
    pub async fn tenant(&self, id: &str, plan: &str) -> String {
        let tenant = json!({"id": id, "displayName": id, "plan": plan});
        self.operator().post("/api/v1/tenants", tenant).await.expect(201);
        self.operator_with(id, &["admin"]).await.1
    }

    /// Makes an operator of a tenant with these roles; gives their id and a token.
    pub async fn operator_with(&self, tenant: &str, roles: &[&str]) -> (String, String) {
        let operators = "/api/v1/operators";
        let number = self.numbers.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let body = json!({
            "email": format!("o{number}@people.example"), "displayName": "Olga", "roles": roles,
        });
        let made = self.operator().within(tenant).post(operators, body).await.expect(201);
        let id = made["operatorId"].as_str().unwrap().to_owned();
        let path = format!("{operators}/{id}/tokens");
        let token = self.operator().within(tenant).post(&path, json!({})).await.expect(201);
        (id, token["token"].as_str().unwrap().to_owned())
    }

    /// Asks for a token with these further parameters.
    pub async fn token_answer(&self, agent: &TestAgent, more: &[(&str, &str)]) -> Answer {
        let mut form = vec![
            ("grant_type", "client_credentials"),
            ("client_id", agent.id.as_str()),
            ("client_secret", agent.secret.as_str()),
        ];
        form.extend_from_slice(more);
        self.nobody().form("/api/v1/token", &form).await
    }

    /// A fresh access token with all that the agent holds.
    pub async fn token(&self, agent: &TestAgent) -> String {
        let answer = self.token_answer(agent, &[]).await.expect(200);
        answer["access_token"].as_str().unwrap().to_owned()
    }

    /// Whether introspection by the operator finds the token good.
    pub async fn is_live(&self, token: &str) -> bool {
        let answer = self.operator().form("/api/v1/token/introspect", &[("token", token)]).await;
        answer.expect(200)["active"].as_bool().unwrap()
    }

    /// Events of an action, newest first.
    pub async fn events(&self, action: &str) -> Vec<Value> {
        let path = format!("/api/v1/audit?limit=500&action={action}");
        let page = self.operator().get(&path).await.expect(200);
        page["data"].as_array().unwrap().clone()
    }
}

/// A valid registration.
pub fn new_agent(name: &str) -> Value {
    json!({
        "email": format!("{name}@agents.example"), "agentType": "screener", "version": "1.0.0",
        "capabilities": ["resumes:read"], "owner": "tests", "deploymentEnv": "development",
    })
}

fn config(database: &Database, settings: &[(String, String)]) -> Config {
    let usual = [
        ("PORT", "0"),
        // An RSA key takes long to make; tests of RS256 ask for it.
        ("JWT_ALG", "ES256"),
        ("BOOTSTRAP_ADMIN_TOKEN", OPERATOR),
        ("MACHINE_SECRET_TOKEN", MACHINE),
        ("DATABASE_POOL_SIZE", "4"),
        ("DATABASE_TIMEOUT_MS", "10000"),
    ];
    let mut flags: Vec<(String, String)> =
        usual.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    flags.extend(database.settings());
    flags.extend_from_slice(settings);
    Config::load(&Sources { flags, ..Sources::default() }).expect("the settings are usable")
}
