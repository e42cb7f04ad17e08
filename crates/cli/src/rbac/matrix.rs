//! The role matrix as people read one.

use serde_json::{Map, Value};

use crate::output::{matrix, plain};

pub(super) fn for_people(document: &Value) -> String {
    let roles = roles(document);
    let mut columns = vec![("RESOURCE".to_owned(), "resource".to_owned())];
    // A role may be called `resource`, too.
    columns.extend(roles.iter().map(|role| (plain(role), format!("role {role}"))));
    let columns: Vec<_> = columns.iter().map(|(title, member)| (&**title, &**member)).collect();
    matrix(&columns, &rows(document, &roles))
}

/// In the document's order, which is the order in which they are asked.
fn roles(document: &Value) -> Vec<String> {
    let listed = document["roles"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut roles: Vec<String> = Vec::new();
    for role in listed.chain(granting(document).map(|(role, _)| role)) {
        if !roles.iter().any(|known| known == role) {
            roles.push(role.to_owned());
        }
    }
    roles
}

fn rows(document: &Value, roles: &[String]) -> Vec<Value> {
    let resources = granting(document).flat_map(|(_, resources)| resources.keys());
    let mut resources: Vec<&String> = resources.collect();
    resources.sort_unstable();
    resources.dedup();
    let row = |resource: &String| {
        let mut row = Map::new();
        row.insert("resource".to_owned(), resource.as_str().into());
        for role in roles {
            let actions = &document["matrix"][role][resource];
            let none = actions.as_array().is_some_and(Vec::is_empty);
            let cell = if none { Value::Null } else { actions.clone() };
            row.insert(format!("role {role}"), cell);
        }
        Value::Object(row)
    };
    resources.into_iter().map(row).collect()
}

/// Roles with what they may do.
fn granting(document: &Value) -> impl Iterator<Item = (&str, &Map<String, Value>)> {
    let matrix = document["matrix"].as_object().into_iter().flatten();
    matrix.filter_map(|(role, resources)| Some((role.as_str(), resources.as_object()?)))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_is_a_resource_and_a_column_a_role() {
        let document = json!({
            "version": "1.0.0",
            "roles": ["infra", "resource", "readonly"],
            "matrix": {
                "readonly": {"agents": ["read"], "keys": []},
                "infra": {"agents": ["read", "write"], "keys": ["read", "write"]},
                "unlisted\u{1b}": {"ssh": ["sign"]},
            },
        });
        assert_snapshot!(for_people(&document), @r"
        RESOURCE  infra        resource  readonly  unlisted\u{1b}
        agents    read, write  -         read      -
        keys      read, write  -         -         -
        ssh       -            -         -         sign
        ");
    }

    #[test]
    fn what_is_no_matrix_is_an_empty_one() {
        assert_snapshot!(for_people(&json!({"matrix": [1], "roles": "infra"})), @"RESOURCE");
        assert_snapshot!(for_people(&json!(null)), @"RESOURCE");
    }
}
