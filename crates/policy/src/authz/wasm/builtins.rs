//! The functions that OPA leaves to whoever runs a module: they are those that rules in Rego call here, with the same
//! bounds and refusals.

use std::collections::BTreeMap;

use regorus::Value;

use crate::rego::{Parsed, Rules, Seen, size};

/// Functions by the numbers that the module calls them by.
#[derive(Debug, Default)]
pub(super) struct Builtins(BTreeMap<i32, Builtin>);

/// One function, as a rule that calls it.
#[derive(Debug)]
struct Builtin {
    name: String,
    arguments: usize,
    rules: Rules,
}

/// The most arguments.
const MOST: usize = 4;
/// The largest result, in bytes.
const LARGEST: u64 = 1 << 20;
/// The most functions.
const MANY: usize = 64;
/// What gives a set, or may put one into what it gives: a module takes JSON, in which that is a list, and finds
/// nothing in it.
const SETS: [&str; 5] = [
    "graph.reachable",
    "json.patch",
    "net.cidr_contains_matches",
    "net.cidr_expand",
    "net.cidr_merge",
];
const CALL: &str = "data.countersign.call.result";

impl Builtins {
    /// Makes those that a module calls ready.
    pub(super) fn read(names: BTreeMap<String, i32>) -> Result<Self, String> {
        if names.len() > MANY {
            return Err(format!("calls {} functions of its host; {MANY} may be", names.len()));
        }
        let (mut all, mut unknown) = (BTreeMap::new(), Vec::new());
        for (name, number) in names {
            match Builtin::of(&name) {
                Some(builtin) => drop(all.insert(number, builtin)),
                None => unknown.push(format!("`{}`", name.escape_debug())),
            }
        }
        if unknown.is_empty() {
            return Ok(Self(all));
        }
        Err(format!(
            "calls {}, which rules can't call here: not known, not bounded, not the same when it is asked again, or about sets",
            unknown.join(", ")
        ))
    }

    /// Calls one: its result as JSON, or none where it is undefined.
    pub(super) fn call(
        &self,
        number: i32,
        args: &[Vec<u8>],
        at: i64,
    ) -> Result<Option<String>, String> {
        let builtin =
            self.0.get(&number).ok_or_else(|| format!("no function has number {number}"))?;
        let named = |what: String| format!("`{}`: {what}", builtin.name);
        if args.len() != builtin.arguments {
            return Err(named(format!("has {} arguments, not {}", builtin.arguments, args.len())));
        }
        let args = args.iter().map(|text| serde_json::from_slice::<serde_json::Value>(text));
        let args = args.map(|value| value.map(Value::from)).collect::<Result<Vec<_>, _>>();
        let input = args.map_err(|error| named(error.to_string()))?.into();
        builtin.rules.run(0, Seen { input, data: Value::Undefined, at }, |value| match value {
            Value::Undefined => Ok(None),
            // What shares its parts may be written out without end.
            value if size(value, LARGEST + 1) > LARGEST => {
                Err(format!("`{}`: the result may be {LARGEST} bytes long", builtin.name))
            }
            value => serde_json::to_string(value).map(Some).map_err(|error| error.to_string()),
        })
    }
}

impl Builtin {
    /// None when no such function is known here, or it is refused.
    fn of(name: &str) -> Option<Self> {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_.".contains(&byte);
        if !name.bytes().all(known) || SETS.contains(&name) {
            return None;
        }
        // How many arguments it takes is only known when it is called with some.
        let arguments = calling(name, 0)?.arguments().filter(|&count| count <= MOST)?;
        Some(Self { name: name.to_owned(), arguments, rules: calling(name, arguments)? })
    }
}

/// A rule that calls a function.
fn calling(name: &str, arguments: usize) -> Option<Rules> {
    let arguments: Vec<String> = (0..arguments).map(|at| format!("input[{at}]")).collect();
    let text = format!("package countersign.call\nresult := {name}({})\n", arguments.join(", "));
    Parsed::read(&[(name, &text)]).ok()?.compile(&[CALL]).ok()
}
