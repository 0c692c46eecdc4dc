//! Runs the guest's initialisation and writes the state that it reached into a new module.
//!
//! The interpreter comes up in a world that holds nothing: no file, no environment, random
//! bytes that are all the same and a clock that counts calls. So the snapshot is a function of
//! the guest alone, and nothing of the machine that built it is in it.

use wasmtime::error::Context;
use wasmtime::{
    Caller, Config, Engine, Extern, Instance, Linker, Module, OptLevel, Result, Store, Val, bail,
    format_err,
};
use wasmtime_wizer::{InstanceState, SnapshotVal, ValType, Wizer};

/// Errors of WASI preview 1, by its numbers.
mod errno {
    pub(super) const SUCCESS: i32 = 0;
    pub(super) const BADF: i32 = 8;
    pub(super) const NOSYS: i32 = 52;
}

/// WASI's type of the standard streams, the only files there are.
const CHARACTER_DEVICE: u8 = 2;

/// What a random byte is, and how many nanoseconds pass between two looks at the clock.
const RANDOM_BYTE: u8 = 0x5a;
const TICK: u64 = 1_000;

/// What the guest has done to the world so far.
#[derive(Default)]
struct World {
    clock: u64,
    written: Vec<u8>,
}

/// Returns `wasm` with the interpreter already up.
pub(crate) fn take(wasm: &[u8]) -> Result<Vec<u8>> {
    let mut wizer = Wizer::new();
    wizer.init_func(wardian_abi::export::INITIALIZE);
    let (context, instrumented) = wizer.instrument(wasm)?;

    let mut config = Config::new();
    config.cranelift_opt_level(OptLevel::None);
    config.max_wasm_stack(8 << 20).async_stack_size(9 << 20);
    let engine = Engine::new(&config)?;
    let module = Module::new(&engine, &instrumented)?;
    let mut store = Store::new(&engine, World::default());
    let linker = empty_world(&engine, &module)?;
    let instance = linker.instantiate(&mut store, &module)?;
    let initialise =
        instance.get_typed_func::<(), ()>(&mut store, wardian_abi::export::INITIALIZE)?;
    if let Err(error) = initialise.call(&mut store, ()) {
        let written = String::from_utf8_lossy(&store.data().written).into_owned();
        bail!("the guest did not come up: {error:?}\n{written}");
    }
    let mut state = State { store, instance };
    pollster::block_on(wizer.snapshot(&context, &mut state))
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
        "fd_prestat_get" | "fd_seek" | "fd_tell" | "fd_close" => {
            Ok(errno::BADF)
        }
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

struct State {
    store: Store<World>,
    instance: Instance,
}

impl InstanceState for State {
    async fn global_get(&mut self, name: &str, _: ValType) -> SnapshotVal {
        let global = self
            .instance
            .get_global(&mut self.store, name)
            .expect("wizer exports it");
        match global.get(&mut self.store) {
            Val::I32(value) => SnapshotVal::I32(value),
            Val::I64(value) => SnapshotVal::I64(value),
            Val::F32(value) => SnapshotVal::F32(value),
            Val::F64(value) => SnapshotVal::F64(value),
            other => panic!("the guest has a global of an unexpected type: {other:?}"),
        }
    }

    async fn memory_contents(&mut self, name: &str, contents: impl FnOnce(&[u8]) + Send) {
        let memory = self
            .instance
            .get_memory(&mut self.store, name)
            .expect("wizer exports it");
        contents(memory.data(&self.store));
    }
}
