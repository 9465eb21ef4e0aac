//! The compiled module, kept in the user's cache: compiling takes seconds, loading milliseconds.
//!
//! Compiled code is native code, so where it comes from matters: a directory of the user's alone, a file of the user's
//! alone, and a sum over its bytes that was written beside it. A file that was cut off or changed is compiled anew. Who
//! can write there as this user could change this program as well, so a sum against accidents is what is of use.

use rustix::fs::{Mode, OFlags, fstat, openat};
use rustix::process::geteuid;
use sbx_runtime::cache::{Use, made_once, private};
use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use wasmtime::{Engine, Module};
use xxhash_rust::xxh3::Xxh3Default;

/// The directory of the cache.
const KIND: &str = "wasi";
const CODE: &str = "module.cwasm";
const SUM: &str = "sum";
/// Largest compiled module that is read, in bytes.
const MAX_CODE: u64 = 512 << 20;

/// A module and, as long as it comes from the cache, its use of that.
pub(super) struct Loaded {
    pub module: Module,
    pub _use: Option<Use>,
}

/// Loads the compiled module of this digest; compiles it when it is not there, or not as it was written.
pub(super) fn load(
    engine: &Engine,
    digest: &str,
    bytes: impl Fn() -> Result<Vec<u8>, String>,
) -> Result<Loaded, String> {
    let in_memory = || {
        let module = Module::new(engine, bytes()?).map_err(|e| e.to_string())?;
        Ok(Loaded { module, _use: None })
    };
    if std::env::var_os("SBX_WASI_NO_CACHE").is_some_and(|v| !v.is_empty()) {
        return in_memory();
    }
    // Without a place for a cache each process compiles.
    let Ok(dir) = private(KIND) else { return in_memory() };
    let name = key(engine, digest);
    for _ in 0..2 {
        let made = made_once(&dir, &name, |draft| write(engine, &bytes().map_err(io::Error::other)?, draft));
        let Ok(in_use) = made else { return in_memory() };
        if let Ok(module) = read(engine, &dir.join(&name)) {
            return Ok(Loaded { module, _use: Some(in_use) });
        }
        let _ = std::fs::remove_dir_all(dir.join(&name));
    }
    in_memory()
}

/// What the code depends on: the module, the engine's version and settings, and the processor.
fn key(engine: &Engine, digest: &str) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{}-{:016x}", &digest[..digest.len().min(32)], hasher.finish())
}

fn write(engine: &Engine, bytes: &[u8], draft: &Path) -> io::Result<()> {
    let code = engine.precompile_module(bytes).map_err(|e| io::Error::other(e.to_string()))?;
    std::fs::create_dir(draft)?;
    let create =
        |name: &str| OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft.join(name));
    let mut sum = Xxh3Default::new();
    sum.update(&code);
    create(CODE)?.write_all(&code)?;
    create(SUM)?.write_all(format!("{:032x}\n", sum.digest128()).as_bytes())
}

fn read(engine: &Engine, place: &Path) -> io::Result<Module> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let dir = openat(rustix::fs::CWD, place, flags | OFlags::DIRECTORY, Mode::empty())?;
    own(&fstat(&dir)?)?;
    let open = |name: &str| -> io::Result<File> {
        let file = openat(&dir, name, flags, Mode::empty())?;
        own(&fstat(&file)?)?;
        Ok(File::from(file))
    };
    let mut wanted = String::new();
    open(SUM)?.take(64).read_to_string(&mut wanted)?;
    let mut code = open(CODE)?;
    if !code.metadata()?.is_file() || code.metadata()?.len() > MAX_CODE {
        return Err(io::Error::other("not a compiled module"));
    }
    let (mut sum, mut buffer) = (Xxh3Default::new(), vec![0; 1 << 20]);
    loop {
        match code.read(&mut buffer)? {
            0 => break,
            n => sum.update(&buffer[..n]),
        }
    }
    if format!("{:032x}\n", sum.digest128()) != wanted {
        return Err(io::Error::other("the compiled module is not as it was written"));
    }
    code.rewind()?;
    deserialize(engine, code)
}

/// Whether a file is the user's alone.
fn own(stat: &rustix::fs::Stat) -> io::Result<()> {
    if stat.st_uid == geteuid().as_raw() && stat.st_mode & 0o022 == 0 {
        return Ok(());
    }
    Err(io::Error::other("the compiled module is not the user's alone"))
}

#[expect(unsafe_code, reason = "compiled code is trusted code")]
fn deserialize(engine: &Engine, code: File) -> io::Result<Module> {
    // SAFETY: the file is one that `write` made with this engine's `precompile_module`: it lies in a directory and has a
    // mode that keep all other users from writing it, its bytes are those that were summed up when it was written, and
    // the engine itself refuses code of another version, configuration or processor.
    unsafe { Module::deserialize_open_file(engine, code) }.map_err(|e| io::Error::other(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &[u8] = b"\0asm\x01\0\0\0";

    #[test]
    fn a_changed_or_foreign_file_is_not_loaded() {
        let engine = Engine::default();
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("m");
        assert!(write(&engine, MODULE, &place).is_ok());
        assert!(read(&engine, &place).is_ok());
        let code = std::fs::read(place.join(CODE)).unwrap();
        let mut changed = code.clone();
        *changed.last_mut().unwrap() ^= 1;
        for bad in [&changed[..], &code[..code.len() - 1], b""] {
            std::fs::write(place.join(CODE), bad).unwrap();
            assert!(read(&engine, &place).is_err());
        }
        std::fs::write(place.join(CODE), &code).unwrap();
        assert!(read(&engine, &place).is_ok());
        let others = std::os::unix::fs::PermissionsExt::from_mode(0o662);
        std::fs::set_permissions(place.join(CODE), others).unwrap();
        assert!(read(&engine, &place).is_err());
    }

    #[test]
    fn another_module_or_engine_has_another_key() {
        let plain = Engine::default();
        let epochs = Engine::new(wasmtime::Config::new().epoch_interruption(true)).unwrap();
        assert_ne!(key(&plain, "a"), key(&plain, "b"));
        assert_ne!(key(&plain, "a"), key(&epochs, "a"));
    }
}
