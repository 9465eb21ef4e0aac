//! `report.html`: one file without a server and without anything from elsewhere. What agents and models wrote is escaped
//! by the template engine.

use crate::Error;
use crate::stats::Stats;
use minijinja::{AutoEscape, Environment, context};
use sbx_records::{Rollout, Rollouts, replace_file};
use std::path::Path;

/// Conversations that the page holds at most; all are in the parquet files.
const MAX_CONVERSATIONS: usize = 200;
/// Characters of one message that the page shows at most.
const MAX_SHOWN: usize = 20_000;

const HEAD: &str = include_str!("report/head.html");
const ROLLOUT: &str = include_str!("report/rollout.html");

pub(crate) fn write(dir: &Path, rollouts: &Rollouts, stats: &Stats) -> Result<(), Error> {
    let mut templates = Environment::new();
    templates.set_auto_escape_callback(|_| AutoEscape::Html);
    templates.add_template("head", HEAD)?;
    templates.add_template("rollout", ROLLOUT)?;
    let (head, one) = (templates.get_template("head")?, templates.get_template("rollout")?);
    let shares = [
        ("submitted", stats.submitted),
        ("incomplete", stats.incomplete),
        ("errored", stats.errored),
        ("other", stats.other),
    ]
    .map(|(name, n)| (name, n, 100.0 * n as f64 / stats.rollouts.max(1) as f64));
    let shown = rollouts.len().min(MAX_CONVERSATIONS);
    let head = head.render(
        context! { rows => stats.rows(), shares => shares.to_vec(), shown, total => rollouts.len() },
    )?;
    let mut failure = None;
    replace_file(&dir.join("report.html"), |f| {
        f.write_all(head.as_bytes())?;
        for rollout in rollouts.iter().take(MAX_CONVERSATIONS) {
            // The error's own words are kept; the file's writer only knows that it must not go on.
            let rendered = rollout.map_err(Error::from).and_then(|r| render(&one, &r));
            match rendered {
                Ok(text) => f.write_all(text.as_bytes())?,
                Err(e) => {
                    failure = Some(e);
                    return Err(std::io::Error::other("a rollout could not be rendered"));
                }
            }
        }
        f.write_all(b"</main></body></html>\n")
    })
    .map_err(|e| failure.take().unwrap_or_else(|| e.into()))
}

fn render(template: &minijinja::Template<'_, '_>, rollout: &Rollout) -> Result<String, Error> {
    let messages: Vec<_> = rollout
        .messages
        .iter()
        .map(|m| context! { role => m.role.clone(), text => cut(&m.content), thinking => m.reasoning_content.as_deref().map(cut) })
        .collect();
    Ok(template.render(context! {
        name => format!("{} #{}", rollout.instance_id, rollout.rollout),
        status => rollout.exit_status.to_string(),
        detail => rollout.exit_status_detail.clone(),
        turns => rollout.n_turns,
        tokens => rollout.completion_tokens,
        seconds => format!("{:.1}", rollout.duration_sec),
        messages,
        patch => cut(&rollout.patch),
    })?)
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        None => text.to_string(),
        Some((end, _)) => format!("{}\n[… {} more bytes are in the journal]", &text[..end], text.len() - end),
    }
}
