//! The role matrix as the contract gives it, and the levels of approval.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What each role, or its alias, holds.
pub struct Roles {
    held: BTreeMap<String, BTreeSet<String>>,
    infra: BTreeSet<String>,
}

impl Roles {
    pub fn of_the_contract() -> Self {
        let text = include_str!("../../../../../tests/vectors/rbac-policies.json");
        let file: Value = serde_json::from_str(text).unwrap();
        let roles = file["matrix"].as_object().unwrap();
        let named = |role: &Value| role.as_object().unwrap().iter().flat_map(named).collect();
        let mut held: BTreeMap<String, BTreeSet<String>> =
            roles.iter().map(|(name, role)| (name.clone(), named(role))).collect();
        let mut infra = BTreeSet::from(["infra".to_owned()]);
        for (alias, role) in file["aliases"].as_object().unwrap() {
            held.insert(alias.clone(), held[role.as_str().unwrap()].clone());
            if role == "infra" {
                infra.insert(alias.clone());
            }
        }
        Self { held, infra }
    }

    /// All that these roles hold together.
    pub fn permissions<'r>(&'r self, names: &'r [&str]) -> impl Iterator<Item = &'r str> {
        names.iter().flat_map(|name| &self.held[*name]).map(String::as_str)
    }

    pub fn hold(&self, names: &[&str], permission: &str) -> bool {
        names.iter().any(|name| self.held[*name].contains(permission))
    }

    pub fn cross_tenants(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.infra.contains(*name))
    }

    /// Whether any role holds it.
    pub fn know(&self, permission: &str) -> bool {
        self.held.values().any(|held| held.contains(permission))
    }
}

fn named((resource, actions): (&String, &Value)) -> Vec<String> {
    let actions = actions.as_array().unwrap().iter();
    actions.map(|action| format!("{resource}:{}", action.as_str().unwrap())).collect()
}

/// Contract 2.5.
pub fn level(by_hand: Option<u8>, roles: &[&str]) -> u8 {
    let by_role = |role: &&str| match *role {
        "owner" | "admin" | "infra" => 5,
        "manager" | "policy_admin" | "director" => 4,
        "team_lead" | "senior_engineer" | "tech_lead" | "approver" => 3,
        "team_member" | "engineer" | "developer" => 2,
        _ => 1,
    };
    by_hand.unwrap_or_else(|| roles.iter().map(by_role).max().unwrap_or(1))
}
