//! Python values to JSON and back, by the objects' native payloads: no code of the script runs.

use std::collections::HashSet;
use std::fmt::Write;

use rustpython_vm::builtins::{PyDict, PyFloat, PyInt, PyList, PyStr, PyTuple};
use rustpython_vm::{AsObject, PyObject, PyObjectRef, PyResult, VirtualMachine};
use serde_json::Value;
use wardian_abi::exact;

use crate::PYTHON;

/// The most of a value that may be written.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) bytes: u64,
    pub(crate) depth: u32,
    /// Set if what JSON lacks is written as [`exact`] has it.
    pub(crate) exact: bool,
}

/// A reason for which a value can't be written as JSON.
#[derive(Debug)]
pub(crate) enum NotJson {
    Type(String),
    Key(String),
    SameKeys,
    Integer,
    Float(f64),
    Surrogate,
    Depth(u32),
    Size(u64),
}

impl NotJson {
    fn key(key: &PyObject) -> Self {
        Self::Key(key.class().name().to_string())
    }

    /// Is it of a type that JSON does not have?
    pub(crate) fn is_type(&self) -> bool {
        matches!(self, Self::Type(_) | Self::Key(_))
    }

    /// Would a `repr` of the whole value be reasonable to ask for?
    pub(crate) fn allows_repr(&self) -> bool {
        !matches!(self, Self::Depth(_) | Self::Size(_))
    }
}

impl std::fmt::Display for NotJson {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Type(name) => write!(f, "'{name}' is not a JSON type"),
            Self::Key(name) => write!(f, "a key of type '{name}' is not a string"),
            Self::SameKeys => f.write_str("two keys are the same text in JSON"),
            Self::Integer => f.write_str("an integer does not fit in 64 bits"),
            Self::Float(float) => write!(f, "{float} is not a JSON number"),
            Self::Surrogate => f.write_str("a string holds a lone surrogate"),
            Self::Depth(depth) => write!(f, "nested deeper than {depth}"),
            Self::Size(bytes) => write!(f, "larger than {bytes} bytes"),
        }
    }
}

/// Writes `value` as JSON.
///
/// Subclasses count as what they extend: a named tuple is an array, an `IntEnum` a number. Unless
/// the value is [`exact`](Limits::exact), keys of dicts that are integers, booleans or `None` are
/// written as texts.
pub(crate) fn to_json(
    value: &PyObject,
    limits: Limits,
    vm: &VirtualMachine,
) -> Result<String, NotJson> {
    let mut json = String::new();
    write(&mut json, value, limits.depth, limits, vm)?;
    Ok(json)
}

fn write(
    json: &mut String,
    value: &PyObject,
    depth_left: u32,
    limits: Limits,
    vm: &VirtualMachine,
) -> Result<(), NotJson> {
    if vm.is_none(value) {
        json.push_str("null");
    } else if value.is(&vm.ctx.true_value) {
        json.push_str("true");
    } else if value.is(&vm.ctx.false_value) {
        json.push_str("false");
    } else if let Some(int) = value.downcast_ref::<PyInt>() {
        let int = int.as_bigint();
        match (i64::try_from(int), u64::try_from(int)) {
            (Ok(int), _) => write_display(json, int),
            (_, Ok(int)) => write_display(json, int),
            // A digit has more than three bits.
            _ if limits.exact && int.bits() / 4 > limits.bytes => {
                return Err(NotJson::Size(limits.bytes));
            }
            _ if limits.exact => write_display(json, exact::tagged("$int", int.to_string())),
            _ => return Err(NotJson::Integer),
        }
    } else if let Some(float) = value.downcast_ref::<PyFloat>() {
        let float = float.to_f64();
        if limits.exact || float.is_finite() {
            write_display(json, exact::float(float))
        } else {
            return Err(NotJson::Float(float));
        }
    } else if let Some(string) = value.downcast_ref::<PyStr>() {
        write_string(json, string)?;
    } else {
        let inner = depth_left
            .checked_sub(1)
            .ok_or(NotJson::Depth(limits.depth));
        if let Some(list) = value.downcast_ref::<PyList>() {
            let items = list.borrow_vec();
            write_array(json, &items, inner?, limits, vm)?;
        } else if let Some(tuple) = value.downcast_ref::<PyTuple>() {
            write_array(json, tuple.as_slice(), inner?, limits, vm)?;
        } else if let Some(dict) = value.downcast_ref::<PyDict>() {
            let inner = inner?;
            let start = json.len();
            json.push('{');
            let mut looks_tagged = limits.exact;
            let mut names = HashSet::new();
            let has_others = dict
                .into_iter()
                .any(|(key, _)| !key.downcastable::<PyStr>());
            for (i, (key, item)) in dict.into_iter().enumerate() {
                if i > 0 {
                    json.push(',');
                }
                let key_start = json.len();
                match key.downcast_ref::<PyStr>() {
                    Some(key) => {
                        looks_tagged &= i == 0 && key.as_bytes().starts_with(b"$");
                        write_string(json, key)?;
                    }
                    None if limits.exact => return Err(NotJson::key(&key)),
                    None => write_display(json, format_args!("\"{}\"", key_text(&key, vm)?)),
                }
                // 1 and "1" would be one.
                if has_others && !names.insert(json[key_start..].to_owned()) {
                    return Err(NotJson::SameKeys);
                }
                json.push(':');
                write(json, &item, inner, limits, vm)?;
            }
            json.push('}');
            if looks_tagged && json.len() > start + 2 {
                json.insert_str(start, &format!("{{\"{}\":", exact::OBJECT));
                json.push('}');
            }
        } else if let Some(tagged) = limits.exact.then(|| write_exact(value, vm)).flatten() {
            write_display(json, tagged);
        } else {
            return Err(NotJson::Type(value.class().name().to_string()));
        }
    }
    if json.len() as u64 > limits.bytes {
        return Err(NotJson::Size(limits.bytes));
    }
    Ok(())
}

