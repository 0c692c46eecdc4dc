//! WASI preview 1, as the guest calls it: files go to the guard, everything else to
//! wasmtime-wasi.
//!
//! Long because the interface is: one function after the other, in its order, each of them thin.

use std::io::SeekFrom;
use std::time::{Duration, SystemTime};

use cap_std::fs::Metadata;
use wardian_abi::{Malformed, export};
use wardian_policy::{Access, Action};
use wasmtime::{Caller, Extern};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p1::types::{
    self, Errno, Error, Fdflags, Fdstat, Filesize, Filestat, Filetype, Fstflags, Lookupflags,
    Oflags, Rights, Size, Timestamp, Whence,
};
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1;
use wiggle::{GuestMemory, GuestPtr};

use super::operation::{self, IO_BYTES, Place, Times};
use super::{Asked, FileGuard, Open, ROOT, Result, blocking, stat};
use crate::FileOperation;
use crate::fuel::{Bill, price};
use crate::guest::RunState;

/// The most buffers that one call names, as on Linux.
const BUFFERS: u32 = 1024;

/// The system that a guest runs on.
pub(crate) struct Wasi {
    /// Clocks, randomness, standard streams, waiting.
    pub(crate) inner: WasiP1Ctx,
    pub(crate) files: FileGuard,
    /// What the guest's calls have cost.
    pub(crate) bill: Bill,
    /// The guest has begun to say that it can't go on without memory: Rust's last words before it aborts, which are no
    /// business of the script's.
    pub(crate) aborts: bool,
}

/// What Rust's last words start with when an allocation fails that can't be an error.
const LAST_WORDS: &[u8] = b"memory allocation of ";

/// Is it a standard stream? Those are not files.
fn is_stream(fd: types::Fd) -> bool {
    u32::from(fd) < ROOT
}

impl WasiSnapshotPreview1 for Wasi {
    fn set_hostcall_fuel(&mut self, fuel: usize) {
        self.inner.set_hostcall_fuel(fuel);
    }

    fn args_get(
        &mut self,
        memory: &mut GuestMemory<'_>,
        argv: GuestPtr<GuestPtr<u8>>,
        argv_buf: GuestPtr<u8>,
    ) -> Result<()> {
        self.charge(price::CALL)?;
        self.inner.args_get(memory, argv, argv_buf)
    }

    fn args_sizes_get(&mut self, memory: &mut GuestMemory<'_>) -> Result<(Size, Size)> {
        self.charge(price::CALL)?;
        self.inner.args_sizes_get(memory)
    }

    fn environ_get(
        &mut self,
        memory: &mut GuestMemory<'_>,
        environ: GuestPtr<GuestPtr<u8>>,
        environ_buf: GuestPtr<u8>,
    ) -> Result<()> {
        self.charge(price::CALL)?;
        self.inner.environ_get(memory, environ, environ_buf)
    }

    fn environ_sizes_get(&mut self, memory: &mut GuestMemory<'_>) -> Result<(Size, Size)> {
        self.charge(price::CALL)?;
        self.inner.environ_sizes_get(memory)
    }

    fn clock_res_get(
        &mut self,
        memory: &mut GuestMemory<'_>,
        id: types::Clockid,
    ) -> Result<Timestamp> {
        self.charge(price::CALL)?;
        self.inner.clock_res_get(memory, id)
    }

    fn clock_time_get(
        &mut self,
        memory: &mut GuestMemory<'_>,
        id: types::Clockid,
        precision: Timestamp,
    ) -> Result<Timestamp> {
        self.charge(price::CALL)?;
        self.inner.clock_time_get(memory, id, precision)
    }

    /// A hint, which nobody has to follow.
    async fn fd_advise(
        &mut self,
        _memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        _offset: Filesize,
        _len: Filesize,
        _advice: types::Advice,
    ) -> Result<()> {
        self.pay(price::CALL).await?;
        self.files.file(fd.into()).map(|_| ())
    }

    fn fd_allocate(
        &mut self,
        _memory: &mut GuestMemory<'_>,
        _fd: types::Fd,
        _offset: Filesize,
        _len: Filesize,
    ) -> Result<()> {
        self.charge(price::CALL)?;
        Err(Errno::Notsup.into())
    }

