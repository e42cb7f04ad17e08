//! OPA's interface: how values get into a module's memory, and out of it.

use wasmtime::{AsContext, AsContextMut, Caller, Error, Instance, Memory, Result, Trap, TypedFunc};

use super::bounds::{CALL, CALL_BYTE, TEXT};
use super::host::Host;

/// What a module gives to work with values in its memory.
#[derive(Clone)]
pub(super) struct Calls {
    pub(super) memory: Memory,
    malloc: TypedFunc<i32, i32>,
    free: TypedFunc<i32, ()>,
    parse: TypedFunc<(i32, i32), i32>,
    dump: TypedFunc<i32, i32>,
}

impl Calls {
    pub(super) fn of(
        instance: &Instance,
        mut store: impl AsContextMut<Data = Host>,
        memory: Memory,
    ) -> Result<Self> {
        Ok(Self {
            memory,
            malloc: instance.get_typed_func(&mut store, "opa_malloc")?,
            free: instance.get_typed_func(&mut store, "opa_free")?,
            parse: instance.get_typed_func(&mut store, "opa_json_parse")?,
            dump: instance.get_typed_func(&mut store, "opa_json_dump")?,
        })
    }

    /// Puts a value into the module: its address.
    pub(super) fn put(
        &self,
        mut store: impl AsContextMut<Data = Host>,
        json: &[u8],
    ) -> Result<i32> {
        let length = i32::try_from(json.len())?;
        let text = self.malloc.call(&mut store, length)?;
        self.memory.write(&mut store, address(text), json)?;
        let value = self.parse.call(&mut store, (text, length))?;
        self.free.call(&mut store, text)?;
        match value {
            0 => Err(Error::msg("it does not understand a value that it was given")),
            value => Ok(value),
        }
    }

    /// Takes a value out of the module: its JSON.
    pub(super) fn get(
        &self,
        mut store: impl AsContextMut<Data = Host>,
        value: i32,
    ) -> Result<Vec<u8>> {
        let text = self.dump.call(&mut store, value)?;
        self.text(&store, text)
    }

    /// The text at an address, up to its end.
    pub(super) fn text(&self, store: impl AsContext<Data = Host>, at: i32) -> Result<Vec<u8>> {
        let rest = self.memory.data(store.as_context()).get(address(at)..);
        let rest = rest.ok_or_else(|| Error::msg("it gave an address outside of its memory"))?;
        let longest = rest.get(..=TEXT).unwrap_or(rest);
        let end = longest.iter().position(|byte| *byte == 0).ok_or_else(|| {
            Error::msg(format!("it gave a text without an end, or of more than {TEXT} bytes"))
        })?;
        Ok(longest.get(..end).unwrap_or_default().to_vec())
    }
}

/// Calls a function of the host for the module: the address of its result.
pub(super) fn call(mut caller: Caller<'_, Host>, number: i32, args: &[i32]) -> Result<i32> {
    take(&mut caller, CALL)?;
    let host = caller.data();
    let (builtins, at) = (host.builtins.clone(), host.at);
    let calls = host.calls.clone().ok_or_else(|| Error::msg("it calls before it is called"))?;
    let args = args.iter().map(|arg| calls.get(&mut caller, *arg)).collect::<Result<Vec<_>>>()?;
    take(&mut caller, CALL_BYTE * args.iter().map(Vec::len).sum::<usize>() as u64)?;
    let Some(json) = builtins.call(number, &args, at).map_err(Error::msg)? else { return Ok(0) };
    take(&mut caller, CALL_BYTE * json.len() as u64)?;
    calls.put(&mut caller, json.as_bytes())
}

/// Takes so many instructions off those that are left; fails when there are not as many.
pub(super) fn take(mut store: impl AsContextMut<Data = Host>, instructions: u64) -> Result<()> {
    let mut store = store.as_context_mut();
    let left = store.get_fuel()?.checked_sub(instructions).ok_or(Trap::OutOfFuel)?;
    store.set_fuel(left)
}

/// An address, as the module means it.
pub(super) fn address(at: i32) -> usize {
    at.cast_unsigned() as usize
}
