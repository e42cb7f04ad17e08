//! Reading a snapshot: element by element, so that a large one is never twice in memory, hashed on the
//! way in its canonical form (RFC 8785).

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use serde_json::value::RawValue;

use super::elements::{At, Element, Unread};
use super::{
    Actor, InvalidRegistry, Manifest, Registry, Relation, Resource, Subject, System, Thing, actor,
};
use crate::canonical::write_text;
use crate::fault::{Faults, escaped};
use crate::json::{Json, Members, nothing};
use crate::policies::OWN;

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

    fn system(&mut self, element: &Element<'_>) {
        let Some(id) = element.name("id", &mut self.faults) else { return };
        let package = element.optional("policy_package", &mut self.faults);
        if *id == *OWN && package.is_some() {
            element.fault(
                &mut self.faults,
                "policy_package",
                "is not for our own: the role matrix decides",
            );
        }
        let thing = Thing::System(index(self.registry.systems.len()));
        if !id.starts_with("system:") {
            self.denotes(&format!("system:{id}").into(), thing, element);
        }
        self.denotes(&id, thing, element);
        self.registry.systems.push(System { id, package });
    }

    fn manifests(&mut self, raw: &RawValue, at: &str) {
        let Some(items) = self.items(raw, at) else { return };
        self.text.push('[');
        for (i, raw) in items.into_iter().enumerate() {
            self.text.push_str(if i == 0 { "" } else { "," });
            let at = format!("{at}/{i}");
            match serde_json::from_str::<Unread<'_>>(raw.get()) {
                Ok(members) => self.manifest(&members, at),
                Err(error) => self.faults.add(at, error.to_string()),
            }
        }
        self.text.push(']');
    }

    fn manifest(&mut self, members: &Unread<'_>, at: String) {
        let number = index(self.registry.manifests.len());
        let mut object = Vec::new();
        self.object(members, |reader, name, raw| {
            let at = format!("{at}/{}", escaped(name));
            if name == "resources" {
                let resources = |reader: &mut Self, count| {
                    reader.registry.resources.reserve_exact(count);
                    reader.registry.objects.reserve(count);
                };
                let each =
                    |reader: &mut Self, element: &Element<'_>| reader.resource(number, element);
                reader.array_of(raw, &at, resources, each);
            } else if let Some(value) = reader.value(raw, &at) {
                object.push((Cow::Borrowed(name), value));
            }
        });
        let object: Members<'_> = object.into_iter().collect();
        let element = Element { object: &object, at: At { pointer: &at, item: None } };
        let id = element.name("id", &mut self.faults);
        let system = element.name("system", &mut self.faults);
        let actions = element.names("actions", &mut self.faults);
        let actions: Vec<Arc<str>> = actions.into_iter().map(|action| self.word(action)).collect();
        let relations = self.relations(&element, &actions);
        if let Some(id) = &id {
            self.denotes(id, Thing::Manifest(number), &element);
        }
        // Its system is found when all are read.
        self.registry.manifests.push(Manifest { system: 0, actions, relations });
        self.systems.push(system);
    }

    fn relations(
        &mut self,
        element: &Element<'_>,
        actions: &[Arc<str>],
    ) -> HashMap<Box<str>, Vec<Box<str>>> {
        let mut relations = HashMap::new();
        let object = match element.object.get("relations") {
            Some(Json::Object(object)) => object,
            None | Some(Json::Null) => return relations,
            Some(_) => {
                element.fault(&mut self.faults, "relations", "must be an object");
                return relations;
            }
        };
        let pointer = format!("{}/relations", element.at);
        let inner = Element { object, at: At { pointer: &pointer, item: None } };
        for (name, _) in object.iter() {
            let named = inner.names(name, &mut self.faults);
            for (i, action) in named.iter().enumerate() {
                if !actions.iter().any(|known| **known == **action) {
                    let at = format!("{}/{}/{i}", inner.at, escaped(name));
                    self.faults.add(at, "is not one of the manifest's `actions`");
                }
            }
            relations.insert(name.into(), named.into_iter().map(Box::from).collect());
        }
        relations
    }

    fn resource(&mut self, manifest: u32, element: &Element<'_>) {
        let (id, kind) =
            (element.name("id", &mut self.faults), element.name("type", &mut self.faults));
        let (Some(id), Some(kind)) = (id, kind) else { return };
        let attributes = element.json("attributes", &mut self.faults);
        let given = element.object.get("attributes").and_then(Json::as_object);
        let given = given.unwrap_or_else(|| nothing());
        let approval_level = match given.get("approval_level") {
            None => None,
            Some(level) => {
                let level = level.as_i64().and_then(|level| u8::try_from(level).ok());
                let level = level.filter(|level| (1..=5).contains(level));
                if level.is_none() {
                    element.fault(&mut self.faults, "attributes/approval_level", "must be 1 to 5");
                }
                level
            }
        };
        let actor = (*kind == *actor::KIND).then(|| {
            let mut fault = |name: &str, what: &str| {
                element.fault(&mut self.faults, &format!("attributes/{name}"), what);
            };
            Box::new(Actor::read(given, &mut fault))
        });
        let at = Thing::Resource(index(self.registry.resources.len()));
        self.denotes(&id, at, element);
        let kind = self.word(&kind);
        self.registry.resources.push(Resource {
            id,
            kind,
            manifest,
            attributes,
            approval_level,
            actor,
        });
    }

    fn subject(&mut self, element: &Element<'_>) {
        let (id, kind) =
            (element.name("id", &mut self.faults), element.name("type", &mut self.faults));
        let (Some(id), Some(kind)) = (id, kind) else { return };
        let roles = element.names("roles", &mut self.faults);
        let roles = roles.into_iter().map(|role| self.word(role)).collect();
        let groups = element.names("groups", &mut self.faults);
        let names = groups.into_iter().map(|group| self.word(group)).collect();
        let properties = element.json("properties", &mut self.faults);
        let number = index(self.registry.subjects.len());
        self.is_called(&id, number, element);
        let kind = self.word(&kind);
        self.registry.subjects.push(Subject { id, kind, roles, belongs: vec![number], properties });
        self.memberships.push(Named::by(element, "subjects", names));
    }

    fn group(&mut self, element: &Element<'_>) {
        let Some(id) = element.name("id", &mut self.faults) else { return };
        let members = element.names("members", &mut self.faults);
        let names = members.into_iter().map(Arc::from).collect();
        let of = match element.at.pointer {
            "/groups" => {
                self.registry.groups += 1;
                "groups"
            }
            _ => {
                self.registry.teams += 1;
                "teams"
            }
        };
        self.members.push((id, Named::by(element, of, names)));
    }

    fn relationship(&mut self, element: &Element<'_>) {
        let mut name = |name: &str| element.name(name, &mut self.faults);
        let (subject, relation, object) = (name("subject"), name("relation"), name("object"));
        let relation = relation.map(|relation| self.word(&relation)).unwrap_or_default();
        self.relationships.push([
            subject.unwrap_or_default(),
            relation,
            object.unwrap_or_default(),
        ]);
    }

    /// The same text once.
    fn word(&mut self, text: &str) -> Arc<str> {
        if let Some((word, ())) = self.words.get_key_value(text) {
            return Arc::clone(word);
        }
        let word: Arc<str> = text.into();
        self.words.insert(Arc::clone(&word), ());
        word
    }

    fn denotes(&mut self, id: &Arc<str>, thing: Thing, element: &Element<'_>) {
        if self.registry.objects.insert(Arc::clone(id), thing).is_some_and(|other| other != thing) {
            element.fault(&mut self.faults, "id", "is the name of something else, too");
        }
    }

    fn is_called(&mut self, id: &Arc<str>, number: u32, element: &Element<'_>) {
        if self.registry.names.insert(Arc::clone(id), number).is_some() {
            element.fault(&mut self.faults, "id", "is the name of somebody else, too");
        }
    }

    /// Finds what was named.
    fn finish(mut self) -> Result<Registry, InvalidRegistry> {
        self.sum.update(self.text.as_bytes());
        let registry = &mut self.registry;
        for (i, (manifest, system)) in registry.manifests.iter_mut().zip(&self.systems).enumerate()
        {
            match system.as_ref().map(|system| registry.objects.get(system)) {
                Some(Some(Thing::System(at))) => manifest.system = *at,
                Some(_) => {
                    self.faults
                        .add(format!("/resource_manifests/{i}/system"), "is not one of `systems`");
                }
                None => {}
            }
        }
        self.belonging();
        self.relating();
        if !self.faults.is_empty() {
            return Err(InvalidRegistry(self.faults.into_vec()));
        }
        let sum = self.sum.finish();
        self.registry.digest = format!("sha256:{}", hex::encode(sum)).into();
        Ok(self.registry)
    }

    fn belonging(&mut self) {
        let registry = &mut self.registry;
        let first = registry.subjects.len();
        for (number, (id, named)) in (first..).zip(&self.members) {
            if registry.names.insert(Arc::clone(id), index(number)).is_some() {
                self.faults.add(named.at("id"), "is the name of somebody else, too");
            }
        }
        for (number, (_, named)) in (first..).zip(&self.members) {
            for (i, name) in named.names.iter().enumerate() {
                let found =
                    registry.names.get(name).and_then(|at| registry.subjects.get_mut(*at as usize));
                match found {
                    Some(subject) => subject.belongs.push(index(number)),
                    None => self
                        .faults
                        .add(named.at(&format!("members/{i}")), "is not one of `subjects`"),
                }
            }
        }
        for (subject, named) in registry.subjects.iter_mut().zip(&self.memberships) {
            for (i, name) in named.names.iter().enumerate() {
                match registry.names.get(name).filter(|at| **at as usize >= first) {
                    Some(group) => subject.belongs.push(*group),
                    None => self
                        .faults
                        .add(named.at(&format!("groups/{i}")), "is not one of `groups` or `teams`"),
                }
            }
            subject.belongs.sort_unstable();
            subject.belongs.dedup();
        }
    }

    fn relating(&mut self) {
        let registry = &mut self.registry;
        for (i, [subject, relation, object]) in self.relationships.iter().enumerate() {
            let (who, what) = (registry.names.get(subject), registry.objects.get(object));
            match (who, what) {
                (Some(who), Some(what)) => {
                    let relation = Relation { name: Arc::clone(relation), index: index(i) };
                    registry.relations.entry((*what, *who)).or_default().push(relation);
                }
                (None, _) => self.faults.add(
                    format!("/relationships/{i}/subject"),
                    "is not one of `subjects`, `groups` or `teams`",
                ),
                (_, None) => self.faults.add(
                    format!("/relationships/{i}/object"),
                    "is no resource, manifest or system",
                ),
            }
        }
    }
}

/// A file of 256 MiB can't have more elements than that.
fn index(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
