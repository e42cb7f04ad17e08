//! The rules that were tried, in order. Who does not want to know pays nothing for it.

/// Is told of each rule that is tried.
pub trait Trail {
    /// A rule, and whether it held.
    fn tried(&mut self, rule: impl FnOnce() -> (Box<str>, bool));
}

/// Keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Untold;

impl Trail for Untold {
    fn tried(&mut self, _: impl FnOnce() -> (Box<str>, bool)) {}
}

/// A rule that was tried.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Tried {
    /// Its place in the policy.
    pub rule: Box<str>,
    /// Whether it held.
    pub held: bool,
}

impl Trail for Vec<Tried> {
    fn tried(&mut self, rule: impl FnOnce() -> (Box<str>, bool)) {
        let (rule, held) = rule();
        self.push(Tried { rule, held });
    }
}
