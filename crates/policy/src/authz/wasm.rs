//! The form that OPA compiled to WebAssembly: `authz.wasm`, a module of OPA's interface 1.2 or later, over the
//! question as `input` and the files in `data/` as `data`.
//!
//! A module runs in a box: it has no clock, no chance, no files and no network, a bounded number of instructions and
//! bounded memory, and begins each question from the same state, whatever it did before.

mod bounds;
mod builtins;
mod calls;
mod checks;
mod host;
mod instance;
mod load;
mod parts;
mod result;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use self::instance::{Instance, Program};
use self::result::Form;
use super::rules::read_data;
use super::{Answer, Asked, MODULE};
use crate::decision::Reason;
use crate::fault::Faults;

/// A compiled policy, and instances of it that wait for a question.
#[derive(Debug)]
pub(super) struct Compiled {
    program: Program,
    entry: i32,
    form: Form,
    idle: Mutex<Vec<Instance>>,
}

/// The most instances that wait: more are only there while so many threads ask at once.
const MOST: usize = 64;

/// Reads the module, given in Base64, and its data.
pub(super) fn read(
    module: &str,
    data: &[(&String, &String)],
    faults: &mut Faults,
) -> Option<Compiled> {
    let data = read_data(data, &[], faults);
    // The compiler and the module are strangers' work: a panic of theirs is a fault like any other.
    let loaded = catch_unwind(AssertUnwindSafe(|| load::load(module, &data)));
    let loaded = loaded.unwrap_or_else(|_| Err("the compiler failed".to_owned()));
    loaded.map_err(|what| faults.add(MODULE, what)).ok()
}

impl Compiled {
    /// Asks the entry point.
    pub(super) fn ask(&self, asked: &Asked<'_>, at: i64) -> Answer {
        let found = catch_unwind(AssertUnwindSafe(|| self.evaluate(asked, at)));
        found
            .unwrap_or_else(|_| Err("the evaluator failed".to_owned()))
            .unwrap_or_else(|said| Answer::telling(Reason::Error, format!("{MODULE}: {said}")))
    }

    fn evaluate(&self, asked: &Asked<'_>, at: i64) -> Result<Answer, String> {
        let input = serde_json::to_vec(&result::Input::of(asked)).map_err(|it| it.to_string())?;
        let waiting = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut instance = waiting.map_or_else(|| self.program.instance(), Ok)?;
        // INVARIANT: an instance that failed is dropped here, and never asked again.
        let result = instance.evaluate(&self.program, self.entry, &input, at)?;
        if instance.restore(&self.program) {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < MOST {
                idle.push(instance);
            }
        }
        self.form.answer(&result)
    }
}
