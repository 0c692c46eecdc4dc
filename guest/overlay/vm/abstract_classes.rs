//! Crate: rustpython-vm 0.6.0
//! File: src/builtins/object.rs
//! Item: <PyBaseObject as Constructor>::slot_new = 58c6fdf9a6543fb8
//! Test: tests/python/messages.py
//!
//! Reason: the message for an abstract class lacked its first words: "class A without an implementation…".
//!
//! Upstream: The message for an abstract class lacks "Can't instantiate abstract"
//!
//! CPython 3.12 and later: "Can't instantiate abstract class A without an implementation for abstract method 'run'".

impl Constructor for PyBaseObject {
    fn slot_new(cls: PyTypeRef, args: FuncArgs, vm: &VirtualMachine) -> PyResult {
        refuse_excess_arguments(&cls, &args, vm)?;
        let Some(methods) = cls.get_attr(identifier!(vm, __abstractmethods__)) else {
            return generic_alloc(cls, 0, vm);
        };
        let methods: Vec<PyUtf8StrRef> = methods.try_to_value(vm)?;
        if methods.is_empty() {
            return generic_alloc(cls, 0, vm);
        }
        let mut names: Vec<_> = methods
            .iter()
            .map(|name| format!("'{}'", name.as_str()))
            .collect();
        names.sort_unstable();
        let plural = if names.len() == 1 { "" } else { "s" };
        Err(vm.new_type_error(format!(
            "Can't instantiate abstract class {} without an implementation for abstract method{plural} {}",
            cls.name(),
            names.join(", ")
        )))
    }
}

/// Arguments of `object.__new__` are for an `__init__` or a `__new__` of the class's own.
fn refuse_excess_arguments(cls: &Py<PyType>, args: &FuncArgs, vm: &VirtualMachine) -> PyResult<()> {
    if args.args.is_empty() && args.kwargs.is_empty() {
        return Ok(());
    }
    let is_objects = |method| {
        let own = cls.get_attr(method);
        let objects = vm.ctx.types.object_type.get_attr(method);
        own.zip(objects)
            .is_none_or(|(own, objects)| own.is(&objects))
    };
    if !is_objects(identifier!(vm, __new__)) {
        return Err(vm.new_type_error(
            "object.__new__() takes exactly one argument (the type to instantiate)",
        ));
    }
    if is_objects(identifier!(vm, __init__)) {
        return Err(vm.new_type_error(format!("{}() takes no arguments", cls.name())));
    }
    Ok(())
}
