//! The calls of a module: `wasi_snapshot_preview1`, and a few of our own in the module `sbx`.
//!
//! They are written here rather than taken from a library because the tree is no directory of the host: a path is
//! resolved by us, whole, and a call costs neither a task nor a system call unless the host's file is read.

mod descriptor;
mod host;
mod path;
mod poll;
mod process;
pub(super) mod types;

use super::guest::{Fault, Guest, answer, enter};
use super::job::Exit;
use rustix::io::Errno;
use wasmtime::{Caller, Linker};

const WASI: &str = "wasi_snapshot_preview1";
const OWN: &str = "sbx";

/// Links functions that answer with an error's number.
macro_rules! calls {
    ($linker:ident, $module:ident: $($name:literal = $function:path, ($($arg:ident: $type:ty),*);)*) => {
        $($linker.func_wrap($module, $name, |mut caller: Caller<'_, Guest>, $($arg: $type),*| {
            let done = enter(&mut caller).and_then(|(mut bytes, guest)| $function(guest, &mut bytes, $($arg),*));
            answer(&mut caller, done)
        })?;)*
    };
}

/// Gives a module all that it may import.
pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    calls! { linker, WASI:
        "args_get" = process::args_get, (a: u32, b: u32);
        "args_sizes_get" = process::args_sizes_get, (a: u32, b: u32);
        "environ_get" = process::environ_get, (a: u32, b: u32);
        "environ_sizes_get" = process::environ_sizes_get, (a: u32, b: u32);
        "clock_res_get" = process::clock_res_get, (a: u32, b: u32);
        "clock_time_get" = process::clock_time_get, (a: u32, b: u64, c: u32);
        "random_get" = process::random_get, (a: u32, b: u32);
        "proc_raise" = process::proc_raise, (a: u32);
        "sched_yield" = process::sched_yield, ();
        "fd_advise" = descriptor::fd_advise, (a: u32, b: u64, c: u64, d: u32);
        "fd_allocate" = descriptor::fd_allocate, (a: u32, b: u64, c: u64);
        "fd_close" = descriptor::fd_close, (a: u32);
        "fd_datasync" = descriptor::fd_sync, (a: u32);
        "fd_fdstat_get" = descriptor::fd_fdstat_get, (a: u32, b: u32);
        "fd_fdstat_set_flags" = descriptor::fd_fdstat_set_flags, (a: u32, b: u32);
        "fd_fdstat_set_rights" = descriptor::fd_fdstat_set_rights, (a: u32, b: u64, c: u64);
        "fd_filestat_get" = descriptor::fd_filestat_get, (a: u32, b: u32);
        "fd_filestat_set_size" = descriptor::fd_filestat_set_size, (a: u32, b: u64);
        "fd_filestat_set_times" = descriptor::fd_filestat_set_times, (a: u32, b: u64, c: u64, d: u32);
        "fd_pread" = descriptor::fd_pread, (a: u32, b: u32, c: u32, d: u64, e: u32);
        "fd_prestat_get" = descriptor::fd_prestat_get, (a: u32, b: u32);
        "fd_prestat_dir_name" = descriptor::fd_prestat_dir_name, (a: u32, b: u32, c: u32);
        "fd_pwrite" = descriptor::fd_pwrite, (a: u32, b: u32, c: u32, d: u64, e: u32);
        "fd_read" = descriptor::fd_read, (a: u32, b: u32, c: u32, d: u32);
        "fd_readdir" = descriptor::fd_readdir, (a: u32, b: u32, c: u32, d: u64, e: u32);
        "fd_renumber" = descriptor::fd_renumber, (a: u32, b: u32);
        "fd_seek" = descriptor::fd_seek, (a: u32, b: i64, c: u32, d: u32);
        "fd_sync" = descriptor::fd_sync, (a: u32);
        "fd_tell" = descriptor::fd_tell, (a: u32, b: u32);
        "fd_write" = descriptor::fd_write, (a: u32, b: u32, c: u32, d: u32);
        "path_create_directory" = path::path_create_directory, (a: u32, b: u32, c: u32);
        "path_filestat_get" = path::path_filestat_get, (a: u32, b: u32, c: u32, d: u32, e: u32);
        "path_filestat_set_times" = path::path_filestat_set_times,
            (a: u32, b: u32, c: u32, d: u32, e: u64, f: u64, g: u32);
        "path_link" = path::path_link, (a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, g: u32);
        "path_open" = path::path_open, (a: u32, b: u32, c: u32, d: u32, e: u32, f: u64, g: u64, h: u32, i: u32);
        "path_readlink" = path::path_readlink, (a: u32, b: u32, c: u32, d: u32, e: u32, f: u32);
        "path_remove_directory" = path::path_remove_directory, (a: u32, b: u32, c: u32);
        "path_rename" = path::path_rename, (a: u32, b: u32, c: u32, d: u32, e: u32, f: u32);
        "path_symlink" = path::path_symlink, (a: u32, b: u32, c: u32, d: u32, e: u32);
        "path_unlink_file" = path::path_unlink_file, (a: u32, b: u32, c: u32);
        "poll_oneoff" = poll::poll_oneoff, (a: u32, b: u32, c: u32, d: u32);
    }
    calls! { linker, OWN:
        "pipe" = host::make_pipe, (a: u32);
        "chmod" = host::chmod, (a: u32, b: u32, c: u32, d: u32);
    }
    linker.func_wrap(
        WASI,
        "proc_exit",
        |mut caller: Caller<'_, Guest>, status: u32| -> wasmtime::Result<()> {
            answer(&mut caller, Err(Fault::End(Exit::Status((status & 0xff) as i32)))).map(drop)
        },
    )?;
    no_sockets(linker)?;
    linker.func_wrap(
        OWN,
        "mode",
        |mut caller: Caller<'_, Guest>, path: u32, length: u32, follow: u32| -> wasmtime::Result<i32> {
            let mode =
                enter(&mut caller).and_then(|(bytes, guest)| host::mode(guest, &bytes, path, length, follow));
            number(&mut caller, mode)
        },
    )?;
    linker.func_wrap(
        OWN,
        "spawn",
        |mut caller: Caller<'_, Guest>, argv: u32, length: u32, stdin: u32, stdout: u32, stderr: u32| {
            let call = enter(&mut caller).and_then(|(bytes, guest)| {
                let argv = host::arguments(&bytes, argv, length)?;
                Ok(host::call(guest, argv, [stdin, stdout, stderr]))
            });
            let status = call.and_then(|call| host::status(caller.data(), call));
            number(&mut caller, status)
        },
    )?;
    Ok(())
}

/// A number, or a negative error.
fn number(caller: &mut Caller<'_, Guest>, value: Result<i32, Fault>) -> wasmtime::Result<i32> {
    match value {
        Ok(value) => Ok(value),
        Err(fault) => Ok(-answer(caller, Err(fault))?.cast_signed()),
    }
}

/// There are no sockets, so no descriptor is one.
fn no_sockets(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let refused = || types::errno(Errno::BADF);
    linker.func_wrap(WASI, "sock_accept", move |_: u32, _: u32, _: u32| refused())?;
    linker.func_wrap(WASI, "sock_recv", move |_: u32, _: u32, _: u32, _: u32, _: u32, _: u32| refused())?;
    linker.func_wrap(WASI, "sock_send", move |_: u32, _: u32, _: u32, _: u32, _: u32| refused())?;
    linker.func_wrap(WASI, "sock_shutdown", move |_: u32, _: u32| refused())?;
    Ok(())
}
