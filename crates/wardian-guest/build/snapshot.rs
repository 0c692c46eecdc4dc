//! Runs the guest's initialisation and keeps the memory that it leaves behind.
//!
//! The interpreter comes up in a world that holds nothing: no file, no environment, random
//! bytes that are all the same and a clock that counts calls. So the snapshot is a function of
//! the guest alone, and nothing of the machine that built it is in it.
//!
//! All of an instance's state is its memory: the guest has one global, the stack pointer, which is
//! back where it was when initialisation returns, and a table that nothing writes to. (It is
//! metered after this, and its fuel is the run's.) So the snapshot is a module without data, and an
//! image of memory to start it with.

use wasm_encoder::{MemorySection, MemoryType, RawSection, SectionId};
use wasmparser::{Parser, Payload};
use wasmtime::error::Context;
use wasmtime::{
    Caller, Config, Engine, Extern, Linker, Module, OptLevel, Result, Store, StoreLimits,
    StoreLimitsBuilder, Val, bail, ensure, format_err,
};

/// Errors of WASI preview 1, by its numbers.
mod errno {
    pub(super) const SUCCESS: i32 = 0;
    pub(super) const BADF: i32 = 8;
    pub(super) const NOSYS: i32 = 52;
}

const WASM_PAGE: usize = 64 << 10;

/// The size that an image is a multiple of, so that it can be mapped.
const HOST_PAGE: usize = 4 << 10;

/// WASI's type of the standard streams, the only files there are.
const CHARACTER_DEVICE: u8 = 2;

/// The value of every random byte, and the nanoseconds between two looks at the clock.
const RANDOM_BYTE: u8 = 0x5a;
const TICK: u64 = 1_000;

/// An interpreter that is up.
#[derive(PartialEq)]
pub(crate) struct Snapshot {
    /// The guest without its data, with memory of the size that it has grown to.
    pub(crate) module: Vec<u8>,
    /// The start of that memory, to the last page that is not zero.
    pub(crate) image: Vec<u8>,
}

/// The effects of the guest on the world so far.
#[derive(Default)]
struct World {
    clock: u64,
    written: Vec<u8>,
    limits: StoreLimits,
}

/// Brings the interpreter in `wasm` up.
pub(crate) fn take(wasm: &[u8]) -> Result<Snapshot> {
    let mut config = Config::new();
    config.cranelift_opt_level(OptLevel::None);
    config.max_wasm_stack(8 << 20).async_stack_size(9 << 20);
    let engine = Engine::new(&config)?;
    let module = Module::new(&engine, wasm)?;
    let mut store = Store::new(&engine, World::default());
    store.limiter(|world| &mut world.limits);
    let instance = empty_world(&engine, &module)?.instantiate(&mut store, &module)?;
    let initialise =
        instance.get_typed_func::<(), ()>(&mut store, wardian_abi::export::INITIALIZE)?;
    if let Err(error) = initialise.call(&mut store, ()) {
        let written = String::from_utf8_lossy(&store.data().written).into_owned();
        bail!("the guest did not come up: {error:?}\n{written}");
    }
    let memory = instance
        .get_memory(&mut store, wardian_abi::export::MEMORY)
        .context("the guest exports its memory")?;
    // What was freed on the way is nothing to run from. A session's snapshot has the differences
    // from this one, in which free memory is cleared too.
    let size = memory.data_size(&store);
    store.data_mut().limits = StoreLimitsBuilder::new().memory_size(size).build();
    let scrub = instance.get_typed_func::<(), ()>(&mut store, wardian_abi::export::SCRUB)?;
    scrub.call(&mut store, ())?;
    let memory = memory.data(&store);
    let used = memory
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    let image = memory
        .get(..used.next_multiple_of(HOST_PAGE))
        .context("memory is whole pages")?;
    Ok(Snapshot {
        module: rewritten(wasm, (memory.len() / WASM_PAGE) as u64, Data::Dropped)?,
        image: image.to_vec(),
    })
}

/// The module `wasm`, its memory as large as that of `other`.
#[cfg(feature = "hostile")]
pub(crate) fn in_memory_of(wasm: &[u8], other: &[u8]) -> Result<Vec<u8>> {
    for payload in Parser::new(0).parse_all(other) {
        if let Payload::MemorySection(memories) = payload? {
            let memory = memories.into_iter().next().context("it has a memory")??;
            return rewritten(wasm, memory.initial, Data::Kept);
        }
    }
    bail!("the guest has no memory")
}

/// The fate of a module's data segments.
#[derive(PartialEq)]
enum Data {
    #[cfg(feature = "hostile")]
    Kept,
    Dropped,
}

