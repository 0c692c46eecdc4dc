//! Crate: rustpython-vm 0.6.0
//! File: src/vm/compile.rs
//! Item: VirtualMachine::program_text = e4bd31db35fae73e
//! Test: tests/python_cases.rs
//!
//! Reason: an error in source looked for a file of the source's name, `<string>` too, which was refused and stood on the
//! record of a script that had asked for no file.
//!
//! Upstream: none; CPython looks for the file as well. Here it is known without looking that the lines are in `linecache` or
//! nowhere.

impl VirtualMachine {
    pub(crate) fn program_text(&self, filename: &str, lineno: usize) -> Option<String> {
        let cache = self
            .import("linecache", 0)
            .ok()?
            .get_attr("cache", self)
            .ok()?;
        let entry = cache.get_item(filename, self).ok()?;
        let lines = entry.get_item(&2_usize, self).ok()?;
        let line = lines.get_item(&lineno.checked_sub(1)?, self).ok()?;
        Some(line.str(self).ok()?.to_string_lossy().into_owned())
    }
}
