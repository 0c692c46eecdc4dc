//! The modules that the interpreter has.

/// The names of every module that a script can import, sorted: Python's standard library without
/// what needs an operating system, and the guest's own modules for charts and spreadsheets; no
/// packages.
pub fn modules() -> impl Iterator<Item = &'static str> {
    // A test keeps the list true.
    include_str!("modules.txt").lines()
}
