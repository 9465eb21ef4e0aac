//! A repository from an archive: a `.tar`, `.tar.gz` or `.tgz` of a repository, or of a source tree such as an sdist or what
//! `git archive` makes. A source tree becomes a repository of one commit.

use super::git::git;
use flate2::read::MultiGzDecoder;
use sbx_runtime::cache::{self, Use};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use tar::EntryType;

/// Endings of the archives that are read.
pub(super) const ENDINGS: [&str; 3] = [".tar.gz", ".tgz", ".tar"];
/// Most bytes that an archive may unpack to.
const MAX_BYTES: u64 = 16 << 30;
/// Most files and directories in an archive.
const MAX_ENTRIES: usize = 2_000_000;
/// Beside the unpacked repository: the commit that the archive says it was made of.
const NAMED: &str = "commit";

/// A repository that was in an archive, or was made of one.
pub(super) struct Unpacked {
    pub repository: PathBuf,
    /// The commit that `git archive` noted; the repository's own is another, since it has no history.
    pub named: Option<String>,
    _in_use: Use,
}

/// Unpacks an archive once into the cache, also between processes.
pub(super) fn unpack(archive: &Path, cache: &Path) -> Result<Unpacked, String> {
    let fault = |e: io::Error| format!("archive {}: {e}", archive.display());
    let meta = fs::metadata(archive).map_err(fault)?;
    let stamp = format!("{} {} {:?}", archive.display(), meta.len(), meta.modified().ok());
    let key: String = Sha256::digest(stamp).iter().take(16).map(|b| format!("{b:02x}")).collect();
    let all = cache.join("archives");
    let in_use = cache::made_once(&all, &key, |draft| make(archive, draft)).map_err(fault)?;
    let place = all.join(&key);
    let named = fs::read_to_string(place.join(NAMED)).ok();
    Ok(Unpacked { repository: place.join("repository"), named, _in_use: in_use })
}

fn make(archive: &Path, draft: &Path) -> io::Result<()> {
    let (all, repository) = (draft.join("all"), draft.join("repository"));
    fs::create_dir_all(&all)?;
    let file = io::BufReader::new(fs::File::open(archive)?);
    let is_plain = archive.extension().is_some_and(|e| e == "tar");
    let bytes: Box<dyn Read> = if is_plain { Box::new(file) } else { Box::new(MultiGzDecoder::new(file)) };
    let named = extract(bytes.take(MAX_BYTES), &all)?;
    // An sdist has one directory at its top.
    let tops: Vec<_> = fs::read_dir(&all)?.collect::<io::Result<_>>()?;
    let top = match tops.as_slice() {
        [] => return Err(io::Error::other("nothing is in it")),
        [one] if one.file_type()?.is_dir() && one.file_name() != ".git" => one.path(),
        _ => all.clone(),
    };
    fs::rename(&top, &repository)?;
    let _ = fs::remove_dir_all(&all);
    if repository.join(".git").exists() {
        return Ok(());
    }
    if let Some(commit) = named {
        fs::write(draft.join(NAMED), commit)?;
    }
    let run = |args: &[&str]| git(&repository, args).map_err(io::Error::other);
    run(&["init", "-q", "--template=", "."])?;
    run(&["add", "-A", "-f"])?;
    let who = ["-c", "user.name=sbx", "-c", "user.email=sbx@sbx.invalid"];
    let what =
        ["commit", "-q", "--allow-empty", "--no-gpg-sign", "--date=1970-01-02T00:00:00Z", "-m", "Archive"];
    run(&[&who[..], &what[..]].concat())?;
    Ok(())
}

/// Extracts files, directories and links; returns the comment of a pax header when it is a commit's name.
fn extract(bytes: impl Read, to: &Path) -> io::Result<Option<String>> {
    let mut archive = tar::Archive::new(bytes);
    archive.set_preserve_mtime(false);
    let mut named = None;
    for (count, entry) in archive.entries()?.enumerate() {
        let mut entry = entry?;
        if count > MAX_ENTRIES {
            return Err(io::Error::other(format!("more than {MAX_ENTRIES} entries")));
        }
        match entry.header().entry_type() {
            EntryType::XGlobalHeader => {
                let mut text = String::new();
                let _ = entry.take(1024).read_to_string(&mut text);
                named = text.lines().find_map(commit_in).or(named);
            }
            EntryType::Regular
            | EntryType::Continuous
            | EntryType::GNUSparse
            | EntryType::Directory
            | EntryType::Symlink
            | EntryType::Link => {
                let path = entry.path()?.display().to_string();
                if !entry.unpack_in(to)? {
                    return Err(io::Error::other(format!("{path:?} leads out of it")));
                }
            }
            // Devices and pipes are no part of a repository.
            _ => {}
        }
    }
    Ok(named)
}

/// `52 comment=<40 digits>`, as git-archive(1) writes it.
fn commit_in(line: &str) -> Option<String> {
    let (_, comment) = line.split_once(" comment=")?;
    (comment.len() == 40 && comment.bytes().all(|b| b.is_ascii_hexdigit())).then(|| comment.to_lowercase())
}