/// A key that is no string, as `json.dumps` writes it.
fn key_text(key: &PyObject, vm: &VirtualMachine) -> Result<String, NotJson> {
    if vm.is_none(key) {
        return Ok("null".to_owned());
    }
    if key.is(&vm.ctx.true_value) || key.is(&vm.ctx.false_value) {
        return Ok(key.is(&vm.ctx.true_value).to_string());
    }
    let int = key.downcast_ref::<PyInt>().map(|int| int.as_bigint());
    let int = int.and_then(|int| i64::try_from(int).ok());
    int.map(|int| int.to_string())
        .ok_or_else(|| NotJson::key(key))
}

fn write_array(
    json: &mut String,
    items: &[PyObjectRef],
    depth_left: u32,
    limits: Limits,
    vm: &VirtualMachine,
) -> Result<(), NotJson> {
    json.push('[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            json.push(',');
        }
        write(json, item, depth_left, limits, vm)?;
    }
    json.push(']');
    Ok(())
}

fn write_string(json: &mut String, string: &PyStr) -> Result<(), NotJson> {
    let string = string.to_str().ok_or(NotJson::Surrogate)?;
    write_display(
        json,
        serde_json::to_string(string).expect("strings are JSON"),
    );
    Ok(())
}

fn write_display(json: &mut String, value: impl std::fmt::Display) {
    write!(json, "{value}").expect("writing to a String can't fail");
}

/// A value of a type that JSON lacks, by its tag; `None` if it is of no such type. Subclasses are
/// not: their code would run.
fn write_exact(value: &PyObject, vm: &VirtualMachine) -> Option<Value> {
    let written = PYTHON.with(|python| {
        let support = &python.get()?.support;
        support.write_exact.call((value.to_owned(),), vm).ok()
    })?;
    let written = written.downcast_ref::<PyTuple>()?;
    let [tag, text] = written.as_slice() else {
        return None;
    };
    let text_of = |object: &PyObjectRef| Some(object.downcast_ref::<PyStr>()?.to_str()?.to_owned());
    Some(exact::tagged(&text_of(tag)?, text_of(text)?))
}

fn read_exact(tag: &str, tagged: &Value, vm: &VirtualMachine) -> PyResult {
    if tag == exact::OBJECT
        && let Value::Object(items) = tagged
    {
        return members(items, vm);
    }
    let text = tagged.as_str().unwrap_or_default();
    PYTHON.with(|python| match python.get() {
        Some(python) => python.support.read_exact.call((tag, text), vm),
        None => Ok(vm.ctx.none()),
    })
}

fn members(items: &serde_json::Map<String, Value>, vm: &VirtualMachine) -> PyResult {
    let dict = vm.ctx.new_dict();
    for (key, item) in items {
        dict.set_item(key.as_str(), from_json(item, vm)?, vm)?;
    }
    Ok(dict.into())
}

/// Makes a Python object of `value`, in which [`exact`] values stand for what JSON lacks. The host
/// has bounded its depth.
pub(crate) fn from_json(value: &Value, vm: &VirtualMachine) -> PyResult<PyObjectRef> {
    if let Some((tag, tagged)) = exact::tag(value) {
        return read_exact(tag, tagged, vm);
    }
    Ok(match value {
        Value::Null => vm.ctx.none(),
        Value::Bool(bool) => vm.ctx.new_bool(*bool).into(),
        Value::Number(number) => {
            if let Some(int) = number.as_i64() {
                vm.ctx.new_int(int).into()
            } else if let Some(int) = number.as_u64() {
                vm.ctx.new_int(int).into()
            } else {
                vm.ctx.new_float(number.as_f64().unwrap_or(f64::NAN)).into()
            }
        }
        Value::String(string) => vm.ctx.new_str(string.as_str()).into(),
        Value::Array(items) => {
            let items: PyResult<_> = items.iter().map(|item| from_json(item, vm)).collect();
            vm.ctx.new_list(items?).into()
        }
        Value::Object(items) => members(items, vm)?,
    })
}
