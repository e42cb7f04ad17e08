//! The functions that rules call. Some can give far more than they are given: these are refused a result that
//! is too large before they begin, since within one function nobody looks at the clock or the memory. One
//! that fails ends the evaluation: to the evaluator it would be a rule that does not apply.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use regorus::rvm::Program;
use regorus::{LimitError, Value};

use super::text::has_large_exponent;

/// The largest result, in bytes.
const MOST: u64 = 4 << 20;

/// How large the result may get, in bytes.
type Growth = fn(&[Value]) -> u64;
/// A function of the evaluator. Its first two parameters say where it stands in the text.
type Function<S, E> = fn(&S, &[E], &[Value], bool) -> anyhow::Result<Value>;

/// An element of a list, and what stands around it.
const ELEMENT: u64 = 48;
const GROWTHS: [(&str, Growth); 17] = [
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
    ("json.unmarshal", numeral),
    ("to_number", numeral),
    ("units.parse", numeral),
    ("units.parse_bytes", numeral),
];

/// The most functions that one package may call.
pub(super) const MANY: usize = 64;

/// The functions of a program, in the order of its table.
pub(super) struct Functions(Vec<One>);

struct One {
    name: String,
    growth: Option<Growth>,
    original: Box<dyn Any + Send + Sync>,
}

thread_local! {
    /// What runs on this thread: its functions, and what the one said that failed.
    static RUNNING: RefCell<(Option<Arc<Functions>>, Option<String>)> = const { RefCell::new((None, None)) };
}

impl Functions {
    /// Stands before a program's functions; none when there are too many.
    pub(super) fn before(program: &mut Program) -> Option<Arc<Self>> {
        let mut all = Vec::new();
        let names = program.builtin_info_table.iter().map(|info| &info.name);
        for (at, (name, (function, _))) in names.zip(&mut program.resolved_builtins).enumerate() {
            let growth =
                GROWTHS.iter().find(|(bounded, _)| bounded == name).map(|(_, growth)| *growth);
            all.push(One { name: name.clone(), growth, original: Box::new(*function) });
            *function = standing_at(at, *function)?;
        }
        Some(Arc::new(Self(all)))
    }

    /// Runs what calls them: its result, or what the function said that failed.
    pub(super) fn run<T>(self: &Arc<Self>, program: impl FnOnce() -> T) -> Result<T, String> {
        RUNNING.set((Some(Arc::clone(self)), None));
        let result = program();
        let (_, failed) = RUNNING.take();
        failed.map_or(Ok(result), Err)
    }

    fn call<S: 'static, E: 'static>(
        &self,
        at: usize,
        span: &S,
        places: &[E],
        args: &[Value],
    ) -> Result<Value, String> {
        let one = self.0.get(at).ok_or("a function that is not known")?;
        if one.growth.is_some_and(|growth| growth(args) > MOST) {
            return Err(format!("`{}`: the result may be larger than {MOST} bytes", one.name));
        }
        let original = one.original.downcast_ref::<Function<S, E>>();
        let original = original.ok_or("a function of another form")?;
        original(span, places, args, true).map_err(|error| said(&one.name, &error))
    }
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|one| &one.name)).finish()
    }
}

/// What the evaluator calls in place of its function at `at`: a plain function, which can hold nothing but its
/// number.
fn called<const AT: usize, S: 'static, E: 'static>(
    span: &S,
    places: &[E],
    args: &[Value],
    _strict: bool,
) -> anyhow::Result<Value> {
    let functions = RUNNING.with_borrow(|(functions, _)| functions.clone());
    let result = match functions {
        Some(functions) => functions.call(AT, span, places, args),
        None => Err("no package runs here".to_owned()),
    };
    result.map_err(|failed| {
        RUNNING.with_borrow_mut(|(_, last)| *last = Some(failed));
        // The only kind of error that the evaluator does not take for a rule that does not apply.
        LimitError::MemoryLimitExceeded { usage: 0, limit: 0 }.into()
    })
}

fn standing_at<S: 'static, E: 'static>(at: usize, _like: Function<S, E>) -> Option<Function<S, E>> {
    macro_rules! each {
        ($($n:literal)*) => { [$(called::<$n, S, E>),*] };
    }
    let all: [Function<S, E>; MANY] = each!(
        0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
        32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63
    );
    all.get(at).copied()
}

/// The last line of what a function says; those before it draw where it stands.
fn said(name: &str, error: &anyhow::Error) -> String {
    let text = error.to_string();
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    let named = format!("`{name}`");
    let line = line.strip_prefix(&*named).unwrap_or(line).trim_start();
    format!("{named}: {}", line.chars().take(200).collect::<String>())
}

/// About how many bytes a value takes when all that it shares is written out; counts to `most`.
pub(super) fn size(value: &Value, most: u64) -> u64 {
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
