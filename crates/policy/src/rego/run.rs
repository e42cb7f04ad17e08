//! One evaluation: what rules see goes in, what a rule gives comes out, or where it failed.

use std::num::{NonZeroU32, NonZeroU64};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use regorus::rvm::RegoVM;
use regorus::rvm::vm::{ExecutionMode, VmError};
use regorus::utils::limits::{ExecutionTimerConfig, monotonic_now};
use regorus::{MemoryBudgetConfig, Value};

use super::Rules;

/// The most that one evaluation may take: instructions, which are the same everywhere, and, where these are slow,
/// time and memory.
pub(super) const INSTRUCTIONS: usize = 1_000_000;
const TIME: Duration = Duration::from_millis(500);
const MEMORY: NonZeroU64 = NonZeroU64::new(16 << 20).unwrap();
const BETWEEN_LOOKS: NonZeroU32 = NonZeroU32::new(8).unwrap();

/// What rules see.
#[derive(Clone)]
pub(crate) struct Seen {
    /// `input`
    pub(crate) input: Value,
    /// `data`
    pub(crate) data: Value,
    /// What they take for now, in microseconds since the epoch.
    pub(crate) at: i64,
}

/// How long several evaluations take together, by the clock that stops each of them.
pub(super) struct Timer {
    end: Option<Duration>,
}

impl Timer {
    pub(super) fn start(limit: Duration) -> Self {
        Self { end: monotonic_now().and_then(|now| now.checked_add(limit)) }
    }

    /// Without a clock it is over at once.
    pub(super) fn is_over(&self) -> bool {
        self.end.zip(monotonic_now()).is_none_or(|(end, now)| now >= end)
    }
}

impl Rules {
    /// Runs one of the rules that were compiled to be asked, by its place among them, and reads what it gives.
    pub(crate) fn run<T>(
        &self,
        rule: usize,
        seen: Seen,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Result<T, String> {
        // Rules that are enforced have nothing to stop for.
        let stopped = |_: usize, _: &Value| Err("stopped".to_owned());
        self.run_with_stops(rule, seen, INSTRUCTIONS, stopped, read)
    }

    /// The same for rules that stop: `answer` is told where and with what, and gives what they go on with.
    pub(super) fn run_with_stops<T>(
        &self,
        rule: usize,
        seen: Seen,
        instructions: usize,
        answer: impl FnMut(usize, &Value) -> Result<Value, String>,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Result<T, String> {
        // A panic of the evaluator is a failure like any other: nothing of it is used again.
        let evaluate = || read(&self.evaluate(rule, seen, instructions, answer)?);
        let found = catch_unwind(AssertUnwindSafe(evaluate));
        found.unwrap_or_else(|_| Err("the evaluator failed".to_owned()))
    }

    fn evaluate(
        &self,
        rule: usize,
        seen: Seen,
        instructions: usize,
        mut answer: impl FnMut(usize, &Value) -> Result<Value, String>,
    ) -> Result<Value, String> {
        if rule >= self.program.entry_points.len() {
            return Ok(Value::Undefined);
        }
        let mut vm = RegoVM::new();
        // Run in one go, a comprehension without elements does not end where it should.
        vm.set_execution_mode(ExecutionMode::Suspendable);
        vm.set_strict_builtin_errors(true);
        vm.set_max_instructions(instructions);
        vm.set_execution_timer_config(Some(ExecutionTimerConfig {
            limit: TIME,
            check_interval: BETWEEN_LOOKS,
        }));
        vm.set_memory_budget_config(Some(MemoryBudgetConfig { limit: MEMORY }));
        vm.load_program(Arc::clone(&self.program));
        vm.set_context(Value::from(seen.at.saturating_mul(1_000)));
        vm.set_input(seen.input);
        vm.set_data(seen.data).map_err(|error| error.to_string())?;
        let mut ran = self.functions.run(|| vm.execute_entry_point_by_index(rule));
        loop {
            let value = ran.and_then(|ran| ran.map_err(|error| stopped(&error)));
            let value = value.map_err(|error| self.told(&vm, &error))?;
            let Some(argument) = vm.get_host_await_argument() else { return Ok(value) };
            let answer = answer(vm.get_pc(), argument)?;
            ran = self.functions.run(|| vm.resume(Some(answer)));
        }
    }

    /// An error of the evaluator, with the line that it happened in.
    fn told(&self, vm: &RegoVM, error: &str) -> String {
        // What was put in stands in no line: the one before it counts.
        let mut spans =
            (0..=vm.get_pc()).rev().filter_map(|at| self.program.get_instruction_span(at));
        let line = spans.next().map_or(0, |span| span.line);
        let error: String = error.chars().take(300).collect();
        format!("{}: {error}", self.lines.place(line))
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
