//! The same scripts with the system's tools.

use std::fs;
use std::path::Path;

fn files(dir: &Path) {
    fs::create_dir_all(dir.join("src")).unwrap();
    fs::write(dir.join("README.md"), "# Demo\n\nhello world\nmore\n").unwrap();
    fs::write(dir.join("src/app.py"), "import sys\n\n\ndef main():\n    print('hello')\n").unwrap();
}

#[test]
fn scripts_see_the_same_with_the_systems_tools() {
    let names: Vec<&str> = guest_small::TABLE.iter().map(|(name, _)| *name).collect();
    let program = Path::new(env!("CARGO_BIN_EXE_guest-small"));
    guest_compare::scripts(include_str!("scripts.txt"), program, &names, &files);
}
