//! What has to be as it was, whatever hostile code has done: the files outside, the process, the network.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use procfs::process::Process;
use rand::RngExt;
use rustix::fs::{CWD, FileType, Mode, mknodat};

/// How long what is released later may take: threads of a pool that wait for work end after 10 s.
const SETTLE: Duration = Duration::from_secs(15);

/// Threads that the pool for blocking work may have more than before.
const SPARE_THREADS: usize = 4;

/// Memory of the process that may be more than before, in bytes: what its allocator keeps.
const SPARE_MEMORY: u64 = 64 << 20;

/// What nobody may see, change or reach.
pub(crate) struct Canary {
    /// Random, hence found nowhere by chance.
    pub(crate) secret: String,
    /// The directory of the host that is granted to nobody.
    pub(crate) outside: PathBuf,
    /// Nobody may connect to it.
    socket: TcpListener,
    before: Vec<Entry>,
    /// Those that are granted for reading only.
    read_only: Vec<PathBuf>,
}

/// All that a file or directory that nobody may change has to keep.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    path: PathBuf,
    inode: u64,
    mode: u32,
    links: u64,
    modified: (i64, i64),
    content: Vec<u8>,
}

impl Canary {
    /// Puts it beside the granted directories.
    pub(crate) fn new(beside: &Path, read_only: Vec<PathBuf>) -> io::Result<Self> {
        let canary = Self {
            secret: format!("canary-{:032x}", rand::rng().random::<u128>()),
            outside: beside.join("outside"),
            socket: TcpListener::bind(("127.0.0.1", 0))?,
            before: Vec::new(),
            read_only,
        };
        canary.socket.set_nonblocking(true)?;
        fs::create_dir_all(canary.outside.join("dir"))?;
        fs::write(canary.outside.join("canary.txt"), &canary.secret)?;
        fs::write(canary.outside.join("dir/other.txt"), &canary.secret)?;
        Ok(canary)
    }

    /// Notes what is there now.
    pub(crate) fn look(&mut self) -> io::Result<()> {
        self.before = self.entries()?;
        Ok(())
    }

    pub(crate) fn port(&self) -> io::Result<u16> {
        Ok(self.socket.local_addr()?.port())
    }

    /// What is not as it was.
    pub(crate) fn findings(&self) -> Vec<String> {
        let mut findings = Vec::new();
        match self.entries() {
            Err(error) => findings.push(format!("what nobody may change can't be read: {error}")),
            Ok(now) if now == self.before => {}
            Ok(now) => {
                let changed = |entry: &&Entry| !self.before.contains(entry);
                let gone = |entry: &&Entry| !now.iter().any(|other| other.path == entry.path);
                let changed = now
                    .iter()
                    .filter(changed)
                    .chain(self.before.iter().filter(gone));
                let names: Vec<_> = changed
                    .take(5)
                    .map(|entry| entry.path.display().to_string())
                    .collect();
                findings.push(format!(
                    "changed what it may only read, or not see: {}",
                    names.join(", ")
                ));
            }
        }
        if self.socket.accept().is_ok() {
            findings.push("connected to a socket of the host".to_owned());
        }
        findings
    }

    fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        collect(&self.outside, &mut entries)?;
        for directory in &self.read_only {
            collect(directory, &mut entries)?;
        }
        Ok(entries)
    }
}

fn collect(path: &Path, entries: &mut Vec<Entry>) -> io::Result<()> {
    let data = path.symlink_metadata()?;
    let mut children = Vec::new();
    let mut content = Vec::new();
    if data.is_file() {
        content = fs::read(path)?;
    } else if data.is_symlink() {
        content = path.read_link()?.into_os_string().into_encoded_bytes();
    } else if data.is_dir() {
        for entry in fs::read_dir(path)? {
            children.push(entry?.path());
        }
        children.sort();
    }
    entries.push(Entry {
        path: path.to_owned(),
        inode: data.ino(),
        mode: data.mode(),
        links: data.nlink(),
        modified: (data.mtime(), data.mtime_nsec()),
        content,
    });
    children
        .iter()
        .try_for_each(|child| collect(child, entries))
}

/// Puts into a granted directory what a careless host may have there: files, and links that lead out.
pub(crate) fn plant(directory: &Path, outside: &Path) -> io::Result<()> {
    let at = |name: &str| directory.join(name);
    fs::create_dir(at("sub"))?;
    fs::write(at("file.txt"), "content")?;
    fs::write(at("sub/inner.txt"), "inner")?;
    for (name, target) in [
        ("link", Path::new("file.txt")),
        ("link-dir", Path::new("sub")),
        ("out", Path::new("../outside/canary.txt")),
        ("out-dir", Path::new("../outside")),
        ("out-missing", Path::new("../outside/missing.txt")),
        ("out-abs", &outside.join("canary.txt")),
        ("out-abs-dir", outside),
        ("dangling", Path::new("missing.txt")),
        ("loop", Path::new("loop")),
        // GHSA-vqjp: a link to a link, whose target ends with a slash.
        ("link1", Path::new("out-dir/")),
        ("proc", Path::new("/proc/self/environ")),
    ] {
        symlink(target, at(name))?;
    }
    for i in 0..45 {
        let target = match i {
            0 => "file.txt".to_owned(),
            i => format!("chain{}", i - 1),
        };
        symlink(target, at(&format!("chain{i}")))?;
    }
    mknodat(
        CWD,
        at("fifo"),
        FileType::Fifo,
        Mode::from_raw_mode(0o666),
        0,
    )?;
    Ok(())
}

/// What a process has, as the kernel counts it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Held {
    pub(crate) memory: u64,
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
    pub(crate) children: usize,
}

impl Held {
    /// What this process has.
    pub(crate) fn now() -> io::Result<Self> {
        let look = || -> procfs::ProcResult<Self> {
            let process = Process::myself()?;
            let status = process.status()?;
            let mut children = 0;
            for task in process.tasks()? {
                // A thread may end while it is looked at.
                children += task?.children().map_or(0, |children| children.len());
            }
            Ok(Self {
                memory: status.vmrss.unwrap_or(0) * 1024,
                descriptors: process.fd_count()?,
                threads: usize::try_from(status.threads).unwrap_or(usize::MAX),
                children,
            })
        };
        look().map_err(io::Error::other)
    }

    /// What has not come back to what it was before, once things had time to settle.
    pub(crate) fn findings(before: &Self) -> Vec<String> {
        let started = Instant::now();
        loop {
            let findings = match Self::now() {
                Ok(now) => now.beyond(before),
                Err(error) => vec![format!("the process can't be looked at: {error}")],
            };
            if findings.is_empty() || started.elapsed() > SETTLE {
                return findings;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn beyond(&self, before: &Self) -> Vec<String> {
        let mut findings = Vec::new();
        let mut compare = |what: &str, now: u64, before: u64, spare: u64| {
            if now > before + spare {
                findings.push(format!("left behind {what}: {now}, {before} before"));
            }
        };
        compare("memory", self.memory, before.memory, SPARE_MEMORY);
        compare(
            "descriptors",
            self.descriptors as u64,
            before.descriptors as u64,
            0,
        );
        compare(
            "threads",
            self.threads as u64,
            before.threads as u64,
            SPARE_THREADS as u64,
        );
        compare("children", self.children as u64, before.children as u64, 0);
        findings
    }
}
