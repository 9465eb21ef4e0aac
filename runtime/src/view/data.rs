//! Data that programs cannot do without, by program. What the host does not have is left out.

/// Needed by every program: locale, time zone, terminal, the loader's cache.
pub(super) const ALWAYS: [&str; 7] = [
    "/etc/ld.so.cache",
    super::locale::DIRECTORY,
    "/usr/share/locale/locale.alias",
    "/usr/share/zoneinfo/UTC",
    "/lib/terminfo/d/dumb",
    "/usr/share/terminfo/d/dumb",
    "/usr/lib/x86_64-linux-gnu/gconv/gconv-modules.cache",
];

const TABLE: [(&str, &[&str]); 13] = [
    ("awk", &["/usr/share/awk"]),
    ("bc", &["/usr/share/bc"]),
    ("date", &["/usr/share/zoneinfo"]),
    (
        "file",
        &[
            "/usr/share/misc/magic.mgc",
            "/usr/lib/file/magic.mgc",
            "/usr/share/file/misc/magic.mgc",
            "/etc/magic",
            "/etc/magic.mime",
        ],
    ),
    (
        "git",
        &[
            "/usr/share/git-core/templates",
            "/usr/lib/git-core/git-mergetool--lib",
            "/usr/lib/git-core/git-sh-i18n",
            "/usr/lib/git-core/git-sh-setup",
            "/usr/lib/git-core/mergetools",
        ],
    ),
    ("iconv", &["/usr/lib/x86_64-linux-gnu/gconv"]),
    ("less", &["/lib/terminfo", "/usr/share/terminfo"]),
    ("more", &["/lib/terminfo", "/usr/share/terminfo"]),
    (
        "perl",
        &[
            "/usr/share/perl",
            "/usr/share/perl5",
            "/usr/lib/x86_64-linux-gnu/perl",
            "/usr/lib/x86_64-linux-gnu/perl-base",
        ],
    ),
    ("python", PYTHON),
    ("python3", PYTHON),
    ("stdbuf", &["/usr/libexec/coreutils/libstdbuf.so"]),
    ("tput", &["/lib/terminfo", "/usr/share/terminfo"]),
];

const PYTHON: &[&str] = &[
    "/usr/lib/python3",
    "/usr/lib/python3.9",
    "/usr/lib/python3.10",
    "/usr/lib/python3.11",
    "/usr/lib/python3.12",
    "/usr/lib/python3.13",
    "/usr/lib/python3.14",
    "/usr/local/lib/python3.9",
    "/usr/local/lib/python3.10",
    "/usr/local/lib/python3.11",
    "/usr/local/lib/python3.12",
    "/usr/local/lib/python3.13",
    "/usr/local/lib/python3.14",
    "/etc/python3",
    "/usr/lib/x86_64-linux-gnu/libssl.so.3",
    "/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
    "/usr/lib/x86_64-linux-gnu/libffi.so.8",
    "/usr/lib/x86_64-linux-gnu/libsqlite3.so.0",
    "/usr/lib/x86_64-linux-gnu/libbz2.so.1.0",
    "/usr/lib/x86_64-linux-gnu/liblzma.so.5",
    "/usr/lib/x86_64-linux-gnu/libuuid.so.1",
    "/usr/lib/x86_64-linux-gnu/libz.so.1",
];

/// Programs that the program `name` is made of besides: parts of git are shell scripts, or git under another name. They
/// start nothing that the policy does not allow.
pub(super) fn parts_of(name: &str) -> &'static [&'static str] {
    const GIT: [&str; 14] = [
        "/usr/lib/git-core/git-bisect",
        "/usr/lib/git-core/git-difftool--helper",
        "/usr/lib/git-core/git-filter-branch",
        "/usr/lib/git-core/git-merge-octopus",
        "/usr/lib/git-core/git-merge-one-file",
        "/usr/lib/git-core/git-merge-resolve",
        "/usr/lib/git-core/git-mergetool",
        "/usr/lib/git-core/git-quiltimport",
        "/usr/lib/git-core/git-receive-pack",
        "/usr/lib/git-core/git-request-pull",
        "/usr/lib/git-core/git-sh-i18n--envsubst",
        "/usr/lib/git-core/git-submodule",
        "/usr/lib/git-core/git-upload-archive",
        "/usr/lib/git-core/git-upload-pack",
    ];
    if name == "git" { &GIT } else { &[] }
}

/// Host paths that the program `name` reads.
pub(super) fn needed_by(name: &str) -> &'static [&'static str] {
    TABLE.iter().find(|(n, _)| *n == name).map_or(&[], |(_, paths)| paths)
}

/// All that programs of these names may need, on this host or not.
pub(super) fn of_all<'a>(names: impl Iterator<Item = &'a String>) -> impl Iterator<Item = &'static str> {
    let needed = names.flat_map(|name| parts_of(name).iter().chain(needed_by(name)));
    needed.chain(&ALWAYS).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_has_absolute_paths() {
        assert!(TABLE.windows(2).all(|w| w[0].0 < w[1].0));
        assert!(TABLE.iter().flat_map(|(_, p)| *p).chain(&ALWAYS).all(|p| p.starts_with('/')));
    }
}
