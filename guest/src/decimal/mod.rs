//! `_mpdecimal`: decimal numbers and what computes with them. `modules/_decimal.py` makes
//! `_decimal` of it.

mod context;
mod conversion;
mod number;

pub(crate) use _mpdecimal::module_def;

use std::cell::{OnceCell, RefCell};

use rustpython_vm::{PyObjectRef, PyRef, PyResult, VirtualMachine};
use wardian_decimal::Status;

use self::context::NumberContext;

/// Objects that Python's side of the module defines.
struct Python {
    /// `raise_signal(name, causes)`: raises the exception of a signal.
    raise: PyObjectRef,
    /// `get(default)` of the variable that holds the current context.
    current: PyObjectRef,
    /// Makes a context the current one.
    new_current: PyObjectRef,
    /// The named tuple of sign, digits and exponent.
    tuple: PyObjectRef,
    /// Numbers that have a numerator and a denominator.
    rational: PyObjectRef,
}

thread_local! {
    /// The current context, with the context of variables that says so.
    static CURRENT: RefCell<Option<(PyObjectRef, PyRef<NumberContext>)>> = const { RefCell::new(None) };
    static PYTHON: OnceCell<Python> = const { OnceCell::new() };
}

fn python<T>(vm: &VirtualMachine, act: impl FnOnce(&Python) -> PyResult<T>) -> PyResult<T> {
    PYTHON.with(|python| match python.get() {
        Some(python) => act(python),
        None => Err(vm.new_runtime_error("import decimal first")),
    })
}

/// The signals in the order in which an operation that meets several is told of, with what each is
/// in a status.
const SIGNALS: [(&str, Status); 9] = [
    ("InvalidOperation", Status::INVALID),
    ("FloatOperation", Status::FLOAT_OPERATION),
    ("DivisionByZero", Status::DIVISION_BY_ZERO),
    ("Overflow", Status::OVERFLOW),
    ("Underflow", Status::UNDERFLOW),
    ("Subnormal", Status::SUBNORMAL),
    ("Inexact", Status::INEXACT),
    ("Rounded", Status::ROUNDED),
    ("Clamped", Status::CLAMPED),
];

/// The causes of an invalid operation, each with its own name.
const CAUSES: [(&str, Status); 4] = [
    ("InvalidOperation", Status::INVALID_OPERATION),
    ("ConversionSyntax", Status::CONVERSION_SYNTAX),
    ("DivisionImpossible", Status::DIVISION_IMPOSSIBLE),
    ("DivisionUndefined", Status::DIVISION_UNDEFINED),
];

fn raise(raised: Status, vm: &VirtualMachine) -> PyResult<()> {
    if raised.contains(Status::OUT_OF_MEMORY) {
        let message = "the result has more digits than there is memory for";
        return Err(vm.new_memory_error(message));
    }
    let named = |table: &[(&'static str, Status)]| {
        let met = table
            .iter()
            .filter(|(_, status)| raised.intersects(*status));
        met.map(|(name, _)| *name).collect::<Vec<_>>()
    };
    let signals = named(&SIGNALS);
    let Some(signal) = signals.first() else {
        return Ok(());
    };
    let mut causes = named(&CAUSES);
    causes.extend(signals.iter().filter(|name| **name != "InvalidOperation"));
    let text = |name: &str| -> PyObjectRef { vm.ctx.new_str(name).into() };
    let causes = vm.ctx.new_list(causes.into_iter().map(text).collect());
    python(vm, |python| python.raise.call((text(signal), causes), vm)).map(drop)
}

#[rustpython_vm::pymodule]
mod _mpdecimal {
    use rustpython_vm::class::PyClassImpl as _;
    use rustpython_vm::{Py, PyObjectRef, PyResult, VirtualMachine, builtins::PyModule};

    use super::context::{NumberContext, ROUNDINGS};
    use super::number::Number;
    use super::{CURRENT, PYTHON, Python, SIGNALS};

    pub(crate) fn module_exec(vm: &VirtualMachine, module: &Py<PyModule>) -> PyResult<()> {
        __module_exec(vm, module);
        module.set_attr("Decimal", Number::make_static_type(), vm)?;
        module.set_attr("Context", NumberContext::make_static_type(), vm)?;
        for (name, limit) in [
            ("MAX_PREC", wardian_decimal::MAX_EXPONENT),
            ("MAX_EMAX", wardian_decimal::MAX_EXPONENT),
            ("MIN_EMIN", -wardian_decimal::MAX_EXPONENT),
            ("MIN_ETINY", wardian_decimal::MIN_ETINY),
        ] {
            module.set_attr(name, vm.ctx.new_int(limit), vm)?;
        }
        let roundings = ROUNDINGS.map(|(name, _)| vm.ctx.new_str(name).into());
        module.set_attr("ROUNDINGS", vm.ctx.new_tuple(roundings.into()), vm)?;
        let bits = SIGNALS.iter().map(|(name, status)| {
            let bits = PyObjectRef::from(vm.ctx.new_int(status.bits()));
            vm.new_tuple((vm.ctx.new_str(*name), bits)).into()
        });
        module.set_attr("SIGNALS", vm.ctx.new_list(bits.collect()), vm)
    }

    /// Says that another context has become the current one.
    #[pyfunction]
    fn changed() {
        CURRENT.with(|current| current.take());
    }

    /// Takes what Python's side defines, once.
    #[pyfunction]
    fn install(
        raise: PyObjectRef,
        current: PyObjectRef,
        new_current: PyObjectRef,
        tuple: PyObjectRef,
        rational: PyObjectRef,
    ) {
        PYTHON.with(|python| {
            let _ = python.set(Python {
                raise,
                current,
                new_current,
                tuple,
                rational,
            });
        });
    }
}