    async fn fd_close(&mut self, memory: &mut GuestMemory<'_>, fd: types::Fd) -> Result<()> {
        self.pay(price::CALL).await?;
        if is_stream(fd) {
            return self.inner.fd_close(memory, fd).await;
        }
        match self.files.open.remove(&fd.into()) {
            Some(_) => Ok(()),
            None => Err(Errno::Badf.into()),
        }
    }

    async fn fd_datasync(&mut self, memory: &mut GuestMemory<'_>, fd: types::Fd) -> Result<()> {
        self.pay(price::CALL).await?;
        self.fd_sync(memory, fd).await
    }

    async fn fd_fdstat_get(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
    ) -> Result<Fdstat> {
        self.pay(price::CALL).await?;
        if is_stream(fd) {
            return self.inner.fd_fdstat_get(memory, fd).await;
        }
        let (filetype, flags, rights) = match self.files.open.get(&fd.into()) {
            None => return Err(Errno::Badf.into()),
            // What may really be done is decided when it is done.
            Some(Open::Directory { .. }) => {
                let rights = Rights::all() - Rights::FD_SEEK - Rights::FD_FILESTAT_SET_SIZE;
                (Filetype::Directory, Fdflags::empty(), rights)
            }
            Some(Open::File(file)) => {
                let mut rights = Rights::all() - Rights::FD_READDIR;
                rights.set(Rights::FD_READ, file.access.contains(Access::READ));
                rights.set(Rights::FD_WRITE, file.access.contains(Access::WRITE));
                let mut flags = Fdflags::empty();
                flags.set(Fdflags::APPEND, file.append);
                (Filetype::RegularFile, flags, rights)
            }
        };
        Ok(Fdstat {
            fs_filetype: filetype,
            fs_flags: flags,
            fs_rights_base: rights,
            fs_rights_inheriting: Rights::all(),
        })
    }

    /// Whether a file is appended to is settled when it is opened.
    fn fd_fdstat_set_flags(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        flags: Fdflags,
    ) -> Result<()> {
        self.charge(price::CALL)?;
        if is_stream(fd) {
            return self.inner.fd_fdstat_set_flags(memory, fd, flags);
        }
        let file = self.files.file(fd.into())?;
        match flags.contains(Fdflags::APPEND) == file.append {
            true => Ok(()),
            false => Err(Errno::Notsup.into()),
        }
    }

    fn fd_fdstat_set_rights(
        &mut self,
        _memory: &mut GuestMemory<'_>,
        _fd: types::Fd,
        _base: Rights,
        _inheriting: Rights,
    ) -> Result<()> {
        self.charge(price::CALL)?;
        Err(Errno::Notsup.into())
    }

    async fn fd_filestat_get(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
    ) -> Result<Filestat> {
        self.pay(price::FILE).await?;
        if is_stream(fd) {
            return self.inner.fd_filestat_get(memory, fd).await;
        }
        if let Some(Open::Directory { path, .. }) = self.files.open.get(&fd.into()) {
            let asked = Asked {
                path: path.clone(),
                directory: true,
            };
            return self.files.stat(asked, Lookupflags::SYMLINK_FOLLOW).await;
        }
        let open = self.files.file(fd.into())?;
        let file = open.clone();
        let found = blocking(move || Metadata::from_file(&file.file)).await?;
        let found = self
            .files
            .done(FileOperation::Stat, &open.path, found)
            .await?;
        Ok(stat::filestat(&found, open.device))
    }

    async fn fd_filestat_set_size(
        &mut self,
        _memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        size: Filesize,
    ) -> Result<()> {
        self.pay(price::FILE).await?;
        let open = self.files.file_for(fd.into(), Access::WRITE)?;
        let (file, room) = (open.clone(), self.files.room());
        let set = blocking(move || operation::set_size(&file.file, size, &room)).await?;
        self.files.done(FileOperation::Write, &open.path, set).await
    }

