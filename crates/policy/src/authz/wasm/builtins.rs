//! The functions that OPA leaves to whoever runs a module: they are those that rules in Rego call here, with the same
//! bounds and refusals.

use std::collections::BTreeMap;

use regorus::Value;

use crate::rego::{Parsed, Rules, Seen};

/// Functions by the numbers that the module calls them by.
#[derive(Debug, Default)]
pub(super) struct Builtins(BTreeMap<i32, Builtin>);

/// One function, with so many arguments as it may have.
#[derive(Debug)]
struct Builtin {
    name: String,
    with: [Option<Rules>; MOST + 1],
}

/// The most arguments.
const MOST: usize = 4;
/// The most functions.
const MANY: usize = 64;
const CALL: &str = "data.countersign.call.result";

impl Builtins {
    /// Makes those that a module calls ready.
    pub(super) fn read(names: BTreeMap<String, i32>) -> Result<Self, String> {
        if names.len() > MANY {
            return Err(format!("calls {} functions of its host; {MANY} may be", names.len()));
        }
        let (mut all, mut unknown) = (BTreeMap::new(), Vec::new());
        for (name, number) in names {
            let with = std::array::from_fn(|count| rules(&name, count));
            match with.iter().any(Option::is_some) {
                true => drop(all.insert(number, Builtin { name, with })),
                false => unknown.push(format!("`{}`", name.escape_debug())),
            }
        }
        if unknown.is_empty() {
            return Ok(Self(all));
        }
        Err(format!(
            "calls {}, which rules can't call here: not known, not bounded, or not the same when it is asked again",
            unknown.join(", ")
        ))
    }

    /// Calls one: its result as JSON, or none where it is undefined.
    pub(super) fn call(&self, number: i32, args: &[Vec<u8>], at: i64) -> Result<Option<String>, String> {
        let builtin = self.0.get(&number).ok_or_else(|| format!("no function has number {number}"))?;
        let named = |what: String| format!("`{}`: {what}", builtin.name);
        let rules = builtin.with.get(args.len()).and_then(Option::as_ref);
        let rules = rules.ok_or_else(|| named(format!("has not {} arguments", args.len())))?;
        let args = args.iter().map(|text| serde_json::from_slice::<serde_json::Value>(text));
        let args = args.map(|value| value.map(Value::from)).collect::<Result<Vec<_>, _>>();
        let input = args.map_err(|error| named(error.to_string()))?.into();
        rules.run(0, Seen { input, data: Value::Undefined, at }, |value| match value {
            Value::Undefined => Ok(None),
            value => value.to_json_str().map(Some).map_err(|error| error.to_string()),
        })
    }
}

/// A rule that calls a function; none when it is not known with so many arguments, or refused.
fn rules(name: &str, arguments: usize) -> Option<Rules> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_.".contains(&byte);
    if !name.bytes().all(known) {
        return None;
    }
    let arguments: Vec<String> = (0..arguments).map(|at| format!("input[{at}]")).collect();
    let text = format!("package countersign.call\nresult := {name}({})\n", arguments.join(", "));
    Parsed::read(&[(name, &text)]).ok()?.compile(&[CALL]).ok()
}
