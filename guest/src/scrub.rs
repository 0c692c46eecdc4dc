//! Removal of what is left of objects that are gone.

use std::hint::black_box;

use rustpython_vm::{PyObjectRef, VirtualMachine};

use crate::allocator::zero;

/// More objects than RustPython keeps of any type after they are gone, tuples apart.
const HUSKS: usize = 128;

/// The tuples that it keeps.
const TUPLES: usize = 2_000;

/// Puts objects that say nothing in the place of those that RustPython keeps to use their memory
/// again.
pub(crate) fn replace_husks(vm: &VirtualMachine) {
    let new = |_| {
        let objects: [PyObjectRef; 5] = [
            vm.ctx.new_float(0.0).into(),
            vm.ctx.new_complex(Default::default()).into(),
            // Beyond those that are always there.
            vm.ctx.new_int(1 << 20).into(),
            vm.ctx.new_dict().into(),
            vm.ctx.new_list(Vec::new()).into(),
        ];
        objects
    };
    let objects: Vec<_> = (0..HUSKS).map(new).collect();
    // One of no elements is always there.
    let tuple = |_| vm.ctx.new_tuple(vec![vm.ctx.none()]);
    let tuples: Vec<_> = (0..TUPLES).map(tuple).collect();
    drop(black_box((objects, tuples)));
}

/// Writes zeros over the stack that is not in use.
#[inline(never)]
pub(crate) fn scrub_stack() {
    /// The bytes that stay: those of this function, and the address 0.
    const MARGIN: usize = 1 << 8;
    let here = 0_u8;
    let end = (&raw const here).addr() - MARGIN;
    // SAFETY: the stack begins at the start of the memory (the linker's `--stack-first`) and grows
    // down: below what this function has on it, nothing is in use.
    unsafe { zero(std::ptr::with_exposed_provenance_mut(MARGIN), end - MARGIN) };
    black_box(&here);
}
