//! Operators and their tokens: what the model says of each call, and what the call changes.

use reqwest::Method;
use serde_json::{Value, json};

use super::agents::NO_AGENT;
use super::callers::{Acting, No, Reach, Verdict};
use super::calls::{Life, OperatorChange, ROLES, Tag};
use super::credentials::text;
use super::roles::level;
use super::run::{Asked, Run};
use super::state::{BOOTSTRAP, Operator, OperatorToken, World};

const OPERATORS: &str = "/api/v1/operators";

fn roles_of(index: u8) -> Vec<&'static str> {
    ROLES[usize::from(index) % ROLES.len()].to_vec()
}

impl World {
    /// Which operator an index means, save the first one of all; one more than there are: nobody.
    pub fn pick_operator(&self, index: u8) -> Option<usize> {
        let index = usize::from(index) % self.operators.len() + 1;
        (index < self.operators.len()).then_some(index)
    }

    fn operator_id(&self, operator: Option<usize>) -> String {
        operator.map_or_else(|| NO_AGENT.to_owned(), |one| self.operators[one].id.clone())
    }

    fn operator_here(&self, acting: Acting, operator: Option<usize>) -> Result<usize, No> {
        let here = operator.filter(|&one| {
            self.operators[one].tenant == acting.tenant && !self.operators[one].removed
        });
        here.ok_or(No::new(404, "OPERATOR_NOT_FOUND"))
    }

    /// Nobody gives, or touches, what holds more than they do.
    fn not_beyond(&self, acting: Acting, over: &str, roles: &[&str], level: u8) -> Verdict {
        let lacks = self.roles.permissions(roles).any(|one| !self.holds(acting.who, one));
        let crosses = self.roles.cross_tenants(roles) && !self.crosses(acting.who);
        if lacks || crosses || level > self.level(acting.who) {
            return Err(self.denied(acting, "operators:write", over, lacks));
        }
        Ok(())
    }

    /// Leave to touch an operator as they are.
    fn may_touch(&self, acting: Acting, operator: Option<usize>) -> Result<usize, No> {
        let operator = self.operator_here(acting, operator)?;
        let known = &self.operators[operator];
        self.not_beyond(acting, &known.id, &known.roles, self.level_of(operator))?;
        Ok(operator)
    }

    fn administers(&self, operator: usize) -> bool {
        let known = &self.operators[operator];
        let signs_in = known.tokens.iter().any(|token| token.is_live(self.now));
        !known.removed && signs_in && self.roles.hold(&known.roles, "operators:write")
    }

    /// Refuses to lose the last one who administers a tenant.
    fn somebody_left(&self, operator: usize) -> Verdict {
        let tenant = self.operators[operator].tenant;
        let mut others = (0..self.operators.len()).filter(|&one| one != operator);
        let left = others.any(|one| self.operators[one].tenant == tenant && self.administers(one));
        if left { Ok(()) } else { Err(No::new(409, "CONFLICT")) }
    }

    fn free_email(&self, tenant: usize, email: &str, but: Option<usize>) -> Verdict {
        let taken = self.operators.iter().enumerate().any(|(i, one)| {
            Some(i) != but && one.tenant == tenant && !one.removed && one.email == email
        });
        if taken { Err(No::new(409, "CONFLICT")) } else { Ok(()) }
    }
}

