//! From a text to a program. What could run away is refused here: rules that call each other in a circle,
//! rules that are named by a computed path, and whatever knows more than the question: chance, the network.

use std::fmt::Display;
use std::sync::Arc;

use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::Program;
use regorus::rvm::instructions::Instruction;
use regorus::{CompiledPolicy, Rc};

use super::functions::{self, Functions};
use super::parse::{Parsed, guarded};
use super::with::STOP;
use super::{Rules, calls, guards, operators};
use crate::fault::Fault;

/// What answers differently when it is asked again, takes time without bounds, or speaks to somebody.
const REFUSED: [&str; 5] =
    ["rand.intn", "uuid.rfc4122", "opa.runtime", "http.send", "graph.reachable_paths"];
/// The compiler keeps a register for each rule that is asked for, and has 256.
const AT_ONCE: usize = 100;
/// What the compiler says of an entry point that is not there.
const NO_RULE: &str = "not a valid rule path";
/// Given by the decision.
const NOW: &str = "time.now_ns";

impl Parsed {
    /// Compiles rules that are asked for by their paths, and all that these call. The first must be there; others
    /// that are not have no value.
    pub(crate) fn compile(self, asked: &[&str]) -> Result<Rules, Fault> {
        let whole = self.lines.whole().to_owned();
        guarded(&whole, || self.program(asked))?
    }

    /// Compiles rules that are asked for by their paths, so many to a program. All of them must be there; those of
    /// tests may stop.
    pub(super) fn compile_each(
        mut self,
        asked: &[&str],
        may_stop: bool,
    ) -> Result<Vec<Rules>, Fault> {
        let whole = self.lines.whole().to_owned();
        guarded(&whole, || {
            let Some(first) = asked.first() else { return Ok(Vec::new()) };
            let (_, policy) = self.policy(&[first])?;
            asked.chunks(AT_ONCE).map(|asked| self.compiled(&policy, asked, may_stop)).collect()
        })?
    }

    fn program(mut self, asked: &[&str]) -> Result<Rules, Fault> {
        let (entries, policy) = self.policy(asked)?;
        self.compiled(&policy, &entries, false)
    }

    fn compiled(
        &self,
        policy: &CompiledPolicy,
        entries: &[&str],
        may_stop: bool,
    ) -> Result<Rules, Fault> {
        let program =
            Compiler::compile_from_policy(policy, entries).map_err(|error| self.placed(&error))?;
        let mut program = Arc::unwrap_or_clone(program);
        self.refuse(&program, entries, may_stop)?;
        tell_time(&mut program);
        operators::put(&mut program);
        if !guards::put(&mut program) {
            return Err(self.fault("is too long".to_owned()));
        }
        let functions = Functions::before(&mut program).ok_or_else(|| {
            self.fault(format!("calls more than {} different functions", functions::MANY))
        })?;
        Ok(Rules { program: Arc::new(program), functions, lines: self.lines.clone() })
    }

    /// Those of the rules that are there, and what they are compiled from.
    fn policy<'r>(&mut self, asked: &[&'r str]) -> Result<(Vec<&'r str>, CompiledPolicy), Fault> {
        let (mut entries, mut policy) = (Vec::new(), None);
        for rule in asked {
            // Fails, too, where there is no such rule, in words that name none.
            match self.engine.compile_with_entrypoint(&Rc::from(*rule)) {
                Ok(compiled) => {
                    entries.push(*rule);
                    policy = Some(compiled);
                }
                Err(error) if error.to_string() != NO_RULE => return Err(self.placed(&error)),
                Err(_) if entries.is_empty() => {
                    return Err(self.fault(format!("has no rule `{}`", name(rule))));
                }
                Err(_) => {}
            }
        }
        let policy = policy.ok_or_else(|| self.fault("has no rule".to_owned()))?;
        Ok((entries, policy))
    }

    fn refuse(&self, program: &Program, entries: &[&str], may_stop: bool) -> Result<(), Fault> {
        let place = |found: &dyn Fn(&Instruction) -> bool| {
            let at = program.instructions.iter().position(found);
            let span = at.and_then(|at| program.get_instruction_span(at));
            self.lines.place(span.map_or(0, |span| span.line))
        };
        let mut rules = program.rule_infos.iter().filter(|it| entries.contains(&&*it.name));
        if let Some(rule) = rules.find(|it| it.function_info.is_some()) {
            let what = format!("`{}` must be a rule, not a function", name(&rule.name));
            return Err(self.fault(what));
        }
        let is_stop = |it: &Instruction| matches!(it, Instruction::HostAwait { .. });
        if !may_stop && program.instructions.iter().any(is_stop) {
            return Err(Fault { at: place(&is_stop), what: format!("`{STOP}` is not known here") });
        }
        if program.needs_runtime_recursion_check {
            let at = place(&|it| matches!(it, Instruction::VirtualDataDocumentLookup { .. }));
            let what = "a rule is named by a path that is only known when it runs: name it, or look a key up in an object";
            return Err(Fault { at, what: what.to_owned() });
        }
        let refused = |name: &str| REFUSED.contains(&name);
        if let Some(info) = program.builtin_info_table.iter().find(|it| refused(&it.name)) {
            let at = place(&|it| function(program, it).is_some_and(refused));
            return Err(Fault { at, what: format!("`{}` has no place in a decision", info.name) });
        }
        if calls::run_away(program) {
            let deepest = calls::DEEPEST;
            let what = format!("rules call each other in a circle, or more than {deepest} deep");
            return Err(self.fault(what));
        }
        Ok(())
    }

    fn fault(&self, what: String) -> Fault {
        Fault { at: self.lines.whole().to_owned(), what }
    }

    fn placed(&self, error: &dyn Display) -> Fault {
        self.lines.placed(self.lines.whole(), &error.to_string())
    }
}

/// What a rule is called within its package.
fn name(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or_default()
}

/// The function that an instruction calls.
fn function<'p>(program: &'p Program, instruction: &Instruction) -> Option<&'p str> {
    let Instruction::BuiltinCall { params_index } = *instruction else { return None };
    let call = program.instruction_data.get_builtin_call_params(params_index)?;
    let info = program.builtin_info_table.get(usize::from(call.builtin_index))?;
    Some(&info.name)
}

/// Time is that of the decision, the same wherever it is made again.
fn tell_time(program: &mut Program) {
    for at in 0..program.instructions.len() {
        let instruction = program.instructions[at];
        if let Instruction::BuiltinCall { params_index } = instruction
            && function(program, &instruction) == Some(NOW)
            && let Some(call) = program.instruction_data.get_builtin_call_params(params_index)
        {
            program.instructions[at] = Instruction::LoadContext { dest: call.dest };
        }
    }
}
