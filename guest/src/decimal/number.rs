//! Decimal numbers.

use std::borrow::Cow;

use rustpython_vm::builtins::{
    PyBaseExceptionRef, PyComplex, PyFloat, PyInt, PyStr, PyType, PyTypeRef,
};
use rustpython_vm::common::hash;
use rustpython_vm::function::{FuncArgs, OptionalArg, PyComparisonValue};
use rustpython_vm::protocol::PyNumberMethods;
use rustpython_vm::types::{
    AsNumber, Comparable, Constructor, Hashable, PyComparisonOp, Representable,
};
use rustpython_vm::{
    AsObject as _, Py, PyObject, PyObjectRef, PyPayload, PyRef, PyResult, VirtualMachine, pyclass,
};
use wardian_decimal::{BigInt, Context, Decimal, Format, Rounding, Status};

use super::context::{chosen, current, exact, rounding};
use super::conversion::{exactly, from_float, number_of, operand};
use super::python;

#[pyclass(name = "Decimal", module = "decimal")]
#[derive(Debug, PyPayload)]
pub(super) struct Number(pub(super) Decimal);

pub(super) fn radix() -> Number {
    Number(Decimal::from_int(&BigInt::from(10)))
}

// Operations that never round, in the shape of those that may.

pub(super) fn same(_: &Context, number: &Decimal, _: &mut Status) -> Decimal {
    number.clone()
}

pub(super) fn copy_abs(_: &Context, number: &Decimal, _: &mut Status) -> Decimal {
    number.with_sign(false)
}

pub(super) fn copy_negate(_: &Context, number: &Decimal, _: &mut Status) -> Decimal {
    number.with_sign(!number.is_negative())
}

pub(super) fn copy_sign(_: &Context, number: &Decimal, of: &Decimal, _: &mut Status) -> Decimal {
    number.with_sign(of.is_negative())
}

pub(super) fn compare_total(
    _: &Context,
    left: &Decimal,
    right: &Decimal,
    _: &mut Status,
) -> Decimal {
    Decimal::from_int(&BigInt::from(left.compare_total(right) as i32))
}

pub(super) fn compare_total_magnitude(
    _: &Context,
    left: &Decimal,
    right: &Decimal,
    _: &mut Status,
) -> Decimal {
    Decimal::from_int(&BigInt::from(left.compare_total_magnitude(right) as i32))
}

pub(super) fn is_canonical(_: &Decimal, _: &Context) -> bool {
    true
}

pub(super) fn is_finite(number: &Decimal, _: &Context) -> bool {
    number.is_finite()
}

pub(super) fn is_infinite(number: &Decimal, _: &Context) -> bool {
    number.is_infinite()
}

pub(super) fn is_nan(number: &Decimal, _: &Context) -> bool {
    number.is_nan()
}

pub(super) fn is_normal(number: &Decimal, context: &Context) -> bool {
    number.is_finite() && !number.is_zero() && !number.is_subnormal(context)
}

pub(super) fn is_qnan(number: &Decimal, _: &Context) -> bool {
    number.is_nan() && !number.is_signaling()
}

pub(super) fn is_signed(number: &Decimal, _: &Context) -> bool {
    number.is_negative()
}

pub(super) fn is_snan(number: &Decimal, _: &Context) -> bool {
    number.is_signaling()
}

pub(super) fn is_subnormal(number: &Decimal, context: &Context) -> bool {
    number.is_subnormal(context)
}

pub(super) fn is_zero(number: &Decimal, _: &Context) -> bool {
    number.is_zero()
}

impl Constructor for Number {
    type Args = FuncArgs;

    fn slot_new(class: PyTypeRef, args: FuncArgs, vm: &VirtualMachine) -> PyResult {
        let args: New = args.bind_for(vm, "Decimal")?;
        let value = args.value.into_option();
        let is_exact = class.is(Self::class(&vm.ctx));
        if is_exact
            && let Some(value) = &value
            && value.class().is(&class)
        {
            return Ok(value.clone());
        }
        // Nothing is noted of an integer.
        let number = match value.as_deref().and_then(number_of) {
            Some(number) => number.into_owned(),
            None => exactly(value, &*chosen(args.context, vm)?, vm)?,
        };
        if is_exact {
            return Ok(Self(number).into_ref(&vm.ctx).into());
        }
        Self(number).into_ref_with_type(vm, class).map(Into::into)
    }

