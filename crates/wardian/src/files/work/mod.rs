//! The working directory: files in the host's memory, which nobody else sees. The guard stands
//! before them as before granted directories; nothing here decides.

mod content;
mod saved;
mod tree;

use std::collections::BTreeMap;
use std::io::SeekFrom;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::io::Errno;
use wardian_engine::{Entry, OpenOptions, Position, Stat, Times};
use wardian_policy::{GuestPath, Limit, Policy};

pub(crate) use self::saved::{LoadError, SavedWork};
use self::tree::{Budget, FileState, Inode, Node, Tree};
use super::create::count_created;
use super::error::Failure;
use super::io::Body;
use super::open::Opened;
use crate::ledger::Meter;

type Result<T> = std::result::Result<T, Failure>;

/// The files in the working directory of one run, or of one session. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct WorkFiles {
    tree: Arc<Mutex<Tree>>,
    /// The path of the working directory itself.
    path: GuestPath,
}

/// An open file.
#[derive(Debug)]
pub(super) struct WorkFile {
    inode: Arc<Inode>,
    position: Mutex<u64>,
}

/// The state of all files at one moment.
pub(crate) struct Checkpoint {
    tree: Tree,
    states: Vec<(Arc<Inode>, FileState)>,
}

/// The files at one moment, to tell later which have changed: number and version of each, by path.
pub(crate) struct Baseline(BTreeMap<String, (u64, u64)>);

/// A file that a script has created or changed.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutputFile {
    /// Its path, relative to the working directory.
    pub name: String,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for OutputFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutputFile")
            .field("name", &self.name)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

impl OutputFile {
    pub(crate) fn new(name: &str, bytes: Vec<u8>) -> Self {
        Self {
            name: name.to_owned(),
            sha256: wardian_abi::sha256(&bytes),
            bytes,
        }
    }
}

impl WorkFiles {
    /// The working directory that a policy gives, empty; `None` if it gives none.
    pub(crate) fn new(policy: &Policy) -> Option<Self> {
        let path = policy.work()?.clone();
        let limits = policy.limits();
        let [bytes, files] =
            [Limit::WorkSize, Limit::WorkFiles].map(|limit| limits.get(limit).or_max());
        let tree = Tree::new(Budget::new(bytes, files), policy.work_directories());
        Some(Self {
            tree: Arc::new(Mutex::new(tree)),
            path,
        })
    }

    /// An empty directory for packages, which only the host changes.
    pub(crate) fn packages(path: &GuestPath, max_bytes: u64, max_files: u64) -> Self {
        let tree = Tree::new(Budget::new(max_bytes, max_files), [path].into_iter());
        Self {
            tree: Arc::new(Mutex::new(tree)),
            path: path.clone(),
        }
    }

    /// Returns the same files, which change apart from these. They share memory until then.
    pub(crate) fn fork(&self) -> Self {
        Self {
            tree: Arc::new(Mutex::new(self.tree.lock().fork())),
            path: self.path.clone(),
        }
    }

    /// As [`put`](Self::put), if there is no such file. Returns whether it is new.
    pub(crate) fn put_new(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        let path = self.path.join(name).map_err(std::io::Error::other)?;
        if self.tree.lock().nodes.contains_key(path.as_str()) {
            return Ok(false);
        }
        self.put(name, bytes).map(|()| true)
    }

