//! One run: a request in, what screening finds, a report out.

use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};

use rustpython_vm::builtins::{PyBaseExceptionRef, PyCode, PyInt, PyStr};
use rustpython_vm::bytecode::CodeFlags;
use rustpython_vm::compiler::Mode;
use rustpython_vm::frame::current_thread_iframe;
use rustpython_vm::scope::Scope;
use rustpython_vm::stdlib::atexit;
use rustpython_vm::types::PyTypeFlags;
use rustpython_vm::{AsObject, PyObjectRef, PyRef, PyResult, VirtualMachine};
use serde_json::value::RawValue;
use wardian_abi::{
    GLOBAL_NAME_BYTES, GLOBALS, Global, Globals, ModuleSource, Reply, Report, ReportedValue,
    Request, SCRIPT_NAME, ScreenRules, Screening, SessionCall, SourceRule, VERSION, VIOLATIONS,
    Violation, source_sha256,
};

use crate::convert::{self, Limits};
use crate::exception;
use crate::imports;
use crate::interpreter::{Python, Support};
use crate::tools;

/// A script that has been read, and can be run.
pub(crate) struct Prepared {
    request: Request,
    /// The compiled source, if it was screened before.
    code: Option<Compiled>,
}

/// A script that has been compiled.
struct Compiled {
    main: PyRef<PyCode>,
    /// In the order of their names.
    modules: Vec<PyRef<PyCode>>,
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

/// Screens a script and its modules by the rules, and compiles them: what is found wrong with it,
/// and the script with its code.
///
/// What counts as a syntax error is what the compiler says, and nothing else.
pub(crate) fn screen(python: &Python, mut script: Prepared) -> (Vec<u8>, Prepared) {
    let Request {
        source,
        modules,
        rules,
        ..
    } = &script.request;
    let anything = ScreenRules::default();
    let rules = rules.as_ref().unwrap_or(&anything);
    let screen_one = |source: &Source<'_>| {
        let mut found = wardian_screen::screen(source.text, rules);
        let compiled = python.interpreter.enter(|vm| {
            compile(source, &python.support, vm)
                .map_err(|error| exception::syntax(&error, source.text, vm))
        });
        let compiled = compiled.map_err(|error| {
            // The compiler says it better than the parser.
            found.retain(|found| found.rule != SourceRule::Syntax);
            found.push(error);
            found.sort_by_key(|found| (found.line, found.column));
        });
        (found, compiled.ok())
    };
    let name = script_name(&script.request);
    let (mut violations, main) = screen_one(&Source::main(source, &name));
    let mut compiled = Vec::new();
    for (name, module) in modules {
        let (found, code) = screen_one(&Source::module(module));
        violations.extend(found.into_iter().map(|found| Violation {
            module: Some(name.clone()),
            ..found
        }));
        compiled.extend(code);
    }
    violations.truncate(VIOLATIONS);
    let screening = Screening {
        violations,
        source_sha256: source_sha256(source, modules),
    };
    let is_whole = compiled.len() == modules.len();
    script.code = main.filter(|_| is_whole).map(|main| Compiled {
        main,
        modules: compiled,
    });
    let screening = serde_json::to_vec(&screening).expect("a screening is JSON");
    (screening, script)
}

thread_local! {
    /// The globals of a session, from its first call on.
    static SESSION: OnceCell<Scope> = const { OnceCell::new() };
    /// The name of the script that is running, if it is not [`SCRIPT_NAME`].
    static CALL: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs a script: a whole program, or a call of a session.
pub(crate) fn run(python: &Python, script: Prepared) -> Vec<u8> {
    let Prepared { mut request, code } = script;
    let rules = request.rules.take();
    let report = python.interpreter.enter(|vm| {
        CALL.set(request.call.map(SessionCall::name));
        let main = SESSION.with(|session| match request.call {
            // In an image, a setup has left its globals.
            None => session.get().cloned().unwrap_or_else(|| new_main(vm)),
            Some(_) => session.get_or_init(|| new_main(vm)).clone(),
        });
        let ended = run_script(&request, rules, code, main.clone(), &python.support, vm);
        let report = report(ended, &request, &python.support, vm);
        if !python.support.started_threads.borrow_vec().is_empty() {
            // What fails there has printed why.
            let _ = python.support.finish.call((), vm);
        }
        if !request.tools.is_empty() {
            tools::close();
        }
        if request.call.is_none() {
            atexit::_run_exitfuncs(vm);
            finalize(&main, vm);
        }
        report
    });
    let reply = Reply {
        report,
        source_sha256: source_sha256(&request.source, &request.modules),
    };
    serde_json::to_vec(&reply).expect("a reply is JSON")
}

fn new_main(vm: &VirtualMachine) -> Scope {
    vm.new_scope_with_main()
        .expect("the interpreter is as it was snapshotted")
}

/// Returns the name of the script that a request is about, in tracebacks.
fn script_name(request: &Request) -> Cow<'static, str> {
    request
        .call
        .map_or(Cow::Borrowed(SCRIPT_NAME), |call| call.name().into())
}

