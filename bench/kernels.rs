//! The programs that all of Wardian's measurements share, and these measurements: each folder is
//! one.
//!
//! `micro` measures small things many times, `process` whole processes, `load` many runs at once,
//! `soak` hostile and benign runs for minutes, `compare` what people use instead, `ratios` what was
//! slow by a factor, `fuel` the counting of fuel. `wardian bench` is for everybody's machine.

#![forbid(unsafe_code)]

/// Programs that compute, each for some ten to two hundred milliseconds: a subject and a source
/// each.
pub const KERNELS: [(&str, &str); 6] = [
    ("calls", include_str!("kernels/calls.py")),
    ("arithmetic", include_str!("kernels/arithmetic.py")),
    ("sieve", include_str!("kernels/sieve.py")),
    ("strings", include_str!("kernels/strings.py")),
    ("objects", include_str!("kernels/objects.py")),
    ("json, re", include_str!("kernels/json_re.py")),
];
