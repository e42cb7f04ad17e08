//! Rules in Rego: texts are checked, parsed and compiled whole, and what runs is bounded in time and memory.
//! This is the one place that knows the engine.

mod calls;
mod compile;
mod functions;
mod growth;
mod lines;
mod run;
mod text;
mod value;

use std::sync::Arc;

use regorus::rvm::Program;

use self::functions::Functions;
use self::lines::Lines;

pub(crate) use compile::Parsed;
pub(crate) use growth::size;
pub(crate) use run::Seen;
pub(crate) use value::{REASON, is_reason, members, object, optional};

/// Compiled rules, of one file or of several that call each other.
#[derive(Debug)]
pub(crate) struct Rules {
    program: Arc<Program>,
    functions: Arc<Functions>,
    lines: Lines,
}
