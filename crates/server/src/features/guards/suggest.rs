//! The smallest change that would admit a caller, and whether it has been made.

use countersign_policy::routes::{Needs, Route};
use countersign_policy::{Matrix, Routes, Subject, nothing};

use super::report::Seen;
use crate::law::Law;

/// What would admit a group, and whether it would be admitted now.
pub fn advice(law: &Law, seen: &Seen) -> (String, bool) {
    let (routes, matrix) = (law.routes(), law.matrix());
    let route = routes.as_deref().and_then(|routes| route(routes, &seen.route));
    if seen.permission.is_empty() && route.is_none() {
        return ("the route table has no such route any more".into(), true);
    }
    let Some((kind, id)) = seen.caller.split_once(':').filter(|_| !is_anonymous(seen)) else {
        let open = route.is_some_and(|route| route.needs == Needs::Nothing);
        return (anonymous(seen, route), open);
    };
    let resolved = !seen.held && admitted(law, route, kind, id, &seen.permission);
    (of_proven(&matrix, seen, route, kind, id), resolved)
}

fn is_anonymous(seen: &Seen) -> bool {
    seen.caller.starts_with("anonymous@")
}

/// The route of a group: `METHOD path`.
fn route<'r>(routes: &'r Routes, name: &str) -> Option<&'r Route> {
    let (method, path) = name.split_once(' ')?;
    let lists = |route: &&Route| {
        route.methods.as_ref().is_none_or(|methods| methods.iter().any(|one| **one == *method))
    };
    let of_path = || routes.iter().filter(|route| *route.path == *path);
    of_path().find(lists)
}

fn anonymous(seen: &Seen, route: Option<&Route>) -> String {
    let place = route.map(|route| format!("make {} public", route.at));
    let or = place.map(|place| format!(", or {place}")).unwrap_or_default();
    match &*seen.reason {
        "no-credentials" => format!("have the caller send its credential{or}"),
        _ => format!("have the caller send a credential that is good (`{}`){or}", seen.reason),
    }
}

fn of_proven(matrix: &Matrix, seen: &Seen, route: Option<&Route>, kind: &str, id: &str) -> String {
    let permission = &seen.permission;
    if seen.reason == "caller_not_listed" {
        let at = route.map_or("the route", |route| &route.at);
        return format!("add `{kind}:{id}` to the `callers` of {at}");
    }
    match kind {
        "agent" | "service" if seen.held => {
            format!("have it fetch a new token: it may `{permission}`, its token does not say so")
        }
        "agent" | "service" => format!("give {kind} {id} the scope `{permission}`"),
        "machine" => {
            format!("give the role `machine` `{permission}`, or let the caller be an agent")
        }
        _ => match smallest_role(matrix, permission) {
            Some(role) => format!("give {kind} {id} the role `{role}`"),
            None => format!("no role holds `{permission}`: add it to one in the role matrix"),
        },
    }
}

/// The role that holds a permission and the least besides.
fn smallest_role<'m>(matrix: &'m Matrix, permission: &str) -> Option<&'m str> {
    let (resource, action) = permission.split_once(':')?;
    let holds = |role: &&str| matrix.granting([*role], resource, action).is_some();
    matrix.roles().filter(holds).min_by_key(|role| matrix.permissions([*role]).iter().len())
}

/// Whether a route, or a permission of our own, would admit a caller as it is known now.
fn admitted(law: &Law, route: Option<&Route>, kind: &str, id: &str, permission: &str) -> bool {
    let directory = &law.directory;
    let tenant = match kind {
        "agent" => id.parse().ok().and_then(|id| Some(directory.agent(id)?.tenant.clone())),
        "operator" => id.parse().ok().and_then(|id| Some(directory.operator(&id)?.tenant.clone())),
        _ => Some("default".into()),
    };
    let Some(tenant) = tenant else { return false };
    let subject = Subject { kind, id, tenant: Some(&tenant), properties: nothing() };
    let (known, matrix) = (law.known(&subject, &tenant), law.matrix());
    let answer = match (route, permission.split_once(':')) {
        (Some(route), _) => route.admits((kind, id), known.holder(), &matrix),
        (None, Some((resource, action))) => known.holder().reason(&matrix, resource, action),
        (None, None) => return false,
    };
    answer.is_ok()
}
