//! How a sequence begins: two tenants with their operators, and an agent or two with a token.

use serde_json::{Value, json};

use super::calls::{By, Call, Client, Life, Resource, Secret, Step, Wanted, Within};
use super::checks::Events;
use super::credentials::text;
use super::roles::Roles;
use super::run::{Figures, Run};
use super::state::{FREE_AGENTS, Operator, OperatorToken, SECOND, Tenant, World};
use crate::support::{OPERATOR, TestApp, new_agent};

const DAY: i64 = 24 * 3600 * SECOND;
/// Where the operators that every sequence has stand in [`World::operators`], after the first one.
const STAFF: [(usize, &str); 5] =
    [(0, "infra"), (0, "admin"), (0, "readonly"), (1, "admin"), (1, "readonly")];

/// What may differ from the start.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    /// The second tenant is on the plan `free`.
    pub free: bool,
    /// And has nearly as many agents as that allows.
    pub crowded: bool,
}

impl<'a> Run<'a> {
    /// The world as it is before the first call.
    pub async fn open(
        app: &'a TestApp,
        number: usize,
        start: Start,
        figures: &'a mut Figures,
    ) -> (Self, [Events; 2]) {
        // The same time of day for each, so that what it does does not depend on what came before.
        let now = app.clock.now().0;
        app.clock.step(DAY - now.rem_euclid(DAY));
        let name = format!("s{number}");
        let tenants = ["a", "b"].map(|which| Tenant {
            id: format!("{name}-{which}"),
            name: which.to_owned(),
            free: which == "b" && (start.free || start.crowded),
            crowd: 0,
        });
        let mut tenants = Vec::from(tenants);
        tenants.push(Tenant {
            id: "default".into(),
            name: "default".into(),
            free: false,
            crowd: 0,
        });
        let world = World {
            now: app.clock.now().0,
            issuer: app.server.app.law.issuer.to_string(),
            roles: Roles::of_the_contract(),
            tenants,
            operators: vec![first_operator()],
            agents: Vec::new(),
            tokens: Vec::new(),
            keys: Vec::new(),
            events: Default::default(),
        };
        let mut run =
            Self { app, world, figures, name, at: "opening".into(), kind: String::new(), turn: 0 };
        for tenant in [0, 1] {
            run.open_tenant(tenant).await;
        }
        for (tenant, role) in STAFF {
            run.employ(tenant, role).await;
        }
        if start.crowded {
            run.crowd(1).await;
        }
        run.learn_keys().await;
        let before = [run.events(0).await, run.events(1).await];
        (run, before)
    }

    async fn open_tenant(&self, tenant: usize) {
        let Tenant { id, name, free, .. } = &self.world.tenants[tenant];
        let plan = if *free { "free" } else { "unlimited" };
        let body = json!({"id": id, "displayName": name, "plan": plan});
        self.app.operator().post("/api/v1/tenants", body).await.expect(201);
    }

    async fn employ(&mut self, tenant: usize, role: &'static str) {
        let email = format!("{}-{tenant}-{role}@people.example", self.name);
        let body = json!({"email": email, "displayName": "Olga", "roles": [role]});
        let made = self.bootstrap(tenant).post("/api/v1/operators", body).await.expect(201);
        let id = text(&made, "operatorId");
        let path = format!("/api/v1/operators/{id}/tokens");
        let token = self.bootstrap(tenant).post(&path, json!({})).await.expect(201);
        let tokens = vec![operator_token(text(&token, "tokenId"), text(&token, "token"))];
        let (roles, level_by_hand) = (vec![role], None);
        let (revision, removed) = (1, false);
        let new = Operator { id, tenant, email, roles, level_by_hand, revision, removed, tokens };
        self.world.operators.push(new);
    }

    async fn crowd(&mut self, tenant: usize) {
        // One more is among the first calls.
        let crowd = FREE_AGENTS - 1;
        for number in 0..crowd {
            let body: Value = new_agent(&format!("{}-crowd-{number}", self.name));
            self.bootstrap(tenant).post(super::agents::AGENTS, body).await.expect(201);
        }
        self.world.tenants[tenant].crowd = crowd;
    }
}

fn operator_token(id: String, text: String) -> OperatorToken {
    OperatorToken { id, text, expires_at: None, revoked: false }
}

fn first_operator() -> Operator {
    Operator {
        id: "bootstrap".into(),
        tenant: super::state::DEFAULT,
        email: String::new(),
        roles: vec!["admin", "infra"],
        level_by_hand: Some(5),
        revision: 1,
        removed: false,
        tokens: vec![operator_token("bootstrap".into(), OPERATOR.into())],
    }
}

/// The first calls of every sequence.
pub fn first_calls() -> Vec<Step> {
    let by = |operator, call| Step { by: By::Operator(operator, 0), within: Within::Nothing, call };
    let agent = |email, scopes| Call::CreateAgent { email, scopes: Some(scopes), resources: true };
    let credential = |agent| Call::CreateCredential { agent, life: Life::Forever };
    let token = |agent| {
        let secret = Secret::Last;
        let client = Client { agent, credential: 0, secret, basic: false, alias: false };
        Call::Token { client, scope: Wanted::All, resource: Resource::Nothing }
    };
    vec![
        by(2, agent(0, 1)),
        by(2, agent(1, 4)),
        by(4, agent(0, 3)),
        // In a crowded tenant there is no room for it.
        by(4, agent(1, 0)),
        by(2, credential(0)),
        by(2, credential(1)),
        by(4, credential(2)),
        by(2, token(0)),
        by(2, token(1)),
        by(4, token(2)),
    ]
}
