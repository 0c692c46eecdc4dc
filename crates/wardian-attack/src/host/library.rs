//! The library in hosts that are not as one would have them.

use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use wardian::{Policy, Runtime, Sandbox, Script};

use super::{Result, computing, ensure, sandbox, text, value, works};

/// The blocking call works on a worker of any runtime.
pub(super) fn blocking_in_async() -> Result {
    let one = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(text)?;
    one.block_on(async { works() })?;
    let many = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .map_err(text)?;
    many.block_on(async {
        let tasks = (0..8).map(|_| tokio::spawn(async { works() }));
        for ended in join_all(tasks).await {
            ended.map_err(text)??;
        }
        Ok(())
    })
}

/// All runtimes share one engine: nothing of one can be strange to another.
pub(super) fn two_runtimes() -> Result {
    let [one, two] = [Runtime::new().map_err(text)?, Runtime::new().map_err(text)?];
    let hostile = two.clone().hostile().map_err(text)?;
    for runtime in [&one, &two, &one.clone(), &hostile, &one] {
        let sandbox = Sandbox::new(runtime, Policy::computing()).map_err(text)?;
        sandbox.run_blocking("1").map_err(text)?;
    }
    works()
}

/// A hundred threads at once, and signals that interrupt system calls meanwhile.
pub(super) fn many_threads() -> Result {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..100).map(|_| scope.spawn(works)).collect();
        for thread in threads {
            thread
                .join()
                .map_err(|_| "a thread has panicked".to_owned())??;
        }
        Ok(())
    })
}

/// Runs have a stack of their own, so that the caller's does not matter.
pub(super) fn small_stack() -> Result {
    for bytes in [64 << 10, 512 << 10] {
        let run = || {
            let outcome = sandbox()?.run_blocking("def f(): f()\nf()").map_err(text)?;
            ensure(!outcome.success(), "endless recursion came to an end")
        };
        let thread = thread::Builder::new()
            .stack_size(bytes)
            .spawn(run)
            .map_err(text)?;
        thread
            .join()
            .map_err(|_| "a thread has panicked".to_owned())??;
    }
    works()
}

/// Dropped while it runs, unpolled, after its runtime, on another thread, forgotten.
pub(super) fn drop_order() -> Result {
    let runtime = Runtime::new().map_err(text)?;
    let sandbox = Sandbox::new(&runtime, computing()?).map_err(text)?;
    drop(runtime);
    let unpolled = sandbox.run("while True: pass");
    let running = sandbox.run("while True: pass");
    drop(sandbox);
    drop(unpolled);
    let timers = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(text)?;
    let mut running = Box::pin(running);
    timers.block_on(async {
        let _ = tokio::time::timeout(Duration::from_millis(30), &mut running).await;
    });
    thread::spawn(move || drop(running))
        .join()
        .map_err(|_| "a thread has panicked".to_owned())?;
    drop(timers);
    std::mem::forget(self::sandbox()?.run("1"));
    works()
}

/// Lack of address space for a run is an error and not an abort.
pub(super) fn little_address_space() -> Result {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    works()?;
    let mapped = procfs::process::Process::myself()
        .and_then(|process| process.status())
        .map_err(text)?
        .vmsize
        .unwrap_or(0)
        * 1024;
    let before = getrlimit(Resource::As);
    // Enough for what is there, for what runs have left mapped, and not for another reservation.
    let little = Rlimit {
        current: Some(mapped + (512 << 20)),
        maximum: before.maximum,
    };
    setrlimit(Resource::As, little).map_err(text)?;
    let sandbox = sandbox()?;
    let started = Instant::now();
    let runs = (0..4).map(|_| sandbox.run("import time\ntime.sleep(0.2)\n42"));
    let ended = pollster::block_on(join_all(runs));
    setrlimit(Resource::As, before).map_err(text)?;
    ensure(
        ended.iter().any(std::result::Result::is_err),
        "every run had its address space: nothing was tried",
    )?;
    ensure(
        started.elapsed() < Duration::from_secs(30),
        "it took long to say so",
    )?;
    works()
}

/// Code that is run is what was built, and says what it is.
pub(super) fn artifact_hashes() -> Result {
    let versions = Runtime::versions();
    for hash in [
        versions.module_sha256,
        versions.image_sha256,
        versions.code_sha256,
    ] {
        ensure(
            hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "an artifact has no hash",
        )?;
    }
    works()
}

/// Nothing that should be random is the same in two runs.
pub(super) fn randomness() -> Result {
    let code = "import random, uuid, os, tempfile, secrets\n[random.random(), str(uuid.uuid4()), \
                os.urandom(8).hex(), secrets.token_hex(8), random.Random().random()]";
    let [one, two] = [value(code)?, value(code)?];
    let pairs = one
        .as_array()
        .into_iter()
        .flatten()
        .zip(two.as_array().into_iter().flatten());
    for (at, (one, two)) in pairs.enumerate() {
        ensure(one != two, format!("value {at} is {one} in two runs"))?;
    }
    let seeded = "import random\nrandom.seed(5)\nrandom.random()";
    ensure(
        value(seeded)? == value(Script::new(seeded))?,
        "a seed makes no difference",
    )?;
    ensure(one != json!([]), "there was nothing to compare")
}
