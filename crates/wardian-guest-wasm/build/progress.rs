//! Says what the build is doing while it takes minutes.
//!
//! Cargo keeps what a build script prints to itself, unless the script fails or `-vv` is given; a
//! `cargo:warning` it repeats in every later build. So progress goes to the terminal itself,
//! where there is one, and to `target/guest/build.log`.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Progress of one build.
#[derive(Debug)]
pub struct Progress {
    log: PathBuf,
    started: Instant,
}

impl Progress {
    /// Starts the clock of a build in this directory.
    pub fn new(target: &Path) -> Self {
        Self {
            log: target.join("build.log"),
            started: Instant::now(),
        }
    }

    /// Says what is being done now.
    #[expect(
        clippy::print_stderr,
        reason = "cargo shows what a script that failed has said"
    )]
    pub fn say(&self, what: &str) {
        let line = format!("wardian-guest: {what}");
        eprintln!("{line}");
        if let Ok(mut terminal) = OpenOptions::new().write(true).open("/dev/tty") {
            // Cargo's own progress bar is on the line: replace it, it comes back.
            let _ = writeln!(terminal, "\r\x1b[K{line}");
        }
        if let Ok(mut log) = OpenOptions::new().create(true).append(true).open(&self.log) {
            let _ = writeln!(log, "{line}");
        }
    }

    /// Says how long it took.
    pub fn finish(&self) {
        self.say(&format!(
            "done after {} s",
            self.started.elapsed().as_secs()
        ));
    }

    /// Opens the file for the output of a nested command.
    pub fn log(&self) -> std::io::Result<File> {
        OpenOptions::new().create(true).append(true).open(&self.log)
    }

    /// Returns the path of the log.
    pub fn log_path(&self) -> &Path {
        &self.log
    }
}
