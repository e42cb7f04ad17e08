//! The decision: may this subject do this action on this resource, and why.
//!
//! Pure: no I/O, no clock, no database. The same question under the same policies gives the same
//! [`Decision`] with the same id wherever it is asked.

mod answer;
pub mod authz;
mod canonical;
mod decision;
mod explain;
mod fault;
mod inventory;
mod json;
mod matrix;
mod packages;
mod permission;
mod policies;
mod question;
mod registry;
mod rego;
pub mod routes;
pub mod ssh;
pub mod testing;

pub use answer::Answers;
pub use authz::{Authz, InvalidAuthz};
pub use canonical::{canonical, write_text};
pub use decision::{Decision, DecisionId, Digest, Effect, Obligation, Policy, Reason, Verdict};
pub use explain::{Trail, Tried, Untold};
pub use fault::Fault;
pub use inventory::{InvalidInventory, Inventory};
pub use json::{Json, Members, nothing, strict};
pub use matrix::{InvalidMatrix, Matrix};
pub use packages::{InvalidPackages, Package, Packages};
pub use permission::{InvalidPermission, Permission, Permissions};
pub use policies::{Holder, OWN, Policies};
pub use question::{Action, Form, Frame, Parts, Question, Resource, Subject};
pub use registry::{Counts, Difference, InvalidRegistry, Registry, differences};
pub use routes::{InvalidRoutes, Routes};
