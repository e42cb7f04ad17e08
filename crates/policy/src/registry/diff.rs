//! What differs between two snapshots: who and what is new, gone, or another.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use crate::canonical;

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// `added`, `removed` or `changed`.
    pub change: &'static str,
    /// Such as `subject` or `resource`.
    pub kind: &'static str,
    /// Which one; of a relationship its subject, relation and object.
    pub id: String,
    /// The members that are not the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
}

const LISTS: [(&str, &str); 7] = [
    ("systems", "system"),
    ("resource_manifests", "manifest"),
    ("subjects", "subject"),
    ("groups", "group"),
    ("teams", "team"),
    ("tenants", "tenant"),
    ("relationships", "relationship"),
];

/// What `other` has that `one` has not, and the other way round; both are snapshots that can be used.
#[must_use]
pub fn differences(one: &Value, other: &Value) -> Vec<Difference> {
    let (before, after) = (things(one), things(other));
    let mut found = Vec::new();
    for (kind, id) in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let key = (*kind, id.clone());
        let (change, members) = match (before.get(&key), after.get(&key)) {
            (Some(before), Some(after)) => {
                let members = unlike(before, after);
                if members.is_empty() {
                    continue;
                }
                ("changed", members)
            }
            (None, _) => ("added", Vec::new()),
            (_, None) => ("removed", Vec::new()),
        };
        found.push(Difference { change, kind, id: id.clone(), members });
    }
    let whole =
        unlike(one, other).into_iter().filter(|name| matches!(&**name, "tenant" | "version"));
    let members: Vec<String> = whole.collect();
    if !members.is_empty() {
        found.insert(
            0,
            Difference { change: "changed", kind: "snapshot", id: "-".to_owned(), members },
        );
    }
    found
}

/// Everything in a snapshot, by kind and id. A manifest without its resources, these beside it.
fn things(snapshot: &Value) -> BTreeMap<(&'static str, String), Value> {
    let mut all = BTreeMap::new();
    for (list, kind) in LISTS {
        for thing in snapshot[list].as_array().into_iter().flatten() {
            let mut thing = thing.clone();
            if kind == "manifest" {
                for resource in thing["resources"].take().as_array().into_iter().flatten() {
                    let mut resource = resource.clone();
                    resource["manifest"] = thing["id"].clone();
                    all.insert(("resource", text(&resource["id"])), resource);
                }
            }
            let id = match kind {
                "relationship" => {
                    ["subject", "relation", "object"].map(|name| text(&thing[name])).join(" ")
                }
                _ => text(&thing["id"]),
            };
            all.insert((kind, id), thing);
        }
    }
    all
}

/// The members of two objects that differ; those of `attributes` and `properties` each by its name.
fn unlike(one: &Value, other: &Value) -> Vec<String> {
    let names = |value: &Value| -> Vec<String> {
        value.as_object().map(|members| members.keys().cloned().collect()).unwrap_or_default()
    };
    let all: BTreeSet<String> = names(one).into_iter().chain(names(other)).collect();
    let mut found = Vec::new();
    for name in all {
        let (before, after) = (&one[&name], &other[&name]);
        if canonical(before) == canonical(after) {
            continue;
        }
        if matches!(&*name, "attributes" | "properties") {
            found.extend(unlike(before, after).into_iter().map(|inner| format!("{name}.{inner}")));
        } else {
            found.push(name);
        }
    }
    found
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