    /// Puts a file there, in place of one that is there, and the directories that lead to it.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let leads_up = |part| matches!(part, "" | "." | "..");
        if name.split('/').any(leads_up) {
            let why = "its name is no path that stays in it";
            return Err(std::io::Error::other(why).into());
        }
        let path = self.path.join(name).map_err(std::io::Error::other)?;
        let mut tree = self.tree.lock();
        let path = path.as_str();
        for (end, _) in path.match_indices('/').skip(1) {
            let directory = path.get(..end).unwrap_or_default();
            match tree.nodes.get(directory) {
                None if self.path.as_str().starts_with(directory) => {}
                None => tree.create_directory(directory)?,
                Some(Node::Directory { .. }) => {}
                Some(Node::File(_)) => return Err(Errno::NOTDIR.into()),
            }
        }
        let inode = match tree.nodes.get(path) {
            Some(Node::File(inode)) => inode.clone(),
            Some(Node::Directory { .. }) => return Err(Errno::ISDIR.into()),
            None => tree.create_file(path)?,
        };
        drop(tree);
        inode.set_len(0)?;
        inode.write(0, bytes)
    }

    pub(crate) fn baseline(&self) -> Baseline {
        let tree = self.tree.lock();
        let files = tree.nodes.iter().filter_map(|(path, node)| match node {
            Node::File(inode) => Some((path.clone(), (inode.number(), inode.version()))),
            Node::Directory { .. } => None,
        });
        Baseline(files.collect())
    }

    /// Lists the files in the working directory that are new or changed since then, by name. Those
    /// in `/tmp` are nobody's.
    pub(crate) fn changed_since(&self, baseline: &Baseline) -> Vec<OutputFile> {
        let tree = self.tree.lock();
        let files = tree.beneath(self.path.as_str());
        let changed = files.filter_map(|(path, node)| {
            let Node::File(inode) = node else {
                return None;
            };
            if baseline.0.get(path) == Some(&(inode.number(), inode.version())) {
                return None;
            }
            let name = path.get(self.path.as_str().len() + 1..)?;
            Some(OutputFile::new(
                name,
                inode.state().content.read(0, usize::MAX),
            ))
        });
        changed.collect()
    }

    /// Notes the state of all files, of those too that are open and have no name any more.
    pub(super) fn checkpoint<'f>(&self, open: impl Iterator<Item = &'f WorkFile>) -> Checkpoint {
        let tree = self.tree.lock().clone();
        let named = tree.nodes.values().filter_map(|node| match node {
            Node::File(inode) => Some(inode),
            Node::Directory { .. } => None,
        });
        let mut inodes: BTreeMap<u64, Arc<Inode>> = BTreeMap::new();
        for inode in named.chain(open.map(|file| &file.inode)) {
            inodes.insert(inode.number(), inode.clone());
        }
        let states = inodes.into_values().map(|inode| {
            let state = inode.state();
            (inode, state)
        });
        Checkpoint {
            states: states.collect(),
            tree,
        }
    }

    /// Makes all files what they were then.
    pub(crate) fn restore(&self, checkpoint: &Checkpoint) {
        *self.tree.lock() = checkpoint.tree.clone();
        for (inode, state) in &checkpoint.states {
            inode.restore(state.clone());
        }
    }

    /// Opens a file, which counts if it is created, or finds that it is a directory. A file that is
    /// read has at most `max_bytes` bytes.
    pub(super) fn open(
        &self,
        path: &Path,
        options: OpenOptions,
        max_bytes: u64,
        created: &Meter,
    ) -> Result<Opened> {
        let path = text(path)?;
        let changes = options.write || options.create || options.truncate;
        let mut tree = self.tree.lock();
        let inode = match tree.nodes.get(path) {
            None if !options.create => return Err(Errno::NOENT.into()),
            None if options.directory => return Err(Errno::ISDIR.into()),
            None => count_created(created, || tree.create_file(path))?,
            Some(_) if options.create && options.exclusive => return Err(Errno::EXIST.into()),
            Some(Node::Directory { .. }) if changes => return Err(Errno::ISDIR.into()),
            Some(Node::Directory { .. }) => return Ok(Opened::Directory),
            Some(Node::File(_)) if options.directory => return Err(Errno::NOTDIR.into()),
            Some(Node::File(inode)) => inode.clone(),
        };
        if options.truncate {
            inode.set_len(0)?;
        } else if options.read && inode.len() > max_bytes {
            return Err(Failure::Limit(Limit::FileSize));
        }
        Ok(Opened::File(Body::Work(WorkFile {
            inode,
            position: Mutex::new(0),
        })))
    }

    pub(super) fn is_root(&self, path: &Path) -> bool {
        text(path).is_ok_and(|path| self.tree.lock().is_root(path))
    }

    pub(super) fn stat(&self, path: &Path, device: u64) -> Result<Stat> {
        Ok(self.tree.lock().node(text(path)?)?.stat(device))
    }

    pub(super) fn create_directory(&self, path: &Path, created: &Meter) -> Result<()> {
        let path = text(path)?;
        count_created(created, || self.tree.lock().create_directory(path))
    }

    pub(super) fn remove_directory(&self, path: &Path) -> Result<()> {
        self.tree.lock().remove_directory(text(path)?)
    }

    /// `is_directory`: the path ended with a slash, which only a directory's may.
    pub(super) fn remove_file(&self, path: &Path, is_directory: bool) -> Result<()> {
        let path = text(path)?;
        let mut tree = self.tree.lock();
        match tree.node(path)? {
            Node::File(_) if is_directory => Err(Errno::NOTDIR.into()),
            _ => tree.remove_file(path),
        }
    }

    pub(super) fn link(&self, from: &Path, to: &Path, created: &Meter) -> Result<()> {
        let [from, to] = [text(from)?, text(to)?];
        count_created(created, || self.tree.lock().link(from, to))
    }

    /// `is_directory`: either path ended with a slash, which only a directory's may.
    pub(super) fn rename(&self, from: &Path, to: &Path, is_directory: bool) -> Result<()> {
        let [from, to] = [text(from)?, text(to)?];
        let mut tree = self.tree.lock();
        match tree.node(from)? {
            Node::File(_) if is_directory => Err(Errno::NOTDIR.into()),
            _ => tree.rename(from, to),
        }
    }

    /// Fails as for what is no symbolic link: there are none.
    pub(super) fn read_link(&self, path: &Path) -> Result<PathBuf> {
        self.tree.lock().node(text(path)?)?;
        Err(Errno::INVAL.into())
    }

    pub(super) fn set_times(&self, path: &Path, times: Times) -> Result<()> {
        self.tree.lock().set_times(text(path)?, times)
    }

    /// Lists what is in a directory.
    pub(super) fn list(&self, path: &Path) -> Result<Vec<Entry>> {
        let path = text(path)?;
        let tree = self.tree.lock();
        if let Node::File(_) = tree.node(path)? {
            return Err(Errno::NOTDIR.into());
        }
        let listed = tree.children(path).map(|(name, node)| {
            let Stat { inode, kind, .. } = node.stat(0);
            Entry {
                name: name.as_bytes().to_vec(),
                inode,
                kind,
            }
        });
        Ok(listed.collect())
    }
}

