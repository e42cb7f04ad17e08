//! What every feature of Countersign stands on. It knows none of them.

pub mod aside;
pub mod clock;
pub mod config;
pub mod db;
pub mod entropy;
pub mod ids;
pub mod keyring;
pub mod limits;
pub mod problem;
pub mod record;
pub mod secret;
pub mod shared;
pub mod text;
