//! Rules in Rego: texts are checked, parsed and compiled whole, and what runs is bounded in time and memory.
//! This is the one place that knows the engine.

mod calls;
mod compile;
mod conflicts;
mod functions;
mod growth;
mod guards;
mod imports;
mod lines;
mod marks;
mod operators;
mod parse;
mod rewrite;
mod run;
mod text;
mod trial;
mod value;
mod with;
mod words;

use std::sync::Arc;

use regorus::rvm::Program;

use self::functions::Functions;
use self::lines::Lines;

pub(crate) use growth::size;
pub(crate) use marks::{Marked, Reached};
pub(crate) use parse::Parsed;
pub(crate) use run::Seen;
pub(crate) use trial::Trial;
pub(crate) use value::{REASON, is_reason, members, object, optional, rego};

/// Compiled rules, of one file or of several that call each other.
#[derive(Debug)]
pub(crate) struct Rules {
    program: Arc<Program>,
    functions: Arc<Functions>,
    lines: Lines,
}

impl Rules {
    /// The file that they stand in, or what stands for several.
    pub(crate) fn file(&self) -> &str {
        self.lines.whole()
    }

    /// How many arguments the first function takes that they call.
    #[cfg(feature = "wasm")]
    pub(crate) fn arguments(&self) -> Option<usize> {
        self.program.builtin_info_table.first().map(|info| usize::from(info.num_args))
    }
}
