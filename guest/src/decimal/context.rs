//! Contexts: bounds of results, what has happened, and what raises.

use rustpython_vm::builtins::{PyStr, PyTuple, PyType};
use rustpython_vm::common::lock::PyMutex;
use rustpython_vm::function::{FuncArgs, OptionalArg};
use rustpython_vm::types::Constructor;
use rustpython_vm::{
    AsObject as _, Py, PyObject, PyObjectRef, PyPayload, PyRef, PyResult, VirtualMachine, pyclass,
};
use wardian_decimal::{Context, Decimal, Rounding, Status};

use super::conversion::{create, from_float, operand};
use super::number::{self, Number};
use super::{CURRENT, python, raise};

/// The directions of rounding by their names in Python, which numbers them in this order.
pub(super) const ROUNDINGS: [(&str, Rounding); 8] = [
    ("ROUND_UP", Rounding::Up),
    ("ROUND_DOWN", Rounding::Down),
    ("ROUND_CEILING", Rounding::Ceiling),
    ("ROUND_FLOOR", Rounding::Floor),
    ("ROUND_HALF_UP", Rounding::HalfUp),
    ("ROUND_HALF_DOWN", Rounding::HalfDown),
    ("ROUND_HALF_EVEN", Rounding::HalfEven),
    ("ROUND_05UP", Rounding::ZeroFiveUp),
];

#[pyclass(name = "Context", module = "decimal")]
#[derive(Debug, PyPayload)]
pub(super) struct NumberContext(PyMutex<State>);

#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) context: Context,
    pub(super) capitals: bool,
    status: Status,
    traps: Status,
}

/// The context of the thread or task that is running.
pub(super) fn current(vm: &VirtualMachine) -> PyResult<PyRef<NumberContext>> {
    let known = CURRENT.with_borrow(|current| {
        let (variables, context) = current.as_ref()?;
        let are_same = vm.context_stack.borrow().last()?.is(variables);
        are_same.then(|| context.clone())
    });
    if let Some(known) = known {
        return Ok(known);
    }
    let context = python(vm, |python| {
        let context = python.current.call((vm.ctx.none(),), vm)?;
        if vm.is_none(&context) {
            python.new_current.call((), vm)
        } else {
            Ok(context)
        }
    })?;
    let context: PyRef<NumberContext> = context.downcast().map_err(|_| not_a_context(vm))?;
    let variables = vm.context_stack.borrow().last().cloned();
    CURRENT.set(variables.map(|variables| (variables, context.clone())));
    Ok(context)
}

fn not_a_context(vm: &VirtualMachine) -> rustpython_vm::builtins::PyBaseExceptionRef {
    vm.new_type_error("optional argument must be a context")
}

/// The context that a call names, or the current one.
pub(super) fn chosen(
    context: OptionalArg<PyObjectRef>,
    vm: &VirtualMachine,
) -> PyResult<PyRef<NumberContext>> {
    match context.into_option().filter(|context| !vm.is_none(context)) {
        Some(context) => context.downcast().map_err(|_| not_a_context(vm)),
        None => current(vm),
    }
}

impl NumberContext {
    /// Computes, notes what that met, and raises what is trapped.
    pub(super) fn run<T>(
        &self,
        vm: &VirtualMachine,
        act: impl FnOnce(&Context, &mut Status) -> T,
    ) -> PyResult<T> {
        let mut status = Status::default();
        // Nothing of Python runs in between.
        let mut state = self.0.lock();
        let result = act(&state.context, &mut status);
        state.status |= status - Status::OUT_OF_MEMORY;
        let raised = status & (state.traps | Status::OUT_OF_MEMORY);
        drop(state);
        if !raised.is_empty() {
            raise(raised, vm)?;
        }
        Ok(result)
    }

    pub(super) fn note(&self, status: Status, vm: &VirtualMachine) -> PyResult<()> {
        self.run(vm, |_, met| *met = status)
    }

    /// Notes without raising.
    pub(super) fn note_quietly(&self, status: Status) {
        self.0.lock().status |= status;
    }

    pub(super) fn state(&self) -> State {
        self.0.lock().clone()
    }
}

/// A direction of rounding by its name, or the error for what is none.
pub(super) fn rounding(name: &PyObject, vm: &VirtualMachine) -> PyResult<Rounding> {
    let name = name.downcast_ref::<PyStr>().and_then(|name| name.to_str());
    let known = ROUNDINGS.iter().find(|(known, _)| name == Some(*known));
    known.map(|(_, rounding)| *rounding).ok_or_else(|| {
        vm.new_type_error(
            "valid values for rounding are:\n  [ROUND_CEILING, ROUND_FLOOR, ROUND_UP, ROUND_DOWN,\n   \
             ROUND_HALF_UP, ROUND_HALF_DOWN, ROUND_HALF_EVEN,\n   ROUND_05UP]",
        )
    })
}

