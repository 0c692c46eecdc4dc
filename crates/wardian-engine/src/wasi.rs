//! WASI preview 1, as the guest calls it: an adapter to the host's files, clocks and randomness,
//! and to wasmtime-wasi for standard streams and waiting.
//!
//! Long because the interface is: one function after the other, in its order, each of them thin.

use std::io::{self, SeekFrom};
use std::time::{Duration, SystemTime};

use rustix::io::Errno as Os;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p1::types::{
    self, Clockid, Errno, Error, Fdflags, Fdstat, Filesize, Filestat, Filetype, Fstflags,
    Lookupflags, Oflags, Rights, Size, Timestamp, Whence,
};
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1;
use wiggle::{GuestMemory, GuestPtr};

use crate::error::stop;
use crate::fuel::{Bill, price};
use crate::host::{
    Entropy, Entry, FileAccess, FileError, FileKind, Filesystem, Host, IO_BYTES, Open, OpenOptions,
    Position, ROOT, Stat, Times,
};

/// The most buffers that one call names, as on Linux.
const BUFFERS: u32 = 1024;

/// The longest path that is read, in bytes: twice what any path can have, so that the host's own
/// error is the one that is seen.
const PATH_BYTES: u32 = 8192;

/// The most random bytes that one system call returns.
const RANDOM_BYTES: u32 = 8 << 20;

/// The resolution that clocks report, in nanoseconds.
const CLOCK_RESOLUTION: Timestamp = 1;

type Result<T> = std::result::Result<T, Error>;

/// The system that a guest runs on.
pub(crate) struct Wasi<H> {
    /// Standard streams and waiting.
    inner: WasiP1Ctx,
    pub(crate) host: H,
    /// The price of the guest's calls so far.
    pub(crate) bill: Bill,
    /// The guest has begun to say that it can't go on without memory: Rust's last words before it
    /// aborts, which are no business of the script's.
    aborts: bool,
}

/// The start of Rust's last words when an allocation fails that can't be an error.
const LAST_WORDS: &[u8] = b"memory allocation of ";

/// Returns whether a descriptor is a standard stream. Those are not files.
fn is_stream(fd: types::Fd) -> bool {
    u32::from(fd) < ROOT
}

impl<H: Host> WasiSnapshotPreview1 for Wasi<H> {
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

    fn clock_res_get(&mut self, _memory: &mut GuestMemory<'_>, id: Clockid) -> Result<Timestamp> {
        self.charge(price::CALL)?;
        match id {
            Clockid::Realtime | Clockid::Monotonic => Ok(CLOCK_RESOLUTION),
            Clockid::ProcessCputimeId | Clockid::ThreadCputimeId => Err(Errno::Badf.into()),
        }
    }

