//! How the command is linked. `sbx exec` lives for two milliseconds, so the time in which a program is loaded counts: at a
//! fixed address nothing has to be relocated (tens of thousands of places otherwise), and with the C library inside
//! nothing has to be looked up. Where there is no static C library, or `SBX_LINK=dynamic` is set, the command is linked as
//! any other.

use std::path::Path;
use std::process::Command;

/// Libraries that the standard library asks for, and what the linker finds first under these names.
const LIBRARIES: [(&str, &str); 7] = [
    ("gcc_s", "-lgcc_eh -l:libc.a"),
    ("util", "-l:libc.a"),
    ("rt", "-l:libc.a"),
    ("pthread", "-l:libc.a"),
    ("m", "-l:libm.a"),
    ("dl", "-l:libc.a"),
    ("c", "-l:libc.a -l:libgcc.a"),
];

fn main() {
    println!("cargo::rerun-if-changed=shell/sbx/build.rs");
    println!("cargo::rerun-if-env-changed=SBX_LINK");
    let gnu = std::env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "gnu");
    let native = std::env::var("HOST").ok() == std::env::var("TARGET").ok();
    let wanted = std::env::var("SBX_LINK").map_or(true, |how| how != "dynamic");
    if gnu && native && wanted && ["libc.a", "libm.a", "libgcc_eh.a"].into_iter().all(is_there) {
        let out = std::env::var("OUT_DIR").expect("cargo sets it for build scripts");
        for (library, instead) in LIBRARIES {
            let script = Path::new(&out).join(format!("lib{library}.so"));
            std::fs::write(&script, format!("GROUP({instead})\n"))
                .expect("cargo's own directory can be written");
        }
        for argument in ["-no-pie".into(), "-static".into(), "-Wl,-e,sbx_entry".into(), format!("-L{out}")] {
            println!("cargo::rustc-link-arg-bin=sbx={argument}");
        }
    }
}

/// Whether the C compiler, which links, has a library.
fn is_there(library: &str) -> bool {
    let asked = Command::new("cc").arg(format!("-print-file-name={library}")).output();
    // Of what it does not have it says the bare name.
    asked.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_absolute())
}
