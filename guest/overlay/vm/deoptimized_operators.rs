//! Crate: rustpython-vm 0.6.0
//! File: src/frame.rs
//! Item: ExecutingFrame::execute_instruction / Instruction::BinaryOpAddInt = 51f8e0b43386f5d9
//! Item: ExecutingFrame::execute_instruction / Instruction::BinaryOpSubtractInt = 1edb7137753c44d4
//! Item: ExecutingFrame::execute_instruction / Instruction::BinaryOpMultiplyInt = 97f51e09cdde81ce
//! Item: ExecutingFrame::execute_instruction / Instruction::BinaryOpAddFloat = 40ca8f3090936776
//! Item: ExecutingFrame::execute_instruction / Instruction::BinaryOpSubtractFloat = 4cb123e122e6d7eb
//! Item: ExecutingFrame::execute_instruction / Instruction::BinaryOpMultiplyFloat = 0c24ac1d1368c15d
//! Item: ExecutingFrame::execute_instruction / Instruction::BinaryOpAddUnicode = e1d5751903c05bad
//! Test: tests/python/types_at_hot_sites.py
//!
//! Reason: a site of `+=` that has seen numbers or strings called `__add__` in place of `__iadd__` for all that came later:
//! a list was copied, not extended.
//!
//! Upstream: `+=` at a specialized site calls `__add__` when the types change
//!
//! `specialize_binary_op` turns `InplaceAdd`, `InplaceSubtract` and `InplaceMultiply` into the same specialized
//! instructions as the plain operators, and these fall back to the plain operator when an operand has another type. After
//! a few rounds with ints, `def f(a, b): a += b; return a` leaves the list unchanged in `x = [1]; f(x, [2]); x`. The
//! operator is still in the instruction's argument.

impl ExecutingFrame<'_> {
    fn execute_instruction(&mut self) {
        match instruction {
            Instruction::BinaryOpAddInt => {
                self.execute_binary_op_int(vm, Self::int_add, self.binary_op_from_arg(arg))
            }
            Instruction::BinaryOpSubtractInt => {
                self.execute_binary_op_int(vm, Self::int_sub, self.binary_op_from_arg(arg))
            }
            Instruction::BinaryOpMultiplyInt => {
                self.execute_binary_op_int(vm, Self::int_mul, self.binary_op_from_arg(arg))
            }
            Instruction::BinaryOpAddFloat => {
                self.execute_binary_op_float(vm, |a, b| a + b, self.binary_op_from_arg(arg))
            }
            Instruction::BinaryOpSubtractFloat => {
                self.execute_binary_op_float(vm, |a, b| a - b, self.binary_op_from_arg(arg))
            }
            Instruction::BinaryOpMultiplyFloat => {
                self.execute_binary_op_float(vm, |a, b| a * b, self.binary_op_from_arg(arg))
            }
            Instruction::BinaryOpAddUnicode => {
                let strings = (
                    self.nth_value(1).downcast_ref_if_exact::<PyStr>(vm),
                    self.top_value().downcast_ref_if_exact::<PyStr>(vm),
                );
                let (Some(left), Some(right)) = strings else {
                    return self.execute_bin_op(vm, self.binary_op_from_arg(arg));
                };
                let sum = left.as_wtf8().py_add(right.as_wtf8());
                self.pop_stackref();
                self.pop_stackref();
                self.push_value(sum.to_pyobject(vm));
                Ok(None)
            }
        }
    }
}
