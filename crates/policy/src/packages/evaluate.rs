//! One evaluation: the question goes in, what the rule `decision` gives comes out. Whatever fails denies, and
//! says where.

use super::Package;
use super::input::{Stored, data, input};
use crate::decision::Verdict;
use crate::question::Question;
use crate::registry::Registry;
use crate::rego::{Marked, Reached, Seen};

impl Package {
    /// What rules see of a registry that is not there.
    pub(crate) fn no_data() -> regorus::Value {
        data(Stored::default())
    }

    /// Its rules, marked.
    pub(crate) fn marked(&self) -> Marked {
        self.rules.marked()
    }

    /// Asks without a registry, for the lines that answering reaches.
    pub(crate) fn reach(
        &self,
        marked: &Marked,
        question: &Question<'_>,
        at: i64,
        reached: &mut Reached,
    ) {
        let stored = Stored::of(question, None);
        let seen = Seen { input: input(question, &stored), data: data(stored), at };
        // What fails has been where it has been.
        let _ = marked.run(0, seen, reached);
    }

    /// Decides; `at` is the time of the decision, in microseconds since the epoch.
    pub(crate) fn decide(
        &self,
        question: &Question<'_>,
        registry: Option<&Registry>,
        at: i64,
    ) -> Verdict {
        let stored = Stored::of(question, registry);
        let seen = Seen { input: input(question, &stored), data: data(stored), at };
        let answer = self.rules.run(0, seen, |value| {
            self.answer(value).map_err(|what| format!("{}: `decision` {what}", self.file))
        });
        answer.unwrap_or_else(|diagnostic| {
            Verdict::error(diagnostic).by(format!("{}/error", self.id))
        })
    }
}
