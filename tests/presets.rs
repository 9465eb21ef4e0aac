//! The presets for compilers and interpreters, on hosts that have them.

mod world;

use world::{World, text};

/// Whether this host has a program; without it the test says so and passes.
fn has(program: &str) -> bool {
    // Where policies look.
    let found = ["/usr/bin", "/bin", "/usr/local/bin"]
        .iter()
        .any(|dir| std::path::Path::new(dir).join(program).is_file());
    if !found {
        eprintln!("SKIPPED: this host has no {program}");
    }
    found
}

fn run(world: &World, policy: &str, script: &str) -> String {
    let output = world.exec(&["--policy", policy, "--changes", "discard", "-c", script]);
    assert!(output.status.success(), "{policy}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn build_compiles_links_and_runs() {
    if !(has("gcc") && has("make")) {
        return;
    }
    let world = World::new();
    std::fs::write(world.path("t.c"), "#include <stdio.h>\nint main(){puts(\"compiled\");}\n").unwrap();
    std::fs::write(world.path("Makefile"), "t: t.c\n\tgcc -O1 -o t t.c\n").unwrap();
    assert!(run(&world, "build", "make -s && ./t").ends_with("compiled\n"));
}

#[test]
fn rust_tests_a_crate_offline() {
    let toolchains = std::env::home_dir().map(|home| home.join(".rustup/toolchains"));
    if !has("gcc") || !toolchains.is_some_and(|dir| dir.is_dir()) {
        eprintln!("SKIPPED: this user has no toolchain of rustup's");
        return;
    }
    let world = World::new();
    std::fs::create_dir(world.path("src")).unwrap();
    std::fs::write(
        world.path("Cargo.toml"),
        "[package]\nname = \"demo\"\nversion = \"1.0.0\"\nedition = \"2021\"\n",
    )
    .unwrap();
    std::fs::write(world.path("src/lib.rs"), "#[test]\nfn works() {}\n").unwrap();
    let said = run(&world, "rust", "cargo test -q --offline 2>&1");
    assert!(said.contains("1 passed"), "{said}");
}

#[test]
fn node_runs_scripts_of_the_checkout() {
    if !has("node") {
        return;
    }
    let world = World::new();
    std::fs::write(world.path("t.js"), "console.log([1, 2].map(n => n * 3).join());\n").unwrap();
    assert_eq!(run(&world, "node", "node t.js"), "3,6\n");
}

#[test]
fn the_compilers_of_build_reach_neither_network_nor_host() {
    if !has("gcc") {
        return;
    }
    let world = World::new();
    let secret = world.dir.path().join("secret");
    std::fs::write(&secret, "ESCAPED").unwrap();
    let script = format!(
        "printf '#include \"{}\"\\n' > x.c; gcc -E x.c; echo 'int main(){{}}' | gcc -xc - -o x && ./x && cat {}",
        secret.display(),
        secret.display()
    );
    let output = world.exec(&["--policy", "build", "--changes", "discard", "-c", &script]);
    assert!(!text(&output.stdout).contains("ESCAPED"), "{}", text(&output.stdout));
}
