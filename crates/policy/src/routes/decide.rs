//! What a route says of a caller, and the table's answer to a question about a request.

use super::{Found, Needs, Refusal, Route, Routes};
use crate::decision::{Reason, Verdict};
use crate::json::Json;
use crate::policies::Holder;
use crate::{Matrix, Permission, Question};

impl Routes {
    /// What a request is, as the resource of a question: its `id` is the path, the action's name is the method, and
    /// the context has the `host`.
    pub const RESOURCE: &str = "route";

    /// The table's answer to a question about a request.
    pub(crate) fn decide(
        &self,
        question: &Question<'_>,
        holder: Holder<'_>,
        matrix: &Matrix,
    ) -> Verdict {
        let host = question.context.get("host").and_then(Json::as_str).unwrap_or_default();
        match self.find(question.action.name, host, question.resource.id) {
            Found::Route(route) => {
                let caller = (question.subject.kind, question.subject.id);
                Verdict::new(route.admits(caller, holder, matrix)).by(route.at.to_string())
            }
            Found::Passes => Verdict::new(Ok(Reason::Word("unlisted"))),
            Found::Refused(refusal, route) => refusal.verdict(route),
        }
    }
}

impl Refusal {
    /// Denies; the route is the one that would have answered.
    #[must_use]
    pub fn verdict(self, route: Option<&Route>) -> Verdict {
        let verdict = Verdict::new(Err(self.reason()));
        match route {
            Some(route) => verdict.by(route.at.to_string()),
            None => verdict,
        }
    }
}

impl Route {
    /// Why the route lets a caller (kind and id) pass, or why not.
    ///
    /// # Errors
    /// Why not.
    pub fn admits(
        &self,
        caller: (&str, &str),
        holder: Holder<'_>,
        matrix: &Matrix,
    ) -> Result<Reason, Reason> {
        match (self.lists(caller, holder)?, self.permission()) {
            (Reason::Word(LISTED), Some(permission)) => {
                holder.reason(matrix, permission.resource(), permission.action())
            }
            (reason, _) => Ok(reason),
        }
    }

    /// The same without the permission that it needs.
    ///
    /// # Errors
    /// Why not.
    pub fn lists(&self, (kind, id): (&str, &str), holder: Holder<'_>) -> Result<Reason, Reason> {
        let Needs::Caller(callers, _) = &self.needs else { return Ok(Reason::Word("public")) };
        match holder {
            Holder::Stranger => Err(Reason::NoCredentials),
            Holder::Stopped => Err(Reason::SubjectNotActive),
            _ if callers.as_ref().is_none_or(|callers| callers.admit(kind, id)) => {
                Ok(Reason::Word(LISTED))
            }
            _ => Err(Reason::Word("caller_not_listed")),
        }
    }

    /// The permission that it needs.
    #[must_use]
    pub fn permission(&self) -> Option<&Permission> {
        match &self.needs {
            Needs::Caller(_, permission) => permission.as_ref(),
            Needs::Nothing => None,
        }
    }
}

const LISTED: &str = "caller_listed";
