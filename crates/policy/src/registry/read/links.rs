//! Finding what was named: groups and their members, what relationships are between.

use std::sync::Arc;

use super::super::{InvalidRegistry, Registry, Relation, Thing};
use super::{Reader, index};

impl Reader<'_> {
    /// Finds what was named.
    pub(super) fn finish(mut self) -> Result<Registry, InvalidRegistry> {
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