impl Run<'_> {
    fn address(&self, email: u8) -> String {
        format!("{}-{email}@people.example", self.name)
    }

    pub async fn create_operator(
        &mut self,
        asked: Asked,
        email: u8,
        roles: u8,
        by_hand: Option<u8>,
    ) {
        let (email, roles) = (self.address(email), roles_of(roles));
        let world = &self.world;
        let verdict = asked.acting.clone().and_then(|acting| {
            world.may(acting, "operators:write", Reach::Tenant, "*")?;
            world.not_beyond(acting, "*", &roles, level(by_hand, &roles))?;
            world.free_email(acting.tenant, &email, None)
        });
        let mut body = json!({"email": email, "displayName": "Olga", "roles": roles});
        if let Some(level) = by_hand {
            body["maxApprovalLevel"] = json!(level);
        }
        let answer = self.send(&asked, Method::POST, OPERATORS, body).await;
        if self.agrees(&answer, 201, &verdict) {
            let acting = asked.acting.unwrap();
            self.gained_nothing(acting, &roles);
            let id = text(&answer.json(), "operatorId");
            self.world.note(acting.tenant, "operator.created", format!("operators/{id}"));
            self.world.operators.push(Operator {
                id,
                tenant: acting.tenant,
                email,
                roles,
                level_by_hand: by_hand,
                revision: 1,
                removed: false,
                tokens: Vec::new(),
            });
            self.operator_is_as_shown(self.world.operators.len() - 1, &answer.json());
        }
    }

    /// Whoever gave these roles holds all that they hold.
    fn gained_nothing(&self, acting: Acting, roles: &[&str]) {
        for permission in self.world.roles.permissions(roles) {
            assert!(self.world.holds(acting.who, permission), "{}: gained {permission}", self.at);
        }
    }

    fn operator_is_as_shown(&self, operator: usize, shown: &Value) {
        let known = &self.world.operators[operator];
        let wanted = json!({
            "operatorId": known.id, "tenant": self.world.tenants[known.tenant].id,
            "roles": known.roles, "approvalLevel": self.world.level_of(operator),
        });
        for (name, value) in wanted.as_object().unwrap() {
            assert_eq!(&shown[name], value, "{}: {name} of {shown}", self.at);
        }
    }

    pub async fn list_operators(&mut self, asked: Asked) {
        let world = &self.world;
        let verdict = asked
            .acting
            .clone()
            .and_then(|acting| world.may(acting, "operators:read", Reach::Tenant, "*"));
        let path = format!("{OPERATORS}?limit=100");
        let answer = self.send(&asked, Method::GET, &path, Value::Null).await;
        if self.agrees(&answer, 200, &verdict) {
            let tenant = asked.acting.unwrap().tenant;
            for shown in answer.json()["data"].as_array().unwrap() {
                assert_eq!(shown["tenant"], self.world.tenants[tenant].id, "{}: {shown}", self.at);
            }
        }
    }

    pub async fn show_operator(&mut self, asked: Asked, operator: u8) {
        let operator = self.world.pick_operator(operator);
        let id = self.world.operator_id(operator);
        let world = &self.world;
        let verdict = asked.acting.clone().and_then(|acting| {
            world.may(acting, "operators:read", Reach::Tenant, &id)?;
            world.operator_here(acting, operator).map(drop)
        });
        let path = format!("{OPERATORS}/{id}");
        let answer = self.send(&asked, Method::GET, &path, Value::Null).await;
        if self.agrees(&answer, 200, &verdict) {
            self.operator_is_as_shown(operator.unwrap(), &answer.json());
        }
    }

    pub async fn patch_operator(
        &mut self,
        asked: Asked,
        operator: u8,
        change: OperatorChange,
        tag: Tag,
    ) {
        let operator = self.world.pick_operator(operator);
        let id = self.world.operator_id(operator);
        let (roles, by_hand, email) = match change {
            OperatorChange::Roles(roles) => (Some(roles_of(roles)), None, None),
            OperatorChange::Level(level) => (None, Some(level), None),
            OperatorChange::RolesAndLevel(roles, level) => {
                (Some(roles_of(roles)), Some(Some(level)), None)
            }
            OperatorChange::Email(email) => (None, None, Some(self.address(email))),
            OperatorChange::Name => (None, None, None),
        };
        let world = &self.world;
        let verdict = asked.acting.clone().and_then(|acting| {
            world.may(acting, "operators:write", Reach::Tenant, &id)?;
            let target = world.may_touch(acting, operator)?;
            let known = &world.operators[target];
            let wanted = roles.as_ref().unwrap_or(&known.roles);
            // Roles alone are given with the level that they mean.
            let given = match (by_hand, &roles) {
                (Some(by_hand), _) => level(by_hand, wanted),
                (None, Some(_)) => level(None, wanted),
                (None, None) => world.level_of(target),
            };
            world.not_beyond(acting, &id, wanted, given)?;
            if matches!(tag, Tag::Stale) {
                return Err(No::new(412, "PRECONDITION_FAILED"));
            }
            if let Some(email) = &email {
                world.free_email(known.tenant, email, Some(target))?;
            }
            let stays = world.roles.hold(wanted, "operators:write");
            if world.administers(target) && !stays { world.somebody_left(target) } else { Ok(()) }
        });
        let mut body = json!({});
        if let Some(roles) = &roles {
            body["roles"] = json!(roles);
        }
        if let Some(by_hand) = by_hand {
            body["maxApprovalLevel"] = json!(by_hand);
        }
        if let Some(email) = &email {
            body["email"] = json!(email);
        }
        if matches!(change, OperatorChange::Name) {
            body["displayName"] = json!("Oleg");
        }
        let tag = self.tag(tag, operator.map(|one| self.world.operators[one].revision));
        let path = format!("{OPERATORS}/{id}");
        let answer = self.send_if(&asked, Method::PATCH, &path, body, tag).await;
        if self.agrees(&answer, 200, &verdict) {
            let (acting, operator) = (asked.acting.unwrap(), operator.unwrap());
            self.gained_nothing(acting, roles.as_deref().unwrap_or_default());
            let known = &mut self.world.operators[operator];
            known.revision += 1;
            known.roles = roles.unwrap_or_else(|| known.roles.clone());
            known.level_by_hand = by_hand.unwrap_or(known.level_by_hand);
            known.email = email.unwrap_or_else(|| known.email.clone());
            self.world.note(acting.tenant, "operator.updated", format!("operators/{id}"));
            self.operator_is_as_shown(operator, &answer.json());
        }
    }

    pub async fn delete_operator(&mut self, asked: Asked, operator: u8, tag: Tag) {
        let operator = self.world.pick_operator(operator);
        let id = self.world.operator_id(operator);
        let world = &self.world;
        let verdict = asked.acting.clone().and_then(|acting| {
            world.may(acting, "operators:write", Reach::Tenant, &id)?;
            let target = world.may_touch(acting, operator)?;
            if matches!(tag, Tag::Stale) {
                return Err(No::new(412, "PRECONDITION_FAILED"));
            }
            if world.administers(target) { world.somebody_left(target) } else { Ok(()) }
        });
        let tag = self.tag(tag, operator.map(|one| self.world.operators[one].revision));
        let path = format!("{OPERATORS}/{id}");
        let answer = self.send_if(&asked, Method::DELETE, &path, Value::Null, tag).await;
        if self.agrees(&answer, 204, &verdict) {
            let operator = operator.unwrap();
            self.world.operators[operator].removed = true;
            let tenant = asked.acting.unwrap().tenant;
            self.world.note(tenant, "operator.removed", format!("operators/{id}"));
            self.look_at_operator(operator).await;
        }
    }

    pub async fn create_operator_token(&mut self, asked: Asked, operator: u8, life: Life) {
        let operator = self.world.pick_operator(operator);
        let id = self.world.operator_id(operator);
        let (body, expires_at) = self.world.expiry(life);
        let world = &self.world;
        let verdict = asked.acting.clone().and_then(|acting| {
            world.may(acting, "operators:write", Reach::Tenant, &id)?;
            if matches!(life, Life::Past) {
                return Err(No::new(400, "VALIDATION_ERROR"));
            }
            world.may_touch(acting, operator).map(drop)
        });
        let path = format!("{OPERATORS}/{id}/tokens");
        let answer = self.send(&asked, Method::POST, &path, body).await;
        if self.agrees(&answer, 201, &verdict) {
            let (operator, made) = (operator.unwrap(), answer.json());
            let acting = asked.acting.unwrap();
            self.gained_nothing(acting, &self.world.operators[operator].roles);
            let (id_of_token, secret) = (text(&made, "tokenId"), text(&made, "token"));
            let new = OperatorToken { id: id_of_token, text: secret, expires_at, revoked: false };
            self.world.operators[operator].tokens.push(new);
            self.world.note(acting.tenant, "operator.token_created", format!("operators/{id}"));
            self.look_at_operator(operator).await;
        }
    }

    pub async fn list_operator_tokens(&mut self, asked: Asked, operator: u8) {
        let operator = self.world.pick_operator(operator);
        let id = self.world.operator_id(operator);
        let world = &self.world;
        let verdict = asked.acting.clone().and_then(|acting| {
            world.may(acting, "operators:read", Reach::Tenant, &id)?;
            world.operator_here(acting, operator).map(drop)
        });
        let path = format!("{OPERATORS}/{id}/tokens?limit=100");
        let answer = self.send(&asked, Method::GET, &path, Value::Null).await;
        if self.agrees(&answer, 200, &verdict) {
            let known = &self.world.operators[operator.unwrap()].tokens;
            let listing = answer.json();
            let shown = listing["data"].as_array().unwrap();
            assert_eq!(shown.len(), known.len(), "{}: {listing}", self.at);
            for one in known {
                let row = shown.iter().find(|row| row["tokenId"] == *one.id).unwrap();
                let live = one.is_live(self.world.now);
                assert_eq!(row["status"] == "active", live, "{}: {row}", self.at);
                assert!(row.get("token").is_none(), "{}", self.at);
            }
        }
    }

    pub async fn revoke_operator_token(&mut self, asked: Asked, operator: u8, token: u8) {
        let operator = self.world.pick_operator(operator);
        let id = self.world.operator_id(operator);
        let world = &self.world;
        let tokens = operator.map_or(0, |one| world.operators[one].tokens.len());
        let token = usize::from(token) % (tokens + 1);
        let verdict = asked.acting.clone().and_then(|acting| {
            world.may(acting, "operators:write", Reach::Tenant, &id)?;
            let target = world.may_touch(acting, operator)?;
            let known = &world.operators[target].tokens;
            let this = known.get(token).ok_or(No::new(404, "TOKEN_NOT_FOUND"))?;
            if this.revoked {
                return Err(No::new(409, "CONFLICT"));
            }
            let mut others = known.iter().enumerate().filter(|(i, _)| *i != token);
            let stays = others.any(|(_, one)| one.is_live(world.now));
            if world.administers(target) && !stays { world.somebody_left(target) } else { Ok(()) }
        });
        let token_id = operator
            .and_then(|one| self.world.operators[one].tokens.get(token))
            .map_or_else(|| NO_AGENT.to_owned(), |one| one.id.clone());
        let path = format!("{OPERATORS}/{id}/tokens/{token_id}");
        let answer = self.send(&asked, Method::DELETE, &path, Value::Null).await;
        if self.agrees(&answer, 204, &verdict) {
            let operator = operator.unwrap();
            self.world.operators[operator].tokens[token].revoked = true;
            let tenant = asked.acting.unwrap().tenant;
            self.world.note(tenant, "operator.token_revoked", format!("operators/{id}"));
            self.look_at_operator(operator).await;
        }
    }

    /// Whether each token of an operator is taken is what the model says.
    pub async fn look_at_operator(&mut self, operator: usize) {
        if operator == BOOTSTRAP {
            return;
        }
        for token in 0..self.world.operators[operator].tokens.len() {
            self.figures.token_checks += 1;
            let live = self.world.operator_token_is_live(operator, token);
            let status = self.door(&self.world.operators[operator].tokens[token].text).await;
            let wanted = if live { 200 } else { 401 };
            assert_eq!(status, wanted, "{}: token {token} of operator {operator}", self.at);
        }
    }
}