impl Constructor for NumberContext {
    type Args = FuncArgs;

    fn py_new(_class: &Py<PyType>, _args: FuncArgs, _vm: &VirtualMachine) -> PyResult<Self> {
        Ok(Self(PyMutex::new(State {
            context: Context {
                precision: 28,
                emax: 999_999,
                emin: -999_999,
                rounding: Rounding::HalfEven,
                clamp: false,
            },
            capitals: true,
            status: Status::default(),
            traps: Status::INVALID | Status::DIVISION_BY_ZERO | Status::OVERFLOW,
        })))
    }
}

type Operand = PyObjectRef;

/// Writes out the methods that hand numbers to an operation of the same shape.
macro_rules! methods {
    (
        unary { $($unary:ident = $of_one:path,)* }
        binary { $($binary:ident = $of_two:path,)* }
        tests { $($test:ident,)* }
        $($others:tt)*
    ) => {
        #[pyclass(flags(BASETYPE), with(Constructor))]
        impl NumberContext {
            $(
                #[pymethod]
                fn $unary(zelf: &Py<Self>, a: Operand, vm: &VirtualMachine) -> PyResult<Number> {
                    let a = operand(&a, vm)?;
                    zelf.run(vm, |context, status| Number($of_one(context, &a, status)))
                }
            )*
            $(
                #[pymethod]
                fn $binary(zelf: &Py<Self>, a: Operand, b: Operand, vm: &VirtualMachine) -> PyResult<Number> {
                    let (a, b) = (operand(&a, vm)?, operand(&b, vm)?);
                    zelf.run(vm, |context, status| Number($of_two(context, &a, &b, status)))
                }
            )*
            $(
                #[pymethod]
                fn $test(zelf: &Py<Self>, a: Operand, vm: &VirtualMachine) -> PyResult<bool> {
                    Ok(number::$test(&*operand(&a, vm)?, &zelf.state().context))
                }
            )*
            $($others)*
        }
    };
}

