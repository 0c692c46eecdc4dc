//! The peers that people would use instead, each through Python.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde::Deserialize;
use serde_json::json;

/// Something to compare with.
pub(crate) struct Peer {
    /// By this name, `peers.py` knows it.
    pub(crate) name: &'static str,
    /// The name that people call it.
    pub(crate) title: &'static str,
    /// The parts of a script's reach that it keeps from the host, and those that it does not.
    pub(crate) isolates: &'static str,
}

pub(crate) const PEERS: [Peer; 3] = [
    Peer {
        name: "subprocess",
        title: "python3 subprocess, CPython",
        isolates: "nothing. The script has the user's files, network and processes. No limit but those of the system.",
    },
    Peer {
        name: "eryx",
        title: "eryx",
        isolates: "CPython on wasm in wasmtime, in the host's process: the same kind of boundary as Wardian's. \
                   No files and no network unless given; fuel, memory and time can be limited.",
    },
    Peer {
        name: "monty",
        title: "Monty",
        isolates: "an interpreter of its own for a subset of Python, in worker processes that are started \
                   ahead. No files and no network unless given; no wasm and no other boundary around the \
                   interpreter but the process.",
    },
];

/// Of Wardian, what [`Peer::isolates`] says of the others.
pub(crate) const OURS: &str = "a whole Python on wasm in wasmtime, in the host's process, screened and on \
                               record. No files, tools, variables or network unless the policy grants them; \
                               fuel, memory, time and output are limited.";

/// The packages of the peers, from PyPI.
const PACKAGES: [&str; 2] = ["pyeryx", "pydantic-monty"];

/// A process that runs snippets in all of them.
pub(crate) struct Peers {
    process: Child,
    replies: BufReader<ChildStdout>,
    versions: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Reply {
    ms: f64,
    error: Option<String>,
}

impl Peers {
    /// Starts them in `python`, installed if they are not.
    pub(crate) fn start(python: &Path) -> io::Result<Self> {
        let imports = ["-c", "import eryx, pydantic_monty"];
        let has_them = Command::new(python)
            .args(imports)
            .stderr(Stdio::null())
            .status()?;
        let python = if has_them.success() {
            python.to_owned()
        } else {
            installed(python)?
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("compare/peers.py");
        let mut process = Command::new(python)
            .arg(script)
            .arg(native()?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = process.stdout.take();
        let stdout = stdout.ok_or_else(|| io::Error::other("no output"))?;
        let mut started = Self {
            process,
            replies: BufReader::new(stdout),
            versions: BTreeMap::new(),
        };
        started.versions = serde_json::from_str(&started.line()?)?;
        Ok(started)
    }

    pub(crate) fn version(&self, peer: &str) -> &str {
        self.versions.get(peer).map_or("", String::as_str)
    }

    /// Times a snippet in one of them, in milliseconds; says why it can't. Exceptions that the
    /// snippet is there for are no reason.
    pub(crate) fn run(&mut self, peer: &str, code: &str) -> io::Result<Result<f64, String>> {
        let stdin = self.process.stdin.as_mut();
        let stdin = stdin.ok_or_else(|| io::Error::other("no input"))?;
        writeln!(stdin, "{}", json!({"peer": peer, "code": code}))?;
        let reply: Reply = serde_json::from_str(&self.line()?)?;
        Ok(match reply.error {
            Some(error) if !error.contains("ZeroDivisionError") => Err(error),
            _ => Ok(reply.ms),
        })
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.replies.read_line(&mut line)? {
            0 => Err(io::Error::other("the peers have ended")),
            _ => Ok(line),
        }
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        // It ends with its input.
        self.process.stdin.take();
        let _ = self.process.wait();
    }
}

/// The interpreter that `python3` is, not a shim that looks for one.
fn native() -> io::Result<String> {
    let code = ["-c", "import sys; print(sys.executable)"];
    let output = Command::new("python3").args(code).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A Python with the peers, in cargo's target directory.
fn installed(python: &Path) -> io::Result<PathBuf> {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers");
    let its = place.join("bin/python");
    let run = |command: &mut Command| match command.status()? {
        status if status.success() => Ok(()),
        status => Err(io::Error::other(format!(
            "{command:?} has ended with {status}. pyeryx needs Python 3.12 or later: `just bench compare PYTHON`"
        ))),
    };
    run(Command::new(python).args(["-m", "venv"]).arg(&place))?;
    run(Command::new(&its)
        .args(["-m", "pip", "install", "--quiet"])
        .args(PACKAGES))?;
    Ok(its)
}
