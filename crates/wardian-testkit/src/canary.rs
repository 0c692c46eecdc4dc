//! A canary: files outside and a socket that have to be as they were, whatever hostile code has
//! done.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rand::RngExt;
use rustix::fs::{CWD, FileType, Mode, mknodat};

/// A canary that nobody may see, change or reach: a directory that is granted to nobody,
/// directories that are granted for reading only, a socket of the host.
///
/// ```
/// use wardian::{Limits, Policy, Sandbox, policy::{Access, Grant, Permission, Profile}};
/// use wardian_testkit::{Canary, runtime};
///
/// let dir = tempfile::tempdir()?;
/// let data = dir.path().join("data");
/// std::fs::create_dir(&data)?;
/// let mut canary = Canary::new(dir.path(), [data.clone()])?;
/// canary.plant(&data)?;
/// canary.look()?;
///
/// let policy = Policy::new(Permission::EXECUTE_CODE | Permission::READ_FILE, Limits::default())
///     .with_source_rules(Profile::Open)
///     .with_grant(Grant::new("/data", &data, Access::READ)?)?;
/// let sandbox = Sandbox::new(runtime(), policy)?;
/// // A link that leads out of the directory.
/// let outcome = sandbox.run_blocking("open('/data/out').read()")?;
/// assert!(!outcome.json().to_string().contains(canary.secret()));
/// assert_eq!(canary.findings(), [""; 0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Canary {
    secret: String,
    outside: PathBuf,
    socket: TcpListener,
    before: Vec<Entry>,
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
    /// Makes the directory `outside` in `beside`, where the granted directories are too, with a
    /// secret in its `canary.txt`; and watches over those that are granted for reading only.
    ///
    /// # Errors
    ///
    /// If it can't be written, or there is no socket to be had.
    pub fn new(beside: &Path, read_only: impl IntoIterator<Item = PathBuf>) -> io::Result<Self> {
        let canary = Self {
            secret: format!("canary-{:032x}", rand::rng().random::<u128>()),
            outside: beside.join("outside"),
            socket: TcpListener::bind(("127.0.0.1", 0))?,
            before: Vec::new(),
            read_only: read_only.into_iter().collect(),
        };
        canary.socket.set_nonblocking(true)?;
        fs::create_dir_all(canary.outside.join("dir"))?;
        fs::write(canary.outside.join("canary.txt"), &canary.secret)?;
        fs::write(canary.outside.join("dir/other.txt"), &canary.secret)?;
        Ok(canary)
    }

    /// Puts into a granted directory what a careless host may have there: files, a pipe, a socket,
    /// and links that lead out, in circles, nowhere, or a long way.
    ///
    /// # Errors
    ///
    /// If it can't be written, or something is there already.
    pub fn plant(&self, directory: &Path) -> io::Result<()> {
        plant(directory, &self.outside)
    }

    /// Returns a text that is found nowhere by chance: it is random.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The directory that is granted to nobody.
    pub fn outside(&self) -> &Path {
        &self.outside
    }

    /// Notes what is there now.
    ///
    /// # Errors
    ///
    /// If it can't be read.
    pub fn look(&mut self) -> io::Result<()> {
        self.before = self.entries()?;
        Ok(())
    }

    /// The port of the socket, at 127.0.0.1, to which nobody may connect.
    ///
    /// # Errors
    ///
    /// As of the system.
    pub fn port(&self) -> io::Result<u16> {
        Ok(self.socket.local_addr()?.port())
    }

    /// Lists what is not as it was when it was last looked at, or has been connected to.
    pub fn findings(&self) -> Vec<String> {
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

fn plant(directory: &Path, outside: &Path) -> io::Result<()> {
    let at = |name: &str| directory.join(name);
    fs::create_dir(at("sub"))?;
    fs::write(at("file.txt"), "content")?;
    fs::write(at("sub/inner.txt"), "inner")?;
    for (name, target) in [
        ("link", Path::new("file.txt")),
        ("link-dir", Path::new("sub")),
        ("up-and-in", Path::new("sub/../file.txt")),
        ("out", Path::new("../outside/canary.txt")),
        ("out-dir", Path::new("../outside")),
        ("out-missing", Path::new("../outside/missing.txt")),
        ("out-abs", &outside.join("canary.txt")),
        ("out-abs-dir", outside),
        ("out-abs-missing", &outside.join("missing.txt")),
        ("dangling", Path::new("missing.txt")),
        ("loop", Path::new("loop")),
        // GHSA-vqjp: a link to a link, whose target ends with a slash.
        ("link1", Path::new("out-dir/")),
        ("proc", Path::new("/proc/self/environ")),
    ] {
        symlink(target, at(name))?;
    }
    // A link that is followed costs one of the 40 that the kernel follows on one path.
    symlink(".", at("here"))?;
    for links in [9, 44] {
        let target = "here/".repeat(links) + "file.txt";
        symlink(target, at(&format!("chain{links}")))?;
    }
    mknodat(
        CWD,
        at("fifo"),
        FileType::Fifo,
        Mode::from_raw_mode(0o666),
        0,
    )?;
    UnixListener::bind(at("socket"))?;
    Ok(())
}
