//! Which policies this backend serves. What it does not have is refused by name, before anything runs.

use sbx_runtime::{Error, Exec, Network, Policy};

/// Programs that are more than a command: whoever allows one means to run what is written in its language.
const NATIVE: [&str; 26] = [
    "bun", "c++", "cargo", "cc", "clang", "cmake", "deno", "g++", "gcc", "go", "java", "javac", "lua",
    "make", "node", "npm", "perl", "php", "pip", "pip3", "pytest", "python", "python3", "ruby", "rustc",
    "uv",
];

/// Whether a policy can be served.
pub(super) fn check(policy: &Policy) -> Result<(), Error> {
    let refused = |key: &str, why: &str| {
        let name = &policy.name;
        Err(Error::Policy(format!(
            "{name}: {key}: {why}; backend = \"wasi\" has no processes and no network"
        )))
    };
    if policy.exec == Exec::Workspace {
        return refused("exec", "\"workspace\" runs programs of the workspace");
    }
    match policy.network {
        Network::None => {}
        Network::Loopback => return refused("network.loopback", "it needs a network"),
        Network::Proxy => return refused("network.allow", "it needs a network"),
    }
    if !policy.run.is_empty() {
        return refused("files.run", "it names programs of this host");
    }
    if let Some(path) = policy.read.first() {
        return refused("files.read", &format!("{} is a path of this host", path.display()));
    }
    match policy.commands.iter().find(|name| NATIVE.contains(&name.as_str())) {
        Some(name) => refused("commands.allow", &format!("{name:?} is a native program")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_process_or_a_network_is_refused_by_its_key() {
        let refusal = |name: &str| check(&Policy::preset(name).unwrap()).err().map(|e| e.to_string());
        for name in ["base", "swe-zero", "whitelist", "readonly", "paranoid"] {
            assert_eq!(refusal(name), None, "{name}");
        }
        for name in ["python", "build", "rust", "node"] {
            assert!(refusal(name).is_some(), "{name}");
        }
        let text = "extends = \"paranoid\"\nloosens = [\"network.loopback\"]\n[network]\nloopback = true\n";
        let policy = Policy::parse(text, "p.toml").unwrap();
        assert!(check(&policy).unwrap_err().to_string().starts_with("p: network.loopback: "));
    }

    #[test]
    fn the_list_is_sorted_and_names_each_once() {
        assert!(NATIVE.is_sorted_by(|a, b| a < b));
    }
}
