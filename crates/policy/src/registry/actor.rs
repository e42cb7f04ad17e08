//! An actor of an SSH inventory, as a resource of the type `ssh-certificate` registers it.

use crate::json::{Json, Members};

/// Who may have certificates, and which.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Actor {
    /// `adm`, `agt` or `atm`.
    pub(crate) kind: &'static str,
    /// The principals that a certificate may name.
    pub(crate) principals: Box<[Box<str>]>,
    /// Hours.
    pub(crate) min_ttl: i64,
    /// Hours.
    pub(crate) max_ttl: i64,
    /// Who may ask for one.
    pub(crate) subjects: Box<[Box<str>]>,
    /// The one command, if certificates are bound to one.
    pub(crate) force_command: Option<Box<str>>,
    /// The addresses it is good from; everywhere when there are none.
    pub(crate) source_addresses: Box<[Box<str>]>,
}

/// The type of a resource that is an actor.
pub(crate) const KIND: &str = "ssh-certificate";

impl Actor {
    /// Reads the attributes of a resource; tells each fault by its name.
    pub(super) fn read(attributes: &Members<'_>, fault: &mut impl FnMut(&str, &str)) -> Self {
        let mut text = |name: &str| match attributes.get(name) {
            Some(Json::Text(text)) if !text.is_empty() => Some(Box::<str>::from(&**text)),
            None => None,
            Some(_) => {
                fault(name, "must be text");
                None
            }
        };
        let (kind, force_command) = (text("actor_type"), text("force_command"));
        let mut texts = |name: &str| -> Box<[Box<str>]> {
            let items = match attributes.get(name) {
                Some(Json::List(items)) => items.as_slice(),
                None => &[],
                Some(_) => {
                    fault(name, "must be a list of texts");
                    &[]
                }
            };
            if !items.iter().all(|item| item.as_str().is_some_and(|text| !text.is_empty())) {
                fault(name, "must be a list of texts");
            }
            items.iter().filter_map(Json::as_str).map(Box::from).collect()
        };
        let (principals, subjects, source_addresses) =
            (texts("allowed_principals"), texts("allowed_subjects"), texts("source_addresses"));
        let mut hours = |name: &str, otherwise: Option<i64>| match attributes.get(name) {
            None if otherwise.is_some() => otherwise.unwrap_or_default(),
            hours => match hours.and_then(Json::as_i64).filter(|hours| *hours >= 1) {
                Some(hours) => hours,
                None => {
                    fault(name, "must be a whole number of hours, at least 1");
                    0
                }
            },
        };
        let (min_ttl, max_ttl) = (hours("min_ttl_hours", Some(1)), hours("max_ttl_hours", None));
        let kind = kind.and_then(|kind| ["adm", "agt", "atm"].into_iter().find(|it| **it == *kind));
        if kind.is_none() {
            fault("actor_type", "must be `adm`, `agt` or `atm`");
        }
        Self {
            kind: kind.unwrap_or_default(),
            principals,
            min_ttl,
            max_ttl,
            subjects,
            force_command,
            source_addresses,
        }
    }
}
