//! The registry: who and what there is, and how they belong together. One snapshot, read whole,
//! looked up by name.

mod actor;
mod diff;
mod elements;
mod read;

use std::collections::HashMap;
use std::sync::Arc;

use crate::decision::{Policy, Reason};
use crate::fault::Fault;
use crate::json::{Json, Members};
use crate::question::Question;

pub(crate) use actor::Actor;
pub use diff::{Difference, differences};

/// A snapshot that is in force.
#[derive(Debug)]
pub struct Registry {
    digest: Arc<str>,
    tenant: Arc<str>,
    systems: Vec<System>,
    manifests: Vec<Manifest>,
    resources: Vec<Resource>,
    subjects: Vec<Subject>,
    groups: usize,
    teams: usize,
    /// What a relationship's object can name.
    objects: HashMap<Arc<str>, Thing>,
    /// Subjects, and after them groups and teams.
    names: HashMap<Arc<str>, u32>,
    relations: HashMap<(Thing, u32), Vec<Relation>>,
}

/// Something that can be acted on, by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Thing {
    System(u32),
    Manifest(u32),
    Resource(u32),
}

#[derive(Debug)]
struct System {
    id: Arc<str>,
    package: Option<Arc<str>>,
}

#[derive(Debug)]
struct Manifest {
    system: u32,
    actions: Vec<Arc<str>>,
    /// What holding a relation lets one do.
    relations: HashMap<Box<str>, Vec<Box<str>>>,
}

/// A resource of a manifest.
#[derive(Debug)]
pub struct Resource {
    id: Arc<str>,
    kind: Arc<str>,
    manifest: u32,
    /// As JSON: most are never asked for one by one. Nothing where there are none.
    attributes: Box<str>,
    approval_level: Option<u8>,
    actor: Option<Box<Actor>>,
}

/// Somebody who can act.
#[derive(Debug)]
pub struct Subject {
    id: Arc<str>,
    kind: Arc<str>,
    roles: Box<[Arc<str>]>,
    /// Itself, its groups and its teams.
    belongs: Vec<u32>,
    properties: Box<str>,
}

#[derive(Debug)]
struct Relation {
    name: Arc<str>,
    /// Where it stands in the snapshot.
    index: u32,
}

/// A snapshot that can't be used. Holds the first faults, not thousands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a usable registry{}", .0.iter().map(|fault| format!("; {fault}")).collect::<String>())]
pub struct InvalidRegistry(pub Vec<Fault>);

/// How much there is of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Systems.
    pub systems: usize,
    /// Resource manifests.
    pub resource_manifests: usize,
    /// Resources of all manifests.
    pub resources: usize,
    /// Subjects.
    pub subjects: usize,
    /// Groups.
    pub groups: usize,
    /// Teams.
    pub teams: usize,
    /// Relationships.
    pub relationships: usize,
}

impl Registry {
    /// `sha256:` and the hex digest of its RFC 8785 form.
    #[must_use]
    pub fn digest(&self) -> &Arc<str> {
        &self.digest
    }

