//! `sbx stats`: the statistics of the SWE-ZERO card of a run, or of two side by side.

use super::dataset::print_table;
use super::store::Place;
use sbx_dataset::{Comparison, Stats};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// Run folder or URL, as `sbx agent --out` makes it
    run: PathBuf,
    /// A second one, to compare: before and after
    after: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let run = Place::fetch(&args.run)?;
    let Some(after) = args.after else {
        let stats = Stats::of_run(&run)?;
        if args.json {
            say!("{}", serde_json::json!({"schema": "sbx.stats/1", "run": args.run, "stats": stats}));
        } else {
            print_table(&stats);
        }
        return Ok(ExitCode::SUCCESS);
    };
    let compared = Comparison::of_runs(&run, &Place::fetch(&after)?)?;
    if args.json {
        let rows = compared.rows();
        say!(
            "{}",
            serde_json::json!({
                "schema": "sbx.compare/1", "before": args.run, "after": after, "rows": rows, "comparison": compared
            })
        );
        return Ok(ExitCode::SUCCESS);
    }
    say!("{:38} {:>14} {:>14} {:>14}", "", "before", "after", "difference");
    for row in compared.rows() {
        say!("{:38} {:>14.1} {:>14.1} {:>+14.1}", row.what, row.before, row.after, row.after - row.before);
    }
    say!(
        "\nof {} common instances {} submitted a greater share, {} a smaller one (sign test: p = {:.3})",
        compared.common,
        compared.better,
        compared.worse,
        compared.sign_test_p
    );
    Ok(ExitCode::SUCCESS)
}