/// Runs the script to the value of its final expression.
fn run_script(
    request: &Request,
    rules: Option<ScreenRules>,
    code: Option<Compiled>,
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
    let begins = request.call.is_none_or(|call| call.begins);
    let begins = vm.ctx.new_bool(begins);
    let work = request.work.as_deref().map(|work| vm.ctx.new_str(work));
    let packages = request.packages.as_deref();
    let packages = packages.map(|path| vm.ctx.new_str(path));
    let args = (vm.ctx.new_list(args), env, begins, work, packages);
    support.thaw.call(args, vm)?;

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
    if let Some(file) = &request.file {
        let file = vm.ctx.new_str(file.as_str());
        scope.globals.set_item("__file__", file.into(), vm)?;
    }
    let Compiled { main, modules } = match code {
        Some(code) => code,
        None => {
            let sources = request.modules.values().map(Source::module);
            Compiled {
                main: compile(
                    &Source::main(&request.source, &script_name(request)),
                    support,
                    vm,
                )?,
                modules: sources
                    .map(|source| compile(&source, support, vm))
                    .collect::<PyResult<_>>()?,
            }
        }
    };
    if !modules.is_empty() {
        imports::offer(&request.modules, modules, support, vm)?;
    }
    evaluate(main, scope, request.call.is_some(), support, vm)
}

/// Lists the global variables of a session. Runs no code of the script's.
pub(crate) fn globals(vm: &VirtualMachine) -> Globals {
    let Some(scope) = SESSION.with(|session| session.get().cloned()) else {
        return Globals::default();
    };
    let mut listed = Globals::default();
    for (name, value) in scope.globals.items_vec() {
        let name = name.downcast_ref::<PyStr>().and_then(|name| name.to_str());
        let is_own = name.is_some_and(|name| name.starts_with("__") && name.ends_with("__"));
        let class = value.class();
        let type_name = class.name().to_owned();
        match name {
            _ if is_own => {}
            Some(name)
                if listed.globals.len() < GLOBALS
                    && name.len().max(type_name.len()) <= GLOBAL_NAME_BYTES =>
            {
                listed.globals.push(Global {
                    name: name.to_owned(),
                    type_name,
                    size_bytes: size(&value, vm),
                });
            }
            _ => listed.omitted = listed.omitted.saturating_add(1),
        }
    }
    listed
}

/// Returns the size of a value in bytes. Only types that no script can change are asked for it.
fn size(value: &PyObjectRef, vm: &VirtualMachine) -> u64 {
    let slots = &value.class().slots;
    let told = slots
        .flags
        .has_feature(PyTypeFlags::IMMUTABLETYPE)
        .then(|| vm.call_method(value, "__sizeof__", ()).ok())
        .flatten();
    let told = told.and_then(|size| size.try_to_value(vm).ok());
    told.unwrap_or(slots.basicsize as u64)
}

