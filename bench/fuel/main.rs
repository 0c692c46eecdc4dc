//! The cost of counting fuel: the same Python in three guests by turns, one that does not count,
//! one that counts as `wardian-meter` has it, and one for which wasmtime counts.
//!
//! `just fuel`, or `just fuel --json`. All three are compiled here, for this machine's processor.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use wardian_abi::{Request, VERSION, export, fuel, tool};
use wardian_engine_config::engine_config;
use wasmtime::error::Context;
use wasmtime::{
    Caller, Config, Engine, Extern, InstancePre, Linker, Module, Result, Store, Val, ensure,
};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p1::{self, WasiP1Ctx};

/// The count of runs of each kernel in each guest.
const TURNS: usize = 11;

/// The counters.
const GUESTS: [&str; 3] = ["nobody", "the guest", "wasmtime"];

/// The guest before it is metered, and its memory.
struct Artifacts {
    wasm: Vec<u8>,
    image: Vec<u8>,
}

impl Artifacts {
    /// Those that were built last, in the directory where the build keeps them.
    fn read() -> Result<Self> {
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guest");
        let built = |entry: io::Result<fs::DirEntry>| {
            let wasm = entry.ok()?.path().join("unmetered.wasm");
            Some((fs::metadata(&wasm).ok()?.modified().ok()?, wasm))
        };
        let built = fs::read_dir(&kept)?.filter_map(built).max();
        let (_, wasm) =
            built.with_context(|| format!("no guest is built in {}", kept.display()))?;
        Ok(Self {
            image: fs::read(wasm.with_file_name("python.image"))?,
            wasm: fs::read(wasm)?,
        })
    }
}

fn main() -> Result<()> {
    let Artifacts { wasm, image } = Artifacts::read()?;
    let metered =
        wardian_meter::meter(&wasm).map_err(|error| wasmtime::format_err!("{error:#}"))?;
    let guests = [
        Guest::new(&wasm, false)?,
        Guest::new(&metered.module, false)?,
        Guest::new(&wasm, true)?,
    ];
    let mut rows = Vec::new();
    for (name, source) in wardian_bench::KERNELS {
        let mut turns = Vec::new();
        for _ in 0..TURNS {
            let mut turn = [Duration::ZERO; GUESTS.len()];
            for (time, guest) in turn.iter_mut().zip(&guests) {
                *time = guest
                    .run(source, &image)
                    .with_context(|| format!("in {name}"))?;
            }
            turns.push(turn);
        }
        rows.push((
            name,
            median(&turns, |[none, _, _]| none.as_secs_f64() * 1e3),
            [
                median(&turns, |[none, guest, _]| {
                    guest.as_secs_f64() / none.as_secs_f64()
                }),
                median(&turns, |[none, _, wasmtime]| {
                    wasmtime.as_secs_f64() / none.as_secs_f64()
                }),
            ],
        ));
    }
    let mean = |of: fn(&[f64; 2]) -> f64| {
        let logarithms: f64 = rows.iter().map(|(_, _, ratios)| of(ratios).ln()).sum();
        (logarithms / rows.len() as f64).exp()
    };
    let means = [mean(|[guest, _]| *guest), mean(|[_, wasmtime]| *wasmtime)];
    if std::env::args().any(|arg| arg == "--json") {
        let kernels: Vec<_> = rows
            .iter()
            .map(|(name, ms, [guest, wasmtime])| {
                json!({"kernel": name, "unmetered_ms": ms, "guest": guest, "wasmtime": wasmtime})
            })
            .collect();
        let [guest, wasmtime] = means;
        println!(
            "{}",
            json!({"kernels": kernels, "geometric_mean": {"guest": guest, "wasmtime": wasmtime}})
        );
        return Ok(());
    }
    println!(
        "{:12} {:>12} {:>12} {:>12}",
        "counted by", GUESTS[0], GUESTS[1], GUESTS[2]
    );
    for (name, ms, [guest, wasmtime]) in rows {
        println!("{name:12} {ms:>9.1} ms {guest:>12.3} {wasmtime:>12.3}");
    }
    println!(
        "{:12} {:>12} {:>12.3} {:>12.3}",
        "mean", "1", means[0], means[1]
    );
    Ok(())
}

fn median(turns: &[[Duration; GUESTS.len()]], of: fn(&[Duration; GUESTS.len()]) -> f64) -> f64 {
    let mut all: Vec<_> = turns.iter().map(of).collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A guest that can be run.
struct Guest {
    engine: Engine,
    instance: InstancePre<WasiP1Ctx>,
    by_wasmtime: bool,
}

impl Guest {
    fn new(wasm: &[u8], by_wasmtime: bool) -> Result<Self> {
        let mut config: Config = engine_config();
        config.consume_fuel(by_wasmtime);
        config.max_wasm_stack(4 << 20).async_stack_size(5 << 20);
        let engine = Engine::new(&config)?;
        let mut linker = Linker::new(&engine);
        p1::add_to_linker_sync(&mut linker, |wasi| wasi)?;
        linker.func_wrap(tool::MODULE, tool::FUNCTION, |_: u32, _: u32, _: u32| 0_u64)?;
        linker.func_wrap(fuel::MODULE, fuel::FUNCTION, refuel)?;
        let module = Module::new(&engine, wasm)?;
        Ok(Self {
            instance: linker.instantiate_pre(&module)?,
            engine,
            by_wasmtime,
        })
    }

    /// Times the script in a fresh instance, which is not timed.
    fn run(&self, source: &str, image: &[u8]) -> Result<Duration> {
        let mut store = Store::new(&self.engine, WasiCtxBuilder::new().build_p1());
        if self.by_wasmtime {
            store.set_fuel(u64::MAX)?;
        }
        let instance = self.instance.instantiate(&mut store)?;
        let memory = instance
            .get_memory(&mut store, export::MEMORY)
            .context("the guest exports its memory")?;
        memory.write(&mut store, 0, image)?;
        let request = serde_json::to_vec(&Request {
            version: VERSION,
            source: source.to_owned(),
            call: None,
            file: None,
            work: None,
            modules: std::collections::BTreeMap::new(),
            args: Vec::new(),
            inputs: serde_json::Map::new(),
            env: std::collections::BTreeMap::new(),
            tools: Vec::new(),
            rules: None,
            value_bytes: 1_000,
            value_depth: 10,
            interactive: false,
        })?;
        let allocate = instance.get_typed_func::<u32, u32>(&mut store, export::ALLOCATE)?;
        let at = allocate.call(&mut store, u32::try_from(request.len())?)?;
        memory.write(&mut store, at as usize, &request)?;
        let run = instance.get_typed_func::<(), u64>(&mut store, export::RUN)?;
        let started = Instant::now();
        let report = run.call(&mut store, ())?;
        let time = started.elapsed();
        let [at, len] = [(report >> 32) as usize, report as u32 as usize];
        let report = memory
            .data(&store)
            .get(at..at + len)
            .context("there is a report")?;
        let report = String::from_utf8_lossy(report);
        ensure!(
            report.contains("completed"),
            "the script has come to {report}"
        );
        Ok(time)
    }
}

/// Gives a portion as the host does.
fn refuel(mut caller: Caller<'_, WasiP1Ctx>) -> Result<()> {
    if let Some(Extern::Global(global)) = caller.get_export(fuel::EXPORT) {
        global.set(&mut caller, Val::I64(10_000_000))?;
    }
    Ok(())
}
