//! What each element of the snapshot becomes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::super::elements::{At, Element, Unread};
use super::super::{Actor, Manifest, Resource, Subject, System, Thing, actor};
use super::{Named, Reader, index};
use crate::fault::escaped;
use crate::json::{Json, Members, nothing};
use crate::policies::OWN;

impl Reader<'_> {
    pub(super) fn system(&mut self, element: &Element<'_>) {
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

    pub(super) fn manifests(&mut self, raw: &RawValue, at: &str) {
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

    pub(super) fn subject(&mut self, element: &Element<'_>) {
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

    pub(super) fn group(&mut self, element: &Element<'_>) {
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

    pub(super) fn relationship(&mut self, element: &Element<'_>) {
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
}
