//! One evaluation: the question goes in, what the rule `decision` gives comes out. Whatever fails denies, and
//! says where.

use std::num::{NonZeroU32, NonZeroU64};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use regorus::rvm::RegoVM;
use regorus::rvm::vm::VmError;
use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{MemoryBudgetConfig, Value};

use super::Package;
use super::input::{Stored, data, input};
use crate::decision::Verdict;
use crate::question::Question;
use crate::registry::Registry;

/// The most that one evaluation may take: instructions, which are the same everywhere, and, where these are slow,
/// time and memory.
const INSTRUCTIONS: usize = 1_000_000;
const TIME: Duration = Duration::from_millis(500);
const MEMORY: NonZeroU64 = NonZeroU64::new(16 << 20).unwrap();
const BETWEEN_LOOKS: NonZeroU32 = NonZeroU32::new(8).unwrap();

impl Package {
    /// Decides; `at` is the time of the decision, in microseconds since the epoch.
    pub(crate) fn decide(
        &self,
        question: &Question<'_>,
        registry: Option<&Registry>,
        at: i64,
    ) -> Verdict {
        // A panic of the evaluator is a failure like any other: nothing of it is used again.
        let found = catch_unwind(AssertUnwindSafe(|| self.run(question, registry, at)));
        match found.unwrap_or_else(|_| Err("the evaluator failed".to_owned())) {
            Ok(verdict) => verdict,
            Err(diagnostic) => Verdict::error(diagnostic).by(format!("{}/error", self.id)),
        }
    }

    fn run(
        &self,
        question: &Question<'_>,
        registry: Option<&Registry>,
        at: i64,
    ) -> Result<Verdict, String> {
        let stored = Stored::of(question, registry);
        let mut vm = RegoVM::new();
        vm.set_strict_builtin_errors(true);
        vm.set_max_instructions(INSTRUCTIONS);
        vm.set_execution_timer_config(Some(ExecutionTimerConfig {
            limit: TIME,
            check_interval: BETWEEN_LOOKS,
        }));
        vm.set_memory_budget_config(Some(MemoryBudgetConfig { limit: MEMORY }));
        vm.load_program(Arc::clone(&self.program));
        vm.set_context(Value::from(at.saturating_mul(1_000)));
        vm.set_input(input(question, &stored));
        vm.set_data(data(stored)).map_err(|error| error.to_string())?;
        let ran = self.functions.run(|| vm.execute());
        let value = ran.and_then(|ran| ran.map_err(|error| stopped(&error)));
        let value = value.map_err(|error| self.told(&vm, &error))?;
        self.answer(&value).map_err(|what| format!("{}: `decision` {what}", self.file))
    }

    /// An error of the evaluator, with the line that it happened in.
    fn told(&self, vm: &RegoVM, error: &str) -> String {
        let line = self.program.get_instruction_span(vm.get_pc()).map_or(0, |span| span.line);
        let error: String = error.chars().take(300).collect();
        if line == 0 {
            format!("{}: {error}", self.file)
        } else {
            format!("{}:{line}: {error}", self.file)
        }
    }
}

fn stopped(error: &VmError) -> String {
    match error {
        VmError::InstructionLimitExceeded { .. }
        | VmError::TimeLimitExceeded { .. }
        | VmError::MemoryLimitExceeded { .. }
        | VmError::MemoryBudgetExceeded { .. } => format!(
            "stopped: it may take {INSTRUCTIONS} instructions, {} ms and {} MiB",
            TIME.as_millis(),
            MEMORY.get() >> 20
        ),
        other => other.to_string(),
    }
}
