//! A run in an object store, by the crate `object_store`.
//!
//! The journal is there as `journal/<offset>.jsonl`: whole lines, each object the bytes that follow the ones before it. An
//! object is created and never overwritten, so that a second writer of the same run is told so.

use anyhow::{Context, bail, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::buffered::BufWriter;
use object_store::path::Path as Key;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use rustix::fs::{FlockOperation, flock};
use sbx_records::JOURNAL;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

/// Most bytes of one of the journal's objects, as long as no line is longer.
const SEGMENT_BYTES: u64 = 32 << 20;
/// Most bytes of an object of the journal that is read. A line of a journal may have as many.
const MAX_SEGMENT_BYTES: u64 = 1 << 30;
/// Files from which on an upload is made in parts, in bytes.
const PARTS_FROM: u64 = 16 << 20;
/// Uploads at a time.
const AT_A_TIME: usize = 16;
/// Most objects of a run that are listed.
const MAX_LISTED: usize = 4_000_000;
const SETTINGS: &str = "run.json";

/// A run in an object store.
#[derive(Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    root: Key,
    url: String,
    /// Bytes of the journal that are there.
    sent: Arc<AtomicU64>,
    /// One copies the journal at a time.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// The settings that were copied.
    settings: Arc<std::sync::Mutex<Vec<u8>>>,
}

impl Store {
    /// Opens a store by its URL; keys and endpoints are in the variables that its own tools read (`AWS_…`, `GOOGLE_…`).
    /// Nothing is connected to yet.
    pub fn open(url: &str) -> anyhow::Result<Store> {
        let parsed = url::Url::parse(url)
            .with_context(|| format!("{url}: expected a URL such as s3://bucket/prefix"))?;
        let variables = std::env::vars().filter(|(key, _)| {
            ["AWS_", "GOOGLE_"].iter().any(|own| key.to_ascii_uppercase().starts_with(own))
        });
        // The store's HTTP client takes the process's; a second call finds it installed.
        sbx_agent::install_tls();
        let (objects, root) = object_store::parse_url_opts(&parsed, variables).map_err(|e| match e {
            Error::Generic { source, .. } => anyhow::anyhow!("{url}: {source}"),
            other => anyhow::anyhow!("{url}: {other}; expected s3://, gs:// or file://"),
        })?;
        if parsed.scheme() == "file" {
            let dir = parsed.to_file_path().ok().with_context(|| format!("{url}: expected file:///dir"))?;
            std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
        }
        Ok(Store::new(objects.into(), root, url.trim_end_matches('/').to_string()))
    }

    fn new(objects: Arc<dyn ObjectStore>, root: Key, url: String) -> Store {
        Store { objects, root, url, sent: Arc::default(), turn: Arc::default(), settings: Arc::default() }
    }

    /// The run of one shard in it.
    pub fn part(self, part: &str) -> Store {
        Store::new(self.objects, self.root.clone().join(part), format!("{}/{part}", self.url))
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Brings journal and settings into a folder, as far as it does not have them.
    pub async fn fetch(&self, folder: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let settings = folder.join(SETTINGS);
        if !settings.exists()
            && let Some(bytes) = self.get(SETTINGS).await?
        {
            sbx_records::replace_file(&settings, |f| f.write_all(&bytes))?;
        }
        let segments = self.segments().await?;
        let there = segments.last().map_or(0, |(at, meta)| at + meta.size);
        self.sent.store(there, Ordering::Relaxed);
        let path = folder.join(JOURNAL);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .with_context(|| path.display().to_string())?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            // A run is under way here; it says so itself.
            return Ok(());
        }
        let here = whole_lines(&mut file)?;
        for (at, meta) in segments {
            let end = at + meta.size;
            // What both have is only compared at its end: a journal never changes.
            if end < here.min(there) {
                continue;
            }
            let bytes = self.read(&meta).await?;
            let known = usize::try_from(here.saturating_sub(at))?.min(bytes.len());
            let mut own = vec![0; known];
            file.seek(SeekFrom::Start(at))?;
            file.read_exact(&mut own)?;
            ensure!(
                own == bytes[..known],
                "{} and {} hold different runs; use another --out, or remove one of them",
                path.display(),
                self.url
            );
            if known < bytes.len() {
                file.set_len(at + known as u64)?;
                file.seek(SeekFrom::End(0))?;
                file.write_all(&bytes[known..])?;
            }
        }
        file.sync_all()?;
        Ok(())
    }

