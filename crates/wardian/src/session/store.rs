//! Places where sessions are while they are not in memory.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rustix::fs::{FlockOperation, flock};
use uuid::Uuid;

/// A place for suspended sessions, as bytes of [snapshots](super::Snapshot). Its functions may wait
/// for a disk: they are called on threads for that.
pub trait SessionStore: Send + Sync {
    /// Keeps `snapshot` as the state of a session, in place of an older one; also after a crash
    /// in the middle there is the one or the other. The call that [`begin`](Self::begin) has noted
    /// is over.
    ///
    /// # Errors
    ///
    /// If that fails. The older state is still there then.
    fn save(&self, session: Uuid, snapshot: &[u8]) -> io::Result<()>;

    /// Returns the state of a session; `None` if there is none.
    ///
    /// # Errors
    ///
    /// If it can't be read.
    fn load(&self, session: Uuid) -> io::Result<Option<Vec<u8>>>;

    /// Removes a session.
    ///
    /// # Errors
    ///
    /// If that fails. It is no error if there is none.
    fn remove(&self, session: Uuid) -> io::Result<()>;

    /// Lists the sessions, each with the number of the call that was in flight when its process
    /// ended.
    ///
    /// # Errors
    ///
    /// If they can't be listed.
    fn list(&self) -> io::Result<Vec<(Uuid, Option<u32>)>>;

    /// Returns whether it outlives this process. Then every call is saved when it ends.
    fn is_durable(&self) -> bool;

    /// Notes that a call begins, in a store that is durable.
    ///
    /// # Errors
    ///
    /// If that fails. The call does not begin then.
    fn begin(&self, session: Uuid, call: u32) -> io::Result<()>;
}

/// A store in the memory of this process.
#[derive(Default)]
pub struct MemoryStore(Mutex<BTreeMap<Uuid, Box<[u8]>>>);

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("MemoryStore")
            .field(&self.0.lock().len())
            .finish()
    }
}

impl MemoryStore {
    /// Returns the bytes of all snapshots.
    pub fn bytes(&self) -> usize {
        self.0.lock().values().map(|snapshot| snapshot.len()).sum()
    }
}

impl SessionStore for MemoryStore {
    fn save(&self, session: Uuid, snapshot: &[u8]) -> io::Result<()> {
        self.0.lock().insert(session, snapshot.into());
        Ok(())
    }

    fn load(&self, session: Uuid) -> io::Result<Option<Vec<u8>>> {
        Ok(self
            .0
            .lock()
            .get(&session)
            .map(|snapshot| snapshot.to_vec()))
    }

    fn remove(&self, session: Uuid) -> io::Result<()> {
        self.0.lock().remove(&session);
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<(Uuid, Option<u32>)>> {
        Ok(self
            .0
            .lock()
            .keys()
            .map(|session| (*session, None))
            .collect())
    }

    fn is_durable(&self) -> bool {
        false
    }

    fn begin(&self, _session: Uuid, _call: u32) -> io::Result<()> {
        Ok(())
    }
}

/// A store in a directory of its own: a file for each session, for its owner only (0600). A file is
/// written beside the old one, synced to the disk, and then takes its place, so that a crash of the
/// process or of the machine leaves the one or the other.
#[derive(Debug)]
pub struct DirectoryStore {
    directory: PathBuf,
    /// Held as long as the store is there.
    _lock: File,
}

/// The extensions of a session's files.
const SNAPSHOT: &str = "snapshot";
const CALL: &str = "call";

impl DirectoryStore {
    /// A store in `directory`, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// If it can't be used, or another process has it: [`WouldBlock`](io::ErrorKind::WouldBlock).
    pub fn new(directory: impl Into<PathBuf>) -> io::Result<Self> {
        let directory = directory.into();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)?;
        let lock = create(&directory.join("lock"))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self {
            directory,
            _lock: lock,
        })
    }

    fn path(&self, session: Uuid, extension: &str) -> PathBuf {
        self.directory.join(format!("{session}.{extension}"))
    }
}

/// Opens a file to write, for its owner only.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)
}

/// Writes a file as a whole: beside the old one, synced, then in its place.
///
/// # Errors
///
/// If that fails. The old file is still there then, and nothing else.
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A device that is given by mistake would be gone.
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return Err(io::Error::other("it is there, and is not a regular file"));
    }
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = directory.join(name);
    let written = create(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    });
    if written.is_err() {
        // What went wrong before is what the caller should know.
        let _ = fs::remove_file(&beside);
    }
    written?;
    File::open(directory)?.sync_all()
}

fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

impl SessionStore for DirectoryStore {
    fn save(&self, session: Uuid, snapshot: &[u8]) -> io::Result<()> {
        replace_file(&self.path(session, SNAPSHOT), snapshot)?;
        remove_file(&self.path(session, CALL))
    }

    fn load(&self, session: Uuid) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.path(session, SNAPSHOT)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        }
    }

    fn remove(&self, session: Uuid) -> io::Result<()> {
        remove_file(&self.path(session, SNAPSHOT))?;
        remove_file(&self.path(session, CALL))
    }

    fn list(&self) -> io::Result<Vec<(Uuid, Option<u32>)>> {
        let mut listed = BTreeMap::new();
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            let name = path.file_stem().and_then(|name| name.to_str());
            let extension = path.extension().and_then(|name| name.to_str());
            let (Some(session), Some(extension)) =
                (name.and_then(|name| Uuid::parse_str(name).ok()), extension)
            else {
                continue;
            };
            match extension {
                SNAPSHOT => {
                    listed.entry(session).or_insert(None);
                }
                CALL => {
                    let call = fs::read_to_string(&path)?;
                    listed.insert(session, call.trim().parse().ok());
                }
                _ => {}
            }
        }
        Ok(listed.into_iter().collect())
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn begin(&self, session: Uuid, call: u32) -> io::Result<()> {
        create(&self.path(session, CALL))?.write_all(call.to_string().as_bytes())
    }
}
