//! The names in a working directory.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use parking_lot::Mutex;
use rustix::io::Errno;
use wardian_engine::{FileKind, Stat, Times};
use wardian_policy::{GuestPath, Limit};

use super::super::error::Failure;
use super::content::Content;

type Result<T> = std::result::Result<T, Failure>;

/// The room for files: used, and allowed.
#[derive(Debug)]
pub(super) struct Budget {
    bytes: AtomicU64,
    max_bytes: u64,
    max_files: u64,
    next_inode: AtomicU64,
}

impl Budget {
    pub(super) fn new(max_bytes: u64, max_files: u64) -> Self {
        Self {
            bytes: AtomicU64::new(0),
            max_bytes,
            max_files,
            next_inode: AtomicU64::new(1),
        }
    }

    /// Counts a file that takes `new` bytes in place of `old`.
    fn change(&self, old: u64, new: u64) -> Result<()> {
        let changed = self
            .bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |all| {
                let all = all.saturating_sub(old).saturating_add(new);
                (new <= old || all <= self.max_bytes).then_some(all)
            });
        changed
            .map(drop)
            .map_err(|_| Failure::Limit(Limit::WorkSize))
    }

    /// Returns the amount of a limit of the working directory.
    pub(super) fn allowed(&self, limit: Limit) -> u64 {
        match limit {
            Limit::WorkFiles => self.max_files,
            _ => self.max_bytes,
        }
    }

    fn inode(&self) -> u64 {
        self.next_inode.fetch_add(1, Ordering::Relaxed)
    }
}

/// A file: it is there as long as it has a name or is open.
#[derive(Debug)]
pub(super) struct Inode {
    number: u64,
    budget: Arc<Budget>,
    state: Mutex<FileState>,
}

/// The part of a file that changes.
#[derive(Debug, Clone)]
pub(super) struct FileState {
    pub(super) content: Content,
    pub(super) times: FileTimes,
    /// The count of its names.
    links: u64,
    /// The count of changes of its bytes.
    version: u64,
}

/// Times in nanoseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileTimes {
    accessed: u64,
    pub(super) modified: u64,
    changed: u64,
}

impl FileTimes {
    fn now() -> Self {
        Self::at(now())
    }

    pub(super) fn at(time: u64) -> Self {
        Self {
            accessed: time,
            modified: time,
            changed: time,
        }
    }

    fn set(&mut self, times: Times) {
        let [accessed, modified] = times.map(|time| time.map(nanos));
        self.accessed = accessed.unwrap_or(self.accessed);
        self.modified = modified.unwrap_or(self.modified);
        self.changed = now();
    }
}

fn now() -> u64 {
    nanos(SystemTime::now())
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}

impl Inode {
    fn new(budget: Arc<Budget>) -> Arc<Self> {
        let state = FileState {
            content: Content::default(),
            times: FileTimes::now(),
            links: 0,
            version: 0,
        };
        Arc::new(Self {
            number: budget.inode(),
            budget,
            state: Mutex::new(state),
        })
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn version(&self) -> u64 {
        self.state.lock().version
    }

    pub(super) fn state(&self) -> FileState {
        self.state.lock().clone()
    }

    /// Makes it what it was at an earlier time.
    pub(super) fn restore(&self, earlier: FileState) {
        let mut state = self.state.lock();
        let [new, old] = [&earlier, &*state].map(|state| state.content.weight());
        // It was within the limit before, with all others.
        self.budget.bytes.fetch_sub(old, Ordering::Relaxed);
        self.budget.bytes.fetch_add(new, Ordering::Relaxed);
        *state = earlier;
    }

    pub(super) fn len(&self) -> u64 {
        self.state.lock().content.len()
    }

    pub(super) fn read(&self, at: u64, bytes: usize) -> Vec<u8> {
        let mut state = self.state.lock();
        state.times.accessed = now();
        state.content.read(at, bytes)
    }

    pub(super) fn write(&self, at: u64, bytes: &[u8]) -> Result<()> {
        let mut state = self.state.lock();
        let weight = state.content.weight();
        let after = state.content.weight_after(at, bytes.len());
        self.budget.change(weight, after)?;
        state.content.write(at, bytes);
        state.touch();
        Ok(())
    }

    pub(super) fn set_len(&self, len: u64) -> Result<()> {
        let mut state = self.state.lock();
        let weight = state.content.weight();
        if len > weight {
            self.budget.change(weight, len)?;
        }
        state.content.set_len(len);
        state.touch();
        // What is cut takes less.
        self.budget.change(weight.max(len), state.content.weight())
    }

    pub(super) fn set_times(&self, times: Times) {
        self.state.lock().times.set(times);
    }

    pub(super) fn set_modified(&self, time: u64) {
        self.state.lock().times = FileTimes::at(time);
    }

    pub(super) fn stat(&self, device: u64) -> Stat {
        let state = self.state.lock();
        let (kind, links) = (FileKind::File, state.links);
        stat(
            device,
            self.number,
            kind,
            links,
            state.content.len(),
            state.times,
        )
    }
}

impl FileState {
    fn touch(&mut self) {
        self.version += 1;
        self.times.modified = now();
        self.times.changed = self.times.modified;
    }
}

impl Drop for Inode {
    fn drop(&mut self) {
        let weight = self.state.get_mut().content.weight();
        self.budget.bytes.fetch_sub(weight, Ordering::Relaxed);
    }
}

fn stat(device: u64, inode: u64, kind: FileKind, links: u64, bytes: u64, times: FileTimes) -> Stat {
    Stat {
        device,
        inode,
        kind,
        links,
        bytes,
        accessed: times.accessed,
        modified: times.modified,
        changed: times.changed,
    }
}

/// Something that has a name.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Directory { inode: u64, times: FileTimes },
    File(Arc<Inode>),
}

