//! The guest: RustPython as a WASI reactor that runs one script.
//!
//! The host calls the exports of [`wardian_abi::export`]: `initialize` once, when the snapshot is
//! made, and in every fresh copy of that snapshot `allocate`, `screen` if there are rules for the
//! source, and `run`. In a copy that a session goes on in, also `globals`, `collect`, `release` and
//! `scrub`. What goes in and out is [`wardian_abi::Request`], [`wardian_abi::Screening`]
//! and [`wardian_abi::Reply`] as JSON, in one buffer.

mod allocator;
mod carets;
mod convert;
mod decimal;
mod display;
mod exception;
mod excluded;
mod expat;
mod imports;
mod interpreter;
mod plot;
mod random;
mod run;
mod scrub;
mod sheets;
mod strftime;
mod tools;
mod write;

use std::cell::{OnceCell, RefCell};

use rustpython_vm::VirtualMachine;

use crate::interpreter::Python;
use crate::run::Prepared;

thread_local! {
    static PYTHON: OnceCell<Python> = const { OnceCell::new() };
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static SCREENED: RefCell<Option<Prepared>> = const { RefCell::new(None) };
}

unsafe extern "C" {
    // wasi-libc: forget which directories were open when the snapshot was made, so that the
    // first use in a run asks the host again.
    safe fn __wasilibc_reset_preopens();

    // The linker's: runs the constructors of C code. That it is called here keeps the linker from
    // calling it at the start of every export, which is for programs that are one call long.
    safe fn __wasm_call_ctors();
}

/// Brings the interpreter up; the snapshot is taken when this returns.
// SAFETY: no other symbol of this name exists in the guest; so for the exports below.
#[unsafe(no_mangle)]
pub extern "C" fn wardian_initialize() {
    __wasm_call_ctors();
    PYTHON.with(|python| {
        let python = python.get_or_init(Python::new);
        python.warm_up();
        python.freeze();
    });
    // From here on a panic is silent: its message is RustPython's business, not a script's.
    std::panic::set_hook(Box::new(|panic| {
        if panic.payload_as_str() == Some("capacity overflow") {
            // More than memory can hold. The host refuses this too, and knows why the guest ends.
            core::arch::wasm32::memory_grow::<0>(1 << 15);
        }
    }));
    __wasilibc_reset_preopens();
    allocator::gather();
}

/// Makes room for a request of `len` bytes: its address, or 0.
#[unsafe(no_mangle)]
pub extern "C" fn wardian_allocate(len: usize) -> usize {
    BUFFER.with_borrow_mut(|buffer| {
        buffer.clear();
        if buffer.try_reserve_exact(len).is_err() {
            return 0;
        }
        buffer.resize(len, 0);
        buffer.as_ptr().addr()
    })
}

/// Screens and compiles the script of the request in the buffer, and keeps it. The address of what
/// was found is in the upper half of the result, its length in the lower.
#[unsafe(no_mangle)]
pub extern "C" fn wardian_screen() -> u64 {
    let script = run::read(&BUFFER.take());
    reply(with_python(|python| {
        let (screening, script) = run::screen(python, script);
        SCREENED.set(Some(script));
        screening
    }))
}

/// Runs what was screened, or else the request in the buffer. The reply's address is in the upper
/// half of the result, its length in the lower.
#[unsafe(no_mangle)]
pub extern "C" fn wardian_run() -> u64 {
    let script = SCREENED.take().unwrap_or_else(|| run::read(&BUFFER.take()));
    reply(with_python(|python| run::run(python, script)))
}

/// The line of the script that is running, from 1; 0 if it is not known. The host calls this when
/// it has stopped the guest in the middle of something: it looks, and changes nothing.
#[unsafe(no_mangle)]
pub extern "C" fn wardian_line() -> u32 {
    run::line()
}

/// Lists the global variables of a session.
#[unsafe(no_mangle)]
pub extern "C" fn wardian_globals() -> u64 {
    reply(with_python(|python| {
        let globals = python.interpreter.enter(run::globals);
        serde_json::to_vec(&globals).expect("strings and numbers are JSON")
    }))
}

/// Collects garbage. What a finalizer raises is printed.
#[unsafe(no_mangle)]
pub extern "C" fn wardian_collect() {
    PYTHON.with(|python| {
        if let Some(python) = python.get() {
            let collect = |vm: &VirtualMachine| python.support.collect.call((), vm);
            // It raises nothing of its own.
            let _ = python.interpreter.enter(collect);
        }
    });
}

/// Lets go of objects that are kept so that their memory is used again.
#[unsafe(no_mangle)]
pub extern "C" fn wardian_release() {
    BUFFER.take();
    PYTHON.with(|python| {
        if let Some(python) = python.get() {
            python.interpreter.enter(scrub::replace_husks);
        }
    });
}

/// Writes zeros over memory that is free.
#[unsafe(no_mangle)]
pub extern "C" fn wardian_scrub() {
    allocator::scrub();
    scrub::scrub_stack();
}

/// Names every module that can be imported, as a JSON array.
#[unsafe(no_mangle)]
pub extern "C" fn wardian_modules() -> u64 {
    reply(with_python(|python| {
        serde_json::to_vec(&python.modules()).expect("strings are JSON")
    }))
}

fn with_python(work: impl FnOnce(&Python) -> Vec<u8>) -> Vec<u8> {
    PYTHON.with(|python| {
        work(
            python
                .get()
                .expect("the host runs snapshots of an initialised guest"),
        )
    })
}

fn reply(bytes: Vec<u8>) -> u64 {
    BUFFER.with_borrow_mut(|buffer| {
        *buffer = bytes;
        (buffer.as_ptr().addr() as u64) << 32 | buffer.len() as u64
    })
}
