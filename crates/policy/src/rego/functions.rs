//! The functions that rules call. Some can give far more than they are given: these are refused a result that
//! is too large before they begin, since within one function nobody looks at the clock or the memory. One
//! that fails ends the evaluation: to the evaluator it would be a rule that does not apply.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use regorus::rvm::Program;
use regorus::{LimitError, Value};

use super::growth::{GROWTHS, Growth};

/// The largest result, in bytes.
pub(super) const MOST: u64 = 4 << 20;

/// A function of the evaluator. Its first two parameters say where it stands in the text.
type Function<S, E> = fn(&S, &[E], &[Value], bool) -> anyhow::Result<Value>;

/// The most functions that the rules of one program may call.
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
        None => Err("no rules run here".to_owned()),
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
