//! The part of wasmtime's configuration that compiled code depends on.
//!
//! Two crates read it: the build script of `wardian-guest`, which compiles the guest, and
//! `wardian-engine`, which runs it. wasmtime refuses code that was compiled under another
//! configuration.

use wasmtime::{Config, WasmFeatures};

/// The proposals that the guest is made of: what rustc emits for wasm32-wasip1. Every other
/// proposal is off, so a bug in it can't be reached.
const FEATURES: WasmFeatures = WasmFeatures::BULK_MEMORY
    .union(WasmFeatures::BULK_MEMORY_OPT)
    .union(WasmFeatures::CALL_INDIRECT_OVERLONG)
    .union(WasmFeatures::FLOATS)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::MUTABLE_GLOBAL)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION);

/// Returns the configuration that compiled code depends on. A runtime adds what code does not
/// depend on: memory, stacks.
pub fn engine_config() -> Config {
    let mut config = Config::new();
    config.wasm_features(WasmFeatures::all(), false);
    config.wasm_features(FEATURES, true);

    // Fuel is the one mechanism for the fuel limit, for fairness between runs and for the points at
    // which a timeout can strike. The guest's code counts it (`wardian-meter`), with hints that its
    // checks hardly ever fire; wasmtime does in builds that are to be compared.
    config.consume_fuel(cfg!(feature = "wasmtime-fuel"));
    config.wasm_branch_hinting(true);

    // Reservation and guards stay at wasmtime's defaults (4 GiB and 32 MiB, also in front):
    // they are what bounds checks are compiled against.
    config.guard_before_linear_memory(true);

    // Memory comes from a creator of ours, which wasmtime can't map its own images into.
    config.memory_init_cow(false);

    // Nobody reads wasm stack traces: a crash is reported by its trap code. Without these the
    // artifact is a third smaller, and a trap is cheaper.
    config.wasm_backtrace_max_frames(None);
    config.generate_address_map(false);
    config.native_unwind_info(false);
    config.debug_info(false);

    config
}
