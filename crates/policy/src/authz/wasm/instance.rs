//! A module in memory of its own, which answers one question after the other and is put back in between.

use std::fmt;
use std::sync::Arc;

use wasmtime::{
    Engine, Error, Global, Linker, Memory, MemoryType, Module, Result, Store, TypedFunc, Val,
};

use super::bounds::{INSTRUCTIONS, Limits, MEMORY};
use super::builtins::Builtins;
use super::calls::{Calls, address};
use super::host::Host;
use super::parts::VARIABLE;

/// What all instances are made of.
pub(super) struct Program {
    pub(super) engine: Engine,
    pub(super) module: Module,
    pub(super) functions: Linker<Host>,
    pub(super) memory: MemoryType,
    pub(super) builtins: Arc<Builtins>,
    pub(super) ready: Ready,
}

/// What a module is when its data has been loaded: every question begins here.
#[derive(Default)]
pub(super) struct Ready {
    pub(super) memory: Vec<u8>,
    pub(super) variables: Vec<Val>,
    /// The address of the data.
    pub(super) data: i32,
    /// What is free begins here.
    pub(super) free: i32,
}

/// One of them.
pub(super) struct Instance {
    pub(super) store: Store<Host>,
    pub(super) inner: wasmtime::Instance,
    pub(super) calls: Calls,
    variables: Vec<Global>,
    evaluate: TypedFunc<Evaluation, i32>,
}

/// Nothing yet, the entry point, data, the input and its length, what is free, and that JSON is wanted.
type Evaluation = (i32, i32, i32, i32, i32, i32, i32);

/// What an instance may have taken and still be asked again: to clear more costs more than a new one.
const KEPT: usize = 1 << 20;
/// Values stand at multiples of this.
const ALIGNED: i32 = 8;

impl Program {
    /// A module as it is before it has run, within bounds.
    pub(super) fn begin(&self, limits: Limits, instructions: u64) -> Result<Instance, String> {
        let host = Host { limits, builtins: Arc::clone(&self.builtins), ..Host::default() };
        let mut store = Store::new(&self.engine, host);
        store.limiter(|host| &mut host.limits);
        let started = store.set_fuel(instructions).and_then(|()| {
            let memory = Memory::new(&mut store, self.memory.clone())?;
            let mut linker = self.functions.clone();
            linker.define(&store, "env", "memory", memory)?;
            let inner = linker.instantiate(&mut store, &self.module)?;
            let calls = Calls::of(&inner, &mut store, memory)?;
            let evaluate = inner.get_typed_func(&mut store, "opa_eval")?;
            Ok((inner, calls, evaluate))
        });
        let (inner, calls, evaluate) = started.map_err(|error| store.data().told(&error))?;
        store.data_mut().calls = Some(calls.clone());
        let exports = inner.exports(&mut store).filter(|it| it.name().starts_with(VARIABLE));
        let variables = exports.filter_map(wasmtime::Export::into_global).collect();
        Ok(Instance { store, inner, calls, variables, evaluate })
    }

    /// One that can be asked.
    pub(super) fn instance(&self) -> Result<Instance, String> {
        let most = self.ready.memory.len() + MEMORY;
        let limits = Limits { memory: most, reached: false };
        let mut instance = self.begin(limits, INSTRUCTIONS)?;
        let size = instance.calls.memory.data_size(&instance.store);
        let lacks = self.ready.memory.len().saturating_sub(size).div_ceil(PAGE) as u64;
        let grown = instance.calls.memory.grow(&mut instance.store, lacks);
        grown.map_err(|error| instance.store.data().told(&error))?;
        match instance.restore(self) {
            true => Ok(instance),
            false => Err("stopped: it can't be begun".to_owned()),
        }
    }
}

/// What memory is given in.
const PAGE: usize = 64 << 10;

impl Instance {
    /// Answers one question: the JSON of the result.
    pub(super) fn evaluate(
        &mut self,
        program: &Program,
        entry: i32,
        input: &[u8],
        at: i64,
    ) -> Result<Vec<u8>, String> {
        let host = self.store.data_mut();
        (host.at, host.limits.reached) = (at, false);
        let found = self.run(&program.ready, entry, input);
        found.map_err(|error| self.store.data().told(&error))
    }

    fn run(&mut self, ready: &Ready, entry: i32, input: &[u8]) -> Result<Vec<u8>> {
        let Self { store, calls, .. } = self;
        store.set_fuel(INSTRUCTIONS)?;
        let begin = aligned(ready.free)?;
        let length = i32::try_from(input.len())?;
        let end = aligned(begin.checked_add(length).ok_or_else(no_room)?)?;
        let lacks = address(end).saturating_sub(calls.memory.data_size(&*store)).div_ceil(PAGE);
        if lacks > 0 {
            calls.memory.grow(&mut *store, lacks as u64)?;
        }
        calls.memory.write(&mut *store, address(begin), input)?;
        let asked = (0, entry, ready.data, begin, length, end, 0);
        let result = self.evaluate.call(&mut *store, asked)?;
        calls.text(&*store, result)
    }

    /// Puts everything back that a question may have changed; false when that is not worth it.
    ///
    /// INVARIANT: memory, variables, tables and segments are all that a module can change. The first two are put back
    /// here, and `parts` refuses what changes the others.
    pub(super) fn restore(&mut self, program: &Program) -> bool {
        let ready = &program.ready;
        let memory = self.calls.memory.data_mut(&mut self.store);
        let Some((kept, taken)) = memory.split_at_mut_checked(ready.memory.len()) else {
            return false;
        };
        if taken.len() > KEPT {
            return false;
        }
        kept.copy_from_slice(&ready.memory);
        taken.fill(0);
        let mut variables = self.variables.iter().zip(&ready.variables);
        variables.all(|(variable, value)| variable.set(&mut self.store, *value).is_ok())
    }

    /// What it is now.
    pub(super) fn ready(&mut self, data: i32, free: i32) -> Ready {
        let variables = self.variables.iter().map(|it| it.get(&mut self.store)).collect();
        let memory = self.calls.memory.data(&self.store).to_vec();
        Ready { memory, variables, data, free }
    }
}

fn aligned(at: i32) -> Result<i32> {
    at.checked_add(ALIGNED - 1).map(|at| at & -ALIGNED).ok_or_else(no_room)
}

fn no_room() -> Error {
    Error::msg("its memory is full")
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("builtins", &self.builtins).finish_non_exhaustive()
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").finish_non_exhaustive()
    }
}