    /// Brings the shards of a run into a folder; returns how many there are.
    pub async fn fetch_shards(&self, folder: &Path) -> anyhow::Result<usize> {
        let listed = self.objects.list_with_delimiter(Some(&self.root)).await?;
        let mut found = 0;
        for prefix in listed.common_prefixes {
            let Some(name) = prefix.filename().filter(|name| name.starts_with("shard-")) else { continue };
            self.clone().part(name).fetch(&folder.join(name)).await?;
            found += 1;
        }
        Ok(found)
    }

    /// Copies what the journal has gained, and the settings. Any number of calls do what one does.
    pub async fn push_journal(&self, folder: &Path) -> anyhow::Result<()> {
        let _turn = self.turn.lock().await;
        let settings = std::fs::read(folder.join(SETTINGS)).unwrap_or_default();
        let held = self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if !settings.is_empty() && settings != held {
            self.objects.put(&self.key(SETTINGS), settings.clone().into()).await?;
            *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = settings;
        }
        loop {
            let at = self.sent.load(Ordering::Relaxed);
            let bytes = lines_from(&folder.join(JOURNAL), at)?;
            if bytes.is_empty() {
                return Ok(());
            }
            let key = self.key(&format!("journal/{at:020}.jsonl"));
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            let gained = match self.objects.put_opts(&key, bytes.clone().into(), options).await {
                Ok(_) => bytes.len(),
                Err(Error::AlreadyExists { .. }) => {
                    // An earlier call was not told of its success; since then the journal may have grown.
                    let there = self.read(&self.objects.head(&key).await?).await?;
                    ensure!(
                        !there.is_empty() && bytes.starts_with(&there),
                        "{}: another process writes the same run",
                        self.url
                    );
                    there.len()
                }
                Err(e) => return Err(e.into()),
            };
            self.sent.store(at + gained as u64, Ordering::Relaxed);
        }
    }

    /// Copies all that is made from the journal, and removes the parquet files that are no longer part of the data set.
    pub async fn push_files(&self, folder: &Path) -> anyhow::Result<()> {
        let mut there = std::collections::HashMap::new();
        let mut listed = self.objects.list(Some(&self.root)).take(MAX_LISTED);
        while let Some(meta) = listed.try_next().await? {
            there.insert(meta.location.clone(), meta);
        }
        let mut files = Vec::new();
        walk(folder, folder, &mut files)?;
        // The card comes last: it tells what else is there.
        let (card, others): (Vec<PathBuf>, Vec<PathBuf>) =
            files.into_iter().partition(|file| file == Path::new("README.md"));
        let push = |file: PathBuf| {
            let (key, there) = (self.file_key(&file), &there);
            async move { self.push(&folder.join(&file), &key, there.get(&key)).await }
        };
        let kept: std::collections::HashSet<Key> =
            others.iter().chain(&card).map(|file| self.file_key(file)).collect();
        stream::iter(others).map(push).buffer_unordered(AT_A_TIME).try_collect::<Vec<()>>().await?;
        for file in card {
            push(file).await?;
        }
        for key in there.keys().filter(|key| !kept.contains(*key) && self.is_shard(key)) {
            self.objects.delete(key).await?;
        }
        Ok(())
    }

    /// Puts a journal that was made anew, by joining shards, in the place of an older one.
    pub async fn replace_journal(&self, folder: &Path) -> anyhow::Result<()> {
        for (_, meta) in self.segments().await? {
            self.objects.delete(&meta.location).await?;
        }
        self.sent.store(0, Ordering::Relaxed);
        self.push_journal(folder).await
    }

    fn key(&self, name: &str) -> Key {
        name.split('/').fold(self.root.clone(), |key, part| key.join(part))
    }

    fn file_key(&self, file: &Path) -> Key {
        file.iter().fold(self.root.clone(), |key, part| key.join(part.to_string_lossy().as_ref()))
    }

    /// Whether an object is one of the data set's own parquet files.
    fn is_shard(&self, key: &Key) -> bool {
        ["data", "full"].iter().any(|config| key.prefix_matches(&self.key(config)))
            && key.filename().is_some_and(|name| name.starts_with("train-") && name.ends_with(".parquet"))
    }

