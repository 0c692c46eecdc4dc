//! Says what the build is doing while it takes minutes.
//!
//! Cargo swallows what a build script prints until the script has ended, so progress goes to
//! the terminal itself, where there is one, and to `target/guest/build.log`.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

pub(crate) struct Progress {
    log: PathBuf,
    started: Instant,
}

impl Progress {
    pub(crate) fn new(target: &Path) -> Self {
        Self { log: target.join("build.log"), started: Instant::now() }
    }

    /// Says what is being done now.
    pub(crate) fn say(&self, what: &str) {
        let line = format!("wardian-guest: {what}");
        if let Ok(mut terminal) = OpenOptions::new().write(true).open("/dev/tty") {
            // Cargo's own progress bar is on the line: replace it, it comes back.
            let _ = writeln!(terminal, "\r\x1b[K{line}");
        }
        if let Ok(mut log) = OpenOptions::new().create(true).append(true).open(&self.log) {
            let _ = writeln!(log, "{line}");
        }
    }

    /// Says what has been done, in cargo's own output.
    pub(crate) fn note(&self, what: &str) {
        println!("cargo:warning={what}");
    }

    /// Says how long it took.
    pub(crate) fn finish(&self) {
        let seconds = self.started.elapsed().as_secs();
        self.say("done");
        self.note(&format!("the Python guest was built anew in {seconds} s; unchanged, it won't be again"));
    }

    /// Where the output of a nested command goes.
    pub(crate) fn log(&self) -> std::io::Result<File> {
        OpenOptions::new().create(true).append(true).open(&self.log)
    }

    pub(crate) fn log_path(&self) -> &Path {
        &self.log
    }
}
