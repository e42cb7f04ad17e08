//! What has no value ends what it stands in: `owner := owners[id]` for an unknown id, the element of a list that is
//! made from one, and a body that gives nothing, behind which stands an `else`. The compiler goes on there, and so
//! would allow what a rule denies; its programs are given the guards that it leaves out. It also loads `input` and
//! `data` where they are first named, and has them from there on: not where that is the body of an `every` of
//! nothing. They are loaded where each body begins.

use std::collections::HashMap;
use std::sync::Arc;

use regorus::rvm::Program;
use regorus::rvm::instructions::{GuardMode, Instruction};
use regorus::rvm::program::RuleType;

use super::conflicts;

/// Puts guards into a program. False when it gets too long.
pub(super) fn put(program: &mut Program) -> bool {
    let old = std::mem::take(&mut program.instructions);
    let spans = std::mem::take(&mut program.instruction_spans);
    let (parameters, results) = (parameters(program), results(program, &old));
    let (loads, risky) = (loads(program, &old), conflicts::find(program));
    let (mut new, mut new_spans) = (Vec::new(), Vec::new());
    // Where a jump to each goes: before the guards that are put before it.
    let mut moved = Vec::with_capacity(old.len() + 1);
    for (at, instruction) in old.iter().enumerate() {
        moved.push(new.len());
        let before = parameters.iter().filter(|(block, _)| *block == at);
        let before = before.flat_map(|(_, count)| 1..=*count).chain(taken(*instruction));
        let before = before.chain(results.get(&at).copied());
        new.extend(loads.get(&at).into_iter().flatten());
        new.extend(before.map(guard));
        // What is put in stands in no line.
        new_spans.resize(new.len(), None);
        new.push(*instruction);
        new_spans.push(spans.get(at).cloned().flatten());
        match *instruction {
            Instruction::Move { dest, .. } => new.push(guard(dest)),
            Instruction::CallRule { dest, rule_index } if risky.contains(&rule_index) => {
                new.extend(conflicts::look(program, dest));
            }
            Instruction::FunctionCall { params_index } => {
                let call = program.instruction_data.get_function_call_params(params_index);
                let call = call.filter(|call| risky.contains(&call.func_rule_index));
                if let Some(dest) = call.map(|call| call.dest) {
                    new.extend(conflicts::look(program, dest));
                }
            }
            _ => {}
        }
        new_spans.resize(new.len(), None);
    }
    moved.push(new.len());
    program.instructions = new;
    program.instruction_spans = new_spans;
    program.instructions.len() <= Program::MAX_INSTRUCTIONS && relocate(program, &moved).is_some()
}

fn guard(register: u8) -> Instruction {
    Instruction::Guard { register, mode: GuardMode::NotUndefined }
}

/// What an instruction puts into a list or an object without a look at it.
fn taken(instruction: Instruction) -> Vec<u8> {
    match instruction {
        Instruction::ComprehensionYield { value_reg, key_reg } => {
            [value_reg].into_iter().chain(key_reg).collect()
        }
        Instruction::ObjectSet { key, value, .. } => vec![key, value],
        _ => Vec::new(),
    }
}

/// Where the definitions of functions begin to look at their parameters, and how many these are.
fn parameters(program: &Program) -> Vec<(usize, u8)> {
    let functions = program.rule_infos.iter().filter_map(|rule| {
        let count = u8::try_from(rule.function_info.as_ref()?.num_params).ok()?;
        Some(rule.destructuring_blocks.iter().flatten().map(move |at| (*at as usize, count)))
    });
    functions.flatten().collect()
}

/// What each body loads, by where it begins.
fn loads(program: &Program, instructions: &[Instruction]) -> HashMap<usize, Vec<Instruction>> {
    let bodies = program.rule_infos.iter().flat_map(|rule| rule.definitions.iter().flatten());
    let loads = bodies.map(|begin| {
        let body = instructions.iter().skip(*begin as usize);
        let body = body.take_while(|it| !matches!(it, Instruction::RuleReturn {}));
        let is_load = |it: &&Instruction| {
            matches!(it, Instruction::LoadInput { .. } | Instruction::LoadData { .. })
        };
        (*begin as usize, body.filter(is_load).copied().collect())
    });
    loads.collect()
}

/// Where bodies of rules that give one value end, and what holds it.
fn results(program: &Program, instructions: &[Instruction]) -> HashMap<usize, u8> {
    let rules = program.rule_infos.iter().filter(|rule| rule.rule_type == RuleType::Complete);
    let ends = rules.flat_map(|rule| {
        rule.definitions.iter().flatten().filter_map(|begin| {
            let mut body = instructions.iter().enumerate().skip(*begin as usize);
            let end = body.find(|(_, it)| matches!(it, Instruction::RuleReturn {}))?;
            Some((end.0, rule.result_reg))
        })
    });
    ends.collect()
}

/// Leads every jump to where its target is now.
pub(super) fn relocate(program: &mut Program, moved: &[usize]) -> Option<()> {
    let long = |at: &mut u32| -> Option<()> {
        *at = u32::try_from(*moved.get(usize::try_from(*at).ok()?)?).ok()?;
        Some(())
    };
    let short = |at: &mut u16| -> Option<()> {
        *at = u16::try_from(*moved.get(usize::from(*at))?).ok()?;
        Some(())
    };
    for instruction in &mut program.instructions {
        match instruction {
            Instruction::LoopNext { body_start, loop_end } => {
                short(body_start)?;
                short(loop_end)?;
            }
            Instruction::LogicalBlockStart { end_pc, .. }
            | Instruction::AllOfNext { end_pc, .. }
            | Instruction::AnyOfNext { end_pc, .. } => short(end_pc)?,
            _ => {}
        }
    }
    for params in &mut program.instruction_data.loop_params {
        short(&mut params.body_start)?;
        short(&mut params.loop_end)?;
    }
    for params in &mut program.instruction_data.comprehension_begin_params {
        short(&mut params.body_start)?;
        short(&mut params.comprehension_end)?;
    }
    for rule in &mut program.rule_infos {
        Arc::make_mut(&mut rule.definitions).iter_mut().flatten().try_for_each(long)?;
        rule.destructuring_blocks.iter_mut().flatten().try_for_each(long)?;
    }
    for at in program.entry_points.values_mut() {
        *at = *moved.get(*at)?;
    }
    long(&mut program.main_entry_point)
}
