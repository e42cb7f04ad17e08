//! The decision: may this subject do this action on this resource, and why.
//!
//! Pure: no I/O, no clock, no database. The same question under the same policy gives the same
//! [`Decision`] with the same id wherever it is asked.

mod canonical;
mod decision;
mod json;
mod matrix;
mod permission;

pub use canonical::{Canonical, canonical};
pub use decision::{Decision, DecisionId, Effect, Question, Reason};
pub use json::strict;
pub use matrix::{Fault, InvalidMatrix, Matrix};
pub use permission::{InvalidPermission, Permission, Permissions};
