//! Doors: where requests come in. A feature's `http.rs` counts as one, too.

pub mod authzen;
pub mod check;
pub mod decisions;
pub mod docs;
pub mod edge;
#[cfg(feature = "ext-authz")]
pub mod envoy;
pub mod extract;
pub mod fields;
pub mod forward;
pub mod health;
pub mod metrics;
pub mod openapi;
pub mod replay;
pub mod serve;
pub mod settings;
pub mod templates;
pub mod tls;
pub mod whoami;