    fn clock_time_get(
        &mut self,
        _memory: &mut GuestMemory<'_>,
        id: Clockid,
        _precision: Timestamp,
    ) -> Result<Timestamp> {
        self.charge(price::CALL)?;
        let entropy = self.host.entropy();
        let time = match id {
            Clockid::Realtime => {
                let since = entropy.now().duration_since(SystemTime::UNIX_EPOCH);
                since.map_err(|_| Errno::Overflow)?
            }
            Clockid::Monotonic => entropy.elapsed(),
            Clockid::ProcessCputimeId | Clockid::ThreadCputimeId => {
                return Err(Errno::Badf.into());
            }
        };
        Ok(Timestamp::try_from(time.as_nanos())?)
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
        self.file(fd).map(drop)
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
        self.files().close(fd.into()).map_err(failed)
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
        let (filetype, flags, rights) = match self.files().kind(fd.into()).map_err(failed)? {
            // What may really be done is decided when it is done.
            Open::Directory => {
                let rights = Rights::all() - Rights::FD_SEEK - Rights::FD_FILESTAT_SET_SIZE;
                (Filetype::Directory, Fdflags::empty(), rights)
            }
            Open::File(access) => {
                let mut rights = Rights::all() - Rights::FD_READDIR;
                rights.set(Rights::FD_READ, access.read);
                rights.set(Rights::FD_WRITE, access.write);
                let mut flags = Fdflags::empty();
                flags.set(Fdflags::APPEND, access.append);
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

    /// Settled when the file is opened: appending can't be switched on or off later.
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
        if flags.contains(Fdflags::APPEND) != self.file(fd)?.append {
            return Err(Errno::Notsup.into());
        }
        Ok(())
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
        let stat = self.files().stat_open(fd.into()).await.map_err(failed)?;
        Ok(filestat(stat))
    }

    async fn fd_filestat_set_size(
        &mut self,
        _memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        size: Filesize,
    ) -> Result<()> {
        self.pay(price::FILE).await?;
        let set = self.files().set_size(fd.into(), size).await;
        set.map_err(failed)
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
        let set = self.files().set_times_open(fd.into(), times).await;
        set.map_err(failed)
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
        self.read(memory, fd, buffers, Position::Current).await
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
        self.read(memory, fd, buffers, Position::At(offset)).await
    }

    async fn fd_write(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        buffers: types::CiovecArray,
    ) -> Result<Size> {
        self.pay(price::CALL).await?;
        if is_stream(fd) {
            if let Some(swallowed) = self.swallow_last_words(memory, fd, buffers)? {
                return Ok(swallowed);
            }
            let written = self.inner.fd_write(memory, fd, buffers).await?;
            self.pay(price::BYTE * u64::from(written)).await?;
            return Ok(written);
        }
        self.write(memory, fd, buffers, Position::Current).await
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
        self.write(memory, fd, buffers, Position::At(offset)).await
    }

    fn fd_prestat_get(
        &mut self,
        _memory: &mut GuestMemory<'_>,
        fd: types::Fd,
    ) -> Result<types::Prestat> {
        self.charge(price::CALL)?;
        self.check_preopened(fd)?;
        Ok(types::Prestat::Dir(types::PrestatDir { pr_name_len: 1 }))
    }

    fn fd_prestat_dir_name(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        path: GuestPtr<u8>,
        path_max_len: Size,
    ) -> Result<()> {
        self.charge(price::CALL)?;
        self.check_preopened(fd)?;
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
        self.file(fd)?;
        let to = match whence {
            Whence::Cur => SeekFrom::Current(offset),
            Whence::End => SeekFrom::End(offset),
            Whence::Set => SeekFrom::Start(u64::try_from(offset).map_err(|_| Errno::Inval)?),
        };
        self.files().seek(fd.into(), to).await.map_err(failed)
    }

    async fn fd_sync(&mut self, memory: &mut GuestMemory<'_>, fd: types::Fd) -> Result<()> {
        self.pay(price::FILE).await?;
        if is_stream(fd) {
            return self.inner.fd_sync(memory, fd).await;
        }
        self.files().sync(fd.into()).await.map_err(failed)
    }

    fn fd_tell(&mut self, memory: &mut GuestMemory<'_>, fd: types::Fd) -> Result<Filesize> {
        self.charge(price::CALL)?;
        if is_stream(fd) {
            return self.inner.fd_tell(memory, fd);
        }
        self.files().position(fd.into()).map_err(failed)
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
        let listed = self.files().list(fd.into(), cookie, bytes).await;
        let mut listing = Vec::with_capacity(bytes.min(64 << 10) + Entry::HEAD_BYTES);
        for (entry, next) in listed
            .map_err(failed)?
            .iter()
            .zip(cookie.saturating_add(1)..)
        {
            write_entry(entry, next, &mut listing);
        }
        // The last entry of a full buffer may be cut.
        listing.truncate(bytes);
        let len = Size::try_from(listing.len())?;
        memory.copy_from_slice(&listing, buffer.as_array(len))?;
        Ok(len)
    }

    async fn path_create_directory(
        &mut self,
        memory: &mut GuestMemory<'_>,
        dir: types::Fd,
        path: GuestPtr<str>,
    ) -> Result<()> {
        self.pay(price::FILE).await?;
        let path = self.path(memory, dir, path)?;
        let created = self.files().create_directory(dir.into(), &path).await;
        created.map_err(failed)
    }

    async fn path_filestat_get(
        &mut self,
        memory: &mut GuestMemory<'_>,
        dir: types::Fd,
        flags: Lookupflags,
        path: GuestPtr<str>,
    ) -> Result<Filestat> {
        self.pay(price::FILE).await?;
        let path = self.path(memory, dir, path)?;
        let follow = flags.contains(Lookupflags::SYMLINK_FOLLOW);
        let stat = self.files().stat(dir.into(), &path, follow).await;
        stat.map(filestat).map_err(failed)
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
        let path = self.path(memory, dir, path)?;
        let follow = flags.contains(Lookupflags::SYMLINK_FOLLOW);
        let set = self.files().set_times(dir.into(), &path, times, follow);
        set.await.map_err(failed)
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
        let from = self.path(memory, from_dir, from)?;
        let to = self.path(memory, to_dir, to)?;
        let (from, to) = ((from_dir.into(), &*from), (to_dir.into(), &*to));
        self.files().link(from, to).await.map_err(failed)
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
        let path = self.path(memory, dir, path)?;
        if flags.intersects(Fdflags::SYNC | Fdflags::DSYNC | Fdflags::RSYNC) {
            return Err(Errno::Notsup.into());
        }
        let write = rights.contains(Rights::FD_WRITE);
        let options = OpenOptions {
            read: rights.contains(Rights::FD_READ),
            write,
            append: flags.contains(Fdflags::APPEND) && write,
            create: oflags.contains(Oflags::CREAT),
            exclusive: oflags.contains(Oflags::EXCL),
            truncate: oflags.contains(Oflags::TRUNC),
            directory: oflags.contains(Oflags::DIRECTORY),
            follow: lookup.contains(Lookupflags::SYMLINK_FOLLOW),
        };
        let fd = self.files().open(dir.into(), &path, options).await;
        fd.map(Into::into).map_err(failed)
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
        let path = self.path(memory, dir, path)?;
        let link = self.files().read_link(dir.into(), &path).await;
        let link = link.map_err(failed)?;
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
        let path = self.path(memory, dir, path)?;
        let removed = self.files().remove_directory(dir.into(), &path).await;
        removed.map_err(failed)
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
        let from = self.path(memory, from_dir, from)?;
        let to = self.path(memory, to_dir, to)?;
        let (from, to) = ((from_dir.into(), &*from), (to_dir.into(), &*to));
        self.files().rename(from, to).await.map_err(failed)
    }

    async fn path_symlink(
        &mut self,
        memory: &mut GuestMemory<'_>,
        _target: GuestPtr<str>,
        dir: types::Fd,
        path: GuestPtr<str>,
    ) -> Result<()> {
        self.pay(price::FILE).await?;
        let path = self.path(memory, dir, path)?;
        let linked = self.files().symlink(dir.into(), &path).await;
        linked.map_err(failed)
    }

    async fn path_unlink_file(
        &mut self,
        memory: &mut GuestMemory<'_>,
        dir: types::Fd,
        path: GuestPtr<str>,
    ) -> Result<()> {
        self.pay(price::FILE).await?;
        let path = self.path(memory, dir, path)?;
        let removed = self.files().remove_file(dir.into(), &path).await;
        removed.map_err(failed)
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

    /// Charges nothing and lets nobody else have their turn: the guest gets `entropy.rs`, which
    /// does.
    fn random_get(
        &mut self,
        memory: &mut GuestMemory<'_>,
        buffer: GuestPtr<u8>,
        bytes: Size,
    ) -> Result<()> {
        if bytes > RANDOM_BYTES {
            let error = wasmtime::format_err!("{bytes} random bytes are too many");
            return Err(Error::trap(error));
        }
        let mut random = vec![0; bytes as usize];
        self.host.entropy().fill(&mut random).map_err(errno)?;
        memory.copy_from_slice(&random, buffer.as_array(bytes))?;
        Ok(())
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

impl<H: Host> Wasi<H> {
    pub(crate) fn new(inner: WasiP1Ctx, host: H, fuel: u64) -> Self {
        Self {
            inner,
            host,
            bill: Bill::new(fuel),
            aborts: false,
        }
    }

    fn files(&mut self) -> &mut H::Files {
        self.host.files()
    }

    /// Returns how a file was opened, if it is one.
    fn file(&mut self, fd: types::Fd) -> Result<FileAccess> {
        match self.files().kind(fd.into()).map_err(failed)? {
            Open::File(access) => Ok(access),
            Open::Directory => Err(Errno::Isdir.into()),
        }
    }

    fn check_preopened(&mut self, fd: types::Fd) -> Result<()> {
        let is_root = u32::from(fd) == ROOT && self.files().kind(ROOT).is_ok();
        is_root.then_some(()).ok_or(Errno::Badf.into())
    }

    /// Reads a path out of the guest, relative to one of its directories.
    fn path(
        &mut self,
        memory: &GuestMemory<'_>,
        dir: types::Fd,
        path: GuestPtr<str>,
    ) -> Result<String> {
        if self.files().kind(dir.into()).map_err(failed)? != Open::Directory {
            return Err(Errno::Notdir.into());
        }
        if path.len() > PATH_BYTES {
            return Err(Errno::Nametoolong.into());
        }
        Ok(memory.as_cow_str(path)?.into_owned())
    }

    /// Swallows what a guest writes to standard error while it aborts; returns how much that is.
    fn swallow_last_words(
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
            len = buffer.buf_len.checked_add(len).ok_or(Errno::Inval)?;
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
        position: Position,
    ) -> Result<Size> {
        if !self.file(fd)?.read {
            return Err(Errno::Badf.into());
        }
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
        let bytes = (buffer.len() as usize).min(IO_BYTES);
        let read = self.files().read(fd.into(), bytes, position).await;
        let mut read = read.map_err(failed)?;
        read.truncate(bytes);
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
        position: Position,
    ) -> Result<Size> {
        let file = self.file(fd)?;
        if !file.write {
            return Err(Errno::Badf.into());
        }
        let mut bytes = Vec::new();
        for buffer in bounded(buffers)?.iter() {
            let buffer = memory.read(buffer?)?;
            if buffer.buf_len > 0 {
                let piece = buffer.buf_len.min(IO_BYTES as u32);
                bytes = memory.to_vec(buffer.buf.as_array(piece))?;
                break;
            }
        }
        let position = if file.append { Position::End } else { position };
        let written = self.files().write(fd.into(), bytes, position).await;
        let written = written.map_err(failed)?;
        self.pay(price::FILE + price::BYTE * written as u64).await?;
        Ok(Size::try_from(written)?)
    }
}

/// Returns what stops a guest, if an error does.
pub(crate) fn trap(error: Error) -> wasmtime::Error {
    error
        .downcast()
        .map_or_else(|trap| trap, wasmtime::Error::new)
}

/// Returns the buffers of one call, if there are not too many.
fn bounded<T>(buffers: GuestPtr<[T]>) -> Result<GuestPtr<[T]>> {
    if buffers.len() > BUFFERS {
        return Err(Errno::Inval.into());
    }
    Ok(buffers)
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

fn filetype(kind: FileKind) -> Filetype {
    match kind {
        FileKind::File => Filetype::RegularFile,
        FileKind::Directory => Filetype::Directory,
        FileKind::Symlink => Filetype::SymbolicLink,
        FileKind::BlockDevice => Filetype::BlockDevice,
        FileKind::CharacterDevice => Filetype::CharacterDevice,
        FileKind::Other => Filetype::Unknown,
    }
}

fn filestat(stat: Stat) -> Filestat {
    Filestat {
        dev: stat.device,
        ino: stat.inode,
        filetype: filetype(stat.kind),
        nlink: stat.links,
        size: stat.bytes,
        atim: stat.accessed,
        mtim: stat.modified,
        ctim: stat.changed,
    }
}

/// Writes an entry behind `buffer`; `next` is the number of the entry after it.
fn write_entry(entry: &Entry, next: u64, buffer: &mut Vec<u8>) {
    let name_bytes = u32::try_from(entry.name.len()).unwrap_or(u32::MAX);
    buffer.extend(next.to_le_bytes());
    buffer.extend(entry.inode.to_le_bytes());
    buffer.extend(name_bytes.to_le_bytes());
    buffer.extend([filetype(entry.kind) as u8, 0, 0, 0]);
    buffer.extend(&entry.name);
}

fn failed(error: impl Into<FileError>) -> Error {
    match error.into() {
        FileError::Io(error) => errno(error).into(),
        FileError::Stop(cause) => Error::trap(stop(cause)),
    }
}

/// Returns the number of an error. No text of the host's goes to the guest.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn errno(error: io::Error) -> Errno {
    let Some(os) = Os::from_io_error(&error) else {
        return match error.kind() {
            io::ErrorKind::NotFound => Errno::Noent,
            io::ErrorKind::PermissionDenied => Errno::Acces,
            io::ErrorKind::AlreadyExists => Errno::Exist,
            io::ErrorKind::InvalidInput => Errno::Inval,
            _ => Errno::Io,
        };
    };
    match os {
        Os::ACCESS => Errno::Acces,
        Os::AGAIN => Errno::Again,
        Os::BADF => Errno::Badf,
        Os::BUSY => Errno::Busy,
        Os::DQUOT => Errno::Dquot,
        Os::EXIST => Errno::Exist,
        Os::FBIG => Errno::Fbig,
        Os::ILSEQ => Errno::Ilseq,
        Os::INTR => Errno::Intr,
        Os::INVAL => Errno::Inval,
        Os::ISDIR => Errno::Isdir,
        Os::LOOP => Errno::Loop,
        Os::MFILE | Os::NFILE => Errno::Mfile,
        Os::MLINK => Errno::Mlink,
        Os::NAMETOOLONG => Errno::Nametoolong,
        Os::NOENT => Errno::Noent,
        Os::NOMEM => Errno::Nomem,
        Os::NOSPC => Errno::Nospc,
        Os::NOTDIR => Errno::Notdir,
        Os::NOTEMPTY => Errno::Notempty,
        Os::NOTSUP => Errno::Notsup,
        Os::NXIO => Errno::Nxio,
        Os::OVERFLOW => Errno::Overflow,
        Os::PERM => Errno::Perm,
        Os::ROFS => Errno::Rofs,
        Os::SPIPE => Errno::Spipe,
        Os::TXTBSY => Errno::Txtbsy,
        Os::XDEV => Errno::Xdev,
        _ => Errno::Io,
    }
}