    /// The journal's objects and where each begins, in order and without a gap.
    async fn segments(&self) -> anyhow::Result<Vec<(u64, ObjectMeta)>> {
        let mut all = Vec::new();
        let mut listed = self.objects.list(Some(&self.key("journal"))).take(MAX_LISTED);
        while let Some(meta) = listed.try_next().await? {
            let number = meta.location.filename().and_then(|name| name.strip_suffix(".jsonl")?.parse().ok());
            all.extend(number.map(|at: u64| (at, meta)));
        }
        all.sort_by_key(|(at, _)| *at);
        let mut end = 0;
        for (at, meta) in &all {
            ensure!(
                *at == end,
                "{}/{}: the journal's bytes from {end} on are missing",
                self.url,
                meta.location
            );
            end = at + meta.size;
        }
        Ok(all)
    }

    async fn read(&self, meta: &ObjectMeta) -> anyhow::Result<Vec<u8>> {
        if meta.size > MAX_SEGMENT_BYTES {
            bail!("{}: {} bytes; expected at most {MAX_SEGMENT_BYTES}", meta.location, meta.size);
        }
        Ok(self.objects.get(&meta.location).await?.bytes().await?.into())
    }

    async fn get(&self, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
        match self.objects.head(&self.key(name)).await {
            Ok(meta) => Ok(Some(self.read(&meta).await?)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Copies a file, unless the store says that it has the same bytes.
    async fn push(&self, path: &Path, key: &Key, there: Option<&ObjectMeta>) -> anyhow::Result<()> {
        let what = || path.display().to_string();
        let size = std::fs::metadata(path).with_context(what)?.len();
        if size < PARTS_FROM {
            let bytes = std::fs::read(path).with_context(what)?;
            // S3 and its likes tell the MD5 of what was put in one piece.
            let tag = there.filter(|meta| meta.size == size).and_then(|meta| meta.e_tag.as_deref());
            let is_there =
                tag.is_some_and(|tag| tag.trim_matches('"') == format!("{:x}", md5::compute(&bytes)));
            if !is_there {
                self.objects.put(key, bytes.into()).await?;
            }
            return Ok(());
        }
        let mut file = tokio::fs::File::open(path).await.with_context(what)?;
        let mut writer = BufWriter::new(self.objects.clone(), key.clone());
        tokio::io::copy(&mut file, &mut writer).await.with_context(what)?;
        tokio::io::AsyncWriteExt::shutdown(&mut writer).await.with_context(what)?;
        Ok(())
    }
}

/// Files to copy, relative to the run folder: neither the journal, nor the folders of shards, nor what is hidden.
fn walk(root: &Path, dir: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(dir).with_context(|| dir.display().to_string())?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_top = dir == root;
        if name.starts_with('.') || is_top && (name.starts_with("journal.") || name.starts_with("shard-")) {
            continue;
        }
        // A link would lead out of the run.
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(root, &entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path().strip_prefix(root)?.to_path_buf());
        }
    }
    Ok(())
}

/// Length of the whole lines of a file.
fn whole_lines(file: &mut File) -> anyhow::Result<u64> {
    let len = file.metadata()?.len();
    let mut end = len;
    let mut chunk = [0; 64 << 10];
    while end > 0 {
        let from = end.saturating_sub(chunk.len() as u64);
        let part = &mut chunk[..usize::try_from(end - from)?];
        file.seek(SeekFrom::Start(from))?;
        file.read_exact(part)?;
        if let Some(at) = part.iter().rposition(|b| *b == b'\n') {
            return Ok(from + at as u64 + 1);
        }
        end = from;
    }
    Ok(0)
}

/// The whole lines from `at` on, about as many as make an object.
fn lines_from(path: &Path, at: u64) -> anyhow::Result<Vec<u8>> {
    let mut file = File::open(path).with_context(|| path.display().to_string())?;
    let mut bytes = Vec::new();
    let mut most = SEGMENT_BYTES;
    loop {
        file.seek(SeekFrom::Start(at))?;
        bytes.clear();
        (&file).take(most).read_to_end(&mut bytes)?;
        if let Some(end) = bytes.iter().rposition(|b| *b == b'\n') {
            bytes.truncate(end + 1);
            return Ok(bytes);
        }
        if (bytes.len() as u64) < most || most >= MAX_SEGMENT_BYTES {
            return Ok(Vec::new());
        }
        most *= 2;
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
