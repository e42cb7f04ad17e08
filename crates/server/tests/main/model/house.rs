//! Tenants, signing keys, the role matrix, and what the server does by itself.

use countersign_ground::clock::Time;
use countersign_server::features::{keys, oauth};
use countersign_server::law::permit::{Job, Permit};
use reqwest::Method;
use serde_json::{Value, json};

use super::callers::{No, Reach, Who};
use super::run::{Asked, Run, micros};
use super::state::{DEFAULT, KeyState, SECOND, Tenant, World};

const TENANTS: &str = "/api/v1/tenants";
/// How old a key must be before it signs.
const YOUNG: i64 = 300 * SECOND;

impl World {
    /// Which tenant an index means: the two, the one that a sequence makes, or none.
    fn pick_tenant(&self, index: u8) -> Option<usize> {
        match index {
            0 | 1 => Some(index.into()),
            2 => Some(DEFAULT + 1).filter(|&made| made < self.tenants.len()),
            _ => None,
        }
    }

    fn tenant_id(&self, tenant: Option<usize>) -> String {
        tenant.map_or_else(|| "no-such-tenant".to_owned(), |one| self.tenants[one].id.clone())
    }

    fn next_key(&self) -> usize {
        let next = |key: &super::state::Key| key.state == KeyState::Next;
        self.keys.iter().position(next).expect("a key is to follow")
    }

    /// The next key signs from now on.
    fn follow(&mut self) {
        let (active, next) = (self.signing(), self.next_key());
        self.keys[active].state = KeyState::Retiring;
        self.keys[next].state = KeyState::Active;
    }
}