    async fn fd_filestat_set_times(
        &mut self,
        _memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        atim: Timestamp,
        mtim: Timestamp,
        flags: Fstflags,
    ) -> Result<()> {
        self.pay(price::FILE).await?;
        let times = times(atim, mtim, flags)?;
        let path = self.files.path(fd.into())?;
        self.files.set_times(&path, times, true).await
    }

    async fn fd_read(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        buffers: types::IovecArray,
    ) -> Result<Size> {
        self.pay(price::CALL).await?;
        if is_stream(fd) {
            return self.inner.fd_read(memory, fd, buffers).await;
        }
        self.read(memory, fd, buffers, Place::Current).await
    }

    async fn fd_pread(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        buffers: types::IovecArray,
        offset: Filesize,
    ) -> Result<Size> {
        self.pay(price::CALL).await?;
        if is_stream(fd) {
            return Err(Errno::Spipe.into());
        }
        self.read(memory, fd, buffers, Place::At(offset)).await
    }

    async fn fd_write(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        buffers: types::CiovecArray,
    ) -> Result<Size> {
        self.pay(price::CALL).await?;
        if is_stream(fd) {
            if let Some(swallowed) = self.last_words(memory, fd, buffers)? {
                return Ok(swallowed);
            }
            let written = self.inner.fd_write(memory, fd, buffers).await?;
            self.pay(price::BYTE * u64::from(written)).await?;
            return Ok(written);
        }
        self.write(memory, fd, buffers, Place::Current).await
    }

    async fn fd_pwrite(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        buffers: types::CiovecArray,
        offset: Filesize,
    ) -> Result<Size> {
        self.pay(price::CALL).await?;
        if is_stream(fd) {
            return Err(Errno::Spipe.into());
        }
        self.write(memory, fd, buffers, Place::At(offset)).await
    }

    fn fd_prestat_get(
        &mut self,
        _memory: &mut GuestMemory<'_>,
        fd: types::Fd,
    ) -> Result<types::Prestat> {
        self.charge(price::CALL)?;
        match self.files.is_preopened(fd) {
            true => Ok(types::Prestat::Dir(types::PrestatDir { pr_name_len: 1 })),
            false => Err(Errno::Badf.into()),
        }
    }

    fn fd_prestat_dir_name(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        path: GuestPtr<u8>,
        path_max_len: Size,
    ) -> Result<()> {
        self.charge(price::CALL)?;
        if !self.files.is_preopened(fd) {
            return Err(Errno::Badf.into());
        }
        if path_max_len < 1 {
            return Err(Errno::Nametoolong.into());
        }
        memory.write(path, b'/')?;
        Ok(())
    }

    async fn fd_renumber(
        &mut self,
        _memory: &mut GuestMemory<'_>,
        _from: types::Fd,
        _to: types::Fd,
    ) -> Result<()> {
        self.pay(price::CALL).await?;
        Err(Errno::Notsup.into())
    }

    async fn fd_seek(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        offset: types::Filedelta,
        whence: Whence,
    ) -> Result<Filesize> {
        self.pay(price::CALL).await?;
        if is_stream(fd) {
            return self.inner.fd_seek(memory, fd, offset, whence).await;
        }
        let open = self.files.file(fd.into())?;
        let to = match whence {
            Whence::Cur => SeekFrom::Current(offset),
            Whence::End => SeekFrom::End(offset),
            Whence::Set => SeekFrom::Start(u64::try_from(offset).map_err(|_| Errno::Inval)?),
        };
        // Waits for nothing.
        let position = operation::seek(&open.file, to);
        self.files
            .done(FileOperation::Stat, &open.path, position)
            .await
    }

    async fn fd_sync(&mut self, memory: &mut GuestMemory<'_>, fd: types::Fd) -> Result<()> {
        self.pay(price::FILE).await?;
        if is_stream(fd) {
            return self.inner.fd_sync(memory, fd).await;
        }
        let open = self.files.file(fd.into())?;
        let file = open.clone();
        let synced = blocking(move || file.file.sync_all()).await?;
        self.files
            .done(FileOperation::Write, &open.path, synced)
            .await
    }

