//! The engine that compiles the guest for machines other than this one.

use wardian_engine_config::engine_config;
use wasmtime::{Engine, Result, bail};

/// The features of an x86-64 processor that the code may use: x86-64-v2, which every one since 2009
/// has.
///
/// A fixed baseline, so that an artifact runs on machines with fewer features than the one that
/// built it. SSE4.1 is the least that is worth having: without it rounding is a call out of the
/// code, which would need relocations, and code that is mapped from the executable has none.
const X86_64_FEATURES: &[&str] = &[
    "has_sse3",
    "has_ssse3",
    "has_sse41",
    "has_sse42",
    "has_popcnt",
    "has_cmpxchg16b",
];

/// An engine that compiles for any processor of `triple`.
pub(crate) fn engine(triple: &str) -> Result<Engine> {
    let mut config = engine_config();
    // A named target, even this machine's own, switches the detection of its features off.
    config.target(triple)?;
    match triple.split('-').next() {
        Some("x86_64") => {
            for feature in X86_64_FEATURES {
                // SAFETY: the loader refuses the code on a processor without the feature.
                #[expect(unsafe_code, reason = "wasmtime marks target features as unsafe")]
                unsafe {
                    config.cranelift_flag_enable(feature);
                }
            }
        }
        Some("aarch64") => {}
        _ => bail!("Wardian runs on x86_64 and aarch64, not on {triple}"),
    }
    // A NaN has one bit pattern, so that a run is a function of its inputs.
    config.cranelift_nan_canonicalization(true);
    Engine::new(&config)
}
