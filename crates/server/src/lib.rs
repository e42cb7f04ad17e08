//! Countersign's server: law, features and doors. `ARCHITECTURE.md` is the map.

pub mod app;
pub mod doors;
pub mod features;
pub mod jobs;
pub mod law;
pub mod metrics;
pub mod migrations;
mod nodes;
pub mod router;
mod start;
mod words;

pub use start::{Environs, Server, StartError, check, migrate};
