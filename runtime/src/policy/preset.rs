//! The presets of `policies/`, embedded.

/// Every preset: its name and its text.
pub const PRESETS: [(&str, &str); 9] = [
    ("base", include_str!("../../../policies/base.toml")),
    ("swe-zero", include_str!("../../../policies/swe-zero.toml")),
    ("whitelist", include_str!("../../../policies/whitelist.toml")),
    ("readonly", include_str!("../../../policies/readonly.toml")),
    ("paranoid", include_str!("../../../policies/paranoid.toml")),
    ("python", include_str!("../../../policies/python.toml")),
    ("build", include_str!("../../../policies/build.toml")),
    ("rust", include_str!("../../../policies/rust.toml")),
    ("node", include_str!("../../../policies/node.toml")),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Policy;
    use std::collections::BTreeSet;

    #[test]
    fn every_preset_is_a_policy_and_has_a_name_of_its_own() {
        let names: BTreeSet<_> = PRESETS.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), PRESETS.len());
        for (name, _) in PRESETS {
            let policy = Policy::preset(name).unwrap();
            assert_eq!(policy.name, name);
            assert!(!policy.about.is_empty(), "{name} says what it is about");
        }
    }

    #[test]
    fn swe_zero_allows_its_83_names_and_no_interpreter() {
        let policy = Policy::preset("swe-zero").unwrap();
        assert_eq!(policy.commands.len(), 83);
        for name in ["bash", "sh", "python3", "xargs", "patch", "perl", "curl"] {
            assert!(!policy.allows_command(name), "{name}");
        }
    }

    #[test]
    fn base_allows_nothing() {
        let policy = Policy::preset("base").unwrap();
        assert_eq!(policy.commands, Vec::<String>::new());
        assert!(!policy.write_workspace);
    }
}