    /// Whose it is.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// How much it holds.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            systems: self.systems.len(),
            resource_manifests: self.manifests.len(),
            resources: self.resources.len(),
            subjects: self.subjects.len(),
            groups: self.groups,
            teams: self.teams,
            relationships: self.relations.values().map(Vec::len).sum(),
        }
    }

    /// As the policy that answered.
    #[must_use]
    pub fn policy(&self) -> Policy {
        let hash = self.digest.get("sha256:".len()..).and_then(|hex| hex.get(..16));
        Policy {
            package: "registry".into(),
            version: hash.unwrap_or_default().into(),
            registry: Some(Arc::clone(&self.digest)),
        }
    }

    /// The package that a system names.
    #[must_use]
    pub fn package(&self, system: &str) -> Option<&str> {
        let Some(&Thing::System(at)) = self.objects.get(system) else { return None };
        self.systems[at as usize].package.as_deref()
    }

    /// Somebody, by type and id.
    #[must_use]
    pub fn subject(&self, kind: &str, id: &str) -> Option<&Subject> {
        let &at = self.names.get(id)?;
        self.subjects.get(at as usize).filter(|subject| &*subject.kind == kind)
    }

    /// Something, by type and id.
    #[must_use]
    pub fn resource(&self, kind: &str, id: &str) -> Option<&Resource> {
        self.registered(id).map(|(_, resource)| resource).filter(|resource| &*resource.kind == kind)
    }

    /// Everybody, in the snapshot's order.
    pub fn subjects(&self) -> impl ExactSizeIterator<Item = &Subject> {
        self.subjects.iter()
    }

    /// Everything, in the snapshot's order.
    pub fn resources(&self) -> impl ExactSizeIterator<Item = &Resource> {
        self.resources.iter()
    }

    /// What can be done to a resource, by its manifest.
    #[must_use]
    pub fn actions(&self, resource: &Resource) -> &[Arc<str>] {
        &self.manifests[resource.manifest as usize].actions
    }

    /// The question's subject, unless the question is of another tenant: tenants don't meet.
    pub(crate) fn asker(&self, question: &Question<'_>) -> Option<&Subject> {
        let subject = question.subject;
        if self.is_of(question) { self.subject(subject.kind, subject.id) } else { None }
    }

    /// Whether a question is of its tenant, or of none.
    pub(crate) fn is_of(&self, question: &Question<'_>) -> bool {
        question.asked_in().is_none_or(|tenant| *tenant == *self.tenant)
    }

    /// Why a relationship grants what is asked, and which one: its JSON pointer.
    pub(crate) fn relationship(&self, question: &Question<'_>) -> Option<(Reason, String)> {
        let subject = self.asker(question)?;
        let (things, manifest) = self.asked_about(question)?;
        let allows = |relation: &&Relation| {
            let named = manifest.and_then(|manifest| manifest.relations.get(&*relation.name));
            *relation.name == *question.action.name
                || named.is_some_and(|all| all.iter().any(|one| **one == *question.action.name))
        };
        let found = things.into_iter().flatten().find_map(|thing| {
            let held = subject.belongs.iter().filter_map(|who| self.relations.get(&(thing, *who)));
            held.flatten().find(allows)
        });
        found.map(|relation| {
            let at = format!("/relationships/{}", relation.index);
            (Reason::Relationship(Arc::clone(&relation.name)), at)
        })
    }

    /// The level of approval that what is asked about needs.
    pub(crate) fn approval_level(&self, question: &Question<'_>) -> Option<u8> {
        self.resource(question.resource.kind, question.resource.id)?.approval_level
    }

    /// The resource, its manifest and its system; the system alone when the resource is not registered.
    /// None when the question says another type or system than the registry.
    fn asked_about(
        &self,
        question: &Question<'_>,
    ) -> Option<([Option<Thing>; 3], Option<&Manifest>)> {
        let asked = question.resource;
        let Some((at, resource)) = self.registered(asked.id) else {
            let system = self.objects.get(asked.system?).copied();
            return Some((
                [system.filter(|thing| matches!(thing, Thing::System(_))), None, None],
                None,
            ));
        };
        let manifest = &self.manifests[resource.manifest as usize];
        let system = &self.systems[manifest.system as usize];
        if *resource.kind != *asked.kind || asked.system.is_some_and(|asked| *system.id != *asked) {
            return None;
        }
        let things = [
            Thing::Resource(at),
            Thing::Manifest(resource.manifest),
            Thing::System(manifest.system),
        ];
        Some((things.map(Some), Some(manifest)))
    }

    fn registered(&self, id: &str) -> Option<(u32, &Resource)> {
        let Some(&Thing::Resource(at)) = self.objects.get(id) else { return None };
        Some((at, &self.resources[at as usize]))
    }
}

impl Resource {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// Its type.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// What else is known of it.
    #[must_use]
    pub fn attributes(&self) -> Members<'_> {
        object(&self.attributes)
    }

    /// As an actor of an SSH inventory, if it is one.
    pub(crate) fn actor(&self) -> Option<&Actor> {
        self.actor.as_deref()
    }
}

impl Subject {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// Its type.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The roles that the registry gives it.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.roles.iter().map(|role| &**role)
    }

    /// What else is known of it.
    #[must_use]
    pub fn properties(&self) -> Members<'_> {
        object(&self.properties)
    }
}

fn object(json: &str) -> Members<'_> {
    match Json::read(json) {
        Ok(Json::Object(members)) => members,
        _ => Members::default(),
    }
}