impl Run<'_> {
    pub async fn create_tenant(&mut self, asked: Asked, tenant: u8) {
        let known = self.world.pick_tenant(tenant);
        let id = known
            .map_or_else(|| format!("{}-c", self.name), |one| self.world.tenants[one].id.clone());
        let world = &self.world;
        let verdict = asked.acting.clone().and_then(|acting| {
            world.may(acting, "tenants:write", Reach::Everything, "*")?;
            if known.is_some() { Err(No::new(409, "CONFLICT")) } else { Ok(()) }
        });
        let body = json!({"id": id, "displayName": "Third", "plan": "free"});
        let answer = self.send(&asked, Method::POST, TENANTS, body).await;
        if self.agrees(&answer, 201, &verdict) {
            let new = Tenant { id: id.clone(), name: "Third".into(), free: true, crowd: 0 };
            self.world.tenants.push(new);
            let tenant = self.world.tenants.len() - 1;
            self.world.note(tenant, "tenant.created", format!("tenants/{id}"));
        }
    }

    pub async fn show_tenant(&mut self, asked: Asked, tenant: u8) {
        let tenant = self.world.pick_tenant(tenant);
        let id = self.world.tenant_id(tenant);
        let world = &self.world;
        let verdict = asked.acting.clone().and_then(|acting| {
            world.may(acting, "tenants:read", Reach::Everything, &id)?;
            tenant.map(drop).ok_or(No::new(404, "TENANT_NOT_FOUND"))
        });
        let answer = self.send(&asked, Method::GET, &format!("{TENANTS}/{id}"), Value::Null).await;
        if self.agrees(&answer, 200, &verdict) {
            self.tenant_is_as_shown(tenant.unwrap(), &answer.json());
        }
    }

    fn tenant_is_as_shown(&self, tenant: usize, shown: &Value) {
        let known = &self.world.tenants[tenant];
        let plan = if known.free { "free" } else { "unlimited" };
        let said = [&shown["id"], &shown["displayName"], &shown["plan"]];
        assert_eq!(said, [&*known.id, &*known.name, plan], "{}", self.at);
    }

    pub async fn patch_tenant(&mut self, asked: Asked, tenant: u8, free: Option<bool>) {
        let tenant = self.world.pick_tenant(tenant);
        let id = self.world.tenant_id(tenant);
        let world = &self.world;
        let verdict = asked.acting.clone().and_then(|acting| {
            world.may(acting, "tenants:write", Reach::Everything, &id)?;
            tenant.map(drop).ok_or(No::new(404, "TENANT_NOT_FOUND"))
        });
        let body = match free {
            Some(free) => json!({"plan": if free { "free" } else { "unlimited" }}),
            None => json!({"displayName": "Renamed"}),
        };
        let path = format!("{TENANTS}/{id}");
        let answer = self.send(&asked, Method::PATCH, &path, body).await;
        if self.agrees(&answer, 200, &verdict) {
            let tenant = tenant.unwrap();
            let known = &mut self.world.tenants[tenant];
            match free {
                Some(free) => known.free = free,
                None => known.name = "Renamed".into(),
            }
            self.world.note(tenant, "tenant.updated", format!("tenants/{id}"));
            self.tenant_is_as_shown(tenant, &answer.json());
        }
    }

    pub async fn list_keys(&mut self, asked: Asked) {
        let world = &self.world;
        let verdict = asked
            .acting
            .clone()
            .and_then(|acting| world.may(acting, "keys:read", Reach::Tenant, "*"));
        let path = "/api/v1/keys?limit=100";
        let answer = self.send(&asked, Method::GET, path, Value::Null).await;
        if self.agrees(&answer, 200, &verdict) {
            for shown in answer.json()["data"].as_array().unwrap() {
                let known = self.world.keys.iter().find(|key| shown["kid"] == *key.kid).unwrap();
                let word = format!("{:?}", known.state).to_lowercase();
                assert_eq!(shown["state"], word, "{}: {shown}", self.at);
            }
        }
    }

    pub async fn rotate_keys(&mut self, asked: Asked, force: bool) {
        let next = self.world.next_key();
        let world = &self.world;
        let verdict = asked.acting.clone().and_then(|acting| {
            world.may(acting, "keys:write", Reach::Installation, "*")?;
            let young = world.now < world.keys[next].created_at + YOUNG;
            if young && !force { Err(No::new(409, "CONFLICT")) } else { Ok(()) }
        });
        let body = json!({"force": force});
        let answer = self.send(&asked, Method::POST, "/api/v1/keys/rotate", body).await;
        if self.agrees(&answer, 200, &verdict) {
            let (former, moved) = (self.world.signing(), answer.json());
            self.world.follow();
            let kid = self.world.keys[next].kid.clone();
            let kids = [&moved["activeKid"], &moved["retiringKid"]];
            assert_eq!(kids, [&*kid, &*self.world.keys[former].kid], "{}", self.at);
            self.world.keys[former].retires_at = moved["retiresAt"].as_str().map(micros);
            let tenant = asked.acting.unwrap().tenant;
            self.world.note(tenant, "key.rotated", format!("keys/{kid}"));
            self.learn_keys().await;
        } else if verdict.is_err_and(|no| no.status == 409) {
            assert_ne!(answer.header("retry-after"), "", "{}", self.at);
        }
    }

    pub async fn revoke_key(&mut self, asked: Asked, key: u8) {
        // The newest first: those of sequences before are of no interest.
        let known = self.world.keys.len();
        let key = known.checked_sub(1 + usize::from(key) % 5);
        let kid = key.map_or("unknown", |key| self.world.keys[key].kid.as_str()).to_owned();
        let world = &self.world;
        let verdict = asked.acting.clone().and_then(|acting| {
            world.may(acting, "keys:write", Reach::Installation, &kid)?;
            let key = key.ok_or(No::new(404, "KEY_NOT_FOUND"))?;
            match world.keys[key].state {
                KeyState::Retired => Err(No::new(409, "CONFLICT")),
                _ => Ok(()),
            }
        });
        let path = format!("/api/v1/keys/{kid}/revoke");
        let answer = self.send(&asked, Method::POST, &path, json!({"reason": "leaked"})).await;
        if self.agrees(&answer, 200, &verdict) {
            let key = key.unwrap();
            if self.world.keys[key].state == KeyState::Active {
                self.world.follow();
            }
            self.world.keys[key].state = KeyState::Retired;
            let tenant = asked.acting.unwrap().tenant;
            self.world.note(tenant, "key.revoked", format!("keys/{kid}"));
            self.learn_keys().await;
            let of_it = |token: &usize| self.world.tokens[*token].key == key;
            let of_it = (0..self.world.tokens.len()).rev().filter(of_it).take(4).collect();
            self.check_tokens(of_it).await;
        }
    }

    pub async fn rbac_info(&mut self, asked: Asked) {
        let world = &self.world;
        let verdict = asked
            .acting
            .clone()
            .and_then(|acting| world.may(acting, "rbac:read", Reach::Tenant, "*"));
        let answer = self.send(&asked, Method::GET, "/api/v1/rbac/info", Value::Null).await;
        self.agrees(&answer, 200, &verdict);
    }

    pub async fn who_am_i(&mut self, asked: Asked) {
        let verdict = asked.acting.clone().and_then(|acting| match acting.who {
            Who::Nobody => Err(No::new(401, "UNAUTHORIZED")),
            _ => Ok(()),
        });
        let answer = self.send(&asked, Method::GET, "/api/v1/whoami", Value::Null).await;
        if self.agrees(&answer, 200, &verdict) {
            let (acting, shown, world) = (asked.acting.unwrap(), answer.json(), &self.world);
            let (kind, id) = match acting.who {
                Who::Operator(which) => ("operator", world.operators[which].id.as_str()),
                Who::Agent(token) => {
                    let scopes = json!(world.tokens[token].scopes);
                    assert_eq!(shown["scopes"], scopes, "{}", self.at);
                    ("agent", world.agents[world.tokens[token].agent].id.as_str())
                }
                _ => ("machine", "machine"),
            };
            assert_eq!([&shown["type"], &shown["id"]], [kind, id], "{}", self.at);
            assert_eq!(shown["tenant"], world.tenants[acting.tenant].id, "{}", self.at);
        }
    }

    /// Forgets what has expired, and retires keys, as the server does every minute.
    pub async fn housekeeping(&mut self) {
        let (app, now) = (&self.app.server.app, Time(self.world.now));
        app.law.directory.forget_expired(now - oauth::store::REMEMBERED);
        app.law.forget(now);
        app.quotas.forget(now);
        oauth::store::forget_expired(&app.db, now).await.unwrap();
        let change = app.ring_change("key.retired");
        keys::retire(&change, Permit::system(Job::KeyRotation)).await.unwrap();
        for key in &mut self.world.keys {
            let over = key.retires_at.is_some_and(|at| at <= self.world.now);
            if key.state == KeyState::Retiring && over {
                key.state = KeyState::Retired;
            }
        }
    }
}
