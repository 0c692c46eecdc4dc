//! The guard as the engine sees it.

use std::io::SeekFrom;

use rustix::io::Errno;
use wardian_engine::{Entry, FileAccess, Filesystem, Open, OpenOptions, Position, Stat, Times};
use wardian_policy::Access;

use super::error::{FileError, Result};
use super::{FileGuard, Handle};

impl Filesystem for FileGuard {
    type Error = FileError;

    fn kind(&self, fd: u32) -> Result<Open> {
        match self.open.table.get(&fd) {
            Some(Handle::Directory { .. }) => Ok(Open::Directory),
            Some(Handle::File(file)) => Ok(Open::File(FileAccess {
                read: file.access.contains(Access::READ),
                write: file.access.contains(Access::WRITE),
                append: file.append,
            })),
            None => Err(Errno::BADF.into()),
        }
    }

    fn close(&mut self, fd: u32) -> Result<()> {
        let closed = self.open.table.remove(&fd).map(drop);
        Ok(closed.ok_or(Errno::BADF)?)
    }

    fn position(&self, fd: u32) -> Result<u64> {
        let open = self.file(fd)?;
        open.file.seek(SeekFrom::Current(0)).map_err(FileError::Io)
    }

    async fn open(&mut self, dir: u32, path: &str, options: OpenOptions) -> Result<u32> {
        let target = self.target(dir, path)?;
        self.open_target(target, options).await
    }

    async fn read(&mut self, fd: u32, bytes: usize, position: Position) -> Result<Vec<u8>> {
        self.read_descriptor(fd, bytes, position).await
    }

    async fn write(&mut self, fd: u32, bytes: Vec<u8>, position: Position) -> Result<usize> {
        self.write_descriptor(fd, bytes, position).await
    }

    async fn seek(&mut self, fd: u32, to: SeekFrom) -> Result<u64> {
        self.seek_descriptor(fd, to).await
    }

    async fn set_size(&mut self, fd: u32, bytes: u64) -> Result<()> {
        self.set_size_of(fd, bytes).await
    }

    async fn sync(&mut self, fd: u32) -> Result<()> {
        self.sync_descriptor(fd).await
    }

    async fn list(&mut self, fd: u32, from: u64, bytes: usize) -> Result<Vec<Entry>> {
        self.list_descriptor(fd, from, bytes).await
    }

    async fn stat_open(&mut self, fd: u32) -> Result<Stat> {
        self.stat_descriptor(fd).await
    }

    async fn stat(&mut self, dir: u32, path: &str, follow: bool) -> Result<Stat> {
        let target = self.target(dir, path)?;
        self.stat_target(target, follow).await
    }

    async fn set_times_open(&mut self, fd: u32, times: Times) -> Result<()> {
        let path = self.path(fd)?;
        self.set_times_of(&path, times, true).await
    }

    async fn set_times(&mut self, dir: u32, path: &str, times: Times, follow: bool) -> Result<()> {
        let target = self.target(dir, path)?;
        self.set_times_of(&target.path, times, follow).await
    }

    async fn create_directory(&mut self, dir: u32, path: &str) -> Result<()> {
        let target = self.target(dir, path)?;
        self.create_directory_at(target).await
    }

    async fn remove_directory(&mut self, dir: u32, path: &str) -> Result<()> {
        let target = self.target(dir, path)?;
        self.remove_directory_at(target).await
    }

    async fn remove_file(&mut self, dir: u32, path: &str) -> Result<()> {
        let target = self.target(dir, path)?;
        self.remove_file_at(target).await
    }

    async fn rename(&mut self, from: (u32, &str), to: (u32, &str)) -> Result<()> {
        let [from, to] = [self.target(from.0, from.1)?, self.target(to.0, to.1)?];
        self.rename_target(from, to).await
    }

    async fn link(&mut self, from: (u32, &str), to: (u32, &str)) -> Result<()> {
        let [from, to] = [self.target(from.0, from.1)?, self.target(to.0, to.1)?];
        self.link_target(from, to).await
    }

    async fn symlink(&mut self, dir: u32, path: &str) -> Result<()> {
        let target = self.target(dir, path)?;
        self.symlink_at(target).await
    }

    async fn read_link(&mut self, dir: u32, path: &str) -> Result<String> {
        let target = self.target(dir, path)?;
        self.read_link_at(target).await
    }
}
