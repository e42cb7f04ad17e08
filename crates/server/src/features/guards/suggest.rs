//! The smallest change that would admit a caller, and whether it has been made.

use std::collections::HashMap;
use std::sync::Arc;

use countersign_policy::routes::{Needs, Route};
use countersign_policy::{Matrix, Routes, Subject, nothing};

use super::report::Seen;
use crate::law::{Law, besides};

/// What admits, as it is now.
pub struct Advice<'l> {
    law: &'l Law,
    guard: &'l str,
    matrix: Arc<Matrix>,
    routes: HashMap<(&'l str, &'l str), Vec<&'l Route>>,
}

impl<'l> Advice<'l> {
    /// About what a guard denied, by these routes.
    #[must_use]
    pub fn new(law: &'l Law, routes: Option<&'l Routes>, guard: &'l str) -> Self {
        let mut by_name: HashMap<_, Vec<_>> = HashMap::new();
        for route in routes.into_iter().flat_map(Routes::iter) {
            let name = (route.host.as_deref().unwrap_or_default(), &*route.path);
            by_name.entry(name).or_default().push(route);
        }
        Self { law, guard, matrix: law.matrix(), routes: by_name }
    }

    /// What would admit a group, and whether it would be admitted now.
    #[must_use]
    pub fn on(&self, seen: &Seen) -> (String, bool) {
        if seen.package == besides::PACKAGE {
            let what = format!("have the policy directory allow it: it says `{}`", seen.reason);
            return (what, false);
        }
        let Some((method, name)) = seen.route.split_once(' ') else {
            return self.by(seen, None);
        };
        let route = self.route(method, name);
        let Some(route) = route.filter(|route| route.guard.as_deref() == Some(self.guard)) else {
            return (
                "look at the routes: none like this is behind this guard any more".into(),
                false,
            );
        };
        self.by(seen, Some(route))
    }

    fn by(&self, seen: &Seen, route: Option<&Route>) -> (String, bool) {
        if seen.caller == "others" || seen.route == "others" {
            return ("look at the record: there were too many to tell apart".into(), false);
        }
        let Some((kind, id)) = seen.caller.split_once(':').filter(|_| !is_anonymous(seen)) else {
            let open = route.is_some_and(|route| route.needs == Needs::Nothing);
            return (anonymous(seen, route), open);
        };
        let resolved = !seen.held && admitted(self.law, route, kind, id, &seen.permission);
        (of_proven(&self.matrix, seen, route, kind, id), resolved)
    }

    /// The route of a group: a method, or `*` where it lists none; its host, if it has one, and path.
    fn route(&self, method: &str, name: &str) -> Option<&'l Route> {
        let (host, path) = name.split_at(name.find('/')?);
        let lists = |route: &&&Route| match &route.methods {
            Some(methods) => methods.iter().any(|one| **one == *method),
            None => method == "*",
        };
        self.routes.get(&(host, path))?.iter().find(lists).copied()
    }
}

fn is_anonymous(seen: &Seen) -> bool {
    seen.caller.starts_with("anonymous@")
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
    if seen.reason == "method_override" {
        return "have it send the method itself, and no header that names another".into();
    }
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
