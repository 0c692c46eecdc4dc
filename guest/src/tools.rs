//! Tools: what the host does for a script. What a call may do is decided on the host.

use rustpython_vm::builtins::{PyDictRef, PyStrRef};
use rustpython_vm::function::ArgIntoFloat;
use rustpython_vm::{PyObjectRef, PyResult, VirtualMachine};
use serde_json::value::RawValue;
use wardian_abi::{ToolCall, ToolReply, ToolSpec, tool};

use crate::convert::{self, Limits};
use crate::interpreter::Support;

#[link(wasm_import_module = "wardian")]
unsafe extern "C" {
    // The host checks every range that it is given.
    #[link_name = "tool"]
    pub(crate) safe fn host(operation: u32, a: u32, b: u32) -> u64;
}

/// The deepest nesting of arguments.
const DEPTH: u32 = 64;

/// The most that arguments are written out, in bytes of JSON: more than the host takes.
const ARGS_BYTES: u64 = 8 << 20;

/// Makes the tools importable.
pub(crate) fn offer(tools: &[ToolSpec], support: &Support, vm: &VirtualMachine) -> PyResult<()> {
    let text = |text: &str| -> PyObjectRef { vm.ctx.new_str(text).into() };
    let specs = tools.iter().map(|tool| {
        let names = tool.names.iter().map(|name| text(name)).collect();
        vm.new_tuple((
            text(&tool.name),
            text(&tool.parameters),
            vm.ctx.new_list(names),
            text(&tool.returns),
            text(&tool.doc),
            vm.ctx
                .new_list(tool.shapes.iter().map(|name| text(name)).collect()),
        ))
        .into()
    });
    let specs = vm.ctx.new_list(specs.collect());
    let start = vm.new_function("start", start);
    let wait = vm.new_function("wait", wait);
    support.offer_tools.call((specs, start, wait), vm)?;
    Ok(())
}

/// The script has ended: nothing is called any more.
pub(crate) fn close() {
    host(tool::CLOSE, 0, 0);
}

/// `start(name, args)`: starts a call. Its number; 0 if too many are under way.
fn start(name: PyStrRef, args: PyDictRef, vm: &VirtualMachine) -> PyResult<u32> {
    let mut json = Vec::new();
    // Argument by argument, so that an error can name it.
    json.push(b'{');
    for (i, (key, value)) in args.into_iter().enumerate() {
        if i > 0 {
            json.push(b',');
        }
        let key = key.str(vm)?.to_string_lossy().into_owned();
        let limits = Limits {
            bytes: ARGS_BYTES,
            depth: DEPTH,
            exact: true,
        };
        let value = convert::to_json(&value, limits, vm).map_err(|reason| {
            let message = format!("argument {key:?} can't be passed on: {reason}");
            if reason.is_type() {
                vm.new_type_error(message)
            } else {
                vm.new_value_error(message)
            }
        })?;
        json.extend(serde_json::to_vec(&key).expect("strings are JSON"));
        json.push(b':');
        json.extend(value.into_bytes());
    }
    json.push(b'}');
    let json = String::from_utf8(json).expect("JSON is text");
    let call = ToolCall {
        tool: name.to_string_lossy().into_owned(),
        args: RawValue::from_string(json).expect("what was written is JSON"),
    };
    let call = serde_json::to_vec(&call).expect("a call is JSON");
    let number = host(tool::START, call.as_ptr().addr() as u32, call.len() as u32);
    Ok(number as u32)
}

/// `wait(number, timeout)`: waits for a call, for any if the number is 0. Its number, the name of
/// an exception or `None`, and what it has returned or the exception's message; `None` if none
/// has ended in time.
fn wait(number: u32, timeout: Option<ArgIntoFloat>, vm: &VirtualMachine) -> PyResult {
    let milliseconds = match timeout.map(f64::from) {
        None => tool::FOREVER,
        // No more than 49 days, and no less than none.
        Some(seconds) => (seconds * 1e3)
            .ceil()
            .clamp(0.0, f64::from(tool::FOREVER - 1)) as u32,
    };
    let ended = host(tool::WAIT, number, milliseconds);
    if ended == 0 {
        return Ok(vm.ctx.none());
    }
    let [number, len] = [(ended >> 32) as u32, ended as u32];
    let mut reply = vec![0; len as usize];
    host(tool::TAKE, reply.as_mut_ptr().addr() as u32, len);
    let reply: ToolReply = serde_json::from_slice(&reply).expect("the host writes replies");
    let (error, value) = match reply {
        ToolReply::Returned(value) => {
            let value = serde_json::from_str(value.get()).expect("the host writes JSON");
            (vm.ctx.none(), convert::from_json(&value, vm)?)
        }
        ToolReply::Failed { error, message } => (
            vm.ctx.new_str(error.exception()).into(),
            vm.ctx.new_str(message).into(),
        ),
    };
    Ok(vm.new_tuple((number, error, value)).into())
}
