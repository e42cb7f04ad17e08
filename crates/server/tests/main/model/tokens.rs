//! Tokens: what the model says of each call, and what the call changes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_server::features::oauth;
use reqwest::Method;
use serde_json::json;

use super::agents::NO_AGENT;
use super::callers::{No, Reach};
use super::calls::{Client, Named, Resource, SCOPES, Secret, Wanted};
use super::run::{Asked, Run};
use super::state::{KeyState, SECOND, Status, TOKEN_LIFE, Token, World};
use crate::support::Answer;
use crate::tokens::part;

const MAIL: &str = "https://mail.example/";
const FILES: &str = "https://files.example/";

/// What a client presents, and which agent's credential that proves.
pub struct Proof {
    id: String,
    secret: String,
    basic: bool,
    alias: bool,
    proven: Option<(usize, usize)>,
}

impl World {
    fn proof(&self, client: Client) -> Proof {
        let Client { agent, credential, secret, basic, alias } = client;
        // An agent without a credential proves nothing: one that has some is more telling.
        let able: Vec<usize> = (0..self.agents.len())
            .filter(|&one| !self.agents[one].credentials.is_empty())
            .collect();
        let wrong = format!("sk_live_{}", "0".repeat(64));
        let Some(which) = usize::from(agent).checked_rem(able.len()) else {
            return Proof { id: NO_AGENT.into(), secret: wrong, basic, alias, proven: None };
        };
        let known = &self.agents[able[which]];
        let secrets = &known.credentials[usize::from(credential) % known.credentials.len()].secrets;
        let last = secrets.len() - 1;
        let secret = match secret {
            Secret::Last => secrets[last].clone(),
            Secret::Before => secrets[last.saturating_sub(1)].clone(),
            Secret::Nth(index) => secrets[usize::from(index) % secrets.len()].clone(),
            Secret::Wrong => wrong,
        };
        self.proof_of(able[which], secret, basic, alias)
    }

    fn proof_of(&self, agent: usize, secret: String, basic: bool, alias: bool) -> Proof {
        let proven = self.proven(agent, &secret).map(|credential| (agent, credential));
        Proof { id: self.agents[agent].id.clone(), secret, basic, alias, proven }
    }

    /// The client, if it proved to be itself and may act.
    fn client(&mut self, proof: &Proof) -> Result<(usize, usize), No> {
        let (agent, credential) = proof.proven.ok_or(No::new(401, "invalid_client"))?;
        // Whatever it asks for: who proved to be itself has made a request.
        if !self.admit(agent) {
            return Err(No::new(429, "temporarily_unavailable"));
        }
        match self.agents[agent].status {
            Status::Active => Ok((agent, credential)),
            _ => Err(No::new(403, "unauthorized_client")),
        }
    }

    fn named(&self, token: Named) -> (String, Option<usize>) {
        match token {
            Named::Token(index) => match usize::from(index).checked_rem(self.tokens.len()) {
                Some(token) => (self.tokens[token].text.clone(), Some(token)),
                None => ("none.yet.there".into(), None),
            },
            Named::Operators(index) => {
                let tokens: Vec<&str> = self
                    .operators
                    .iter()
                    .flat_map(|one| &one.tokens)
                    .map(|one| one.text.as_str())
                    .collect();
                (tokens[usize::from(index) % tokens.len()].to_owned(), None)
            }
            Named::Garbage => ("e30.e30.e30".into(), None),
        }
    }
}

