//! Builds process 1 of the sandbox (`init/`): a static program of a few kilobytes that the library carries inside itself.
//! The same compiler is used, with no C library and no standard library, so nothing has to be installed.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=init");
    println!("cargo::rerun-if-changed=src/linux/wire.rs");
    let target = std::env::var("TARGET").expect("cargo sets TARGET");
    let out = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    assert!(
        target.starts_with("x86_64-") && target.contains("-linux-"),
        "sbx-runtime supports x86_64 Linux; this build is for {target}"
    );
    let init = Path::new(&out).join("sbx-init");
    let status = Command::new(std::env::var_os("RUSTC").expect("cargo sets RUSTC"))
        .args(["--edition", "2024", "--crate-name", "sbx_init", "--crate-type", "bin", "--target", &target])
        .args([
            "-C",
            "panic=abort",
            "-C",
            "opt-level=s",
            "-C",
            "strip=symbols",
            "-C",
            "relocation-model=static",
        ])
        .args(["-C", "link-arg=-nostartfiles", "-C", "link-arg=-nostdlib", "-C", "link-arg=-static"])
        .args(["-C", "target-feature=+crt-static", "-C", "overflow-checks=off"])
        .arg("-o")
        .arg(&init)
        .arg("init/main.rs")
        .status()
        .expect("the compiler that builds this crate can be started");
    assert!(status.success(), "process 1 of the sandbox did not build: see the compiler's messages above");
}