/// The line of the script that is running, from 1; 0 if none is. Of what it has called, the line
/// that calls.
pub(crate) fn line() -> u32 {
    let name = CALL.with_borrow(|call| call.as_deref().unwrap_or(SCRIPT_NAME).to_owned());
    let mut frame = current_thread_iframe();
    // SAFETY: the frames of the only thread, each linked to the one below, which is alive as long
    // as it is. The host asks while none of them goes on.
    while let Some(running) = unsafe { frame.as_ref() } {
        let code = running.code();
        if code.source_path().as_str() == name {
            // The last instruction that was fetched and the next: after a jump, the one before its
            // target has not run.
            let next = running.get_lasti() as usize;
            let around = code.locations.get(next.saturating_sub(1)..=next);
            let lines = around
                .unwrap_or_default()
                .iter()
                .map(|(start, _)| start.line.get() as u32);
            return lines.max().unwrap_or(0);
        }
        frame = running.previous();
    }
    0
}

/// A text to be compiled.
struct Source<'s> {
    text: &'s str,
    /// Its name in tracebacks.
    file: &'s str,
    mode: Mode,
}

impl<'s> Source<'s> {
    /// A script: a block whose last statement is an expression has that expression's value.
    fn main(text: &'s str, file: &'s str) -> Self {
        Self {
            text,
            file,
            mode: Mode::BlockExpr,
        }
    }

    fn module(module: &'s ModuleSource) -> Self {
        Self {
            text: &module.source,
            file: &module.file,
            mode: Mode::Exec,
        }
    }
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

fn compile(source: &Source<'_>, support: &Support, vm: &VirtualMachine) -> PyResult<PyRef<PyCode>> {
    let Source { text, file, mode } = *source;
    // Where an error finds the lines that it shows.
    let lines = source_lines(text, file, vm);
    support.source_lines.set_item(file, lines, vm)?;
    let mut options = vm.compile_opts();
    options.allow_top_level_await = matches!(mode, Mode::BlockExpr);
    vm.compile_with_opts(text, mode, file, options)
        .map_err(|error| error.into_pyexception(vm, Some(text)))
}

fn evaluate(
    code: PyRef<PyCode>,
    scope: Scope,
    is_call: bool,
    support: &Support,
    vm: &VirtualMachine,
) -> PyResult {
    let awaits = code.flags.contains(CodeFlags::COROUTINE);
    let value = vm.run_code_obj(code, scope)?;
    if awaits {
        let is_call = vm.ctx.new_bool(is_call);
        support.run_coroutine.call((value, is_call), vm)
    } else {
        Ok(value)
    }
}

/// An entry of `linecache.cache`: size, no modification time (so it is never looked up on disk),
/// lines, name.
fn source_lines(code: &str, file: &str, vm: &VirtualMachine) -> PyObjectRef {
    let lines = code
        .split_inclusive('\n')
        .map(|line| vm.ctx.new_str(line).into())
        .collect();
    vm.new_tuple((code.len(), vm.ctx.none(), vm.ctx.new_list(lines), file))
        .into()
}

fn report(ended: PyResult, request: &Request, support: &Support, vm: &VirtualMachine) -> Report {
    let exception = match ended {
        Ok(value) => {
            return Report::Completed {
                value: reported(value, request, support, vm),
            };
        }
        Err(exception) => exception,
    };
    if exception.fast_isinstance(vm.ctx.exceptions.system_exit) {
        Report::Exited {
            status: exit_code(&exception, vm),
        }
    } else {
        Report::Raised(exception::print(
            &exception,
            &script_name(request),
            support,
            vm,
        ))
    }
}

fn reported(
    value: PyObjectRef,
    request: &Request,
    support: &Support,
    vm: &VirtualMachine,
) -> ReportedValue {
    // Only classes of scripts and packages have other forms than a text.
    let slots = &value.class().slots;
    if !slots.flags.has_feature(PyTypeFlags::IMMUTABLETYPE) {
        // What fails there has printed why.
        let _ = support.show_result.call((value.clone(),), vm);
    }
    if request.interactive && !vm.is_none(&value) {
        let repr = exception::text(value.repr(vm).map(Into::into), "<repr() failed>");
        // As Python's own prompt does. What a script has made of `builtins` is its own affair.
        let _ = vm.builtins.as_object().set_attr("_", value, vm);
        return ReportedValue::Opaque {
            repr: Some(repr),
            reason: "a person reads it".to_owned(),
        };
    }
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

/// Returns the exit status of a `SystemExit`: its code, 0 for none, 1 for a message, which is
/// printed.
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
