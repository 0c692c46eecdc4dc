//! One run: a request in, what screening finds, a report out.

use rustpython_vm::builtins::{PyBaseExceptionRef, PyCode, PyInt, PyStr};
use rustpython_vm::bytecode::CodeFlags;
use rustpython_vm::compiler::Mode;
use rustpython_vm::scope::Scope;
use rustpython_vm::stdlib::atexit;
use rustpython_vm::{AsObject, PyObjectRef, PyRef, PyResult, VirtualMachine};
use serde_json::value::RawValue;
use wardian_abi::{
    CodeRules, Reply, Report, ReportedValue, Request, SCRIPT_NAME, Screening, VERSION, sha256,
};

use crate::convert::{self, Limits};
use crate::exception;
use crate::imports;
use crate::interpreter::{Python, Support};
use crate::tools;

/// A script that has been read, and can be run.
pub(crate) struct Prepared {
    request: Request,
    /// What was compiled, if the source was screened before.
    code: Option<PyRef<PyCode>>,
}

/// Reads a request, which is JSON.
///
/// # Panics
///
/// If it is not of this version's form: then host and guest were not built together.
pub(crate) fn read(request: &[u8]) -> Prepared {
    let request: Request = serde_json::from_slice(request).expect("the host writes requests");
    assert_eq!(
        request.version, VERSION,
        "host and guest speak different versions"
    );
    Prepared {
        request,
        code: None,
    }
}

/// Screens a script by its rules, and compiles it: what is found wrong with it, and the script
/// with its code.
///
/// What counts as a syntax error is what the compiler says, and nothing else.
pub(crate) fn screen(python: &Python, mut script: Prepared) -> (Vec<u8>, Prepared) {
    let Request { code, rules, .. } = &script.request;
    let anything = CodeRules::default();
    let rules = rules.as_ref().unwrap_or(&anything);
    let mut violations = wardian_screen::screen(code, rules);
    let compiled = python.interpreter.enter(|vm| {
        compile(code, &python.support, vm).map_err(|error| exception::syntax(&error, code, vm))
    });
    match compiled {
        Ok(code) => script.code = Some(code),
        Err(error) => {
            // The compiler says it better than the parser.
            violations.retain(|found| found.rule != wardian_screen::SYNTAX);
            violations.push(error);
            violations.sort_by_key(|found| (found.line, found.column));
        }
    }
    let screening = Screening {
        violations,
        source_sha256: sha256(code),
    };
    let screening = serde_json::to_vec(&screening).expect("a screening is JSON");
    (screening, script)
}

/// Runs a script.
pub(crate) fn run(python: &Python, script: Prepared) -> Vec<u8> {
    let Prepared { mut request, code } = script;
    let rules = request.rules.take();
    let report = python.interpreter.enter(|vm| {
        let main = vm
            .new_scope_with_main()
            .expect("the interpreter is as it was snapshotted");
        let ended = run_script(&request, rules, code, main.clone(), &python.support, vm);
        let report = report(ended, &request, &python.support, vm);
        if !request.tools.is_empty() {
            tools::close();
        }
        atexit::_run_exitfuncs(vm);
        finalize(&main, vm);
        report
    });
    let reply = Reply {
        report,
        source_sha256: sha256(&request.code),
    };
    serde_json::to_vec(&reply).expect("a reply is JSON")
}

/// Runs the script to the value of its final expression.
fn run_script(
    request: &Request,
    rules: Option<CodeRules>,
    code: Option<PyRef<PyCode>>,
    scope: Scope,
    support: &Support,
    vm: &VirtualMachine,
) -> PyResult {
    let args: Vec<PyObjectRef> = request
        .args
        .iter()
        .map(|arg| vm.ctx.new_str(arg.as_str()).into())
        .collect();
    let env = vm.ctx.new_dict();
    for (name, value) in &request.env {
        env.set_item(name.as_str(), vm.ctx.new_str(value.as_str()).into(), vm)?;
    }
    // RustPython seeds `random.Random()` from this generator, whose state is in the snapshot.
    rand::rng().reseed().expect("the host gives random bytes");
    support.thaw.call((vm.ctx.new_list(args), env), vm)?;

    for (name, value) in &request.inputs {
        scope
            .globals
            .set_item(name.as_str(), convert::from_json(value, vm)?, vm)?;
    }
    if !request.tools.is_empty() {
        tools::offer(&request.tools, support, vm)?;
    }
    if let Some(rules) = rules {
        imports::guard(rules, support, vm)?;
    }
    let code = match code {
        Some(code) => code,
        None => compile(&request.code, support, vm)?,
    };
    evaluate(code, scope, support, vm)
}

