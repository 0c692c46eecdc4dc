//! Crate: rustpython-vm 0.6.0
//! File: src/builtins/object.rs
//! Item: type_slot_names, kept as shared_slot_names = 6a9de218c5ca5d11
//! Test: tests/python/pickled_classes.py
//!
//! Reason: a script that changes a class's `__slotnames__` while an object of it is copied ended the interpreter.
//!
//! Upstream: Copying an object panics where an attribute's getter changes `__slotnames__`
//!
//! `object_getstate_default` holds a borrow of the list while `get_attr` runs code of the class, and takes each element
//! for a string. `class A: __slotnames__ = ["a"]` with a `__getattr__` that assigns to `A.__slotnames__[:]`, or
//! `__slotnames__ = [1]`, and `A().__reduce_ex__(2)` show it.

fn type_slot_names(typ: &Py<PyType>, vm: &VirtualMachine) -> PyResult<Option<super::PyListRef>> {
    let Some(shared) = shared_slot_names(typ, vm)? else {
        return Ok(None);
    };
    // A list of our own: nothing changes it while attributes are read.
    let names = shared.borrow_vec().to_vec();
    if names
        .iter()
        .any(|name| name.downcast_ref::<PyStr>().is_none())
    {
        let message = format!(
            "{:.200}.__slotnames__ should be a list of strings",
            typ.name()
        );
        return Err(vm.new_type_error(message));
    }
    Ok(Some(vm.ctx.new_list(names)))
}
