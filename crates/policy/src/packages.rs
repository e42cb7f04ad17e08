//! Packages: rules of one's own, written in Rego and bound to systems and to types of resources. Each is
//! one file, read, checked and compiled whole; evaluating one is bounded in time and memory.

mod answer;
mod evaluate;
mod input;
mod metadata;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::decision::{Digest, Policy};
use crate::fault::{Fault, Faults};
use crate::policies::OWN;
use crate::question::Resource;
use crate::rego::{Parsed, Rules};
use crate::{Routes, ssh};

/// The packages in force, by id.
#[derive(Debug, Default)]
pub struct Packages {
    all: BTreeMap<Arc<str>, Package>,
    systems: BTreeMap<Arc<str>, Arc<str>>,
    resource_types: BTreeMap<Arc<str>, Arc<str>>,
    digest: String,
}

/// A package.
#[derive(Debug)]
pub struct Package {
    /// What decisions call it.
    pub id: Arc<str>,
    /// As its author says.
    pub version: Arc<str>,
    /// The systems whose resources it decides about.
    pub systems: Vec<Arc<str>>,
    /// The types of resources that it decides about.
    pub resource_types: Vec<Arc<str>>,
    /// The file it was read from.
    pub file: Arc<str>,
    /// Of its text.
    pub digest: Digest,
    rules: Rules,
}

/// Packages that can't be used. Holds the first faults, each with its file and place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not usable packages{}", .0.iter().map(|fault| format!("; {fault}")).collect::<String>())]
pub struct InvalidPackages(pub Vec<Fault>);

/// What other policies are called.
const TAKEN: [&str; 5] = ["rbac", "registry", "opa", Routes::PACKAGE, ssh::PACKAGE];

impl Packages {
    /// Reads them from the texts of files, by name.
    ///
    /// # Errors
    /// The first faults: then none is usable.
    pub fn read(files: &BTreeMap<String, String>) -> Result<Self, InvalidPackages> {
        let (mut packages, mut faults) = (Self::default(), Faults::default());
        for (file, source) in files {
            match Package::read(file, source) {
                Ok(package) => packages.add(package, &mut faults),
                Err(fault) => faults.add(fault.at, fault.what),
            }
        }
        if !faults.is_empty() {
            return Err(InvalidPackages(faults.into_vec()));
        }
        let texts = packages.all.values().map(|package| format!("{}\n", package.digest));
        packages.digest = Digest::of(&texts.collect::<String>()).to_string();
        Ok(packages)
    }

    /// `sha256:` and the hex digest of all their texts' digests.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// All, by id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Package> {
        self.all.values()
    }

    /// One, by its id.
    pub(crate) fn named(&self, id: &str) -> Option<&Package> {
        self.all.get(id)
    }

    /// The one that decides about a resource: its system's, else its type's.
    pub(crate) fn bound_to(&self, resource: &Resource<'_>) -> Option<&Package> {
        let system = resource.system.and_then(|system| self.systems.get(system));
        self.named(system.or_else(|| self.resource_types.get(resource.kind))?)
    }

    fn add(&mut self, package: Package, faults: &mut Faults) {
        let id = &package.id;
        if TAKEN.contains(&&**id) || self.all.contains_key(id) {
            faults.add(&*package.file, format!("the id `{id}` is taken: give it another one"));
            return;
        }
        let bindings = [
            ("system", &package.systems, &mut self.systems),
            ("resource type", &package.resource_types, &mut self.resource_types),
        ];
        for (what, names, bound) in bindings {
            for name in names {
                let other = match (what, &**name) {
                    ("system", ssh::SYSTEM) | ("resource type", ssh::RESOURCE_TYPE) => {
                        Some(Arc::from(ssh::PACKAGE))
                    }
                    ("system", OWN) => Some(Arc::from("rbac")),
                    _ => bound.insert(Arc::clone(name), Arc::clone(id)),
                };
                if let Some(other) = other {
                    let fault = format!("the {what} `{name}` is bound to `{other}` already");
                    faults.add(&*package.file, fault);
                }
            }
        }
        self.all.insert(Arc::clone(id), package);
    }
}

impl Package {
    fn read(file: &str, source: &str) -> Result<Self, Fault> {
        let parsed = Parsed::read(&[(file, source)])?;
        let custom = metadata::read(file, source)?;
        let package = parsed.packages().concat();
        if package == "data.registry" || package.starts_with("data.registry.") {
            let what = "the package name `registry` is taken: give it another one".to_owned();
            return Err(Fault { at: file.to_owned(), what });
        }
        let rules = parsed.compile(&[&format!("{package}.decision")])?;
        Ok(Self {
            id: custom.id,
            version: custom.version,
            systems: custom.systems,
            resource_types: custom.resource_types,
            file: file.into(),
            digest: Digest::of(source),
            rules,
        })
    }

    /// As the policy that answered; the registry is not named yet.
    pub(crate) fn policy(&self) -> Policy {
        Policy { package: Arc::clone(&self.id), version: Arc::clone(&self.version), registry: None }
    }
}
