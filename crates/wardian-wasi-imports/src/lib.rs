//! Every function of WASI preview 1, in the order of its definition: what the adversarial guest can
//! call, and what the suite has it call.
//!
//! A parameter is a kind of `i32` (`fd`, `pointer`, `length`, `flags`, `choice`) or of `i64`
//! (`wide`, `rights`). A function returns an errno, or never.

#![no_std]
#![forbid(unsafe_code)]

/// Hands the table of functions to the macro `$then`.
#[macro_export]
macro_rules! imports {
    ($then:ident) => {
        $then! {
            args_get(pointer, pointer)
            args_sizes_get(pointer, pointer)
            environ_get(pointer, pointer)
            environ_sizes_get(pointer, pointer)
            clock_res_get(choice, pointer)
            clock_time_get(choice, wide, pointer)
            fd_advise(fd, wide, wide, choice)
            fd_allocate(fd, wide, wide)
            fd_close(fd)
            fd_datasync(fd)
            fd_fdstat_get(fd, pointer)
            fd_fdstat_set_flags(fd, flags)
            fd_fdstat_set_rights(fd, rights, rights)
            fd_filestat_get(fd, pointer)
            fd_filestat_set_size(fd, wide)
            fd_filestat_set_times(fd, wide, wide, flags)
            fd_pread(fd, pointer, length, wide, pointer)
            fd_prestat_get(fd, pointer)
            fd_prestat_dir_name(fd, pointer, length)
            fd_pwrite(fd, pointer, length, wide, pointer)
            fd_read(fd, pointer, length, pointer)
            fd_readdir(fd, pointer, length, wide, pointer)
            fd_renumber(fd, fd)
            fd_seek(fd, wide, choice, pointer)
            fd_sync(fd)
            fd_tell(fd, pointer)
            fd_write(fd, pointer, length, pointer)
            path_create_directory(fd, pointer, length)
            path_filestat_get(fd, choice, pointer, length, pointer)
            path_filestat_set_times(fd, choice, pointer, length, wide, wide, flags)
            path_link(fd, choice, pointer, length, fd, pointer, length)
            path_open(fd, choice, pointer, length, flags, rights, rights, flags, pointer)
            path_readlink(fd, pointer, length, pointer, length, pointer)
            path_remove_directory(fd, pointer, length)
            path_rename(fd, pointer, length, fd, pointer, length)
            path_symlink(pointer, length, fd, pointer, length)
            path_unlink_file(fd, pointer, length)
            poll_oneoff(pointer, pointer, length, pointer)
            proc_raise(choice)
            sched_yield()
            random_get(pointer, length)
            sock_accept(fd, flags, pointer)
            sock_recv(fd, pointer, length, choice, pointer, pointer)
            sock_send(fd, pointer, length, choice, pointer)
            sock_shutdown(fd, choice)
            proc_exit(choice) -> !
        }
    };
}
