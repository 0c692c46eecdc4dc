//! Decimal numbers of what Python hands over: integers, floats, text, and tuples of sign, digits
//! and exponent.

use std::borrow::Cow;

use rustpython_vm::builtins::{PyBaseExceptionRef, PyFloat, PyInt, PyList, PyStr, PyTuple};
use rustpython_vm::protocol::numeric_literal_from_str;
use rustpython_vm::{Py, PyObject, PyObjectRef, PyResult, VirtualMachine};
use wardian_decimal::{BigInt, Context, Decimal, Status};

use super::context::{NumberContext, exact};
use super::number::Number;

/// A number for an operation: a decimal or an integer.
pub(super) fn number_of(value: &PyObject) -> Option<Cow<'_, Decimal>> {
    if let Some(number) = value.downcast_ref::<Number>() {
        return Some(Cow::Borrowed(&number.0));
    }
    let integer = value.downcast_ref::<PyInt>()?;
    Some(Cow::Owned(Decimal::from_int(integer.as_bigint())))
}

/// The same, or the error for anything else.
pub(super) fn operand<'v>(value: &'v PyObject, vm: &VirtualMachine) -> PyResult<Cow<'v, Decimal>> {
    number_of(value).ok_or_else(|| not_supported(value, vm))
}

fn not_supported(value: &PyObject, vm: &VirtualMachine) -> PyBaseExceptionRef {
    let class = value.class().name().to_string();
    vm.new_type_error(format!(
        "conversion from {class} to Decimal is not supported"
    ))
}

/// The number of a float or an integer, exactly.
pub(super) fn from_float(value: &PyObject, vm: &VirtualMachine) -> PyResult<Decimal> {
    if let Some(integer) = value.downcast_ref::<PyInt>() {
        return Ok(Decimal::from_int(integer.as_bigint()));
    }
    match value.downcast_ref::<PyFloat>() {
        Some(value) => Ok(Decimal::from_f64(value.to_f64())),
        None => Err(vm.new_type_error("argument must be int or float")),
    }
}

/// `Decimal(value)`: exactly.
pub(super) fn exactly(
    value: Option<PyObjectRef>,
    context: &Py<NumberContext>,
    vm: &VirtualMachine,
) -> PyResult<Decimal> {
    let Some(value) = value else {
        return Ok(Decimal::from_int(&BigInt::from(0)));
    };
    if let Some(number) = number_of(&value) {
        return Ok(number.into_owned());
    }
    if let Some(text) = value.downcast_ref::<PyStr>() {
        let (number, status) = exact(|context, status| parse(context, text, status));
        context.note(status, vm)?;
        return Ok(number);
    }
    if value.downcast_ref::<PyFloat>().is_some() {
        context.note(Status::FLOAT_OPERATION, vm)?;
        return from_float(&value, vm);
    }
    if let Some(number) = from_tuple(&value, vm)? {
        let (number, status) = exact(|context, status| context.finalize(number, status));
        context.note(status, vm)?;
        return Ok(number);
    }
    Err(not_supported(&value, vm))
}

/// `context.create_decimal(value)`: rounded.
pub(super) fn create(
    value: Option<PyObjectRef>,
    context: &Py<NumberContext>,
    vm: &VirtualMachine,
) -> PyResult<Number> {
    if let Some(text) = value
        .as_ref()
        .and_then(|value| value.downcast_ref::<PyStr>())
    {
        return context.run(vm, |context, status| Number(parse(context, text, status)));
    }
    let is_number = value
        .as_ref()
        .is_some_and(|value| value.downcast_ref::<Number>().is_some());
    let number = match value
        .as_ref()
        .map(|value| from_tuple(value, vm))
        .transpose()?
        .flatten()
    {
        Some(number) => number,
        None => exactly(value, context, vm)?,
    };
    if is_number && number.is_nan() && !context.state().context.has_room_for_payload(&number) {
        context.note(Status::CONVERSION_SYNTAX, vm)?;
        return Ok(Number(Decimal::nan(false, false, "")));
    }
    context.run(vm, |context, status| {
        Number(context.finalize(number, status))
    })
}

fn parse(context: &Context, text: &Py<PyStr>, status: &mut Status) -> Decimal {
    let text = numeric_literal_from_str(text);
    if text.contains('_') {
        context.parse(&text.replace('_', ""), status)
    } else {
        context.parse(&text, status)
    }
}

/// A number from its sign, digits and exponent; `None` for what is no tuple or list.
fn from_tuple(value: &PyObject, vm: &VirtualMachine) -> PyResult<Option<Decimal>> {
    let elements = |value: &PyObject| {
        if let Some(tuple) = value.downcast_ref::<PyTuple>() {
            return Some(tuple.as_slice().to_vec());
        }
        let list = value.downcast_ref::<PyList>()?;
        Some(list.borrow_vec().to_vec())
    };
    let Some(parts) = elements(value) else {
        return Ok(None);
    };
    let [sign, digits, exponent] = parts.as_slice() else {
        return Err(vm.new_value_error("argument must be a sequence of length 3"));
    };
    let small = |value: &PyObject| {
        value
            .downcast_ref::<PyInt>()
            .and_then(|value| i64::try_from(value.as_bigint()).ok())
    };
    let negative = match small(sign) {
        Some(0) => false,
        Some(1) => true,
        _ => return Err(vm.new_value_error("sign must be an integer with the value 0 or 1")),
    };
    let wrong = || vm.new_value_error("coefficient must be a tuple of digits");
    let special = exponent
        .downcast_ref::<PyStr>()
        .map(|kind| kind.to_str().unwrap_or(""));
    if special == Some("F") {
        return Ok(Some(Decimal::infinite(negative)));
    }
    let mut text = String::new();
    for digit in elements(digits).ok_or_else(wrong)? {
        match small(&digit) {
            Some(digit @ 0..=9) => text.push(char::from(b'0' + digit as u8)),
            _ => return Err(wrong()),
        }
    }
    Ok(Some(match special {
        Some("n") => Decimal::nan(negative, false, &text),
        Some("N") => Decimal::nan(negative, true, &text),
        Some(_) => {
            let message = "string argument in the third position must be 'F', 'n' or 'N'";
            return Err(vm.new_value_error(message));
        }
        None => match exponent.downcast_ref::<PyInt>() {
            Some(exponent) => {
                let exponent = i64::try_from(exponent.as_bigint());
                let limit = 2 * wardian_decimal::MAX_EXPONENT;
                let exponent = exponent.unwrap_or(limit).clamp(-2 * limit, limit);
                Decimal::from_parts(negative, &text, exponent)
            }
            None => return Err(vm.new_value_error("exponent must be an integer")),
        },
    }))
}
