//! From bytes to what can be asked. Everything that can be known of a module is looked at here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regorus::Value;
use serde::de::DeserializeOwned;
use wasmtime::{Engine, Module, Val};

use super::bounds::{self, LONGEST, Limits};
use super::builtins::Builtins;
use super::instance::{Instance, Program, Ready};
use super::result::Form;
use super::{Compiled, checks, host, parts};

/// The entry points that are asked, the first that is there.
const WHOLE: &str = "countersign/authz";
const ALLOW: &str = "countersign/authz/allow";

/// How to get a module that can be used.
const BUILD: &str = "`opa build -t wasm -e countersign/authz`, then take policy.wasm out of bundle.tar.gz as authz.wasm";

pub(super) fn load(module: &str, data: &Value) -> Result<Compiled, String> {
    // Base64 takes four letters for three bytes.
    if module.len() / 4 * 3 > LONGEST + 3 {
        return Err(format!("may be {LONGEST} bytes long"));
    }
    let bytes = STANDARD.decode(module).map_err(|error| format!("is no Base64: {error}"))?;
    if !bytes.starts_with(b"\0asm\x01\0\0\0") {
        return Err(format!("is no WebAssembly module: {BUILD}"));
    }
    let engine = Engine::new(&bounds::config()).map_err(|error| error.to_string())?;
    let bytes = parts::with_variables(&bytes)?;
    let module = Module::from_binary(&engine, &bytes)
        .map_err(|error| format!("is no module that can be run: {}", error.root_cause()))?;
    let memory = checks::memory(&module)?;
    checks::exports(&module)?;
    let functions = host::functions(&engine).map_err(|error| error.to_string())?;
    let builtins = Arc::default();
    let mut program =
        Program { engine, module, functions, memory, builtins, ready: Ready::default() };

    let data = serde_json::to_string(data).map_err(|error| error.to_string())?;
    let limits = Limits::to_load(data.len());
    let mut instance = program.begin(limits, bounds::to_load(data.len()))?;
    check_version(&mut instance)?;
    let builtins = Builtins::read(instance.list("builtins")?)?;
    let (entry, form) = entry_point(&instance.list("entrypoints")?)?;
    let (data, free) = instance.load(&data)?;
    program.ready = instance.ready(data, free);
    program.builtins = Arc::new(builtins);
    let first = program.instance()?;
    Ok(Compiled { program, entry, form, idle: Mutex::new(vec![first]) })
}

fn check_version(instance: &mut Instance) -> Result<(), String> {
    let mut version = |name: &str| {
        let global = instance.inner.get_global(&mut instance.store, name)?;
        if let Val::I32(version) = global.get(&mut instance.store) { Some(version) } else { None }
    };
    match (version(checks::ABI), version(checks::ABI_MINOR)) {
        (Some(1), Some(minor)) if minor >= 2 => Ok(()),
        (major, minor) => {
            let told = |it: Option<i32>| it.map_or_else(|| "?".to_owned(), |it| it.to_string());
            let (major, minor) = (told(major), told(minor));
            Err(format!(
                "is of OPA's interface {major}.{minor}; 1.2 and later 1.x can be run: {BUILD}"
            ))
        }
    }
}

fn entry_point(all: &BTreeMap<String, i32>) -> Result<(i32, Form), String> {
    if let Some(entry) = all.get(WHOLE) {
        return Ok((*entry, Form::Package));
    }
    if let Some(entry) = all.get(ALLOW) {
        return Ok((*entry, Form::Allow));
    }
    let there: Vec<String> =
        all.keys().take(10).map(|name| format!("`{}`", name.escape_debug())).collect();
    let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
    Err(format!("has no entry point `{WHOLE}` or `{ALLOW}`, but {there}: {BUILD}"))
}

impl Instance {
    /// What a function of the module lists: names with numbers.
    fn list<T: DeserializeOwned>(&mut self, function: &str) -> Result<T, String> {
        let Self { store, inner, calls, .. } = self;
        let listed = inner.get_typed_func::<(), i32>(&mut *store, function).and_then(|function| {
            let value = function.call(&mut *store, ())?;
            calls.get(&mut *store, value)
        });
        let listed = listed.map_err(|error| self.store.data().told(&error))?;
        serde_json::from_slice(&listed).map_err(|error| format!("its `{function}`: {error}"))
    }

    /// Loads data: its address, and where what is free begins then.
    fn load(&mut self, data: &str) -> Result<(i32, i32), String> {
        let Self { store, inner, calls, .. } = self;
        let loaded = calls.put(&mut *store, data.as_bytes()).and_then(|data| {
            let free = inner.get_typed_func::<(), i32>(&mut *store, "opa_heap_ptr_get")?;
            Ok((data, free.call(&mut *store, ())?))
        });
        loaded.map_err(|error| self.store.data().told(&error))
    }
}
