//! From a text to a program. What could run away is refused here: rules that call each other in a circle,
//! rules that are named by a computed path, and whatever knows more than the question: chance, the network.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::Program;
use regorus::rvm::instructions::Instruction;
use regorus::{Engine, Rc};

use super::functions::{self, Functions};
use super::lines::{self, Lines};
use super::{Rules, calls, text};
use crate::fault::Fault;

/// What answers differently when it is asked again, takes time without bounds, or speaks to somebody.
const REFUSED: [&str; 5] =
    ["rand.intn", "uuid.rfc4122", "opa.runtime", "http.send", "graph.reachable_paths"];
/// What the compiler says of an entry point that is not there.
const NO_RULE: &str = "not a valid rule path";
/// Given by the decision.
const NOW: &str = "time.now_ns";

/// Texts that have been checked and parsed.
pub(crate) struct Parsed {
    engine: Engine,
    lines: Lines,
    packages: Vec<String>,
}

impl Parsed {
    /// Checks and parses files, each given with its name.
    pub(crate) fn read(files: &[(&str, &str)]) -> Result<Self, Fault> {
        for (file, text) in files {
            text::check(file, text)?;
        }
        let Some((lines, moved)) = Lines::behind_each_other(files) else {
            let what = format!("all files together may have {} lines", lines::MOST);
            return Err(Fault { at: files.first().map_or("", |(file, _)| file).to_owned(), what });
        };
        let mut parsed = Self { engine: Engine::new(), lines, packages: Vec::new() };
        for ((file, _), text) in files.iter().zip(moved) {
            let package = guarded(file, || {
                parsed
                    .engine
                    .add_policy((*file).to_owned(), text)
                    .map_err(|error| error.to_string())
            })?;
            parsed.packages.push(package.map_err(|text| parsed.lines.placed(file, &text))?);
        }
        Ok(parsed)
    }

    /// The package of each file, such as `data.example`.
    pub(crate) fn packages(&self) -> &[String] {
        &self.packages
    }

    /// Compiles rules that are asked for by their paths, and all that these call. The first must be there; others
    /// that are not have no value.
    pub(crate) fn compile(self, asked: &[&str]) -> Result<Rules, Fault> {
        let whole = self.lines.whole().to_owned();
        guarded(&whole, || self.program(asked))?
    }

    fn program(mut self, asked: &[&str]) -> Result<Rules, Fault> {
        let fault = |what: String| Fault { at: self.lines.whole().to_owned(), what };
        let placed =
            |error: &dyn Display| self.lines.placed(self.lines.whole(), &error.to_string());
        let (mut entries, mut policy) = (Vec::new(), None);
        for (at, rule) in asked.iter().enumerate() {
            // Fails, too, where there is no such rule, in words that name none.
            match self.engine.compile_with_entrypoint(&Rc::from(*rule)) {
                Ok(compiled) => {
                    entries.push(*rule);
                    policy = Some(compiled);
                }
                Err(error) if error.to_string() != NO_RULE => return Err(placed(&error)),
                Err(_) if at == 0 => {
                    let name = rule.rsplit('.').next().unwrap_or_default();
                    return Err(fault(format!("has no rule `{name}`")));
                }
                Err(_) => {}
            }
        }
        let policy = policy.ok_or_else(|| fault("has no rule".to_owned()))?;
        let program =
            Compiler::compile_from_policy(&policy, &entries).map_err(|error| placed(&error))?;
        let mut program = Arc::unwrap_or_clone(program);
        if program.needs_runtime_recursion_check {
            let what = "a rule is named by a path that is only known when it runs: name it, or look a key up in an object";
            return Err(fault(what.to_owned()));
        }
        if let Some(refused) =
            program.builtin_info_table.iter().find(|it| REFUSED.contains(&it.name.as_str()))
        {
            return Err(fault(format!("`{}` has no place in a decision", refused.name)));
        }
        if calls::run_away(&program) {
            let deepest = calls::DEEPEST;
            let what = format!("rules call each other in a circle, or more than {deepest} deep");
            return Err(fault(what));
        }
        tell_time(&mut program);
        let functions = Functions::before(&mut program).ok_or_else(|| {
            fault(format!("calls more than {} different functions", functions::MANY))
        })?;
        Ok(Rules { program: Arc::new(program), functions, lines: self.lines })
    }
}

/// A panic of the compiler is a fault like any other: nothing of it is used again.
fn guarded<T>(file: &str, run: impl FnOnce() -> T) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(run))
        .map_err(|_| Fault { at: file.to_owned(), what: "the compiler failed".to_owned() })
}

/// Time is that of the decision, the same wherever it is made again.
fn tell_time(program: &mut Program) {
    let data = &program.instruction_data;
    for instruction in &mut program.instructions {
        if let Instruction::BuiltinCall { params_index } = *instruction
            && let Some(call) = data.get_builtin_call_params(params_index)
            && program
                .builtin_info_table
                .get(usize::from(call.builtin_index))
                .is_some_and(|it| it.name == NOW)
        {
            *instruction = Instruction::LoadContext { dest: call.dest };
        }
    }
}