    fn py_new(_class: &Py<PyType>, _args: FuncArgs, vm: &VirtualMachine) -> PyResult<Self> {
        Err(vm.new_type_error("use Decimal.__new__"))
    }
}

#[derive(rustpython_vm::FromArgs)]
struct New {
    #[pyarg(any, optional)]
    value: OptionalArg<PyObjectRef>,
    #[pyarg(any, optional)]
    context: OptionalArg<PyObjectRef>,
}

#[derive(rustpython_vm::FromArgs)]
struct Unary {
    #[pyarg(any, optional)]
    context: OptionalArg<PyObjectRef>,
}

#[derive(rustpython_vm::FromArgs)]
struct Binary {
    #[pyarg(any)]
    other: PyObjectRef,
    #[pyarg(any, optional)]
    context: OptionalArg<PyObjectRef>,
}

#[derive(rustpython_vm::FromArgs)]
struct Ternary {
    #[pyarg(any)]
    other: PyObjectRef,
    #[pyarg(any)]
    third: PyObjectRef,
    #[pyarg(any, optional)]
    context: OptionalArg<PyObjectRef>,
}

#[derive(rustpython_vm::FromArgs)]
struct Quantize {
    #[pyarg(any)]
    exp: PyObjectRef,
    #[pyarg(any, optional)]
    rounding: OptionalArg<PyObjectRef>,
    #[pyarg(any, optional)]
    context: OptionalArg<PyObjectRef>,
}

#[derive(rustpython_vm::FromArgs)]
struct ToIntegral {
    #[pyarg(any, optional)]
    rounding: OptionalArg<PyObjectRef>,
    #[pyarg(any, optional)]
    context: OptionalArg<PyObjectRef>,
}

/// Computes under a context whose rounding a call may have changed.
fn run_rounded(
    context: OptionalArg<PyObjectRef>,
    direction: OptionalArg<PyObjectRef>,
    vm: &VirtualMachine,
    act: impl FnOnce(&Context, &mut Status) -> Decimal,
) -> PyResult<Number> {
    let context = chosen(context, vm)?;
    let direction = direction
        .into_option()
        .filter(|direction| !vm.is_none(direction));
    let direction = direction
        .map(|direction| rounding(&direction, vm))
        .transpose()?;
    context.run(vm, |context, status| {
        Number(match direction {
            Some(rounding) => act(
                &Context {
                    rounding,
                    ..context.clone()
                },
                status,
            ),
            None => act(context, status),
        })
    })
}

macro_rules! methods {
    (
        unary { $($unary:ident = $of_one:path,)* }
        binary { $($binary:ident = $of_two:path,)* }
        tests { $($test:ident,)* }
        tests_in_context { $($test_in_context:ident,)* }
        $($others:tt)*
    ) => {
        #[pyclass(flags(BASETYPE), with(Constructor, Comparable, Hashable, AsNumber, Representable, Attributes))]
        impl Number {
            $(
                #[pymethod]
                fn $unary(zelf: &Py<Self>, args: Unary, vm: &VirtualMachine) -> PyResult<Number> {
                    chosen(args.context, vm)?
                        .run(vm, |context, status| Number($of_one(context, &zelf.0, status)))
                }
            )*
            $(
                #[pymethod]
                fn $binary(zelf: &Py<Self>, args: Binary, vm: &VirtualMachine) -> PyResult<Number> {
                    let context = chosen(args.context, vm)?;
                    let other = operand(&args.other, vm)?;
                    context.run(vm, |context, status| Number($of_two(context, &zelf.0, &other, status)))
                }
            )*
            $(
                #[pymethod]
                fn $test(zelf: &Py<Self>) -> bool {
                    $test(&zelf.0, &Context::EXACT)
                }
            )*
            $(
                #[pymethod]
                fn $test_in_context(zelf: &Py<Self>, args: Unary, vm: &VirtualMachine) -> PyResult<bool> {
                    Ok($test_in_context(&zelf.0, &chosen(args.context, vm)?.state().context))
                }
            )*
            $($others)*
        }
    };
}

