//! Small directories that programs need, file by file: a copy needs no mount of its own.

use super::{View, locale};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Most that is in a small directory, and bytes of its files.
const MOST: usize = 64;
const BYTES: u64 = 1 << 20;

/// What is in a directory, by paths from there.
#[derive(Default)]
struct Small {
    /// It is one itself: the empty path.
    directories: Vec<PathBuf>,
    files: Vec<PathBuf>,
    links: Vec<(PathBuf, PathBuf)>,
    bytes: u64,
}

impl View {
    /// Lists what is in small directories, unless the policy names them, or something in them.
    pub(super) fn unfold(&mut self) {
        for at in self.directories.clone() {
            let is_named = self.live.iter().any(|live| live.starts_with(&at));
            if is_named || at.as_path() == Path::new(locale::DIRECTORY) {
                continue;
            }
            let Some((from, small)) =
                self.data.get(&at).and_then(|from| Some((from.clone(), Small::read(from)?)))
            else {
                continue;
            };
            self.directories.remove(&at);
            self.data.remove(&at);
            self.folders.extend(small.directories.iter().map(|path| (at.join(path), from.join(path))));
            self.data.extend(small.files.iter().map(|path| (at.join(path), from.join(path))));
            self.links.extend(small.links.into_iter().map(|(path, target)| (at.join(path), target)));
        }
    }
}

impl Small {
    /// What is in a directory; `None` when that is much, or not to be copied.
    fn read(dir: &Path) -> Option<Small> {
        let mut small = Small::default();
        small.add(dir, PathBuf::new()).ok().filter(|fits| *fits).map(|_| small)
    }

    /// Adds the directory at `path` below `top`; false when that is too much.
    fn add(&mut self, top: &Path, path: PathBuf) -> io::Result<bool> {
        let dir = top.join(&path);
        self.directories.push(path.clone());
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let (kind, path) = (entry.file_type()?, path.join(entry.file_name()));
            let fits = if kind.is_dir() {
                self.add(top, path)?
            } else if kind.is_symlink() {
                self.links.push((path, fs::read_link(entry.path())?));
                true
            } else {
                // What cannot be read cannot be copied.
                let meta = File::open(entry.path())?.metadata()?;
                self.files.push(path);
                self.bytes += meta.len();
                meta.is_file()
            };
            let count = self.directories.len() + self.files.len() + self.links.len();
            if !fits || count > MOST || self.bytes > BYTES {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_small_directory_is_listed_and_a_large_one_is_not() {
        let host = tempfile::tempdir().unwrap();
        let (small, large) = (host.path().join("small"), host.path().join("large"));
        fs::create_dir_all(small.join("deep/empty")).unwrap();
        fs::write(small.join("deep/file"), "x").unwrap();
        symlink("file", small.join("deep/link")).unwrap();
        fs::create_dir(&large).unwrap();
        for n in 0..MOST {
            fs::write(large.join(n.to_string()), "").unwrap();
        }
        let at = |name: &str| Path::new("/usr/share").join(name);
        let mut view = View::default();
        for (name, from) in [("small", &small), ("large", &large), ("named", &small)] {
            view.directories.insert(at(name));
            view.data.insert(at(name), from.clone());
        }
        view.live.insert(at("named/deep/file"));
        view.unfold();
        let data: Vec<_> = view.data.keys().cloned().collect();
        assert_eq!(data, [at("large"), at("named"), at("small/deep/file")]);
        assert_eq!(view.directories, [at("large"), at("named")].into());
        assert_eq!(view.links, [(at("small/deep/link"), "file".into())].into());
        let folders = ["", "deep", "deep/empty"].map(|path| (at("small").join(path), small.join(path)));
        assert_eq!(view.folders, folders.into());
    }

    #[test]
    fn what_is_no_file_is_not_copied() {
        let host = tempfile::tempdir().unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(host.path().join("socket")).unwrap();
        assert!(Small::read(host.path()).is_none());
        assert!(Small::read(&host.path().join("absent")).is_none());
    }
}
