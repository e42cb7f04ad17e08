//! The inventory of SSH actors, as people write it, and the registry that follows from it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Value, json};

use crate::fault::{Fault, Faults, escaped};
use crate::ssh;

/// Who may have SSH certificates, in the order in which they are written.
#[derive(Debug)]
pub struct Inventory {
    actors: Vec<(String, Actor)>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Actor {
    r#type: String,
    principals: Vec<String>,
    ttl_hours: u32,
    max_ttl_hours: Option<u32>,
    description: String,
    #[serde(default)]
    subjects: Vec<String>,
    #[serde(default)]
    source_addresses: Vec<String>,
    force_command: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    actors: InOrder,
}

/// An inventory that can't be used. Holds the first faults, each with its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a usable inventory{}", .0.iter().map(|fault| format!("; {fault}")).collect::<String>())]
pub struct InvalidInventory(pub Vec<Fault>);

/// The types of actors, and the longest that a certificate of each is good, in hours.
const TYPES: [(&str, u32); 3] = [("adm", 48), ("agt", 24), ("atm", 8)];

impl Inventory {
    /// Reads one, in YAML.
    ///
    /// # Errors
    /// The first faults.
    pub fn read(text: &str) -> Result<Self, InvalidInventory> {
        let file: File = serde_saphyr::from_str(text).map_err(|error| {
            let what = error.to_string();
            let what = what.lines().next().unwrap_or_default();
            let what = what.strip_prefix("error: ").unwrap_or(what);
            // What follows is advice for programs.
            let what = what.split(", set ").next().unwrap_or_default().to_owned();
            InvalidInventory(vec![Fault { at: String::new(), what }])
        })?;
        let (mut actors, mut faults) = (Vec::new(), Faults::default());
        for (name, value) in file.actors.0 {
            let at = format!("/actors/{}", escaped(&name));
            match serde_json::from_value::<Actor>(value) {
                Ok(actor) => {
                    actor.check(&name, &at, &mut faults);
                    actors.push((name, actor));
                }
                Err(error) => faults.add(at, error.to_string()),
            }
        }
        if faults.is_empty() {
            Ok(Self { actors })
        } else {
            Err(InvalidInventory(faults.into_vec()))
        }
    }