methods! {
    unary {
        abs = Context::abs,
        exp = Context::exp,
        ln = Context::ln,
        log10 = Context::log10,
        logb = Context::logb,
        logical_invert = Context::logical_invert,
        minus = Context::minus,
        next_minus = Context::next_minus,
        next_plus = Context::next_plus,
        normalize = Context::reduce,
        plus = Context::plus,
        sqrt = Context::sqrt,
        to_integral = Context::to_integral_value,
        to_integral_exact = Context::to_integral_exact,
        to_integral_value = Context::to_integral_value,
        canonical = number::same,
        copy_abs = number::copy_abs,
        copy_decimal = number::same,
        copy_negate = number::copy_negate,
        _apply = Context::round_copy,
    }
    binary {
        add = Context::add,
        compare = Context::compare,
        compare_signal = Context::compare_signal,
        compare_total = number::compare_total,
        compare_total_mag = number::compare_total_magnitude,
        copy_sign = number::copy_sign,
        divide = Context::divide,
        divide_int = Context::divide_int,
        logical_and = Context::logical_and,
        logical_or = Context::logical_or,
        logical_xor = Context::logical_xor,
        max = Context::max,
        max_mag = Context::max_magnitude,
        min = Context::min,
        min_mag = Context::min_magnitude,
        multiply = Context::multiply,
        next_toward = Context::next_toward,
        quantize = Context::quantize,
        remainder = Context::remainder,
        remainder_near = Context::remainder_near,
        rotate = Context::rotate,
        scaleb = Context::scaleb,
        shift = Context::shift,
        subtract = Context::subtract,
    }
    tests {
        is_canonical, is_finite, is_infinite, is_nan, is_normal, is_qnan, is_signed, is_snan, is_subnormal, is_zero,
    }

    #[pymethod]
    fn divmod(zelf: &Py<Self>, a: Operand, b: Operand, vm: &VirtualMachine) -> PyResult<(Number, Number)> {
        let (a, b) = (operand(&a, vm)?, operand(&b, vm)?);
        let (quotient, remainder) =
            zelf.run(vm, |context, status| context.divide_with_remainder(&a, &b, status))?;
        Ok((Number(quotient), Number(remainder)))
    }

    #[pymethod]
    fn fma(zelf: &Py<Self>, a: Operand, b: Operand, c: Operand, vm: &VirtualMachine) -> PyResult<Number> {
        let (a, b, c) = (operand(&a, vm)?, operand(&b, vm)?, operand(&c, vm)?);
        zelf.run(vm, |context, status| Number(context.fused_multiply_add(&a, &b, &c, status)))
    }

    #[pymethod]
    fn power(zelf: &Py<Self>, args: Power, vm: &VirtualMachine) -> PyResult<Number> {
        let (a, b) = (operand(&args.a, vm)?, operand(&args.b, vm)?);
        match args.modulo.into_option().filter(|modulo| !vm.is_none(modulo)) {
            Some(modulo) => {
                let modulo = operand(&modulo, vm)?;
                zelf.run(vm, |context, status| Number(context.power_modulo(&a, &b, &modulo, status)))
            }
            None => zelf.run(vm, |context, status| Number(context.power(&a, &b, status))),
        }
    }

    #[pymethod]
    fn same_quantum(_zelf: &Py<Self>, a: Operand, b: Operand, vm: &VirtualMachine) -> PyResult<bool> {
        Ok(operand(&a, vm)?.same_quantum(&*operand(&b, vm)?))
    }

    #[pymethod]
    fn number_class(zelf: &Py<Self>, a: Operand, vm: &VirtualMachine) -> PyResult<&'static str> {
        Ok(zelf.state().context.number_class(&*operand(&a, vm)?))
    }

    #[pymethod]
    fn to_sci_string(zelf: &Py<Self>, a: Operand, vm: &VirtualMachine) -> PyResult<String> {
        Ok(operand(&a, vm)?.to_scientific(zelf.state().capitals))
    }

    #[pymethod]
    fn to_eng_string(zelf: &Py<Self>, a: Operand, vm: &VirtualMachine) -> PyResult<String> {
        Ok(operand(&a, vm)?.to_engineering(zelf.state().capitals))
    }

    /// Makes a number that is rounded as a result is.
    #[pymethod]
    fn create_decimal(zelf: &Py<Self>, value: OptionalArg<Operand>, vm: &VirtualMachine) -> PyResult<Number> {
        create(value.into_option(), zelf, vm)
    }

    #[pymethod]
    fn create_decimal_from_float(zelf: &Py<Self>, value: Operand, vm: &VirtualMachine) -> PyResult<Number> {
        let exact = from_float(&value, vm)?;
        zelf.run(vm, |context, status| Number(context.finalize(exact, status)))
    }

    #[pymethod]
    fn radix(_zelf: &Py<Self>) -> Number {
        number::radix()
    }

    #[pymethod(name = "Etiny")]
    fn etiny(zelf: &Py<Self>) -> i64 {
        zelf.0.lock().context.etiny()
    }

    #[pymethod(name = "Etop")]
    fn etop(zelf: &Py<Self>) -> i64 {
        zelf.0.lock().context.etop()
    }

    /// Precision, index of the rounding, smallest and largest exponent, capitals, clamp, flags and
    /// traps.
    #[pymethod]
    fn _get(zelf: &Py<Self>, vm: &VirtualMachine) -> PyRef<PyTuple> {
        let State { context, capitals, status, traps } = zelf.state();
        let rounding = ROUNDINGS.iter().position(|(_, rounding)| *rounding == context.rounding);
        let values = [
            context.precision,
            rounding.unwrap_or(0) as i64,
            context.emin,
            context.emax,
            capitals.into(),
            context.clamp.into(),
            status.bits().into(),
            traps.bits().into(),
        ];
        vm.ctx.new_tuple(values.into_iter().map(|value| vm.ctx.new_int(value).into()).collect())
    }

    #[pymethod]
    fn _set_rounding(zelf: &Py<Self>, name: Operand, vm: &VirtualMachine) -> PyResult<()> {
        zelf.0.lock().context.rounding = rounding(&name, vm)?;
        Ok(())
    }

    /// Sets one of these. Python's side has checked the value.
    #[pymethod]
    fn _set(zelf: &Py<Self>, index: u32, value: i64) {
        let mut state = zelf.0.lock();
        let bits = || Status::from_bits_truncate(u32::try_from(value).unwrap_or(0));
        match index {
            0 => state.context.precision = value,
            1 => {
                let rounding = usize::try_from(value).ok().and_then(|index| ROUNDINGS.get(index));
                state.context.rounding = rounding.map_or(Rounding::HalfEven, |(_, rounding)| *rounding);
            }
            2 => state.context.emin = value,
            3 => state.context.emax = value,
            4 => state.capitals = value != 0,
            5 => state.context.clamp = value != 0,
            6 => state.status = bits(),
            _ => state.traps = bits(),
        }
    }
}

#[derive(rustpython_vm::FromArgs)]
struct Power {
    #[pyarg(any)]
    a: PyObjectRef,
    #[pyarg(any)]
    b: PyObjectRef,
    #[pyarg(any, optional)]
    modulo: OptionalArg<PyObjectRef>,
}

/// Reads text of a number as it is written.
pub(super) fn exact(act: impl FnOnce(&Context, &mut Status) -> Decimal) -> (Decimal, Status) {
    let mut status = Status::default();
    let number = act(&Context::EXACT, &mut status);
    if status.intersects(Status::INEXACT | Status::ROUNDED | Status::CLAMPED) {
        return (Decimal::nan(false, false, ""), Status::INVALID_OPERATION);
    }
    (number, status & (Status::INVALID | Status::OUT_OF_MEMORY))
}
