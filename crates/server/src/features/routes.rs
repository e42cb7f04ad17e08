//! The route table: what a request to a service behind a gateway needs, and how another table comes into force.

pub mod http;

use countersign_policy::{Fault, InvalidRoutes, Routes};

use super::documents::Kind;

impl Kind for Routes {
    const NAME: &'static str = "routes";
    const CALLED: &'static str = "route table";
    const VARIABLE: &'static str = "ROUTES_FILE";

    fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        Self::parse(text).map_err(|InvalidRoutes(faults)| faults)
    }

    fn hash(&self) -> &str {
        self.hash()
    }
}
