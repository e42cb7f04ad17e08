//! How much a module may take.

use wasmtime::{Config, Error, OperatorCost, OptLevel, ResourceLimiter, Result};

/// The longest module, in bytes.
pub(super) const LONGEST: usize = 8 << 20;
/// The instructions that one question may take: the same number on every machine.
pub(super) const INSTRUCTIONS: u64 = 50_000_000;
/// What a question may take besides the module and its data, in bytes.
pub(super) const MEMORY: usize = 16 << 20;
/// What each call of a function outside of the module counts for: that runs for longer than an instruction.
pub(super) const CALL: u64 = 20_000;
/// The same for each byte that it is given or gives.
pub(super) const CALL_BYTE: u64 = 100;
/// The longest text that is taken from a module, in bytes.
pub(super) const TEXT: usize = 1 << 20;
/// The instructions to read data, for each byte of it.
const EACH_BYTE: u64 = 2_000;
/// What data may take in memory, for each byte of it.
const SPREAD: usize = 32;
/// The most functions that may be called by their number.
const TABLE: usize = 100_000;
/// The stack of a module, in bytes: asked on threads that have four times as much.
const STACK: usize = 512 << 10;

/// The instructions to load so much data.
pub(super) fn to_load(data: usize) -> u64 {
    INSTRUCTIONS + EACH_BYTE.saturating_mul(data as u64)
}

/// What a module may take, and whether it wanted more.
#[derive(Debug, Default)]
pub(super) struct Limits {
    pub(super) memory: usize,
    pub(super) reached: bool,
}

impl Limits {
    /// While so much data is loaded.
    pub(super) fn to_load(data: usize) -> Self {
        Self { memory: MEMORY + LONGEST + data.saturating_mul(SPREAD), reached: false }
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        self.reached |= desired > self.memory;
        // Told that there is no more, a module could ask for ever, which takes longer than other instructions.
        if self.reached { Err(Error::msg("it wants more memory")) } else { Ok(true) }
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        Ok(desired <= TABLE)
    }
}

/// How modules are compiled: what does not answer the same everywhere is not understood.
pub(super) fn config() -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .operator_cost(OperatorCost { MemoryGrow: u8::MAX, ..OperatorCost::default() })
        .max_wasm_stack(STACK)
        .cranelift_nan_canonicalization(true)
        .cranelift_opt_level(OptLevel::Speed)
        .wasm_relaxed_simd(false)
        // One of its own would be seen by the next question.
        .wasm_multi_memory(false)
        .wasm_backtrace_max_frames(None);
    config
}
