//! Crate: rustpython-vm 0.6.0
//! File: src/frame.rs
//! Item: ExecutingFrame::execute_instruction / Instruction::SetAdd { i } = 8b6ad8be782b1262
//! Test: tests/python/conditional_annotations.py
//!
//! Reason: a script that names a variable `__conditional_annotations__` made the interpreter take an int for a set, and crash.
//!
//! Upstream: An annotation at module level trusts `__conditional_annotations__`, which any code can change
//!
//! `SET_ADD` takes what it finds for a set without looking. At module level it finds the value of a global name:
//! `__conditional_annotations__ = 0` before `x: int` reads an int's memory as a set's. CPython raises TypeError, since a release
//! after 3.14.2, which crashes as well.

impl ExecutingFrame<'_> {
    fn execute_instruction(&mut self) {
        match instruction {
            Instruction::SetAdd { i } => {
                let item = self.pop_value();
                let set = self.nth_value(i.get(arg) - 1);
                match set.downcast_ref::<PySet>() {
                    Some(set) => set.add(item, vm)?,
                    None => {
                        let class = set.class().name().to_string();
                        return Err(vm.new_type_error(format!("expected a set, got '{class}'")));
                    }
                }
                Ok(None)
            }
        }
    }
}
