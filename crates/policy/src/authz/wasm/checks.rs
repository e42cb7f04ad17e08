//! What must be true of a module before any of it runs.

use wasmtime::{ExternType, MemoryType, Module};

use super::host::FUNCTIONS;

/// What a module must export: functions of OPA's interface 1.2.
const EXPORTS: [&str; 9] = [
    "opa_eval",
    "opa_malloc",
    "opa_free",
    "opa_json_parse",
    "opa_json_dump",
    "opa_heap_ptr_get",
    "entrypoints",
    "builtins",
    ABI,
];
/// The version of the interface.
pub(super) const ABI: &str = "opa_wasm_abi_version";
/// Its second part.
pub(super) const ABI_MINOR: &str = "opa_wasm_abi_minor_version";

/// The memory that a module wants. It may import that and OPA's functions.
pub(super) fn memory(module: &Module) -> Result<MemoryType, String> {
    let mut memory = None;
    for import in module.imports() {
        let (from, name) = (import.module(), import.name());
        match import.ty() {
            ExternType::Memory(ty) if from == "env" && name == "memory" => memory = Some(ty),
            ExternType::Func(_) if from == "env" && FUNCTIONS.contains(&name) => {}
            _ => {
                return Err(format!(
                    "imports `{}` of `{}`, which OPA's modules don't: compile it with `opa build -t wasm`",
                    name.escape_debug(),
                    from.escape_debug()
                ));
            }
        }
    }
    let memory = memory.ok_or("imports no memory: OPA's modules do")?;
    match memory.is_64() || memory.is_shared() || memory.page_size_log2() != 16 {
        true => Err("wants memory of another kind than OPA's modules do".to_owned()),
        false => Ok(memory),
    }
}

/// Refuses a module without the functions that are called.
pub(super) fn exports(module: &Module) -> Result<(), String> {
    let lacks = |name: &&str| module.get_export(name).is_none();
    let lacking: Vec<&str> = EXPORTS.into_iter().filter(lacks).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    Err(format!(
        "does not export {}: it must be compiled by OPA 0.35 or later, with `opa build -t wasm`",
        lacking.join(", ")
    ))
}
