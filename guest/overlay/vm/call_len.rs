//! Crate: rustpython-vm 0.6.0
//! File: src/frame.rs
//! Item: ExecutingFrame::execute_instruction / Instruction::CallLen = 7b1506fd73f87e52
//! Test: tests/python/sizes_of_64_bits.py
//!
//! Reason: as `length.rs`, for a call site that has run a few times.
//!
//! Upstream: see `length.rs`.

impl ExecutingFrame<'_> {
    fn execute_instruction(&mut self) {
        match instruction {
            Instruction::CallLen => {
                let nargs: u32 = arg.into();
                if nargs == 1 {
                    let obj = self.pop_value();
                    let receiver = self.pop_value_opt();
                    let callable = self.pop_value();
                    let len = vm.callable_cache.len.as_ref();
                    if receiver.is_none() && len.is_some_and(|len| callable.is(len)) {
                        match obj.length(vm) {
                            Ok(length) => {
                                self.push_value(vm.ctx.new_int(length).into());
                                return Ok(None);
                            }
                            // The function knows lengths beyond this one's.
                            Err(error)
                                if error.fast_isinstance(vm.ctx.exceptions.overflow_error) => {}
                            Err(error) => return Err(error),
                        }
                    }
                    self.push_value(callable);
                    self.push_value_opt(receiver);
                    self.push_value(obj);
                }
                self.execute_call_vectorcall(nargs, vm)
            }
        }
    }
}