    /// The snapshot in which each actor is a resource that it may have signed for itself.
    #[must_use]
    pub fn snapshot(&self, tenant: &str) -> Value {
        let groups = TYPES.map(|(kind, _)| {
            let members = self.actors.iter().filter(|(_, actor)| actor.r#type == kind);
            (kind, members.map(|(name, _)| name.as_str()).collect::<Vec<_>>())
        });
        let groups = || groups.iter().filter(|(_, members)| !members.is_empty());
        let resources = self.actors.iter().map(|(name, actor)| actor.resource(name));
        let subjects = self.actors.iter().map(|(name, actor)| {
            json!({"id": name, "type": actor.r#type, "display_name": name, "tenant": tenant,
                "groups": [format!("group:{}", actor.r#type)], "roles": []})
        });
        json!({
            "version": "1", "tenant": tenant,
            "systems": [{"id": ssh::SYSTEM, "policy_package": ssh::PACKAGE}],
            "resource_manifests": [{"id": "manifest:ops-warden/ssh-certificates", "system": ssh::SYSTEM,
                "actions": ["sign"], "resources": resources.collect::<Vec<_>>()}],
            "subjects": subjects.collect::<Vec<_>>(),
            "groups": groups().map(|(kind, members)| {
                json!({"id": format!("group:{kind}"), "display_name": kind, "members": members})
            }).collect::<Vec<_>>(),
            "teams": [],
            "tenants": [{"id": tenant, "display_name": shown(tenant)}],
            "relationships": groups().map(|(kind, _)| {
                json!({"subject": format!("group:{kind}"), "relation": "signer",
                    "object": format!("system:{}", ssh::SYSTEM)})
            }).collect::<Vec<_>>(),
        })
    }

    /// How many actors there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.actors.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.actors.is_empty()
    }
}

impl Actor {
    fn check(&self, name: &str, at: &str, faults: &mut Faults) {
        let Some((_, longest)) = TYPES.into_iter().find(|(kind, _)| self.r#type == *kind) else {
            return faults.add(format!("{at}/type"), "must be `adm`, `agt` or `atm`");
        };
        let parts = || name.split('-');
        let known = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        if name.len() > 128
            || parts().next() != Some(&*self.r#type)
            || parts().count() < 2
            || !parts().all(known)
        {
            let what = format!(
                "the name must be `{}-SCOPE-PURPOSE`, of lower-case letters and digits",
                self.r#type
            );
            faults.add(at, what);
        }
        let most = self.max_ttl_hours.unwrap_or(self.ttl_hours);
        if !(1..=longest).contains(&most) {
            faults.add(
                format!("{at}/max_ttl_hours"),
                format!("must be 1 to {longest} for `{}`", self.r#type),
            );
        }
        if !(1..=most).contains(&self.ttl_hours) {
            faults.add(format!("{at}/ttl_hours"), format!("must be 1 to {most}"));
        }
        for (member, texts, needed) in [
            ("principals", &self.principals, true),
            ("subjects", &self.subjects, false),
            ("source_addresses", &self.source_addresses, false),
        ] {
            if (needed && texts.is_empty()) || texts.iter().any(String::is_empty) {
                faults.add(
                    format!("{at}/{member}"),
                    "must name at least one, and none that is empty",
                );
            }
        }
        if let Some(wrong) = self.source_addresses.iter().find(|one| !is_network(one)) {
            let what =
                format!("`{}` is no address or network such as `10.0.0.0/8`", wrong.escape_debug());
            faults.add(format!("{at}/source_addresses"), what);
        }
    }

    fn resource(&self, name: &str) -> Value {
        let mut subjects = vec![name.to_owned(), format!("iam:{name}")];
        subjects.extend(self.subjects.iter().filter(|one| **one != name).cloned());
        let most = self.max_ttl_hours.unwrap_or(self.ttl_hours);
        let mut attributes = json!({
            "actor_name": name, "actor_type": self.r#type, "allowed_principals": self.principals,
            "min_ttl_hours": 1, "max_ttl_hours": most, "allowed_subjects": subjects,
        });
        // The longest is the default where none is registered.
        if self.ttl_hours != most {
            attributes["default_ttl_hours"] = self.ttl_hours.into();
        }
        if !self.source_addresses.is_empty() {
            attributes["source_addresses"] = self.source_addresses.clone().into();
        }
        if let Some(command) = &self.force_command {
            attributes["force_command"] = command.as_str().into();
        }
        if !self.description.is_empty() {
            attributes["description"] = self.description.as_str().into();
        }
        json!({"id": format!("ssh-cert:actor/{name}"), "type": ssh::RESOURCE_TYPE, "attributes": attributes})
    }
}

/// An address, or one with the length of its prefix.
fn is_network(text: &str) -> bool {
    let (address, prefix) =
        text.split_once('/').map_or((text, None), |(address, rest)| (address, Some(rest)));
    let Ok(address) = address.parse::<core::net::IpAddr>() else { return false };
    let bits = if address.is_ipv4() { 32 } else { 128 };
    prefix.is_none_or(|prefix| prefix.parse::<u8>().is_ok_and(|prefix| prefix <= bits))
}

/// `tenant:platform` for people: `Platform`.
fn shown(tenant: &str) -> String {
    let name = tenant.rsplit(':').next().unwrap_or(tenant);
    let mut characters = name.chars();
    characters.next().into_iter().flat_map(char::to_uppercase).chain(characters).collect()
}

/// The members of an object in the order in which they are written.
struct InOrder(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for InOrder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = InOrder;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("actors by name")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<InOrder, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(InOrder(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}
