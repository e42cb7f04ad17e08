//! What a module is given: its memory and OPA's seven functions, nothing else.

use std::sync::Arc;

use wasmtime::{Caller, Engine, Error, Linker, Result, Trap};

use super::bounds::{CALL, INSTRUCTIONS, Limits, MEMORY};
use super::builtins::Builtins;
use super::calls::{Calls, call, take};

/// The longest word of a module that is told, in characters.
const SAID: usize = 200;

/// What stands behind a module while it runs.
#[derive(Default)]
pub(super) struct Host {
    pub(super) limits: Limits,
    pub(super) builtins: Arc<Builtins>,
    pub(super) calls: Option<Calls>,
    /// What it takes for now, in microseconds since the epoch.
    pub(super) at: i64,
}

impl Host {
    /// Why a module did not answer.
    pub(super) fn told(&self, error: &Error) -> String {
        let out_of_fuel = error.downcast_ref::<Trap>() == Some(&Trap::OutOfFuel);
        if out_of_fuel || self.limits.reached {
            return format!(
                "stopped: it may take {INSTRUCTIONS} instructions and {} MiB besides its data",
                MEMORY >> 20
            );
        }
        let said = error.root_cause().to_string();
        format!("stopped: {}", said.chars().take(SAID).collect::<String>().escape_debug())
    }
}

/// What a module may import, except for its memory.
pub(super) const FUNCTIONS: [&str; 7] = [
    "opa_abort",
    "opa_println",
    "opa_builtin0",
    "opa_builtin1",
    "opa_builtin2",
    "opa_builtin3",
    "opa_builtin4",
];

/// The functions that a module is given.
pub(super) fn functions(engine: &Engine) -> Result<Linker<Host>> {
    const ENV: &str = "env";
    let mut linker = Linker::new(engine);
    linker.func_wrap(ENV, "opa_abort", |caller: Caller<'_, Host>, at: i32| -> Result<()> {
        let calls = caller.data().calls.as_ref();
        let text = calls.and_then(|calls| calls.text(&caller, at).ok()).unwrap_or_default();
        Err(Error::msg(format!("it gave up: {}", String::from_utf8_lossy(&text))))
    })?;
    // What it prints goes nowhere: at the doors it would be a line, or a million, for every question.
    linker.func_wrap(ENV, "opa_println", |mut caller: Caller<'_, Host>, _: i32| -> Result<()> {
        take(&mut caller, CALL)
    })?;
    linker.func_wrap(ENV, "opa_builtin0", |caller: Caller<'_, Host>, id: i32, _: i32| {
        call(caller, id, &[])
    })?;
    linker.func_wrap(
        ENV,
        "opa_builtin1",
        |caller: Caller<'_, Host>, id: i32, _: i32, a: i32| call(caller, id, &[a]),
    )?;
    linker.func_wrap(
        ENV,
        "opa_builtin2",
        |caller: Caller<'_, Host>, id: i32, _: i32, a: i32, b: i32| call(caller, id, &[a, b]),
    )?;
    linker.func_wrap(
        ENV,
        "opa_builtin3",
        |caller: Caller<'_, Host>, id: i32, _: i32, a: i32, b: i32, c: i32| {
            call(caller, id, &[a, b, c])
        },
    )?;
    linker.func_wrap(
        ENV,
        "opa_builtin4",
        |caller: Caller<'_, Host>, id: i32, _: i32, a: i32, b: i32, c: i32, d: i32| {
            call(caller, id, &[a, b, c, d])
        },
    )?;
    Ok(linker)
}
