//! From a text to a program. What could run away is refused here: rules that call each other in a circle,
//! rules that are named by a computed path, and whatever knows more than the question: chance, the network.

use std::sync::Arc;

use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::Program;
use regorus::rvm::instructions::Instruction;
use regorus::{Engine, Rc};

use super::functions::{self, Functions};
use crate::fault::Fault;

/// How deep rules may call each other.
const DEEPEST: usize = 64;
/// What answers differently when it is asked again, takes time without bounds, or speaks to somebody.
const REFUSED: [&str; 5] =
    ["rand.intn", "uuid.rfc4122", "opa.runtime", "http.send", "graph.reachable_paths"];
/// What the compiler says of an entry point that is not there.
const NO_RULE: &str = "not a valid rule path";
/// Given by the decision.
const NOW: &str = "time.now_ns";

/// Compiles a package's rule `decision`.
pub(super) fn compile(file: &str, source: &str) -> Result<(Arc<Program>, Arc<Functions>), Fault> {
    let fault = |what: String| Fault { at: file.to_owned(), what };
    let failed = |error: anyhow::Error| placed(file, &error.to_string());
    let mut engine = Engine::new();
    let package = engine.add_policy(file.to_owned(), source.to_owned()).map_err(failed)?;
    if package == "data.registry" || package.starts_with("data.registry.") {
        return Err(fault("the package name `registry` is taken: give it another one".to_owned()));
    }
    let entry = format!("{package}.decision");
    // Fails, too, where there is no such rule, in words that name none.
    let policy = engine.compile_with_entrypoint(&Rc::from(entry.as_str())).map_err(|error| {
        let text = error.to_string();
        if text == NO_RULE {
            fault("has no rule `decision`".to_owned())
        } else {
            placed(file, &text)
        }
    })?;
    let program = Compiler::compile_from_policy(&policy, &[&entry])
        .map_err(|error| placed(file, &error.to_string()))?;
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
    if depth(&program).is_none() {
        let what = format!("rules call each other in a circle, or more than {DEEPEST} deep");
        return Err(fault(what));
    }
    tell_time(&mut program);
    let functions = Functions::before(&mut program)
        .ok_or_else(|| fault(format!("calls more than {} different functions", functions::MANY)))?;
    Ok((Arc::new(program), functions))
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

/// How deep the rules call each other; none when they do so in a circle or too deep.
fn depth(program: &Program) -> Option<usize> {
    let calls: Vec<Vec<usize>> =
        (0..program.rule_infos.len()).map(|rule| called_by(program, rule)).collect();
    // The longest way of each, longer ways in each round: a circle has none that is longest.
    let mut depths = vec![0_usize; calls.len()];
    for _ in 0..=DEEPEST {
        let deeper: Vec<usize> = calls
            .iter()
            .map(|called| called.iter().map(|&rule| depths[rule] + 1).max().unwrap_or(0))
            .collect();
        if deeper == depths {
            return Some(depths.into_iter().max().unwrap_or(0));
        }
        depths = deeper;
    }
    None
}

/// The rules that a rule calls: what its bodies say, from their beginnings to where they return.
fn called_by(program: &Program, rule: usize) -> Vec<usize> {
    let info = &program.rule_infos[rule];
    let bodies =
        info.definitions.iter().flatten().chain(info.destructuring_blocks.iter().flatten());
    let mut called = Vec::new();
    for &begin in bodies {
        for instruction in program.instructions.iter().skip(begin as usize) {
            match *instruction {
                Instruction::CallRule { rule_index, .. } => called.push(usize::from(rule_index)),
                Instruction::FunctionCall { params_index } => {
                    let call = program.instruction_data.get_function_call_params(params_index);
                    called.extend(call.map(|call| usize::from(call.func_rule_index)));
                }
                Instruction::RuleReturn {} | Instruction::DestructuringSuccess {} => break,
                _ => {}
            }
        }
    }
    called.retain(|&rule| rule < program.rule_infos.len());
    called
}

/// A message of the compiler, with its place out of the picture that it draws.
fn placed(file: &str, text: &str) -> Fault {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let place = lines.clone().find_map(|line| line.strip_prefix("--> "));
    let what = lines
        .clone()
        .find_map(|line| line.strip_prefix("error: "))
        .or_else(|| lines.find(|line| !line.starts_with("--> ")))
        .unwrap_or("can't be compiled");
    Fault { at: place.unwrap_or(file).to_owned(), what: what.chars().take(300).collect() }
}
