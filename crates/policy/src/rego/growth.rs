//! How large the result of a function may get, by what it is given.

use regorus::Value;

use super::functions::MOST;
use super::text::has_large_exponent;

/// How large the result may get, in bytes.
pub(super) type Growth = fn(&[Value]) -> u64;

/// An element of a list, and what stands around it.
const ELEMENT: u64 = 48;
/// The functions that can give far more than they are given.
pub(super) const GROWTHS: [(&str, Growth); 18] = [
    ("concat", |args| size_of(args).saturating_add(length(args, 1).saturating_mul(text(args, 0)))),
    ("sprintf", |args| widths(args).saturating_add(size_of(args).saturating_mul(6))),
    ("replace", |args| replaced(text(args, 0), text(args, 1), text(args, 2))),
    ("strings.replace_n", replaced_by_each),
    ("regex.replace", |args| replaced(text(args, 0), 0, text(args, 2))),
    ("split", |args| (text(args, 0) / text(args, 1).max(1) + 1).saturating_mul(ELEMENT)),
    ("numbers.range", |args| distance(args).saturating_mul(ELEMENT)),
    ("numbers.range_step", |args| distance(args).saturating_mul(ELEMENT)),
    ("bits.lsh", |args| args.get(1).and_then(|it| it.as_u64().ok()).unwrap_or(u64::MAX) / 8),
    ("net.cidr_expand", addresses),
    ("walk", |args| size_of(args).saturating_mul(ELEMENT)),
    ("json.marshal", |args| size_of(args).saturating_mul(6)),
    ("json.marshal_with_options", |args| size_of(args).saturating_mul(6)),
    ("json.patch", patched),
    ("json.unmarshal", numeral),
    ("to_number", numeral),
    ("units.parse", numeral),
    ("units.parse_bytes", numeral),
];

/// About how many bytes a value takes when all that it shares is written out; counts to `most`.
pub(crate) fn size(value: &Value, most: u64) -> u64 {
    fn walk(value: &Value, left: &mut u64) {
        let own = if let Value::String(text) = value { text.len() as u64 } else { 0 };
        *left = left.saturating_sub(own + 16);
        if *left == 0 {
            return;
        }
        let mut each = |one: &Value| {
            walk(one, left);
            *left > 0
        };
        let _ = match value {
            Value::Array(list) => list.iter().all(each),
            Value::Set(set) => set.iter().all(each),
            Value::Object(members) => members.iter().all(|(name, one)| each(name) && each(one)),
            _ => true,
        };
    }
    let mut left = most;
    walk(value, &mut left);
    most - left
}

fn size_of(args: &[Value]) -> u64 {
    args.iter().map(|one| size(one, MOST + 1)).sum()
}

/// The length of a text; 0 of anything else.
fn text(args: &[Value], at: usize) -> u64 {
    match args.get(at) {
        Some(Value::String(text)) => text.len() as u64,
        _ => 0,
    }
}

/// How many a list or a set holds.
fn length(args: &[Value], at: usize) -> u64 {
    match args.get(at) {
        Some(Value::Array(list)) => list.iter().len() as u64,
        Some(Value::Set(set)) => set.iter().count() as u64,
        _ => 0,
    }
}

/// How long a text gets in which each `old` becomes `new`.
fn replaced(text: u64, old: u64, new: u64) -> u64 {
    let times = text.checked_div(old).unwrap_or(text + 1);
    times.saturating_mul(new).saturating_add(text)
}

/// One after the other: what one puts in, the next one finds.
fn replaced_by_each(args: &[Value]) -> u64 {
    let Some(Value::Object(patterns)) = args.first() else { return 0 };
    patterns.iter().fold(text(args, 1), |length, (old, new)| {
        let (old, new) = (size(old, MOST).saturating_sub(16), size(new, MOST).saturating_sub(16));
        replaced(length, old, new)
    })
}

/// Each copy may put all that is there into it once more.
fn patched(args: &[Value]) -> u64 {
    let Some(Value::Array(patches)) = args.get(1) else { return 0 };
    let is_copy = |patch: &&Value| matches!(&patch["op"], Value::String(op) if &**op == "copy");
    let copies = patches.iter().filter(is_copy).take(64).count();
    (0..copies).fold(size_of(args), |size, _| size.saturating_mul(2))
}

/// The sum of all widths in a format.
fn widths(args: &[Value]) -> u64 {
    let Some(Value::String(format)) = args.first() else { return 0 };
    let runs = format.split(|character: char| !character.is_ascii_digit());
    runs.filter(|run| !run.is_empty())
        .map(|run| run.parse().unwrap_or(u64::MAX))
        .fold(0, u64::saturating_add)
}

fn distance(args: &[Value]) -> u64 {
    match (args.first().map(Value::as_i64), args.get(1).map(Value::as_i64)) {
        (Some(Ok(from)), Some(Ok(to))) => from.abs_diff(to).saturating_add(1),
        _ => u64::MAX,
    }
}

/// The addresses of a network.
fn addresses(args: &[Value]) -> u64 {
    let Some(Value::String(network)) = args.first() else { return 0 };
    let Some((address, prefix)) = network.split_once('/') else { return 0 };
    let all: u32 = if address.contains(':') { 128 } else { 32 };
    let bits = all.saturating_sub(prefix.parse().unwrap_or(0));
    1_u64.checked_shl(bits).unwrap_or(u64::MAX).saturating_mul(ELEMENT)
}

/// A text that may hold numbers, which are held exactly: `1e999999999` has that many digits.
fn numeral(args: &[Value]) -> u64 {
    match args.first() {
        Some(Value::String(text)) if has_large_exponent(text) => u64::MAX,
        Some(Value::String(text)) => text.len() as u64,
        _ => 0,
    }
}
