//! Crate: rustpython-vm 0.6.0
//! File: src/exceptions.rs
//! Item: print_source_line = 6cbdaeff1f307e80
//! Test: tests/python_cases.rs
//!
//! Reason: as `source_lines.rs`, for tracebacks that are written natively.
//!
//! Upstream: none.

fn print_source_line<W: Write>(
    _output: &mut W,
    _filename: &str,
    _lineno: usize,
) -> Result<(), W::Error> {
    Ok(())
}