/// The same module, its memory `pages` large.
fn rewritten(wasm: &[u8], pages: u64, data: Data) -> Result<Vec<u8>> {
    let mut module = wasm_encoder::Module::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        match &payload {
            Payload::MemorySection(memories) => {
                let memory = memories
                    .clone()
                    .into_iter()
                    .next()
                    .context("the guest has a memory")??;
                let mut section = MemorySection::new();
                section.memory(MemoryType {
                    minimum: pages,
                    maximum: memory.maximum,
                    memory64: memory.memory64,
                    shared: memory.shared,
                    page_size_log2: memory.page_size_log2,
                });
                module.section(&section);
            }
            Payload::GlobalSection(globals) => {
                ensure!(
                    globals.count() == 1,
                    "the guest has globals besides its stack pointer"
                );
                copy(&mut module, wasm, &payload);
            }
            Payload::DataSection(_) | Payload::DataCountSection { .. } if data == Data::Dropped => {
            }
            _ => copy(&mut module, wasm, &payload),
        }
    }
    Ok(module.finish())
}

/// Copies a section as it is, unless it is custom. What has no section of its own, a function's
/// body for one, comes with the section that it lies in.
fn copy(module: &mut wasm_encoder::Module, wasm: &[u8], payload: &Payload<'_>) {
    if let Some((id, range)) = payload.as_section()
        && id != u8::from(SectionId::Custom)
        && let Some(data) = wasm.get(range)
    {
        module.section(&RawSection { id, data });
    }
}

/// Every import of the guest, in the empty world.
fn empty_world(engine: &Engine, module: &Module) -> Result<Linker<World>> {
    let mut linker = Linker::new(engine);
    for import in module.imports() {
        let name = import.name().to_owned();
        let r#type = import
            .ty()
            .func()
            .context("the guest imports functions only")?
            .clone();
        linker.func_new(
            import.module(),
            import.name(),
            r#type,
            move |caller, params, results| {
                let errno = call(&name, caller, params)?;
                if let Some(result) = results.first_mut() {
                    *result = Val::I32(errno);
                }
                Ok(())
            },
        )?;
    }
    Ok(linker)
}

fn call(name: &str, mut caller: Caller<'_, World>, params: &[Val]) -> Result<i32> {
    let int = |i: usize| match params.get(i) {
        Some(Val::I32(int)) => Ok(int.cast_unsigned() as usize),
        other => Err(format_err!("{name}: parameter {i} is {other:?}")),
    };
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
        bail!("the guest exports no memory");
    };
    let (memory, world) = memory.data_and_store_mut(&mut caller);
    let outside = || format_err!("{name}: outside of memory");
    match name {
        "random_get" => {
            let (at, len) = (int(0)?, int(1)?);
            memory
                .get_mut(at..at + len)
                .with_context(outside)?
                .fill(RANDOM_BYTE);
            Ok(errno::SUCCESS)
        }
        "clock_time_get" => {
            world.clock += TICK;
            write(memory, int(2)?, &world.clock.to_le_bytes()).with_context(outside)
        }
        "environ_sizes_get" | "args_sizes_get" => {
            write(memory, int(0)?, &[0; 4]).with_context(outside)?;
            write(memory, int(1)?, &[0; 4]).with_context(outside)
        }
        "environ_get" | "args_get" => Ok(errno::SUCCESS),
        "fd_prestat_get" | "fd_seek" | "fd_tell" | "fd_close" => Ok(errno::BADF),
        "fd_filestat_get" => {
            let mut stat = [0; 64];
            stat[16] = CHARACTER_DEVICE;
            write(memory, int(1)?, &stat).with_context(outside)
        }
        "fd_fdstat_get" => {
            // With all rights: a device that can be sought in is not a terminal.
            let mut stat = [0; 24];
            stat[0] = CHARACTER_DEVICE;
            stat[8..].fill(0xff);
            write(memory, int(1)?, &stat).with_context(outside)
        }
        "fd_write" => {
            let mut total = 0;
            for i in 0..int(2)? {
                let entry = int(1)? + 8 * i;
                let at = read_u32(memory, entry).with_context(outside)?;
                let len = read_u32(memory, entry + 4).with_context(outside)?;
                world
                    .written
                    .extend(memory.get(at..at + len).with_context(outside)?);
                total += len;
            }
            write(memory, int(3)?, &u32::try_from(total)?.to_le_bytes()).with_context(outside)
        }
        _ => Ok(errno::NOSYS),
    }
}

fn read_u32(memory: &[u8], at: usize) -> Option<usize> {
    let bytes = memory.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_le_bytes(bytes) as usize)
}

fn write(memory: &mut [u8], at: usize, bytes: &[u8]) -> Option<i32> {
    memory.get_mut(at..at + bytes.len())?.copy_from_slice(bytes);
    Some(errno::SUCCESS)
}