    fn fd_tell(&mut self, memory: &mut GuestMemory<'_>, fd: types::Fd) -> Result<Filesize> {
        self.charge(price::CALL)?;
        if is_stream(fd) {
            return self.inner.fd_tell(memory, fd);
        }
        let open = self.files.file(fd.into())?;
        let position = operation::seek(&open.file, SeekFrom::Current(0));
        position.map_err(|error| stat::errno(&error).into())
    }

    async fn fd_readdir(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        buffer: GuestPtr<u8>,
        buffer_bytes: Size,
        cookie: types::Dircookie,
    ) -> Result<Size> {
        self.pay(price::FILE).await?;
        let bytes = (buffer_bytes as usize).min(IO_BYTES);
        let (path, listing) = match self.files.open.get_mut(&fd.into()) {
            None => return Err(Errno::Badf.into()),
            Some(Open::File(_)) => return Err(Errno::Notdir.into()),
            Some(Open::Directory { path, listing }) => (path.clone(), listing.take()),
        };
        let listing = listing.filter(|listing| listing.can_reach(cookie));
        let mut listing = match listing {
            Some(listing) => listing,
            None => self.files.list(&path).await?,
        };
        let read = blocking(move || {
            let read = listing.read(cookie, bytes);
            (listing, read)
        });
        let (listing, read) = read.await?;
        if let Some(Open::Directory { listing: slot, .. }) = self.files.open.get_mut(&fd.into()) {
            *slot = Some(listing);
        }
        let read = self.files.done(FileOperation::Read, &path, read).await?;
        let len = Size::try_from(read.len())?;
        memory.copy_from_slice(&read, buffer.as_array(len))?;
        Ok(len)
    }

    async fn path_create_directory(
        &mut self,
        memory: &mut GuestMemory<'_>,
        dir: types::Fd,
        path: GuestPtr<str>,
    ) -> Result<()> {
        self.pay(price::FILE).await?;
        let Asked { path, .. } = self.files.asked(memory, dir.into(), path)?;
        if self.files.grants.leading_from(&path).is_some() {
            return Err(Errno::Exist.into());
        }
        let operation = FileOperation::MakeDirectory;
        let target = self
            .files
            .permit(operation, &path, &[Action::WriteFile])
            .await?;
        let created = self.files.session.quota.created.clone();
        let make = move || operation::make_directory(&target.dir, &target.path);
        let made = blocking(move || operation::counted(&created, make)).await?;
        self.files.done(operation, &path, made).await
    }

    async fn path_filestat_get(
        &mut self,
        memory: &mut GuestMemory<'_>,
        dir: types::Fd,
        flags: Lookupflags,
        path: GuestPtr<str>,
    ) -> Result<Filestat> {
        self.pay(price::FILE).await?;
        let asked = self.files.asked(memory, dir.into(), path)?;
        self.files.stat(asked, flags).await
    }

    async fn path_filestat_set_times(
        &mut self,
        memory: &mut GuestMemory<'_>,
        dir: types::Fd,
        flags: Lookupflags,
        path: GuestPtr<str>,
        atim: Timestamp,
        mtim: Timestamp,
        time_flags: Fstflags,
    ) -> Result<()> {
        self.pay(price::FILE).await?;
        let times = times(atim, mtim, time_flags)?;
        let Asked { path, .. } = self.files.asked(memory, dir.into(), path)?;
        let follow = flags.contains(Lookupflags::SYMLINK_FOLLOW);
        self.files.set_times(&path, times, follow).await
    }

    async fn path_link(
        &mut self,
        memory: &mut GuestMemory<'_>,
        from_dir: types::Fd,
        _flags: Lookupflags,
        from: GuestPtr<str>,
        to_dir: types::Fd,
        to: GuestPtr<str>,
    ) -> Result<()> {
        self.pay(price::FILE).await?;
        let from = self.files.asked(memory, from_dir.into(), from)?;
        let to = self.files.asked(memory, to_dir.into(), to)?;
        let operation = FileOperation::Link;
        let [source, target] = self
            .files
            .permit_two(operation, &from.path, &to.path)
            .await?;
        let created = self.files.session.quota.created.clone();
        let link = move || operation::link(&source.dir, &source.path, &target.path);
        let linked = blocking(move || operation::counted(&created, link)).await?;
        self.files.done(operation, &from.path, linked).await
    }