impl Run<'_> {
    /// Sends a form, with the client's credentials in the header or in the body.
    async fn form(
        &self,
        asked: Option<&Asked>,
        proof: Option<&Proof>,
        path: &str,
        form: &[(&str, String)],
    ) -> Answer {
        let mut form = form.to_vec();
        let client = asked.map_or_else(|| self.app.nobody(), |asked| self.client(&asked.sent));
        let alias = format!("/oauth2/{}", path.rsplit('/').next().unwrap());
        let path = if proof.is_some_and(|proof| proof.alias) { &alias } else { path };
        let mut request = client.request(Method::POST, path);
        match proof {
            Some(proof) if proof.basic => {
                let both = STANDARD.encode(format!("{}:{}", proof.id, proof.secret));
                request = request.header("authorization", format!("Basic {both}"));
            }
            Some(proof) => {
                form.push(("client_id", proof.id.clone()));
                form.push(("client_secret", proof.secret.clone()));
            }
            None => {}
        }
        Answer::to(request.form(&form)).await
    }

    pub async fn token(&mut self, client: Client, scope: Wanted, resource: Resource) {
        let proof = self.world.proof(client);
        self.ask(&proof, scope, resource).await;
        self.look_at(None).await;
    }

    /// Asks with this secret, for all that the agent holds.
    pub async fn ask_with(&mut self, agent: usize, secret: &str) {
        let proof = self.world.proof_of(agent, secret.to_owned(), false, false);
        self.ask(&proof, Wanted::All, Resource::Nothing).await;
    }

    async fn ask(&mut self, proof: &Proof, scope: Wanted, resource: Resource) {
        let held = proof
            .proven
            .map(|(agent, _)| self.world.agents[agent].scopes.clone())
            .unwrap_or_default();
        let every: Vec<&'static str> = SCOPES.iter().flat_map(|set| set.iter().copied()).collect();
        let one_of = |set: &[&'static str], index: u8| {
            usize::from(index).checked_rem(set.len()).map_or("agents:read", |one| set[one])
        };
        let wanted: Option<Vec<&'static str>> = match scope {
            Wanted::All => None,
            Wanted::One(index) => Some(vec![one_of(&held, index)]),
            Wanted::Any(index) => Some(vec![one_of(&every, index)]),
            Wanted::Malformed => Some(vec!["agents"]),
        };
        let issuer = self.world.issuer.clone();
        let resources: Vec<&str> = match resource {
            Resource::Nothing => vec![],
            Resource::Issuer => vec![&issuer],
            Resource::Mail => vec![MAIL],
            Resource::Files => vec![FILES],
            Resource::Both => vec![MAIL, &issuer],
        };

        let world = &mut self.world;
        let verdict = world.client(proof).and_then(|(agent, _)| {
            let known = &world.agents[agent];
            let asked = wanted.as_ref().unwrap_or(&known.scopes);
            if asked.is_empty() || !asked.iter().all(|one| known.scopes.contains(one)) {
                return Err(No::new(400, "invalid_scope"));
            }
            let allowed = |one: &&str| **one == *issuer || known.resources.contains(one);
            if !resources.iter().all(allowed) {
                return Err(No::new(400, "invalid_target"));
            }
            Ok(())
        });

        let mut form = vec![("grant_type", "client_credentials".to_owned())];
        form.extend(wanted.as_ref().map(|wanted| ("scope", wanted.join(" "))));
        form.extend(resources.iter().map(|one| ("resource", (*one).to_owned())));
        let answer = self.form(None, Some(proof), "/api/v1/token", &form).await;
        if self.agrees_in_oauth(&answer, 200, &verdict) {
            let (agent, credential) = proof.proven.unwrap();
            let scopes = wanted.unwrap_or(held);
            let for_us = resources.is_empty() || resources.contains(&&*issuer);
            self.issued(&answer, (agent, credential), scopes, for_us);
        }
    }

    /// Takes over a token, whose claims must say what the model has.
    fn issued(
        &mut self,
        answer: &Answer,
        (agent, credential): (usize, usize),
        scopes: Vec<&'static str>,
        for_us: bool,
    ) {
        let (body, world) = (answer.json(), &mut self.world);
        assert_eq!(body["scope"], scopes.join(" "), "{}", self.at);
        let text = body["access_token"].as_str().unwrap().to_owned();
        let (head, claims) = (part(&text, 0), part(&text, 1));
        let (known, now) = (&world.agents[agent], world.seconds());
        let wanted = json!({
            "sub": known.id, "client_id": known.id, "tenant": world.tenants[known.tenant].id,
            "cred": known.credentials[credential].id, "gen": known.generation,
            "scope": scopes.join(" "), "iat": now, "nbf": now, "exp": now + TOKEN_LIFE,
            "iss": world.issuer,
        });
        for (name, value) in wanted.as_object().unwrap() {
            assert_eq!(&claims[name], value, "{}: {name} of {claims}", self.at);
        }
        for scope in &scopes {
            assert!(known.scopes.contains(scope), "{}: gained {scope}", self.at);
        }
        let key = world.signing();
        assert_eq!(head["kid"], world.keys[key].kid, "{}", self.at);
        let (tenant, id) = (known.tenant, known.id.clone());
        world.tokens.push(Token {
            text,
            jti: claims["jti"].as_str().unwrap().to_owned(),
            agent,
            credential,
            generation: known.generation,
            scopes,
            for_us,
            key,
            issued: now,
            issued_at: world.now,
            expires: now + TOKEN_LIFE,
            revoked: false,
        });
        world.note(tenant, "token.issued", id);
    }

    pub async fn introspect(&mut self, asked: Asked, token: Named, client: Option<Client>) {
        let (text, token) = self.world.named(token);
        let proof = client.map(|client| self.world.proof(client));
        let world = &mut self.world;
        let tenant = match &proof {
            Some(proof) => world.client(proof).map(|(agent, _)| world.agents[agent].tenant),
            None => asked
                .acting
                .clone()
                .and_then(|acting| {
                    world.may(acting, "tokens:read", Reach::Tenant, "*").map(|()| acting.tenant)
                })
                .map_err(No::in_oauth),
        };
        let verdict = tenant.clone().map(drop);
        let asked = proof.is_none().then_some(&asked);
        let path = "/api/v1/token/introspect";
        let answer = self.form(asked, proof.as_ref(), path, &[("token", text)]).await;
        if self.agrees_in_oauth(&answer, 200, &verdict) {
            self.introspected(&answer, token, tenant.unwrap());
        }
    }

    /// What somebody of this tenant learned of a token is what the model says of it.
    pub fn introspected(&mut self, answer: &Answer, token: Option<usize>, tenant: usize) {
        self.figures.token_checks += 1;
        let world = &mut self.world;
        let own = token.filter(|&one| world.agents[world.tokens[one].agent].tenant == tenant);
        let live = own.filter(|&one| world.is_live(one));
        let Some(live) = live else {
            assert_eq!(answer.text, r#"{"active":false}"#, "{}: token {token:?}", self.at);
            world.note(tenant, "token.introspected", "");
            return;
        };
        let (token, body) = (&world.tokens[live], answer.json());
        let id = world.agents[token.agent].id.clone();
        let wanted = json!({
            "active": true, "client_id": id, "sub": id, "scope": token.scopes.join(" "),
            "exp": token.expires, "iat": token.issued, "jti": token.jti, "token_type": "Bearer",
            "tenant": world.tenants[tenant].id,
        });
        for (name, value) in wanted.as_object().unwrap() {
            assert_eq!(&body[name], value, "{}: {name} of {body}, token {live}", self.at);
        }
        world.note(tenant, "token.introspected", id);
    }

    pub async fn revoke_token(&mut self, asked: Asked, token: Named, client: Option<Client>) {
        let (text, token) = self.world.named(token);
        let proof = client.map(|client| self.world.proof(client));
        let world = &mut self.world;
        // Whose tokens may be ended: the tenant's, or one agent's.
        let reach = match &proof {
            Some(proof) => {
                world.client(proof).map(|(agent, _)| (world.agents[agent].tenant, Some(agent)))
            }
            None => asked
                .acting
                .clone()
                .and_then(|acting| {
                    world
                        .may(acting, "tokens:write", Reach::Tenant, "*")
                        .map(|()| (acting.tenant, None))
                })
                .map_err(No::in_oauth),
        };
        let verdict = reach.clone().map(drop);
        let asked = proof.is_none().then_some(&asked);
        let path = "/api/v1/token/revoke";
        let answer = self.form(asked, proof.as_ref(), path, &[("token", text)]).await;
        if !self.agrees_in_oauth(&answer, 200, &verdict) {
            return;
        }
        let (Ok((tenant, own)), Some(token)) = (reach, token) else { return };
        let agent = self.world.tokens[token].agent;
        if self.world.agents[agent].tenant == tenant && own.is_none_or(|own| own == agent) {
            self.end_token(token, tenant);
        }
        self.check_tokens(vec![token]).await;
    }

    fn end_token(&mut self, token: usize, tenant: usize) {
        let world = &mut self.world;
        let known = &world.tokens[token];
        let id = world.agents[known.agent].id.clone();
        // One that has expired is revoked, too: a clock that steps back must not revive it.
        let remembered = i64::try_from(oauth::store::REMEMBERED.as_micros()).unwrap();
        if !known.revoked && known.expires * SECOND + remembered > world.now {
            // Whether the server still recognises what a retired key signed is its own affair.
            let retired = world.keys[known.key].state == KeyState::Retired;
            world.note(tenant, if retired { "token.revoked?" } else { "token.revoked" }, id);
        }
        world.tokens[token].revoked = true;
    }
}
