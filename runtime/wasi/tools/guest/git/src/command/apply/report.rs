//! What a patch would do: `--stat` and its kin.

use super::{Options, Result_};
use crate::Out;
use crate::error::Result;
use crate::object::Kind;
use crate::repo::Repo;
use crate::show::{self, Style};
use bstr::ByteSlice;

pub(super) fn report(
    repo: Option<&Repo>,
    options: &Options,
    results: &[Result_],
    out: &mut Out,
) -> Result<()> {
    if !(options.stat || options.numstat || options.summary) {
        return Ok(());
    }
    let style = Style { numstat: options.numstat, ..Style::new(repo) };
    let here = std::env::current_dir()?;
    let plain = Repo {
        dir: here.clone(),
        common: here.clone(),
        work: repo.and_then(|repo| repo.work.clone()).or(Some(here.clone())),
        prefix: Vec::new(),
        config: repo.map(|repo| repo.config.clone()).unwrap_or_default(),
        odb: crate::odb::Odb::open(
            repo.map_or_else(|| here.join(".git/objects"), |repo| repo.common.join("objects")),
        ),
    };
    let mut changes = Vec::new();
    for result in results {
        let mut change = result.change.clone();
        if let (Some(side), Some(content)) = (&mut change.new, &result.content) {
            side.work = false;
            side.id = plain.odb.write(Kind::Blob, content)?;
        }
        changes.push(change);
    }
    if options.stat {
        stat(results, out);
    }
    style.write(&plain, &changes, &mut out.bytes)?;
    if options.summary {
        for change in &changes {
            show::write_summary(&plain, change, &mut out.bytes);
        }
    }
    Ok(())
}

// Its own statistics: the patch is counted, not the files.
pub(super) fn stat(results: &[Result_], out: &mut Out) {
    let count = |result: &Result_, sign: u8| {
        result.file.hunks.iter().flat_map(|hunk| &hunk.lines).filter(|(other, _)| *other == sign).count()
    };
    let rows: Vec<(String, usize, usize)> = results
        .iter()
        .map(|result| {
            (result.change.path().to_str_lossy().into_owned(), count(result, b'+'), count(result, b'-'))
        })
        .collect();
    let most = rows.iter().map(|(_, added, removed)| added + removed).max().unwrap_or(0);
    let width = rows.iter().map(|(name, ..)| name.len()).max().unwrap_or(0).min(50);
    let graph = most.min(70 - width);
    for (name, added, removed) in &rows {
        let scale = |number: usize| (number * graph + most / 2).checked_div(most).unwrap_or(0);
        let total = scale(added + removed);
        let plus = scale(*added).min(total);
        out.line(format!(
            " {name:<width$} |{:5} {}{}",
            added + removed,
            "+".repeat(plus),
            "-".repeat(total - plus)
        ));
    }
    let sum = |of: fn(&(String, usize, usize)) -> usize| rows.iter().map(of).sum();
    out.bytes.extend_from_slice(&show::totals(rows.len(), sum(|row| row.1), sum(|row| row.2)));
}
