//! Rules that contradict themselves. A rule with two values has none to the engine, like one that does not apply:
//! `not blocked` would hold because `blocked` is both true and 1. Rules that may have two are given a default that
//! stands for none, so that no value at all is the mark of a contradiction.

use std::collections::BTreeSet;

use regorus::Value;
use regorus::rvm::Program;
use regorus::rvm::instructions::{BuiltinCallParams, Instruction};
use regorus::rvm::program::RuleType;

use super::operators::{Operator, index};

/// What a rule has that does not apply: no text of rules holds it.
const NONE: &str = "\0none";

/// Gives rules that may contradict themselves their default, and says which these are.
pub(super) fn find(program: &mut Program) -> BTreeSet<u16> {
    let mut found = BTreeSet::new();
    // There are fewer literals and rules than that.
    let Ok(none) = u16::try_from(program.add_literal(NONE.into())) else { return found };
    for (at, rule) in (0_u16..).zip(&mut program.rule_infos) {
        let several = rule.definitions.len() > 1 && !rule.early_exit_on_first_success;
        if rule.rule_type == RuleType::Complete && several {
            rule.default_literal_index.get_or_insert(none);
            found.insert(at);
        }
    }
    found
}

/// What follows a call of one of them that puts its value into `dest`.
pub(super) fn look(program: &mut Program, dest: u8) -> [Instruction; 2] {
    let builtin_index = index(program, "a rule", 1, LOOK);
    let args = [dest, 0, 0, 0, 0, 0, 0, 0];
    let params = BuiltinCallParams { dest, builtin_index, num_args: 1, args };
    let params_index = program.add_builtin_call_params(params);
    [
        // Functions are not asked about what has no value.
        Instruction::CoalesceUndefinedToNull { register: dest },
        Instruction::BuiltinCall { params_index },
    ]
}

const LOOK: Operator = |_, _, args, _| match &args[0] {
    Value::Null => Err(anyhow::anyhow!("has two values, or null, which looks the same")),
    Value::String(text) if &**text == NONE => Ok(Value::Undefined),
    value => Ok(value.clone()),
};
