//! Which rules call which: their circles would end in a stack overflow.

use regorus::rvm::Program;
use regorus::rvm::instructions::Instruction;

/// How deep rules may call each other.
pub(super) const DEEPEST: usize = 64;

/// Whether rules call each other in a circle or too deep.
pub(super) fn run_away(program: &Program) -> bool {
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
            return false;
        }
        depths = deeper;
    }
    true
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