impl Node {
    pub(super) fn stat(&self, device: u64) -> Stat {
        match self {
            Self::Directory { inode, times } => {
                stat(device, *inode, FileKind::Directory, 1, 0, *times)
            }
            Self::File(inode) => inode.stat(device),
        }
    }
}

/// Names, and what they stand for.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    budget: Arc<Budget>,
    /// By absolute paths. Everything lies in a directory that is here too.
    pub(super) nodes: BTreeMap<String, Node>,
    /// The paths that can't be removed.
    roots: Vec<String>,
}

impl Tree {
    /// A tree of these directories, which are empty.
    pub(super) fn new<'p>(budget: Budget, roots: impl Iterator<Item = &'p GuestPath>) -> Self {
        let budget = Arc::new(budget);
        let roots: Vec<_> = roots.map(ToString::to_string).collect();
        let directory = |path: &String| (path.clone(), new_directory(&budget));
        Self {
            nodes: roots.iter().map(directory).collect(),
            budget,
            roots,
        }
    }

    pub(super) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    pub(super) fn is_root(&self, path: &str) -> bool {
        self.roots.iter().any(|root| root == path)
    }

    pub(super) fn node(&self, path: &str) -> Result<&Node> {
        self.nodes.get(path).ok_or(Errno::NOENT.into())
    }

    fn file(&self, path: &str) -> Result<&Arc<Inode>> {
        match self.node(path)? {
            Node::File(inode) => Ok(inode),
            Node::Directory { .. } => Err(Errno::ISDIR.into()),
        }
    }

    /// Checks that something can be put at a path: its parent is a directory, and there is room.
    fn check_new(&self, path: &str) -> Result<()> {
        let (parent, _) = path.rsplit_once('/').unwrap_or_default();
        match self.node(parent)? {
            Node::Directory { .. } => {}
            Node::File(_) => return Err(Errno::NOTDIR.into()),
        }
        if self.nodes.contains_key(path) {
            return Err(Errno::EXIST.into());
        }
        // The directories that are always there count for nothing.
        let count = self.nodes.len() - self.roots.len();
        if count as u64 >= self.budget.max_files {
            return Err(Failure::Limit(Limit::WorkFiles));
        }
        Ok(())
    }

    pub(super) fn create_file(&mut self, path: &str) -> Result<Arc<Inode>> {
        self.check_new(path)?;
        let inode = Inode::new(self.budget.clone());
        self.name(path, inode.clone());
        Ok(inode)
    }

    fn name(&mut self, path: &str, inode: Arc<Inode>) {
        inode.state.lock().links += 1;
        self.nodes.insert(path.to_owned(), Node::File(inode));
    }

    pub(super) fn create_directory(&mut self, path: &str) -> Result<()> {
        self.check_new(path)?;
        let directory = new_directory(&self.budget);
        self.nodes.insert(path.to_owned(), directory);
        Ok(())
    }

    pub(super) fn remove_file(&mut self, path: &str) -> Result<()> {
        let inode = self.file(path)?.clone();
        inode.state.lock().links -= 1;
        self.nodes.remove(path);
        Ok(())
    }

    pub(super) fn remove_directory(&mut self, path: &str) -> Result<()> {
        if let Node::File(_) = self.node(path)? {
            return Err(Errno::NOTDIR.into());
        }
        if self.children(path).next().is_some() {
            return Err(Errno::NOTEMPTY.into());
        }
        self.nodes.remove(path);
        Ok(())
    }

    pub(super) fn link(&mut self, from: &str, to: &str) -> Result<()> {
        let inode = match self.node(from)? {
            Node::File(inode) => inode.clone(),
            Node::Directory { .. } => return Err(Errno::PERM.into()),
        };
        self.check_new(to)?;
        self.name(to, inode);
        Ok(())
    }

    /// Renames. What is at `to` goes, as far as one may take the other's place.
    pub(super) fn rename(&mut self, from: &str, to: &str) -> Result<()> {
        let node = self.node(from)?.clone();
        if from == to {
            return Ok(());
        }
        match (&node, self.nodes.get(to)) {
            (Node::File(old), Some(Node::File(new))) if Arc::ptr_eq(old, new) => return Ok(()),
            (Node::File(_), Some(Node::File(_))) => self.remove_file(to)?,
            (Node::File(_), Some(Node::Directory { .. })) => return Err(Errno::ISDIR.into()),
            (Node::Directory { .. }, _) if to.starts_with(&format!("{from}/")) => {
                return Err(Errno::INVAL.into());
            }
            (Node::Directory { .. }, Some(_)) => self.remove_directory(to)?,
            (_, None) => {}
        }
        // Nothing is more than before.
        self.nodes.remove(from);
        if let Err(error) = self.check_new(to) {
            self.nodes.insert(from.to_owned(), node);
            return Err(error);
        }
        let beneath: Vec<_> = self.beneath(from).map(|(path, _)| path.clone()).collect();
        for path in beneath {
            if let (Some(node), Some(rest)) = (self.nodes.remove(&path), path.get(from.len()..)) {
                self.nodes.insert(format!("{to}{rest}"), node);
            }
        }
        self.nodes.insert(to.to_owned(), node);
        Ok(())
    }

    pub(super) fn set_times(&mut self, path: &str, new: Times) -> Result<()> {
        match self.nodes.get_mut(path).ok_or(Errno::NOENT)? {
            Node::Directory { times, .. } => times.set(new),
            Node::File(inode) => inode.set_times(new),
        }
        Ok(())
    }

    /// Lists everything beneath a directory.
    pub(super) fn beneath(&self, path: &str) -> impl Iterator<Item = (&String, &Node)> {
        // `0` follows `/`.
        let [from, to] = [format!("{path}/"), format!("{path}0")];
        let range = (Bound::Excluded(from), Bound::Excluded(to));
        self.nodes.range::<String, _>(range)
    }

    /// Lists what is in a directory: names, and what they stand for.
    pub(super) fn children(&self, path: &str) -> impl Iterator<Item = (&str, &Node)> {
        let start = path.len() + 1;
        self.beneath(path).filter_map(move |(path, node)| {
            let name = path.get(start..)?;
            (!name.contains('/')).then_some((name, node))
        })
    }

    /// Returns the same tree with files of its own, which share the chunks.
    pub(super) fn fork(&self) -> Self {
        let budget = Arc::new(Budget {
            bytes: AtomicU64::new(0),
            next_inode: AtomicU64::new(self.budget.next_inode.load(Ordering::Relaxed)),
            ..Budget::new(self.budget.max_bytes, self.budget.max_files)
        });
        // A file of two names stays one.
        let mut copies = BTreeMap::new();
        let nodes = self.nodes.iter().map(|(path, node)| {
            let node = match node {
                Node::File(inode) => Node::File(
                    copies
                        .entry(inode.number)
                        .or_insert_with(|| {
                            let state = inode.state();
                            let weight = state.content.weight();
                            budget.bytes.fetch_add(weight, Ordering::Relaxed);
                            Arc::new(Inode {
                                number: inode.number,
                                budget: budget.clone(),
                                state: Mutex::new(state),
                            })
                        })
                        .clone(),
                ),
                directory => directory.clone(),
            };
            (path.clone(), node)
        });
        Self {
            nodes: nodes.collect(),
            roots: self.roots.clone(),
            budget: budget.clone(),
        }
    }
}

fn new_directory(budget: &Budget) -> Node {
    Node::Directory {
        inode: budget.inode(),
        times: FileTimes::now(),
    }
}