/// Lets go of the script's globals, so that their finalizers run as when Python exits. The last
/// comes first: it may need those before it.
fn finalize(main: &Scope, vm: &VirtualMachine) {
    for (name, _) in main.globals.items_vec().into_iter().rev() {
        let is_builtins = name
            .downcast_ref::<PyStr>()
            .is_some_and(|name| name.to_str() == Some("__builtins__"));
        if !is_builtins {
            // It fails only for want of memory, and then nothing is lost.
            let _ = main.globals.set_item(&*name, vm.ctx.none(), vm);
        }
    }
}

fn compile(code: &str, support: &Support, vm: &VirtualMachine) -> PyResult<PyRef<PyCode>> {
    // Where an error finds the lines that it shows.
    let lines = source_lines(code, vm);
    support.source_lines.set_item(SCRIPT_NAME, lines, vm)?;
    let mut options = vm.compile_opts();
    options.allow_top_level_await = true;
    // A block whose last statement is an expression has that expression's value.
    vm.compile_with_opts(code, Mode::BlockExpr, SCRIPT_NAME, options)
        .map_err(|error| error.into_pyexception(vm, Some(code)))
}

fn evaluate(code: PyRef<PyCode>, scope: Scope, support: &Support, vm: &VirtualMachine) -> PyResult {
    let awaits = code.flags.contains(CodeFlags::COROUTINE);
    let value = vm.run_code_obj(code, scope)?;
    if awaits {
        support.run_coroutine.call((value,), vm)
    } else {
        Ok(value)
    }
}

/// An entry of `linecache.cache`: size, no modification time (so it is never looked up on disk),
/// lines, name.
fn source_lines(code: &str, vm: &VirtualMachine) -> PyObjectRef {
    let lines = code
        .split_inclusive('\n')
        .map(|line| vm.ctx.new_str(line).into())
        .collect();
    vm.new_tuple((
        code.len(),
        vm.ctx.none(),
        vm.ctx.new_list(lines),
        SCRIPT_NAME,
    ))
    .into()
}

fn report(ended: PyResult, request: &Request, support: &Support, vm: &VirtualMachine) -> Report {
    let exception = match ended {
        Ok(value) => {
            return Report::Completed {
                value: reported(value, request, vm),
            };
        }
        Err(exception) => exception,
    };
    if exception.fast_isinstance(vm.ctx.exceptions.system_exit) {
        Report::Exited {
            code: exit_code(&exception, vm),
        }
    } else {
        Report::Raised(exception::print(&exception, support, vm))
    }
}

fn reported(value: PyObjectRef, request: &Request, vm: &VirtualMachine) -> ReportedValue {
    let limits = Limits {
        bytes: request.value_bytes,
        depth: request.value_depth,
        exact: false,
    };
    match convert::to_json(&value, limits, vm) {
        Ok(json) => {
            ReportedValue::Json(RawValue::from_string(json).expect("what was written is JSON"))
        }
        Err(reason) => ReportedValue::Opaque {
            repr: reason
                .allows_repr()
                .then(|| exception::text(value.repr(vm).map(Into::into), "<repr() failed>")),
            reason: reason.to_string(),
        },
    }
}

/// What `SystemExit` means to a process: its code, 0 for none, 1 for a message, which is printed.
fn exit_code(exception: &PyBaseExceptionRef, vm: &VirtualMachine) -> i32 {
    let code = exception
        .as_object()
        .get_attr("code", vm)
        .unwrap_or_else(|_| vm.ctx.none());
    if vm.is_none(&code) {
        0
    } else if let Some(code) = code.downcast_ref::<PyInt>() {
        i32::try_from(code.as_bigint()).unwrap_or(-1)
    } else {
        let message = exception::text(code.str(vm).map(Into::into), "");
        exception::write_stderr(&format!("{message}\n"), vm);
        1
    }
}
