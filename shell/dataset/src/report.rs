//! `report.html`: one file without a server and without anything from elsewhere. What agents and models wrote is escaped
//! by the template engine.

use crate::Error;
use crate::plots::Points;
use crate::stats::Stats;
use minijinja::{AutoEscape, Environment, context};
use sbx_records::{Acted, Draft, Message, Rollout, Rollouts};
use serde_json::Value;
use std::path::Path;

/// Bytes of the page after which no conversation begins, for the browser's sake.
const MAX_PAGE_BYTES: usize = 64 << 20;
/// Characters of one message that the page shows at most.
const MAX_SHOWN: usize = 20_000;

const HEAD: &str = include_str!("report/head.html");
const ROLLOUT: &str = include_str!("report/rollout.html");

/// Writes the page with so many conversations at most; it has no name yet.
pub(crate) fn draft(
    path: &Path,
    rollouts: &Rollouts,
    stats: &Stats,
    points: &Points,
    conversations: usize,
) -> Result<Draft, Error> {
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
    let shown = rollouts.len().min(conversations);
    let head = head.render(
        context! { rows => stats.rows(), shares => shares.to_vec(), plots => minijinja::Value::from(minijinja::value::Serde(&points.plots())), shown, total => rollouts.len() },
    )?;
    let mut failure = None;
    Draft::write(path, |f| {
        f.write_all(head.as_bytes())?;
        let mut bytes = head.len();
        for (n, rollout) in rollouts.iter().take(shown).enumerate() {
            if bytes > MAX_PAGE_BYTES {
                writeln!(f, "<p>The page is full after {n} conversations.</p>")?;
                break;
            }
            // The error's own words are kept; the file's writer only knows that it must not go on.
            let rendered = rollout.map_err(Error::from).and_then(|r| render(&one, &r));
            match rendered {
                Ok(text) => {
                    bytes += text.len();
                    f.write_all(text.as_bytes())?;
                }
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
        .map(|m| {
            let thinking = m.reasoning_content.as_deref().or(m.reasoning.as_deref()).map(cut);
            context! { role => m.role.clone(), text => cut(&m.content), thinking, calls => calls(m) }
        })
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

/// The tool calls of a message, as people read them: a script as it is, else the tool and its arguments, a line each.
fn calls(message: &Message) -> Vec<String> {
    let called = |acted: Acted| match acted {
        Acted::Script(script) => script,
        Acted::Tool { name, arguments: Value::Object(arguments), .. } => {
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
            let lines = arguments.iter().map(|(key, value)| format!("{key}: {}", text(value)));
            std::iter::once(name).chain(lines).collect::<Vec<_>>().join("\n")
        }
        Acted::Tool { text, .. } => text,
    };
    // Those of a text stand in it.
    let acted = if message.tool_calls.is_some() { message.acted() } else { Vec::new() };
    acted.into_iter().map(|a| cut(&called(a))).collect()
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        None => text.to_string(),
        Some((end, _)) => format!("{}\n[… {} more bytes are in the journal]", &text[..end], text.len() - end),
    }
}