    async fn path_open(
        &mut self,
        memory: &mut GuestMemory<'_>,
        dir: types::Fd,
        lookup: Lookupflags,
        path: GuestPtr<str>,
        oflags: Oflags,
        rights: Rights,
        _inheriting: Rights,
        flags: Fdflags,
    ) -> Result<types::Fd> {
        self.pay(price::FILE).await?;
        let asked = self.files.asked(memory, dir.into(), path)?;
        if flags.intersects(Fdflags::SYNC | Fdflags::DSYNC | Fdflags::RSYNC) {
            return Err(Errno::Notsup.into());
        }
        let fd = self
            .files
            .open(asked, lookup, oflags, rights, flags)
            .await?;
        Ok(fd.into())
    }

    async fn path_readlink(
        &mut self,
        memory: &mut GuestMemory<'_>,
        dir: types::Fd,
        path: GuestPtr<str>,
        buffer: GuestPtr<u8>,
        buffer_bytes: Size,
    ) -> Result<Size> {
        self.pay(price::FILE).await?;
        let Asked { path, .. } = self.files.asked(memory, dir.into(), path)?;
        let link = self.files.read_link(&path).await?;
        let cut = link.len().min(buffer_bytes as usize);
        let link = link.as_bytes().get(..cut).unwrap_or_default();
        let len = Size::try_from(link.len())?;
        memory.copy_from_slice(link, buffer.as_array(len))?;
        Ok(len)
    }

    async fn path_remove_directory(
        &mut self,
        memory: &mut GuestMemory<'_>,
        dir: types::Fd,
        path: GuestPtr<str>,
    ) -> Result<()> {
        self.pay(price::FILE).await?;
        let Asked { path, .. } = self.files.asked(memory, dir.into(), path)?;
        let operation = FileOperation::Remove;
        let target = self
            .files
            .permit(operation, &path, &[Action::WriteFile])
            .await?;
        if target.is_root() {
            return Err(Errno::Busy.into());
        }
        let removed =
            blocking(move || operation::remove_directory(&target.dir, &target.path)).await?;
        self.files.done(operation, &path, removed).await
    }

    async fn path_rename(
        &mut self,
        memory: &mut GuestMemory<'_>,
        from_dir: types::Fd,
        from: GuestPtr<str>,
        to_dir: types::Fd,
        to: GuestPtr<str>,
    ) -> Result<()> {
        self.pay(price::FILE).await?;
        let from = self.files.asked(memory, from_dir.into(), from)?;
        let to = self.files.asked(memory, to_dir.into(), to)?;
        let operation = FileOperation::Rename;
        let [source, target] = self
            .files
            .permit_two(operation, &from.path, &to.path)
            .await?;
        let directory = from.directory || to.directory;
        let renamed =
            blocking(move || operation::rename(&source.dir, &source.path, &target.path, directory));
        let renamed = renamed.await?;
        self.files.done(operation, &from.path, renamed).await
    }

    /// Refused: with links that lead anywhere, every later path would have to be doubted.
    async fn path_symlink(
        &mut self,
        memory: &mut GuestMemory<'_>,
        _target: GuestPtr<str>,
        dir: types::Fd,
        path: GuestPtr<str>,
    ) -> Result<()> {
        self.pay(price::FILE).await?;
        let Asked { path, .. } = self.files.asked(memory, dir.into(), path)?;
        let reason = "scripts create no symbolic links";
        self.files
            .session
            .never(FileOperation::Symlink, &path, reason)
            .await?;
        Err(Errno::Acces.into())
    }

    async fn path_unlink_file(
        &mut self,
        memory: &mut GuestMemory<'_>,
        dir: types::Fd,
        path: GuestPtr<str>,
    ) -> Result<()> {
        self.pay(price::FILE).await?;
        let Asked { path, directory } = self.files.asked(memory, dir.into(), path)?;
        let operation = FileOperation::Remove;
        let target = self
            .files
            .permit(operation, &path, &[Action::WriteFile])
            .await?;
        if target.is_root() {
            return Err(Errno::Isdir.into());
        }
        let removed =
            blocking(move || operation::remove_file(&target.dir, &target.path, directory)).await?;
        self.files.done(operation, &path, removed).await
    }

