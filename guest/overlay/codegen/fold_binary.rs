//! Crate: rustpython-codegen 0.6.0
//! File: src/ir.rs
//! Item: eval_const_binop, kept as eval_exact_binop = 117da5021d7203d1
//! Test: tests/python/const_fold.py
//!
//! Reason: operators between literals are computed by other code than between variables, and it is wrong: `10.0 // 2.5` is
//! 0.0, `10**25 / 3` and `10 ** -23` are off in the last digit. Here only what can't be rounded is folded.
//!
//! Upstream: Constant folding computes other floats than the same expression at run time
//!
//! `float_div_mod` in `crates/codegen/src/ir.rs` sets the quotient to a zero whenever the remainder is zero, so
//! `print(10.0 // 2.5, 3600.0 // 60)` prints `0.0 0.0`. CPython's `float_div_mod` does that only if the quotient itself
//! (`div`) is zero. In the same file, true division of two integers divides their `to_f64`s, which rounds twice
//! (`576460752303423488 / 12009599006321323` is 47.99999999999999, and 48.0 in CPython), and a negative power of an integer uses
//! `powi`, whose products round (`10 ** -23` is 1.0000000000000001e-23). At run time all of them are right, so the
//! simplest mend is not to fold what rounds by other rules than a single IEEE operation.

fn eval_const_binop(
    left: &ConstantData,
    right: &ConstantData,
    op: oparg::BinaryOperator,
) -> Option<ConstantData> {
    use oparg::BinaryOperator as Operator;
    let is_integer = |value| {
        matches!(
            value,
            &ConstantData::Integer { .. } | &ConstantData::Boolean { .. }
        )
    };
    let is_exact = match (left, right) {
        (ConstantData::Float { .. }, ConstantData::Float { .. }) => {
            matches!(op, Operator::Add | Operator::Subtract | Operator::Multiply)
        }
        (left, right) if is_integer(left) && is_integer(right) => {
            let is_negative =
                matches!(right, ConstantData::Integer { value } if value < &BigInt::from(0));
            op != Operator::TrueDivide && !(op == Operator::Power && is_negative)
        }
        (ConstantData::Float { .. } | ConstantData::Complex { .. }, _)
        | (_, ConstantData::Float { .. } | ConstantData::Complex { .. }) => false,
        _ => true,
    };
    is_exact.then(|| eval_exact_binop(left, right, op))?
}