/// Returns a path as text, which all paths of scripts are.
fn text(path: &Path) -> Result<&str> {
    path.to_str().ok_or(Errno::ILSEQ.into())
}

impl WorkFile {
    pub(super) fn len(&self) -> u64 {
        self.inode.len()
    }

    pub(super) fn seek(&self, to: SeekFrom) -> std::io::Result<u64> {
        let mut position = self.position.lock();
        let (from, by) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::Current(by) => (*position, by),
            SeekFrom::End(by) => (self.inode.len(), by),
        };
        let at = from.checked_add_signed(by).ok_or(Errno::INVAL)?;
        *position = at;
        Ok(at)
    }

    pub(super) fn read(&self, bytes: usize, position: Position) -> Vec<u8> {
        match position {
            Position::At(at) => self.inode.read(at, bytes),
            Position::Current | Position::End => {
                let mut position = self.position.lock();
                let read = self.inode.read(*position, bytes);
                *position += read.len() as u64;
                read
            }
        }
    }

    pub(super) fn write(&self, bytes: &[u8], position: Position) -> Result<usize> {
        let mut current = self.position.lock();
        let at = match position {
            Position::At(at) => at,
            Position::Current => *current,
            Position::End => self.inode.len(),
        };
        self.inode.write(at, bytes)?;
        if !matches!(position, Position::At(_)) {
            *current = at + bytes.len() as u64;
        }
        Ok(bytes.len())
    }

    pub(super) fn set_len(&self, len: u64) -> Result<()> {
        self.inode.set_len(len)
    }

    pub(super) fn stat(&self, device: u64) -> Stat {
        self.inode.stat(device)
    }
}
