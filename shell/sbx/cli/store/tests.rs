//! Runs in a store in memory: what is copied, brought back, and refused.

use super::*;
use object_store::memory::InMemory;

struct World {
    dir: tempfile::TempDir,
    objects: Arc<InMemory>,
    runtime: tokio::runtime::Runtime,
}

impl World {
    fn new() -> World {
        World {
            dir: tempfile::tempdir().unwrap(),
            objects: Arc::default(),
            runtime: tokio::runtime::Builder::new_current_thread().build().unwrap(),
        }
    }

    fn store(&self) -> Store {
        Store::new(self.objects.clone(), Key::from("run"), "memory:///run".into())
    }

    fn folder(&self, name: &str) -> PathBuf {
        let folder = self.dir.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn append(&self, name: &str, text: &str) {
        let path = self.folder(name).join(JOURNAL);
        OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn journal(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder(name).join(JOURNAL)).unwrap()
    }

    fn push(&self, store: &Store, name: &str) -> Result<(), String> {
        self.runtime.block_on(store.push_journal(&self.folder(name))).map_err(|e| e.to_string())
    }

    fn fetch(&self, store: &Store, name: &str) -> Result<(), String> {
        self.runtime.block_on(store.fetch(&self.folder(name))).map_err(|e| e.to_string())
    }

    fn names(&self) -> Vec<String> {
        let listed = self.runtime.block_on(self.objects.list(None).try_collect::<Vec<_>>()).unwrap();
        let mut names: Vec<String> = listed.into_iter().map(|meta| meta.location.to_string()).collect();
        names.sort();
        names
    }
}

#[test]
fn what_a_journal_gains_is_copied_once_and_brought_to_a_new_machine() {
    let world = World::new();
    let store = world.store();
    world.fetch(&store, "a").unwrap();
    world.append("a", "one\ntwo\nto");
    world.push(&store, "a").unwrap();
    world.push(&store, "a").unwrap();
    world.append("a", "rn\nthree\n");
    std::fs::write(world.folder("a").join(SETTINGS), "{}").unwrap();
    world.push(&store, "a").unwrap();
    let names =
        ["run/journal/00000000000000000000.jsonl", "run/journal/00000000000000000008.jsonl", "run/run.json"];
    assert_eq!(world.names(), names);
    let other = world.store();
    world.fetch(&other, "b").unwrap();
    assert_eq!(world.journal("b"), "one\ntwo\ntorn\nthree\n");
    assert_eq!(std::fs::read_to_string(world.folder("b").join(SETTINGS)).unwrap(), "{}");
    // It goes on there, and then here.
    world.append("b", "four\n");
    world.push(&other, "b").unwrap();
    world.append("a", "half of a li");
    world.fetch(&store, "a").unwrap();
    assert_eq!(world.journal("a"), "one\ntwo\ntorn\nthree\nfour\n");
}

#[test]
fn a_folder_that_is_ahead_of_the_store_stays_so() {
    let world = World::new();
    world.append("a", "one\n");
    let store = world.store();
    world.push(&store, "a").unwrap();
    world.append("a", "two\nthr");
    // A new process does not know what was copied.
    let store = world.store();
    world.fetch(&store, "a").unwrap();
    assert_eq!(world.journal("a"), "one\ntwo\nthr");
    world.push(&store, "a").unwrap();
    world.fetch(&world.store(), "b").unwrap();
    assert_eq!(world.journal("b"), "one\ntwo\n");
}

#[test]
fn an_upload_whose_answer_was_lost_is_found_done() {
    let world = World::new();
    world.append("a", "one\n");
    world.push(&world.store(), "a").unwrap();
    world.append("a", "two\n");
    // It believes that nothing is there.
    world.push(&world.store(), "a").unwrap();
    world.fetch(&world.store(), "b").unwrap();
    assert_eq!(world.journal("b"), "one\ntwo\n");
}

#[test]
fn two_runs_in_one_place_are_told_apart() {
    let world = World::new();
    world.append("a", "one\n");
    world.push(&world.store(), "a").unwrap();
    world.append("b", "two\n");
    let error = world.fetch(&world.store(), "b").unwrap_err();
    assert!(error.contains("different runs"), "{error}");
    let error = world.push(&world.store(), "b").unwrap_err();
    assert!(error.contains("another process"), "{error}");
    assert_eq!(world.journal("b"), "two\n");
}

#[test]
fn a_gap_in_the_stores_journal_is_named() {
    let world = World::new();
    world
        .runtime
        .block_on(world.objects.put(&Key::from("run/journal/00000000000000000004.jsonl"), "x\n".into()))
        .unwrap();
    let error = world.fetch(&world.store(), "a").unwrap_err();
    assert!(error.contains("bytes from 0 on are missing"), "{error}");
}

#[test]
fn files_are_copied_and_old_parquet_goes() {
    let world = World::new();
    let folder = world.folder("a");
    for (name, text) in [
        ("data/train-00000-of-00001.parquet", "rows"),
        ("trajectories/i/0.traj.json", "{}"),
        ("README.md", "card"),
        (".1-2.draft", "half"),
        ("journal.torn", "x"),
        ("shard-00000-of-00002/README.md", "a shard's"),
    ] {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    // Longer than what is put in one piece.
    let long = vec![b'x'; usize::try_from(PARTS_FROM).unwrap() + 1];
    std::fs::write(folder.join("report.html"), &long).unwrap();
    for name in [
        "run/data/train-00001-of-00002.parquet",
        "run/data/mine.parquet",
        "run/shard-00000-of-00002/run.json",
    ] {
        world.runtime.block_on(world.objects.put(&Key::from(name), "old".into())).unwrap();
    }
    for _ in 0..2 {
        world.runtime.block_on(world.store().push_files(&folder)).unwrap();
    }
    assert_eq!(
        world.names(),
        [
            "run/README.md",
            "run/data/mine.parquet",
            "run/data/train-00000-of-00001.parquet",
            "run/report.html",
            "run/shard-00000-of-00002/run.json",
            "run/trajectories/i/0.traj.json",
        ]
    );
    let read = world.runtime.block_on(world.store().get("report.html")).unwrap().unwrap();
    assert_eq!(read, long);
}

#[test]
fn a_url_that_no_store_has_is_an_error() {
    for (url, words) in [("ftp://h/x", "ftp://h/x"), ("://", "expected a URL")] {
        let error = format!("{:#}", Store::open(url).err().unwrap());
        assert!(error.contains(words), "{error}");
    }
}
