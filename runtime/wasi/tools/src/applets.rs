//! The names that the module answers to.

use std::sync::LazyLock;

/// The commands of the module, sorted, without path.
pub static APPLETS: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| include_str!("../applets.txt").lines().collect());

/// Whether the module has a command of this name.
pub fn has(name: &str) -> bool {
    APPLETS.binary_search(&name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_sorted_and_each_there_once() {
        assert!(APPLETS.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", *APPLETS);
        assert!(APPLETS.iter().all(|name| !name.is_empty() && !name.contains(['/', ' '])));
    }

    #[test]
    fn a_name_is_found_whole() {
        assert!(has("grep") && has("[") && has("sha256sum"));
        assert!(!has("gre") && !has("") && !has("/usr/bin/grep") && !has("python3"));
    }
}
