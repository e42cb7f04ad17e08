//! Which route answers, and why not the others.

use super::{Found, Host, Refusal, Route, Routes, Target};
use crate::decision::Reason;

/// Which route answers a request.
#[derive(Debug)]
pub struct Explained<'r> {
    /// `route`, `passes` or `refused`.
    pub outcome: &'static str,
    /// Why it is refused whoever asks, if it is.
    pub reason: Option<Reason>,
    /// The route that answers, or would.
    pub route: Option<&'r Route>,
    /// Those whose host and path match, the most specific first, and what becomes of each.
    pub considered: Vec<(&'r Route, String)>,
}

impl Routes {
    /// Which route answers a request, and which others might have.
    #[must_use]
    pub fn explain(&self, method: &str, host: &str, target: &str) -> Explained<'_> {
        let (outcome, refusal, route) = match self.find(method, host, target) {
            Found::Route(route) => ("route", None, Some(route)),
            Found::Passes => ("passes", None, None),
            Found::Refused(refusal, route) => ("refused", Some(refusal), route),
        };
        let all = Host::read(host).zip(Target::read(target).path);
        let all = all.map(|(host, path)| self.tree.all(path, &host)).unwrap_or_default();
        let mut considered = Vec::new();
        for (rank, routes) in all.into_iter().enumerate() {
            for at in routes {
                let one = &self.all[*at];
                let lists =
                    one.methods.as_ref().is_none_or(|all| all.iter().any(|it| **it == *method));
                let why = if rank > 0 {
                    "its path is less specific".to_owned()
                } else if !lists {
                    format!("it does not list `{method}`")
                } else if route.is_none_or(|route| route.at != one.at) {
                    "another one lists the method".to_owned()
                } else if let Some(Refusal::Ambiguous(ambiguity)) = refusal {
                    format!("it would answer, but {} is ambiguous", ambiguity.what())
                } else {
                    "it answers".to_owned()
                };
                considered.push((one, why));
            }
        }
        let reason = refusal.map(Refusal::reason);
        Explained { outcome, reason, route, considered }
    }
}