methods! {
    unary {
        exp = Context::exp,
        ln = Context::ln,
        log10 = Context::log10,
        logb = Context::logb,
        logical_invert = Context::logical_invert,
        next_minus = Context::next_minus,
        next_plus = Context::next_plus,
        normalize = Context::reduce,
        sqrt = Context::sqrt,
    }
    binary {
        compare = Context::compare,
        compare_signal = Context::compare_signal,
        compare_total = compare_total,
        compare_total_mag = compare_total_magnitude,
        copy_sign = copy_sign,
        logical_and = Context::logical_and,
        logical_or = Context::logical_or,
        logical_xor = Context::logical_xor,
        max = Context::max,
        max_mag = Context::max_magnitude,
        min = Context::min,
        min_mag = Context::min_magnitude,
        next_toward = Context::next_toward,
        remainder_near = Context::remainder_near,
        rotate = Context::rotate,
        scaleb = Context::scaleb,
        shift = Context::shift,
    }
    tests {
        is_canonical, is_finite, is_infinite, is_nan, is_qnan, is_signed, is_snan, is_zero,
    }
    tests_in_context {
        is_normal, is_subnormal,
    }

    #[pymethod]
    fn fma(zelf: &Py<Self>, args: Ternary, vm: &VirtualMachine) -> PyResult<Number> {
        let context = chosen(args.context, vm)?;
        let (other, third) = (operand(&args.other, vm)?, operand(&args.third, vm)?);
        context.run(vm, |context, status| {
            Number(context.fused_multiply_add(&zelf.0, &other, &third, status))
        })
    }

    #[pymethod]
    fn quantize(zelf: &Py<Self>, args: Quantize, vm: &VirtualMachine) -> PyResult<Number> {
        let like = operand(&args.exp, vm)?;
        run_rounded(args.context, args.rounding, vm, |context, status| {
            context.quantize(&zelf.0, &like, status)
        })
    }

    #[pymethod]
    fn to_integral_exact(zelf: &Py<Self>, args: ToIntegral, vm: &VirtualMachine) -> PyResult<Number> {
        run_rounded(args.context, args.rounding, vm, |context, status| {
            context.to_integral_exact(&zelf.0, status)
        })
    }

    #[pymethod]
    fn to_integral_value(zelf: &Py<Self>, args: ToIntegral, vm: &VirtualMachine) -> PyResult<Number> {
        run_rounded(args.context, args.rounding, vm, |context, status| {
            context.to_integral_value(&zelf.0, status)
        })
    }

    #[pymethod]
    fn to_integral(zelf: &Py<Self>, args: ToIntegral, vm: &VirtualMachine) -> PyResult<Number> {
        Self::to_integral_value(zelf, args, vm)
    }

    #[pymethod]
    fn same_quantum(zelf: &Py<Self>, args: Binary, vm: &VirtualMachine) -> PyResult<bool> {
        chosen(args.context, vm)?;
        Ok(zelf.0.same_quantum(&*operand(&args.other, vm)?))
    }

    #[pymethod]
    fn number_class(zelf: &Py<Self>, args: Unary, vm: &VirtualMachine) -> PyResult<&'static str> {
        Ok(chosen(args.context, vm)?.state().context.number_class(&zelf.0))
    }

    #[pymethod]
    fn to_eng_string(zelf: &Py<Self>, args: Unary, vm: &VirtualMachine) -> PyResult<String> {
        Ok(zelf.0.to_engineering(chosen(args.context, vm)?.state().capitals))
    }

    #[pymethod]
    fn copy_abs(zelf: &Py<Self>) -> Number {
        Number(zelf.0.with_sign(false))
    }

    #[pymethod]
    fn copy_negate(zelf: &Py<Self>) -> Number {
        Number(zelf.0.with_sign(!zelf.0.is_negative()))
    }

    #[pymethod]
    fn adjusted(zelf: &Py<Self>) -> i64 {
        if zelf.0.is_finite() { zelf.0.adjusted() } else { 0 }
    }

    #[pymethod]
    fn radix(_zelf: &Py<Self>) -> Number {
        radix()
    }

    #[pymethod]
    fn canonical(zelf: PyRef<Self>) -> PyRef<Self> {
        zelf
    }

    #[pymethod]
    fn conjugate(zelf: PyRef<Self>) -> PyRef<Self> {
        zelf
    }

    /// Sign, digits and exponent.
    #[pymethod]
    fn as_tuple(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult {
        let number = &zelf.0;
        let exponent: PyObjectRef = if number.is_finite() {
            vm.ctx.new_int(number.exponent()).into()
        } else if number.is_infinite() {
            vm.ctx.new_str("F").into()
        } else if number.is_signaling() {
            vm.ctx.new_str("N").into()
        } else {
            vm.ctx.new_str("n").into()
        };
        let is_empty = number.is_nan() && number.coefficient().is_zero();
        let digits = if is_empty { String::new() } else { number.coefficient().to_string() };
        let digits = digits.bytes().map(|digit| vm.ctx.new_int(digit - b'0').into()).collect();
        let sign = vm.ctx.new_int(u8::from(number.is_negative()));
        python(vm, |python| python.tuple.call((sign, vm.ctx.new_tuple(digits), exponent), vm))
    }

    #[pymethod]
    fn as_integer_ratio(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult<(BigInt, BigInt)> {
        check_finite(&zelf.0, "integer ratio", vm)?;
        zelf.0.to_ratio().ok_or_else(|| too_large(vm))
    }

    #[pyclassmethod]
    fn from_float(class: PyTypeRef, value: PyObjectRef, vm: &VirtualMachine) -> PyResult {
        converted(class, from_float(&value, vm)?, vm)
    }

    #[pyclassmethod]
    fn from_number(class: PyTypeRef, value: PyObjectRef, vm: &VirtualMachine) -> PyResult {
        if let Some(number) = value.downcast_ref::<Number>() {
            return converted(class, number.0.clone(), vm);
        }
        match from_float(&value, vm) {
            Ok(number) => converted(class, number, vm),
            Err(_) => {
                let value = value.repr(vm)?;
                Err(vm.new_type_error(format!("Cannot convert {value} to Decimal")))
            }
        }
    }

    #[pymethod]
    fn __reduce__(zelf: &Py<Self>, vm: &VirtualMachine) -> PyObjectRef {
        let text = vm.ctx.new_str(zelf.0.to_scientific(true));
        vm.new_tuple((zelf.class().to_owned(), (text,))).into()
    }

    #[pymethod]
    fn __copy__(zelf: PyRef<Self>) -> PyRef<Self> {
        zelf
    }

    #[pymethod]
    fn __deepcopy__(zelf: PyRef<Self>, _memo: PyObjectRef) -> PyRef<Self> {
        zelf
    }

    #[pymethod]
    fn __complex__(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult {
        let value = vm.ctx.new_float(to_f64(&zelf.0, vm)?);
        vm.ctx.types.complex_type.as_object().call((value,), vm)
    }

    #[pymethod]
    fn __trunc__(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult<BigInt> {
        to_int(&zelf.0, Rounding::Down, vm)
    }

    #[pymethod]
    fn __floor__(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult<BigInt> {
        to_int(&zelf.0, Rounding::Floor, vm)
    }

    #[pymethod]
    fn __ceil__(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult<BigInt> {
        to_int(&zelf.0, Rounding::Ceiling, vm)
    }

    #[pymethod]
    fn __round__(zelf: &Py<Self>, digits: OptionalArg<PyObjectRef>, vm: &VirtualMachine) -> PyResult {
        let Some(digits) = digits.into_option() else {
            let rounded = to_int(&zelf.0, Rounding::HalfEven, vm)?;
            return Ok(vm.ctx.new_bigint(&rounded).into());
        };
        let Some(digits) = digits.downcast_ref::<PyInt>() else {
            return Err(vm.new_type_error("optional arg must be an integer"));
        };
        let limit = wardian_decimal::MAX_EXPONENT;
        let digits = i64::try_from(digits.as_bigint()).unwrap_or(limit).clamp(-limit, limit);
        let like = Decimal::from_parts(false, "1", -digits);
        let rounded = current(vm)?.run(vm, |context, status| context.quantize(&zelf.0, &like, status))?;
        Ok(Number(rounded).into_ref(&vm.ctx).into())
    }

    #[pymethod]
    fn __format__(zelf: &Py<Self>, spec: PyRef<PyStr>, vm: &VirtualMachine) -> PyResult<String> {
        let state = current(vm)?.state();
        let format = spec.to_str().and_then(|spec| Format::parse(spec, state.capitals));
        let Some(format) = format else {
            return Err(vm.new_value_error("invalid format string"));
        };
        format.apply(&zelf.0, state.context.rounding).ok_or_else(|| too_large(vm))
    }
}

/// Attributes and slots, which `methods!` can't write out: their names would be its own.
#[pyclass]
trait Attributes: PyPayload {
    #[pyslot]
    fn slot_str(zelf: &PyObject, vm: &VirtualMachine) -> PyResult<PyRef<PyStr>> {
        let text = operand(zelf, vm)?.to_scientific(current(vm)?.state().capitals);
        Ok(vm.ctx.new_str(text))
    }

    #[pygetset]
    fn real(zelf: PyRef<Self>) -> PyRef<Self> {
        zelf
    }

    #[pygetset]
    fn imag(_zelf: PyRef<Self>) -> Number {
        Number(Decimal::from_int(&BigInt::from(0)))
    }
}

impl Attributes for Number {}

fn converted(class: PyTypeRef, number: Decimal, vm: &VirtualMachine) -> PyResult {
    let number: PyObjectRef = Number(number).into_ref(&vm.ctx).into();
    if class.is(Number::class(&vm.ctx)) {
        return Ok(number);
    }
    class.as_object().call((number,), vm)
}

fn too_large(vm: &VirtualMachine) -> PyBaseExceptionRef {
    vm.new_memory_error("the number has more digits than there is memory for")
}

fn check_finite(number: &Decimal, to: &str, vm: &VirtualMachine) -> PyResult<()> {
    if number.is_nan() {
        return Err(vm.new_value_error(format!("cannot convert NaN to {to}")));
    }
    if number.is_infinite() {
        return Err(vm.new_overflow_error(format!("cannot convert Infinity to {to}")));
    }
    Ok(())
}

fn to_int(number: &Decimal, rounding: Rounding, vm: &VirtualMachine) -> PyResult<BigInt> {
    check_finite(number, "integer", vm)?;
    let context = Context {
        rounding,
        ..Context::EXACT
    };
    let whole = context.to_integral_value(number, &mut Status::default());
    whole.to_int().ok_or_else(|| too_large(vm))
}

fn to_f64(number: &Decimal, vm: &VirtualMachine) -> PyResult<f64> {
    if number.is_signaling() {
        return Err(vm.new_value_error("cannot convert signaling NaN to float"));
    }
    if number.is_nan() {
        return Ok(if number.is_negative() {
            -f64::NAN
        } else {
            f64::NAN
        });
    }
    // The text of a number is one of a float.
    Ok(number.to_scientific(true).parse().unwrap_or(f64::NAN))
}

/// Computes with two operands of which one is a decimal, under the current context.
fn operate(
    left: &PyObject,
    right: &PyObject,
    vm: &VirtualMachine,
    act: impl FnOnce(&Context, &Decimal, &Decimal, &mut Status) -> Decimal,
) -> PyResult {
    let (Some(left), Some(right)) = (number_of(left), number_of(right)) else {
        return Ok(vm.ctx.not_implemented());
    };
    let result = current(vm)?.run(vm, |context, status| act(context, &left, &right, status))?;
    Ok(Number(result).into_ref(&vm.ctx).into())
}

fn operate_on_one(
    number: &PyObject,
    vm: &VirtualMachine,
    act: impl FnOnce(&Context, &Decimal, &mut Status) -> Decimal,
) -> PyResult {
    let number = operand(number, vm)?;
    let result = current(vm)?.run(vm, |context, status| act(context, &number, status))?;
    Ok(Number(result).into_ref(&vm.ctx).into())
}

impl AsNumber for Number {
    fn as_number() -> &'static PyNumberMethods {
        static METHODS: PyNumberMethods = PyNumberMethods {
            add: Some(|a, b, vm| operate(a, b, vm, Context::add)),
            subtract: Some(|a, b, vm| operate(a, b, vm, Context::subtract)),
            multiply: Some(|a, b, vm| operate(a, b, vm, Context::multiply)),
            true_divide: Some(|a, b, vm| operate(a, b, vm, Context::divide)),
            floor_divide: Some(|a, b, vm| operate(a, b, vm, Context::divide_int)),
            remainder: Some(|a, b, vm| operate(a, b, vm, Context::remainder)),
            divmod: Some(|a, b, vm| {
                let (Some(a), Some(b)) = (number_of(a), number_of(b)) else {
                    return Ok(vm.ctx.not_implemented());
                };
                let (quotient, remainder) = current(vm)?.run(vm, |context, status| {
                    context.divide_with_remainder(&a, &b, status)
                })?;
                Ok(vm.new_tuple((Number(quotient), Number(remainder))).into())
            }),
            power: Some(|a, b, modulo, vm| {
                if vm.is_none(modulo) {
                    return operate(a, b, vm, Context::power);
                }
                let Some(modulo) = number_of(modulo) else {
                    return Ok(vm.ctx.not_implemented());
                };
                operate(a, b, vm, |context, a, b, status| {
                    context.power_modulo(a, b, &modulo, status)
                })
            }),
            negative: Some(|number, vm| operate_on_one(&number, vm, Context::minus)),
            positive: Some(|number, vm| operate_on_one(&number, vm, Context::plus)),
            absolute: Some(|number, vm| operate_on_one(&number, vm, Context::abs)),
            boolean: Some(|number, vm| Ok(!operand(&number, vm)?.is_zero())),
            int: Some(|number, vm| {
                let value = to_int(&*operand(&number, vm)?, Rounding::Down, vm)?;
                Ok(vm.ctx.new_bigint(&value).into())
            }),
            float: Some(|number, vm| {
                let value = to_f64(&*operand(&number, vm)?, vm)?;
                Ok(vm.ctx.new_float(value).into())
            }),
            ..PyNumberMethods::NOT_IMPLEMENTED
        };
        &METHODS
    }
}

impl Comparable for Number {
    fn cmp(
        zelf: &Py<Self>,
        other: &PyObject,
        op: PyComparisonOp,
        vm: &VirtualMachine,
    ) -> PyResult<PyComparisonValue> {
        let is_equality = matches!(op, PyComparisonOp::Eq | PyComparisonOp::Ne);
        let mut left = Cow::Borrowed(&zelf.0);
        let right = if let Some(number) = number_of(other) {
            number
        } else if let Some(float) = as_float(other, is_equality) {
            if is_equality {
                current(vm)?.note_quietly(Status::FLOAT_OPERATION);
            } else {
                current(vm)?.note(Status::FLOAT_OPERATION, vm)?;
            }
            Cow::Owned(Decimal::from_f64(float))
        } else if python(vm, |python| other.is_instance(&python.rational, vm))? {
            // As many times the number as the denominator says against the numerator.
            let numerator = other.get_attr("numerator", vm)?;
            let denominator = other.get_attr("denominator", vm)?;
            let (Some(numerator), Some(denominator)) =
                (number_of(&numerator), number_of(&denominator))
            else {
                return Ok(PyComparisonValue::NotImplemented);
            };
            if zelf.0.is_finite() {
                let (product, _) =
                    exact(|context, status| context.multiply(&zelf.0, &denominator, status));
                left = Cow::Owned(product);
            }
            Cow::Owned(numerator.into_owned())
        } else {
            return Ok(PyComparisonValue::NotImplemented);
        };
        let order = left.compare(&right);
        if order.is_none() && (!is_equality || left.is_signaling() || right.is_signaling()) {
            current(vm)?.note(Status::INVALID_OPERATION, vm)?;
        }
        Ok(PyComparisonValue::Implemented(match order {
            Some(order) => op.eval_ord(order),
            None => op == PyComparisonOp::Ne,
        }))
    }
}

/// The value of a float; for a test of equality, of a complex number without an imaginary part too.
fn as_float(value: &PyObject, is_equality: bool) -> Option<f64> {
    if let Some(value) = value.downcast_ref::<PyFloat>() {
        return Some(value.to_f64());
    }
    let value = value.downcast_ref::<PyComplex>()?.to_complex();
    (is_equality && value.im == 0.0).then_some(value.re)
}

impl Hashable for Number {
    fn hash(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult<hash::PyHash> {
        let number = &zelf.0;
        if number.is_signaling() {
            return Err(vm.new_type_error("Cannot hash a signaling NaN value"));
        }
        if number.is_nan() {
            return Ok(hash::hash_object_id(zelf.get_id()));
        }
        if number.is_infinite() {
            return Ok(if number.is_negative() {
                -hash::INF
            } else {
                hash::INF
            });
        }
        Ok(hash::fix_sentinel(number.residue(hash::MODULUS)))
    }
}

impl Representable for Number {
    fn repr_str(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult<String> {
        let text = zelf.0.to_scientific(current(vm)?.state().capitals);
        Ok(format!("Decimal('{text}')"))
    }
}
