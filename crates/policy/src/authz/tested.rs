//! What tests of a directory ask of it besides answers: where they have been.

use std::collections::BTreeMap;

use regorus::Value;

use super::endpoints::Place;
use super::{Asked, Authz, Form, SCOPES, scopes};
use crate::rego::{Marked, Reached};
use crate::strict;

impl Authz {
    /// The data of its rules, if it has rules.
    pub(crate) fn data(&self) -> Option<&Value> {
        match &self.form {
            Form::Rego(rules) => Some(rules.data()),
            _ => None,
        }
    }

    /// Its rules, marked, if it has rules.
    pub(crate) fn marked(&self) -> Option<Marked> {
        match &self.form {
            Form::Rego(rules) => Some(rules.marked()),
            _ => None,
        }
    }

    /// Asks for the lines that answering reaches.
    pub(crate) fn reach(&self, marked: &Marked, asked: &Asked<'_>, at: i64, reached: &mut Reached) {
        if let Form::Rego(rules) = &self.form {
            rules.reach(marked, asked, at, reached);
        }
    }

    /// Where the endpoint that answers stands in the table, if there is a table and it knows one.
    pub(crate) fn endpoint(&self, asked: &Asked<'_>) -> Option<Place> {
        match &self.form {
            Form::Scopes(endpoints) => endpoints.place(asked),
            _ => None,
        }
    }

    /// All endpoints, if there is a table, as the text says them.
    pub(crate) fn endpoints(
        &self,
        files: &BTreeMap<String, String>,
    ) -> Option<Vec<(Place, String)>> {
        let Form::Scopes(endpoints) = &self.form else { return None };
        let table = strict(files.get(SCOPES)?).ok()?;
        let named = table.as_object()?.keys().filter_map(|endpoint| {
            let (method, path) = scopes::read_endpoint(endpoint).ok()?;
            Some((endpoints.of(method, path)?, endpoint.clone()))
        });
        Some(named.collect())
    }
}
