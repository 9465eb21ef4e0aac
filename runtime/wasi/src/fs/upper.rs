//! What the agent changed, in the form in which an overlay's upper directory tells it.

use super::file::File;
use super::lower::Lower;
use super::names::{Body, Id, Names};
use super::tree::Tree;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use sbx_runtime::Changes;
use sbx_runtime::changes::{Contents, Node, What};
use std::collections::BTreeMap;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

/// Deepest directory that is looked at, as elsewhere.
const MAX_DEPTH: usize = 256;
/// Most changed paths, as elsewhere.
const MAX_NODES: usize = 2_000_000;
/// Bytes that are copied at one time.
const CHUNK: usize = 64 << 10;

impl Tree {
    /// What differs from the workspace of the host, whose directory is `lower`.
    ///
    /// # Errors
    /// A directory cannot be read, or the changes are deeper or more than are looked at (256 directories, 2,000,000
    /// paths).
    pub fn changes(&self, lower: &Path) -> io::Result<Changes> {
        let (nodes, contents) = self.with_workspace(|names, top, host| {
            let mut walk = Walk { names, host, nodes: Vec::new(), contents: BTreeMap::new() };
            walk.directory(top, &mut Vec::new(), 0)?;
            io::Result::Ok((walk.nodes, walk.contents))
        })?;
        Ok(Changes::held(nodes, Box::new(Held(contents)), lower))
    }
}

#[derive(Debug)]
struct Held(BTreeMap<Vec<u8>, Content>);

#[derive(Debug)]
enum Content {
    File(Arc<File>),
    Link(Vec<u8>),
}

impl Contents for Held {
    fn file(&self, path: &[u8]) -> io::Result<std::fs::File> {
        match self.0.get(path) {
            Some(Content::File(file)) => copy(file),
            _ => Err(Errno::NOENT.into()),
        }
    }

    fn link(&self, path: &[u8]) -> io::Result<Vec<u8>> {
        match self.0.get(path) {
            Some(Content::Link(target)) => Ok(target.clone()),
            _ => Err(Errno::NOENT.into()),
        }
    }
}

/// A file of the host's memory with this content. Holes stay holes.
fn copy(from: &File) -> io::Result<std::fs::File> {
    let mut to = match memfd_create("sbx-changes", MemfdFlags::CLOEXEC) {
        Ok(fd) => std::fs::File::from(fd),
        // Refused inside another sandbox.
        Err(_) => tempfile::tempfile()?,
    };
    let (mut at, mut buffer) = (0u64, vec![0; CHUNK]);
    loop {
        let n = from.read_at(at, &mut buffer)?;
        if n == 0 {
            break;
        }
        if buffer[..n].iter().any(|b| *b != 0) {
            to.seek(SeekFrom::Start(at))?;
            to.write_all(&buffer[..n])?;
        }
        at += n as u64;
    }
    to.set_len(at)?;
    to.set_modified(from.meta().mtime)?;
    to.rewind()?;
    Ok(to)
}

struct Walk<'a> {
    names: &'a mut Names,
    host: &'a Lower,
    nodes: Vec<Node>,
    contents: BTreeMap<Vec<u8>, Content>,
}

