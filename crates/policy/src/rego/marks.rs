//! Which lines run. A marked program is another one with stops in it that change nothing: one before the first
//! instruction of each line, and where jumps lead. It tells where tests have been, never what they give.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use regorus::Value;
use regorus::rvm::Program;
use regorus::rvm::instructions::Instruction;

use super::Rules;
use super::guards::relocate;
use super::run::{INSTRUCTIONS, Seen};

/// A marked program. Without marks when it would get too long.
pub(crate) struct Marked {
    rules: Rules,
    marks: HashMap<usize, usize>,
}

/// Lines, by their files.
#[derive(Debug, Default)]
pub(crate) struct Reached(pub(crate) BTreeMap<String, BTreeSet<usize>>);

impl Reached {
    pub(crate) fn add_all(&mut self, others: Self) {
        for (file, lines) in others.0 {
            self.0.entry(file).or_default().extend(lines);
        }
    }

    fn add(&mut self, rules: &Rules, line: usize) {
        if let Some((file, line)) = rules.lines.find(line) {
            self.0.entry(file.to_owned()).or_default().insert(line);
        }
    }
}

impl Rules {
    pub(crate) fn marked(&self) -> Marked {
        let (program, functions) = (Arc::clone(&self.program), Arc::clone(&self.functions));
        let lines = self.lines.clone();
        let (program, marks) = match put(&program) {
            Some((marked, marks)) => (Arc::new(marked), marks),
            None => (program, HashMap::new()),
        };
        Marked { rules: Self { program, functions, lines }, marks }
    }
}

impl Marked {
    /// All lines that carry instructions.
    pub(crate) fn lines(&self) -> Reached {
        let mut all = Reached::default();
        self.marks.values().for_each(|line| all.add(&self.rules, *line));
        all
    }

    /// Runs a rule for the lines that it reaches.
    pub(crate) fn run(
        &self,
        rule: usize,
        seen: Seen,
        reached: &mut Reached,
    ) -> Result<Value, String> {
        self.run_with_stops(rule, seen, reached, |_| Err("stopped".to_owned()))
    }

    pub(super) fn run_with_stops(
        &self,
        rule: usize,
        seen: Seen,
        reached: &mut Reached,
        mut answer: impl FnMut(&Value) -> Result<Value, String>,
    ) -> Result<Value, String> {
        let mut lines = BTreeSet::new();
        let stop = |at: usize, argument: &Value| match self.marks.get(&at) {
            Some(line) => {
                lines.insert(*line);
                Ok(argument.clone())
            }
            None => answer(argument),
        };
        // There is at most one mark to an instruction.
        let value = self
            .rules
            .run_with_stops(rule, seen, 2 * INSTRUCTIONS, stop, |value| Ok(value.clone()));
        lines.into_iter().for_each(|line| reached.add(&self.rules, line));
        value
    }
}

/// A marked copy of a program, and the line of each mark.
fn put(program: &Program) -> Option<(Program, HashMap<usize, usize>)> {
    let mut marked = program.clone();
    let (old, spans) = (&program.instructions, &program.instruction_spans);
    let (targets, mut last) = (targets(program), None);
    let (mut new, mut new_spans) = (Vec::new(), Vec::new());
    let (mut moved, mut marks) = (Vec::with_capacity(old.len() + 1), HashMap::new());
    for (at, instruction) in old.iter().enumerate() {
        moved.push(new.len());
        let span = spans.get(at).cloned().flatten();
        let line = span.as_ref().map(|span| span.line);
        if targets.contains(&at) {
            last = None;
        }
        if let Some(line) = line.filter(|line| says(*instruction) && last != Some(*line)) {
            last = Some(line);
            marks.insert(new.len(), line);
            // It goes on with what it finds.
            new.push(Instruction::HostAwait { dest: 0, arg: 0, id: 0 });
        }
        new.push(*instruction);
        new_spans.resize(new.len(), span);
    }
    moved.push(new.len());
    marked.instructions = new;
    marked.instruction_spans = new_spans;
    relocate(&mut marked, &moved)?;
    (marked.instructions.len() <= Program::MAX_INSTRUCTIONS).then_some((marked, marks))
}

/// Whether an instruction is of what is written in its line, and none that begins or ends a body.
fn says(instruction: Instruction) -> bool {
    !matches!(
        instruction,
        Instruction::RuleInit { .. }
            | Instruction::RuleReturn {}
            | Instruction::DestructuringSuccess {}
            | Instruction::LoadInput { .. }
            | Instruction::LoadData { .. }
            | Instruction::LoopNext { .. }
            | Instruction::ComprehensionEnd {}
    )
}

/// Where jumps lead.
fn targets(program: &Program) -> BTreeSet<usize> {
    let short = |at: u16| usize::from(at);
    let long = |at: &u32| usize::try_from(*at).unwrap_or(usize::MAX);
    let data = &program.instruction_data;
    let loops = data.loop_params.iter().flat_map(|it| [it.body_start, it.loop_end]);
    let comprehensions =
        data.comprehension_begin_params.iter().flat_map(|it| [it.body_start, it.comprehension_end]);
    let ends = program.instructions.iter().filter_map(|it| match *it {
        Instruction::LogicalBlockStart { end_pc, .. }
        | Instruction::AllOfNext { end_pc, .. }
        | Instruction::AnyOfNext { end_pc, .. } => Some(end_pc),
        _ => None,
    });
    let bodies = program.rule_infos.iter().flat_map(|rule| {
        rule.definitions.iter().flatten().chain(rule.destructuring_blocks.iter().flatten())
    });
    loops.chain(comprehensions).chain(ends).map(short).chain(bodies.map(long)).collect()
}
