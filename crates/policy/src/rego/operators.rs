//! Operators, as functions: where the engine itself can't apply one to what it is given, it takes that for a rule
//! that does not apply, and `not blocked` holds because `blocked` failed. A function that fails ends it all. Values
//! of different kinds have an order, as in other evaluators.

use regorus::Value;
use regorus::rvm::Program;
use regorus::rvm::instructions::{BuiltinCallParams, Instruction};
use regorus::rvm::program::BuiltinInfo;
use regorus::unstable::numbers::arithmetic_operation;
use regorus::unstable::{ArithOp, Expr, Ref, Span, sets};

pub(super) type Operator = fn(&Span, &[Ref<Expr>], &[Value], bool) -> anyhow::Result<Value>;

/// Puts functions in the place of operators.
pub(super) fn put(program: &mut Program) {
    for at in 0..program.instructions.len() {
        let (name, operator, [dest, left, right]) = match program.instructions[at] {
            Instruction::Lt { dest, left, right } => ("<", LESS, [dest, left, right]),
            Instruction::Le { dest, left, right } => ("<=", AT_MOST, [dest, left, right]),
            Instruction::Gt { dest, left, right } => (">", MORE, [dest, left, right]),
            Instruction::Ge { dest, left, right } => (">=", AT_LEAST, [dest, left, right]),
            Instruction::Add { dest, left, right } => ("+", ADD, [dest, left, right]),
            Instruction::Sub { dest, left, right } => ("-", SUBTRACT, [dest, left, right]),
            Instruction::Mul { dest, left, right } => ("*", MULTIPLY, [dest, left, right]),
            Instruction::Div { dest, left, right } => ("/", DIVIDE, [dest, left, right]),
            Instruction::Mod { dest, left, right } => ("%", REMAINDER, [dest, left, right]),
            Instruction::And { dest, left, right } => ("&", COMMON, [dest, left, right]),
            Instruction::Or { dest, left, right } => ("|", ALL, [dest, left, right]),
            _ => continue,
        };
        let builtin_index = index(program, name, 2, operator);
        let args = [left, right, 0, 0, 0, 0, 0, 0];
        let params = BuiltinCallParams { dest, builtin_index, num_args: 2, args };
        let params_index = program.add_builtin_call_params(params);
        program.instructions[at] = Instruction::BuiltinCall { params_index };
    }
}

/// Where an operator stands among the functions of a program.
pub(super) fn index(program: &mut Program, name: &str, num_args: u8, operator: Operator) -> u16 {
    let known = program.builtin_info_table.iter().position(|info| info.name == name);
    let at = known.unwrap_or_else(|| {
        program.resolved_builtins.push((operator, num_args));
        let info = BuiltinInfo { name: name.to_owned(), num_args: num_args.into() };
        program.builtin_info_table.push(info);
        program.builtin_info_table.len() - 1
    });
    // There are hundreds of functions at most.
    u16::try_from(at).unwrap_or(u16::MAX)
}

const LESS: Operator = |_, _, args, _| Ok((args[0] < args[1]).into());
const AT_MOST: Operator = |_, _, args, _| Ok((args[0] <= args[1]).into());
const MORE: Operator = |_, _, args, _| Ok((args[0] > args[1]).into());
const AT_LEAST: Operator = |_, _, args, _| Ok((args[0] >= args[1]).into());
const ADD: Operator = |span, exprs, args, _| computed(span, exprs, args, &ArithOp::Add);
const MULTIPLY: Operator = |span, exprs, args, _| computed(span, exprs, args, &ArithOp::Mul);
const DIVIDE: Operator = |span, exprs, args, _| computed(span, exprs, args, &ArithOp::Div);
const REMAINDER: Operator = |span, exprs, args, _| computed(span, exprs, args, &ArithOp::Mod);
const SUBTRACT: Operator = |span, exprs, args, _| match args {
    [left @ Value::Set(_), right] => {
        sets::difference(&exprs[0], &exprs[1], left.clone(), right.clone())
    }
    _ => computed(span, exprs, args, &ArithOp::Sub),
};
const COMMON: Operator =
    |_, exprs, args, _| sets::intersection(&exprs[0], &exprs[1], args[0].clone(), args[1].clone());
const ALL: Operator =
    |_, exprs, args, _| sets::union(&exprs[0], &exprs[1], args[0].clone(), args[1].clone());

fn computed(
    span: &Span,
    exprs: &[Ref<Expr>],
    args: &[Value],
    operator: &ArithOp,
) -> anyhow::Result<Value> {
    let (left, right) = (args[0].clone(), args[1].clone());
    arithmetic_operation(span, operator, &exprs[0], &exprs[1], left, right, true)
}