impl Walk<'_> {
    /// Everything in a directory that is not as in the host's.
    fn directory(&mut self, dir: Id, path: &mut Vec<u8>, depth: usize) -> io::Result<()> {
        if depth > MAX_DEPTH {
            let shown = String::from_utf8_lossy(path);
            return Err(io::Error::other(format!("{shown}: deeper than {MAX_DEPTH} directories")));
        }
        let entries: Vec<_> = self.names.dir(dir)?.entries.iter().map(|(n, id)| (n.clone(), *id)).collect();
        for (name, id) in entries {
            let before = path.len();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(&name);
            let told = match id {
                Some(id) => self.child(id, path, depth),
                None => self.tell(path, 0, What::Whiteout),
            };
            path.truncate(before);
            told?;
        }
        Ok(())
    }

    /// What has an origin is still where the host has it.
    fn child(&mut self, id: Id, path: &mut Vec<u8>, depth: usize) -> io::Result<()> {
        let node = self.names.node(id)?;
        if node.mount {
            return Ok(());
        }
        let (mode, changed) = (node.meta.mode, node.changed);
        match &node.body {
            Body::Dir(dir) if dir.origin.is_some() => {
                let place = self.nodes.len();
                self.tell(path, mode, What::Directory { opaque: false })?;
                self.directory(id, path, depth + 1)?;
                if self.nodes.len() == place + 1 && !changed {
                    self.nodes.pop();
                }
                Ok(())
            }
            Body::Dir(_) => {
                let opaque = self.host.stat(path).is_ok();
                self.tell(path, mode, What::Directory { opaque })?;
                self.directory(id, path, depth + 1)
            }
            Body::File { file, origin } => {
                if !file.changed() && origin.is_some() {
                    return Ok(());
                }
                let (file, mode) = (file.clone(), file.meta().mode);
                self.keep(path, Content::File(file));
                self.tell(path, mode, What::File)
            }
            Body::Link { origin: Some(_), .. } | Body::Device(_) | Body::Pipe(_) => Ok(()),
            Body::Link { target, .. } => {
                let target = target.clone();
                self.keep(path, Content::Link(target));
                self.tell(path, mode, What::Link)
            }
        }
    }

    fn keep(&mut self, path: &[u8], content: Content) {
        self.contents.insert(path.to_vec(), content);
    }

    fn tell(&mut self, path: &[u8], mode: u32, what: What) -> io::Result<()> {
        if self.nodes.len() >= MAX_NODES {
            return Err(io::Error::other(format!("more than {MAX_NODES} changed paths")));
        }
        self.nodes.push(Node { path: path.to_vec(), mode, what });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::stat::Open;
    use super::*;
    use crate::engine::budget::Budget;
    use sbx_runtime::{Policy, Workspace};
    use std::time::Duration;

    struct World {
        dir: tempfile::TempDir,
        tree: Tree,
        budget: Budget,
    }

    impl World {
        fn new() -> World {
            let dir = tempfile::tempdir().unwrap();
            for (path, text) in [("a", "one\n"), ("d/b", "two\n"), ("d/e/c", "three\n"), ("gone/x", "x\n")] {
                let path = dir.path().join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            let workspace = Workspace::new(dir.path()).at("/w").resolved().unwrap();
            let tree = Tree::over(&workspace, &Policy::preset("whitelist").unwrap(), &[]).unwrap();
            World { dir, tree, budget: Budget::new(Duration::from_secs(600), 0, 1) }
        }

        fn write(&self, path: &str, text: &str) {
            let handle = self.tree.open(b"/w", path.as_bytes(), Open::create(0o644)).unwrap();
            handle.write_all(text.as_bytes(), &self.budget).unwrap();
        }

        fn changed(&self) -> Vec<String> {
            let changes = self.tree.changes(self.dir.path()).unwrap();
            let entries = changes.entries().unwrap();
            entries.iter().map(|c| format!("{:?} {}", c.kind, c.path.display())).collect()
        }
    }

    #[test]
    fn what_was_only_looked_at_is_no_change() {
        let world = World::new();
        world.tree.list(b"/w/d/e", b".").unwrap();
        world.tree.open(b"/w", b"d/e/c", Open::read()).unwrap();
        world.write("n", "");
        world.tree.remove_file(b"/w", b"n").unwrap();
        assert_eq!(world.changed(), [""; 0]);
        assert!(world.tree.changes(world.dir.path()).unwrap().diff().is_empty());
    }

    #[test]
    fn a_patch_tells_what_was_written_removed_and_moved() {
        let world = World::new();
        world.write("a", "ONE\n");
        world.tree.remove_file(b"/w", b"gone/x").unwrap();
        world.tree.rename(b"/w", b"d", b"moved").unwrap();
        world.tree.symlink(b"/w", b"a", b"link").unwrap();
        assert_eq!(
            world.changed(),
            [
                "Modified a",
                "Deleted d/b",
                "Deleted d/e/c",
                "Deleted gone/x",
                "Added link",
                "Added moved/b",
                "Added moved/e/c"
            ]
        );
        let patch = world.tree.changes(world.dir.path()).unwrap().diff_text();
        assert!(patch.contains("-one\n+ONE\n"), "{patch}");
    }

    #[test]
    fn a_commit_makes_the_real_directory_what_the_agent_saw() {
        let world = World::new();
        world.write("a", "ONE\n");
        world.tree.rename(b"/w", b"d/e", b"e2").unwrap();
        world.tree.set_mode(b"/w", b"d/b", 0o755, true).unwrap();
        world.tree.remove_file(b"/w", b"gone/x").unwrap();
        world.tree.remove_dir(b"/w", b"gone").unwrap();
        world.tree.make_dir(b"/w", b"gone", 0o755).unwrap();
        world.write("gone/new", "new\n");
        let changes = world.tree.changes(world.dir.path()).unwrap();
        let commit = changes.commit(world.dir.path()).unwrap();
        assert_eq!(commit.withheld, []);
        let read = |path: &str| std::fs::read_to_string(world.dir.path().join(path)).ok();
        assert_eq!(read("a").as_deref(), Some("ONE\n"));
        assert_eq!(read("e2/c").as_deref(), Some("three\n"));
        assert_eq!((read("d/e/c"), read("gone/x")), (None, None));
        assert_eq!(read("gone/new").as_deref(), Some("new\n"));
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(world.dir.path().join("d/b")).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o755);
    }
}
