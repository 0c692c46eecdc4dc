//! An uncaught exception: what Python prints, and what the report says of it.

use rustpython_vm::builtins::{PyBaseExceptionRef, PyInt, PyStr};
use rustpython_vm::{AsObject, PyObjectRef, PyResult, VirtualMachine};
use wardian_abi::{Raised, SourceRule, TRACEBACK_BYTES, Violation};

use crate::interpreter::Support;

/// Prints `exception` as Python does, through `sys.excepthook` if the script has set one, and
/// describes it.
pub(crate) fn print(
    exception: &PyBaseExceptionRef,
    script: &str,
    support: &Support,
    vm: &VirtualMachine,
) -> Raised {
    let raised = describe(exception, script, support, vm)
        .unwrap_or_else(|_| describe_plainly(exception, vm));
    let hook = vm.sys_module.get_attr("excepthook", vm);
    let default = vm.sys_module.get_attr("__excepthook__", vm);
    match (hook, default) {
        (Ok(hook), Ok(default)) if hook.is(&default) => write_stderr(&raised.traceback, vm),
        _ => vm.print_exception(exception),
    }
    raised
}

/// Describes the error that keeps a source from being compiled, as a violation.
pub(crate) fn syntax(
    exception: &PyBaseExceptionRef,
    source: &str,
    vm: &VirtualMachine,
) -> Violation {
    let attribute = |name: &'static str| exception.as_object().get_attr(name, vm);
    let number = |name: &'static str, least: u32| {
        let number = attribute(name).ok();
        let number = number
            .as_ref()
            .and_then(|number| number.downcast_ref::<PyInt>());
        let number = number.and_then(|number| u32::try_from(number.as_bigint()).ok());
        number.unwrap_or(least).max(least)
    };
    let (line, column) = (number("lineno", 1), number("offset", 1));
    let end_line = number("end_lineno", line);
    let nested = exception.fast_isinstance(vm.ctx.exceptions.recursion_error);
    let message = attribute("msg").or_else(|_| exception.as_object().str(vm).map(Into::into));
    let lines = source.lines().nth(line as usize - 1).unwrap_or_default();
    Violation {
        rule: if nested {
            SourceRule::Nesting
        } else {
            SourceRule::Syntax
        },
        message: format!("Syntax error: {}", text(message, "invalid syntax")),
        line,
        column,
        end_line,
        end_column: number("end_offset", if end_line == line { column } else { 1 }),
        text: lines.chars().take(200).collect(),
        module: None,
    }
}

/// Writes to `sys.stderr`, whatever that is by now. An error there has nowhere to go.
pub(crate) fn write_stderr(text: &str, vm: &VirtualMachine) {
    if let Ok(stderr) = vm.sys_module.get_attr("stderr", vm) {
        let _ = vm.call_method(&stderr, "write", (text,));
    }
}

/// `str(object)`, with lone surrogates replaced, or what Python says when that fails.
pub(crate) fn text(object: PyResult<PyObjectRef>, otherwise: &str) -> String {
    match object.as_ref().map(|object| object.downcast_ref::<PyStr>()) {
        Ok(Some(string)) => shorten(string.to_string_lossy().into_owned()),
        _ => otherwise.to_owned(),
    }
}

fn describe(
    exception: &PyBaseExceptionRef,
    script: &str,
    support: &Support,
    vm: &VirtualMachine,
) -> PyResult<Raised> {
    let args = (
        exception.clone(),
        vm.ctx.new_str(script),
        support.carets.clone(),
    );
    let description = support.describe.call(args, vm)?;
    let [name, message, traceback, line]: [PyObjectRef; 4] = description
        .try_to_value::<Vec<PyObjectRef>>(vm)?
        .try_into()
        .map_err(|_| vm.new_type_error("describe() returns four things"))?;
    Ok(Raised {
        r#type: text(Ok(name), "?"),
        message: text(Ok(message), "?"),
        traceback: text(Ok(traceback), "?"),
        line: line
            .downcast_ref::<PyInt>()
            .and_then(|line| u32::try_from(line.as_bigint()).ok()),
    })
}

/// For when the script has broken `traceback` itself, or there is no stack left to run it on.
fn describe_plainly(exception: &PyBaseExceptionRef, vm: &VirtualMachine) -> Raised {
    let mut traceback = String::new();
    let _ = vm.write_exception(&mut traceback, exception);
    Raised {
        r#type: exception.class().name().to_string(),
        message: text(
            exception.as_object().str(vm).map(Into::into),
            "<exception str() failed>",
        ),
        traceback: shorten(traceback),
        line: None,
    }
}

/// Cuts the middle out of a text that is longer than [`TRACEBACK_BYTES`].
fn shorten(text: String) -> String {
    if text.len() <= TRACEBACK_BYTES {
        return text;
    }
    let head = text.floor_char_boundary(TRACEBACK_BYTES / 2);
    let tail = text.ceil_char_boundary(text.len() - TRACEBACK_BYTES / 2);
    format!(
        "{}\n... {} bytes cut ...\n{}",
        &text[..head],
        tail - head,
        &text[tail..]
    )
}
