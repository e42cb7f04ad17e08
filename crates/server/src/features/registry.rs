//! The registry: the snapshot of who and what there is, and how another one comes into force. One that
//! does not load leaves the old one in force, on every node.

pub mod http;

use countersign_policy::{Fault, InvalidRegistry, Registry};

use super::documents::Kind;

impl Kind for Registry {
    const NAME: &'static str = "registry";
    const VARIABLE: &'static str = "REGISTRY_FILE";

    fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        let parsed = Self::parse_giving_way(text, &mut std::thread::yield_now);
        parsed.map_err(|InvalidRegistry(faults)| faults)
    }

    fn hash(&self) -> &str {
        self.digest()
    }
}
