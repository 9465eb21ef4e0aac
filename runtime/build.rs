//! Builds process 1 of the sandbox (`init/`), a static program of a few kilobytes, and the library that holds a bash back
//! for the next action (`ahead/`). This crate carries both inside itself. The same compiler is used, with no C library and
//! no standard library, so nothing has to be installed.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=init");
    println!("cargo::rerun-if-changed=ahead");
    println!("cargo::rerun-if-changed=front");
    println!("cargo::rerun-if-changed=src/linux/wire.rs");
    let target = std::env::var("TARGET").expect("cargo sets TARGET");
    assert!(
        target.starts_with("x86_64-") && target.contains("-linux-"),
        "sbx-runtime supports x86_64 Linux; this build is for {target}"
    );
    let fixed =
        ["-C", "relocation-model=static", "-C", "target-feature=+crt-static", "-C", "link-arg=-static"];
    build("init/main.rs", "bin", "sbx-init", &fixed);
    build("ahead/lib.rs", "cdylib", "ahead.so", &["-C", "relocation-model=pic"]);
    // Bytes instead of a program: no header, no relocation.
    let bytes = [
        "-C",
        "relocation-model=pic",
        "-C",
        "relro-level=off",
        "-C",
        "link-arg=-no-pie",
        "-C",
        "link-arg=-static",
    ];
    let script = ["-C", "link-arg=-Wl,-T,front/front.ld", "-C", "link-arg=-Wl,--oformat=binary"];
    build("front/main.rs", "bin", "front", &[bytes.as_slice(), &script].concat());
}

fn build(source: &str, kind: &str, name: &str, more: &[&str]) {
    let variable = |name| std::env::var_os(name).expect("cargo sets it for build scripts");
    let status = Command::new(variable("RUSTC"))
        .args(["--edition", "2024", "--crate-name", "sbx_part", "--crate-type", kind])
        .arg("--target")
        .arg(variable("TARGET"))
        .args([
            "-C",
            "panic=abort",
            "-C",
            "opt-level=s",
            "-C",
            "strip=symbols",
            "-C",
            "overflow-checks=off",
            "-C",
            "codegen-units=1",
        ])
        .args(["-C", "link-arg=-nostartfiles", "-C", "link-arg=-nostdlib"])
        .args(more)
        .env("SBX_INIT", Path::new(&variable("OUT_DIR")).join("sbx-init"))
        .arg("-o")
        .arg(Path::new(&variable("OUT_DIR")).join(name))
        .arg(source)
        .status()
        .expect("the compiler that builds this crate can be started");
    assert!(status.success(), "{source} did not build: see the compiler's messages above");
}