    async fn poll_oneoff(
        &mut self,
        memory: &mut GuestMemory<'_>,
        subscriptions: GuestPtr<types::Subscription>,
        events: GuestPtr<types::Event>,
        count: Size,
    ) -> Result<Size> {
        self.pay(price::CALL).await?;
        self.inner
            .poll_oneoff(memory, subscriptions, events, count)
            .await
    }

    fn proc_exit(
        &mut self,
        memory: &mut GuestMemory<'_>,
        status: types::Exitcode,
    ) -> wasmtime::Error {
        self.inner.proc_exit(memory, status)
    }

    fn proc_raise(&mut self, memory: &mut GuestMemory<'_>, signal: types::Signal) -> Result<()> {
        self.inner.proc_raise(memory, signal)
    }

    fn sched_yield(&mut self, memory: &mut GuestMemory<'_>) -> Result<()> {
        self.charge(price::CALL)?;
        self.inner.sched_yield(memory)
    }

    fn random_get(
        &mut self,
        memory: &mut GuestMemory<'_>,
        buffer: GuestPtr<u8>,
        bytes: Size,
    ) -> Result<()> {
        self.inner.random_get(memory, buffer, bytes)
    }

    fn sock_accept(
        &mut self,
        _memory: &mut GuestMemory<'_>,
        _fd: types::Fd,
        _flags: Fdflags,
    ) -> Result<types::Fd> {
        self.charge(price::CALL)?;
        Err(Errno::Notsup.into())
    }

    fn sock_recv(
        &mut self,
        _memory: &mut GuestMemory<'_>,
        _fd: types::Fd,
        _buffers: types::IovecArray,
        _flags: types::Riflags,
    ) -> Result<(Size, types::Roflags)> {
        self.charge(price::CALL)?;
        Err(Errno::Notsup.into())
    }

    fn sock_send(
        &mut self,
        _memory: &mut GuestMemory<'_>,
        _fd: types::Fd,
        _buffers: types::CiovecArray,
        _flags: types::Siflags,
    ) -> Result<Size> {
        self.charge(price::CALL)?;
        Err(Errno::Notsup.into())
    }

    fn sock_shutdown(
        &mut self,
        _memory: &mut GuestMemory<'_>,
        _fd: types::Fd,
        _how: types::Sdflags,
    ) -> Result<()> {
        self.charge(price::CALL)?;
        Err(Errno::Notsup.into())
    }
}

impl Wasi {
    /// Swallows what a guest writes to standard error while it aborts; returns how much that is.
    fn last_words(
        &mut self,
        memory: &GuestMemory<'_>,
        fd: types::Fd,
        buffers: types::CiovecArray,
    ) -> Result<Option<Size>> {
        const STDERR: u32 = 2;
        if u32::from(fd) != STDERR {
            return Ok(None);
        }
        let (mut len, mut first) = (0, None);
        for buffer in bounded(buffers)?.iter() {
            let buffer = memory.read(buffer?)?;
            len += buffer.buf_len;
            if buffer.buf_len > 0 && first.is_none() {
                first = Some(buffer);
            }
        }
        if let Some(first) = first.filter(|_| !self.aborts)
            && first.buf_len as usize >= LAST_WORDS.len()
        {
            let start = first.buf.as_array(LAST_WORDS.len() as u32);
            self.aborts = memory.to_vec(start)? == LAST_WORDS;
        }
        Ok(self.aborts.then_some(len))
    }

    fn charge(&mut self, price: u64) -> Result<bool> {
        self.bill.add(price).map_err(Error::trap)
    }

