//! Programs that compute, each for some ten to two hundred milliseconds: the mix that all
//! benchmarks share.

/// The kernels: a subject and a source each.
pub(crate) const KERNELS: [(&str, &str); 6] = [
    ("calls", include_str!("calls.py")),
    ("arithmetic", include_str!("arithmetic.py")),
    ("sieve", include_str!("sieve.py")),
    ("strings", include_str!("strings.py")),
    ("objects", include_str!("objects.py")),
    ("json, re", include_str!("json_re.py")),
];
