//! `sbx dataset`: the data set of a run folder, written (again) from its journal.

use super::store::Place;
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Run folder or URL, as `sbx agent --out` makes it
    #[arg(required = true)]
    run: Option<PathBuf>,
    /// Print the statistics as JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Join the shards of `sbx agent --shard` into one run folder and write its data set
    Finalize {
        /// The --out of the shards, a folder or a URL
        run: PathBuf,
        /// Join what is there, though shards are missing
        #[arg(long)]
        partial: bool,
        /// Print the statistics as JSON
        #[arg(long)]
        json: bool,
    },
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    if let Some(Command::Finalize { run, partial, json }) = args.command {
        let Place { folder, store } = Place::of(&run, None, None)?;
        let options = sbx_dataset::DatasetOptions::default();
        let Some(store) = store else {
            let written = sbx_dataset::finalize(&folder, partial, &options)?;
            return tell(&written, &folder, json);
        };
        let runtime = tokio::runtime::Runtime::new()?;
        let failed = || store.url().to_string();
        runtime.block_on(store.fetch_shards(&folder)).with_context(failed)?;
        let written = sbx_dataset::finalize(&folder, partial, &options)?;
        runtime
            .block_on(async {
                store.replace_journal(&folder).await?;
                store.push_files(&folder).await
            })
            .with_context(failed)?;
        return tell(&written, &folder, json);
    }
    let Place { folder, store } = Place::of(&args.run.unwrap_or_default(), None, None)?;
    let Some(store) = store else { return tell(&sbx_dataset::write(&folder)?, &folder, args.json) };
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(store.fetch(&folder)).with_context(|| store.url().to_string())?;
    let written = sbx_dataset::write(&folder)?;
    runtime.block_on(store.push_files(&folder)).with_context(|| store.url().to_string())?;
    tell(&written, &folder, args.json)
}

fn tell(written: &sbx_dataset::Written, run: &Path, json: bool) -> anyhow::Result<ExitCode> {
    for journal in &written.torn {
        tell!(
            "sbx: {}: the last line has no end and is left out; a run that goes on repeats its rollout",
            journal.display()
        );
    }
    if json {
        let files: Vec<_> = written.files.iter().map(|f| f.to_string_lossy().into_owned()).collect();
        say!("{}", serde_json::json!({"schema": "sbx.dataset/1", "stats": written.stats, "files": files}));
    } else {
        print_table(&written.stats);
        where_to_look(run);
    }
    Ok(ExitCode::SUCCESS)
}

/// The statistics in the terms of the SWE-ZERO card.
pub fn print_table(stats: &sbx_dataset::Stats) {
    let rows = stats.rows();
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, value) in rows {
        say!("{name:width$}  {value}");
    }
}

/// Where the files of a run folder are, those that are there.
pub fn where_to_look(run: &Path) {
    say!("");
    let files = [
        ("data set", "data"),
        ("card", "README.md"),
        ("page", "report.html"),
        ("patches", "preds.json"),
        ("journal", "journal.jsonl"),
    ];
    // `sbx agent` writes the patches, so a journal alone has none.
    for (what, path) in
        files.map(|(what, name)| (what, run.join(name))).iter().filter(|(_, path)| path.exists())
    {
        say!("{what:10} {}", path.display());
    }
}