    /// Charges for a call. Others have their turn where that has become much.
    pub(crate) async fn pay(&mut self, price: u64) -> Result<()> {
        if self.charge(price)? {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn read(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        buffers: types::IovecArray,
        place: Place,
    ) -> Result<Size> {
        let open = self.files.file_for(fd.into(), Access::READ)?;
        let mut buffer = None;
        for candidate in bounded(buffers)?.iter() {
            let candidate = memory.read(candidate?)?;
            if candidate.buf_len > 0 {
                buffer = Some(candidate.buf.as_array(candidate.buf_len));
                break;
            }
        }
        let Some(buffer) = buffer else { return Ok(0) };
        // Before the file's position moves.
        memory.as_slice_mut(buffer)?;
        let (file, bytes) = (open.clone(), buffer.len() as usize);
        let read = match operation::read_at_hand(&file.file, bytes, place) {
            Some(read) => read,
            None => {
                let read = blocking(move || operation::read(&file.file, bytes, place)).await?;
                self.files
                    .done(FileOperation::Read, &open.path, read)
                    .await?
            }
        };
        let len = Size::try_from(read.len())?;
        memory.copy_from_slice(&read, buffer.as_ptr().as_array(len))?;
        self.pay(price::FILE + price::BYTE * u64::from(len)).await?;
        Ok(len)
    }

    async fn write(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        buffers: types::CiovecArray,
        place: Place,
    ) -> Result<Size> {
        let open = self.files.file_for(fd.into(), Access::WRITE)?;
        let mut bytes = Vec::new();
        for buffer in bounded(buffers)?.iter() {
            let buffer = memory.read(buffer?)?;
            if buffer.buf_len > 0 {
                let piece = buffer.buf_len.min(IO_BYTES as u32);
                bytes = memory.to_vec(buffer.buf.as_array(piece))?;
                break;
            }
        }
        let (file, room) = (open.clone(), self.files.room());
        let place = if open.append { Place::End } else { place };
        let written = blocking(move || operation::write(&file.file, &bytes, place, &room)).await?;
        let written = self
            .files
            .done(FileOperation::Write, &open.path, written)
            .await?;
        self.pay(price::FILE + price::BYTE * written as u64).await?;
        Ok(Size::try_from(written)?)
    }
}

/// What stops a guest, if an error does.
pub(crate) fn trap(error: Error) -> wasmtime::Error {
    error
        .downcast()
        .map_or_else(|trap| trap, wasmtime::Error::new)
}

/// The module from which WASI's functions are imported.
pub(crate) const WASI_MODULE: &str = "wasi_snapshot_preview1";

/// `random_get`, which lets other runs have their turn.
pub(crate) fn random_get(
    mut caller: Caller<'_, RunState>,
    (buffer, bytes): (u32, u32),
) -> Box<dyn Future<Output = wasmtime::Result<u32>> + Send + '_> {
    Box::new(async move {
        let Some(Extern::Memory(memory)) = caller.get_export(export::MEMORY) else {
            return Err(wasmtime::Error::new(Malformed));
        };
        let (memory, state) = memory.data_and_store_mut(&mut caller);
        let wasi = state.wasi();
        let price = price::CALL + price::RANDOM_BYTE * u64::from(bytes);
        let got = match wasi.pay(price).await {
            Ok(()) => {
                let mut memory = GuestMemory::Unshared(memory);
                wasi.inner
                    .random_get(&mut memory, GuestPtr::new(buffer), bytes)
            }
            Err(error) => Err(error),
        };
        let errno = got.map_or_else(Error::downcast, |()| Ok(Errno::Success))?;
        Ok(errno as u32)
    })
}

/// The buffers of one call, if there are not too many.
fn bounded<T>(buffers: GuestPtr<[T]>) -> Result<GuestPtr<[T]>> {
    match buffers.len() > BUFFERS {
        true => Err(Errno::Inval.into()),
        false => Ok(buffers),
    }
}

fn times(atim: Timestamp, mtim: Timestamp, flags: Fstflags) -> Result<Times> {
    let time = |set, now, nanos| match (flags.contains(set), flags.contains(now)) {
        (true, true) => Err(Error::from(Errno::Inval)),
        (true, false) => SystemTime::UNIX_EPOCH
            .checked_add(Duration::from_nanos(nanos))
            .map(Some)
            .ok_or(Errno::Overflow.into()),
        (false, true) => Ok(Some(SystemTime::now())),
        (false, false) => Ok(None),
    };
    Ok([
        time(Fstflags::ATIM, Fstflags::ATIM_NOW, atim)?,
        time(Fstflags::MTIM, Fstflags::MTIM_NOW, mtim)?,
    ])
}
