//! Builds process 1 of the sandbox (`init/`), a static program of a few kilobytes, the library that holds a bash back for
//! the next action (`ahead/`), and what runs before the command itself (`front/`). This crate carries all of them inside
//! itself. The same compiler is used, with no C library and no standard library, so nothing has to be installed.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Options of all parts, each after its `-C`.
const COMMON: &str = "panic=abort opt-level=s strip=symbols overflow-checks=off codegen-units=1 \
    link-arg=-nostartfiles link-arg=-nostdlib";
/// A function that does nothing (`ret`).
const NOTHING: [u8; 1] = [0xc3];

fn main() {
    println!("cargo::rerun-if-changed=init");
    println!("cargo::rerun-if-changed=ahead");
    println!("cargo::rerun-if-changed=front");
    println!("cargo::rerun-if-changed=src/linux/wire.rs");
    let target = variable("TARGET").into_string().expect("the name of a target is text");
    assert!(
        target.starts_with("x86_64-") && target.contains("-linux-"),
        "sbx-runtime supports x86_64 Linux; this build is for {target}"
    );
    // Its few variables in one page: each that is written is memory of every idle sandbox.
    let program = "relocation-model=static target-feature=+crt-static link-arg=-static relro-level=off \
        link-arg=-Wl,-z,norelro";
    let is_built = build("init/main.rs", "bin", "sbx-init", program);
    assert!(is_built, "init/ did not build: see the compiler's messages above");
    // Two mappings instead of four: each is copied with every fork.
    let library =
        "relocation-model=pic relro-level=off link-arg=-Wl,-z,noseparate-code link-arg=-Wl,-z,norelro";
    let is_built = build("ahead/lib.rs", "cdylib", "ahead.so", library);
    assert!(is_built, "ahead/ did not build: see the compiler's messages above");
    // Bytes instead of a program: no header, no relocation. Not every linker can.
    let bytes = "relocation-model=pic relro-level=off link-arg=-no-pie link-arg=-static \
        link-arg=-Wl,-T,front/front.ld link-arg=-Wl,--oformat=binary";
    if !build("front/main.rs", "bin", "front", bytes) {
        println!("cargo::warning=front/ did not build; `sbx exec` begins with the C library");
        std::fs::write(out("front"), NOTHING).expect("cargo's own directory can be written");
    }
    // An assembler's `.incbin` is not seen by the compiler, which would keep what it has assembled before.
    let bytes = std::fs::read(out("front")).expect("it was just written");
    let sum = bytes.iter().fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add((*byte).into()));
    println!("cargo::rustc-env=SBX_FRONT_SUM={sum:x}");
}

/// Builds a part; false when that failed.
fn build(source: &str, kind: &str, name: &str, more: &str) -> bool {
    let options = COMMON.split_whitespace().chain(more.split_whitespace()).flat_map(|option| ["-C", option]);
    let status = Command::new(variable("RUSTC"))
        .args(["--edition", "2024", "--crate-name", "sbx_part", "--crate-type", kind])
        .arg("--target")
        .arg(variable("TARGET"))
        .args(options)
        .env("SBX_INIT", out("sbx-init"))
        .arg("-o")
        .arg(out(name))
        .arg(source)
        .status()
        .expect("the compiler that builds this crate can be started");
    status.success()
}

fn out(name: &str) -> PathBuf {
    Path::new(&variable("OUT_DIR")).join(name)
}

fn variable(name: &str) -> std::ffi::OsString {
    std::env::var_os(name).expect("cargo sets it for build scripts")
}
