//! Reading a snapshot: element by element, so that a large one is never twice in memory, hashed on the
//! way in its canonical form (RFC 8785).

mod links;
mod things;

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use serde_json::value::RawValue;

use super::elements::{At, Element, Unread};
use super::{InvalidRegistry, Registry};
use crate::canonical::write_text;
use crate::fault::{Faults, escaped};
use crate::json::Json;

const ARRAYS: [&str; 7] =
    ["groups", "relationships", "resource_manifests", "subjects", "systems", "teams", "tenants"];
/// What the text of the digest may grow to before it is hashed.
const PIECE: usize = 1 << 16;

impl Registry {
    /// Reads a snapshot.
    ///
    /// # Errors
    /// Every fault, with its JSON pointer, when it can't be used.
    pub fn parse(text: &str) -> Result<Self, InvalidRegistry> {
        Self::parse_giving_way(text, &mut || {})
    }

    /// The same, calling `give_way` again and again: a large one takes a while.
    ///
    /// # Errors
    /// As [`Registry::parse`].
    pub fn parse_giving_way(
        text: &str,
        give_way: &mut dyn FnMut(),
    ) -> Result<Self, InvalidRegistry> {
        let mut reader = Reader::new(give_way);
        match serde_json::from_str::<Unread<'_>>(text) {
            Ok(members) => reader.whole(&members),
            Err(error) => reader.faults.add("", error.to_string()),
        }
        reader.finish()
    }
}

/// What is named before it is known to exist.
struct Named {
    /// `groups`, `teams` or `subjects`, and the place in it.
    of: &'static str,
    at: u32,
    names: Box<[Arc<str>]>,
}

impl Named {
    fn by(element: &Element<'_>, of: &'static str, names: Box<[Arc<str>]>) -> Self {
        Self { of, at: index(element.at.item.unwrap_or_default()), names }
    }

    fn at(&self, member: &str) -> String {
        format!("/{}/{}/{member}", self.of, self.at)
    }
}

struct Reader<'w> {
    give_way: &'w mut dyn FnMut(),
    faults: Faults,
    sum: Context,
    text: String,
    registry: Registry,
    /// Subjects of groups and teams, by where these are in `names`.
    members: Vec<(Arc<str>, Named)>,
    /// Groups that subjects say they are in.
    memberships: Vec<Named>,
    /// Subject, relation and object.
    relationships: Vec<[Arc<str>; 3]>,
    /// The system of each manifest.
    systems: Vec<Option<Arc<str>>>,
    /// Types, roles and relations, each once.
    words: HashMap<Arc<str>, ()>,
}

impl<'w> Reader<'w> {
    fn new(give_way: &'w mut dyn FnMut()) -> Self {
        let registry = Registry {
            digest: "".into(),
            tenant: "".into(),
            systems: Vec::new(),
            manifests: Vec::new(),
            resources: Vec::new(),
            subjects: Vec::new(),
            groups: 0,
            teams: 0,
            objects: HashMap::new(),
            names: HashMap::new(),
            relations: HashMap::new(),
        };
        Self {
            give_way,
            faults: Faults::default(),
            sum: Context::new(&SHA256),
            text: String::with_capacity(2 * PIECE),
            registry,
            members: Vec::new(),
            memberships: Vec::new(),
            relationships: Vec::new(),
            systems: Vec::new(),
            words: HashMap::new(),
        }
    }

    fn whole(&mut self, members: &Unread<'_>) {
        for name in ARRAYS {
            if !members.0.contains_key(name) {
                self.faults.add(format!("/{name}"), "is missing");
            }
        }
        self.object(members, |reader, name, raw| {
            let at = format!("/{}", escaped(name));
            match name {
                "groups" | "teams" => reader.array(raw, &at, Self::group),
                "relationships" => reader.array(raw, &at, Self::relationship),
                "resource_manifests" => reader.manifests(raw, &at),
                "subjects" => {
                    let subjects = |reader: &mut Self, count| {
                        reader.registry.subjects.reserve_exact(count);
                        reader.registry.names.reserve(count);
                        reader.memberships.reserve_exact(count);
                    };
                    reader.array_of(raw, &at, subjects, Self::subject);
                }
                "systems" => reader.array(raw, &at, Self::system),
                "tenants" => reader.array(raw, &at, |reader, element| {
                    element.name("id", &mut reader.faults);
                }),
                "tenant" | "version" => {
                    let text = reader.value(raw, &at);
                    let Some(text) =
                        text.as_ref().and_then(Json::as_str).filter(|text| !text.is_empty())
                    else {
                        return reader.faults.add(at, "must be text");
                    };
                    if name == "tenant" {
                        reader.registry.tenant = text.into();
                    }
                }
                _ => {
                    reader.value(raw, &at);
                    reader.faults.add(at, "is not known");
                }
            }
        });
        if self.registry.tenant.is_empty() && !members.0.contains_key("tenant") {
            self.faults.add("/tenant", "is missing");
        }
    }

    /// Reads an object member by member, as they stand in the canonical form.
    fn object<'m>(
        &mut self,
        members: &'m Unread<'_>,
        mut each: impl FnMut(&mut Self, &'m str, &'m RawValue),
    ) {
        self.text.push('{');
        let mut sorted: Vec<_> = members.0.iter().collect();
        sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
        for (i, (name, raw)) in sorted.into_iter().enumerate() {
            self.text.push_str(if i == 0 { "" } else { "," });
            write_text(&mut self.text, name);
            self.text.push(':');
            each(self, name, raw);
        }
        self.text.push('}');
    }

    fn array(&mut self, raw: &RawValue, at: &str, each: impl FnMut(&mut Self, &Element<'_>)) {
        self.array_of(raw, at, |_, _| {}, each);
    }

    /// Reads a list; `reserve` makes room for as many as there are.
    fn array_of(
        &mut self,
        raw: &RawValue,
        at: &str,
        reserve: impl FnOnce(&mut Self, usize),
        mut each: impl FnMut(&mut Self, &Element<'_>),
    ) {
        let Some(items) = self.items(raw, at) else { return };
        reserve(self, items.len());
        self.text.push('[');
        for (i, raw) in items.into_iter().enumerate() {
            self.text.push_str(if i == 0 { "" } else { "," });
            let at = At { pointer: at, item: Some(i) };
            match self.read(raw, at) {
                Some(Json::Object(object)) => {
                    object.write(&mut self.text, |_| true);
                    each(self, &Element { object: &object, at });
                }
                Some(_) => self.faults.add(at.to_string(), "must be an object"),
                None => {}
            }
            if self.text.len() > PIECE {
                self.sum.update(self.text.as_bytes());
                self.text.clear();
                (self.give_way)();
            }
        }
        self.text.push(']');
    }

    fn items<'t>(&mut self, raw: &'t RawValue, at: &str) -> Option<Vec<&'t RawValue>> {
        let items = serde_json::from_str(raw.get()).ok();
        if items.is_none() {
            self.faults.add(at, "must be a list");
        }
        items
    }

    /// Any value, which is part of the digest and of nothing else.
    fn value<'t>(&mut self, raw: &'t RawValue, at: &str) -> Option<Json<'t>> {
        let value = self.read(raw, At { pointer: at, item: None })?;
        value.write(&mut self.text);
        Some(value)
    }

    fn read<'t>(&mut self, raw: &'t RawValue, at: At<'_>) -> Option<Json<'t>> {
        Json::read(raw.get())
            .map_err(|error| self.faults.add(at.to_string(), error.to_string()))
            .ok()
    }
}

/// A file of 256 MiB can't have more elements than that.
fn index(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
