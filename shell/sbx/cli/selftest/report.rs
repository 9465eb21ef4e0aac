//! What came of all attacks: a table for people, JSON and JUnit for machines.

use super::run::{Runner, Verdict};
use super::{Tried, Unchanged};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Attacks of one category: how many were stopped, escaped, and were not tried, by runner.
type Table<'a> = BTreeMap<&'a str, BTreeMap<Runner, [u64; 3]>>;

fn table(tried: &[Tried]) -> Table<'_> {
    let mut table = Table::new();
    for one in tried {
        for (runner, verdict) in &one.verdicts {
            let counts = table.entry(&one.case.category).or_default().entry(*runner).or_default();
            let slot = match verdict {
                Verdict::Stopped => 0,
                Verdict::Escaped(_) => 1,
                Verdict::Skipped(_) => 2,
            };
            counts[slot] += 1;
        }
    }
    table
}

/// The table of a terminal: stopped and tried by category and runner.
pub fn text(tried: &[Tried], runners: &[Runner]) -> String {
    let mut out = format!("{:12} {:>7}  {:32}", "category", "attacks", "walls");
    for runner in runners {
        let _ = write!(out, " {:>14}", format!("{} stops", runner.name()));
    }
    out.push('\n');
    let mut sums: BTreeMap<Runner, [u64; 3]> = BTreeMap::new();
    for (category, by_runner) in table(tried) {
        let first = tried.iter().find(|t| t.case.category == category);
        let walls = first.map_or(String::new(), |t| t.case.walls.join(", "));
        let count = tried.iter().filter(|t| t.case.category == category).count();
        let _ = write!(out, "{category:12} {count:>7}  {walls:32}");
        for runner in runners {
            let counts = by_runner.get(runner).copied().unwrap_or_default();
            let _ = write!(out, " {:>14}", format!("{}/{}", counts[0], counts[0] + counts[1]));
            let sum = sums.entry(*runner).or_default();
            (0..3).for_each(|i| sum[i] += counts[i]);
        }
        out.push('\n');
    }
    let _ = write!(out, "{:12} {:>7}  {:32}", "all", tried.len(), "");
    for runner in runners {
        let counts = sums.get(runner).copied().unwrap_or_default();
        let _ = write!(out, " {:>14}", format!("{}/{}", counts[0], counts[0] + counts[1]));
    }
    out.push('\n');
    out
}

/// One object, schema `sbx.selftest/1`.
pub fn object(tried: &[Tried], runners: &[Runner], unchanged: &Unchanged) -> Value {
    let cases: Vec<Value> = tried
        .iter()
        .map(|t| {
            let verdicts: BTreeMap<&str, &Verdict> = t.verdicts.iter().map(|(r, v)| (r.name(), v)).collect();
            json!({"category": t.case.category, "id": t.case.id, "walls": t.case.walls, "policy": t.case.policy, "verdicts": verdicts})
        })
        .collect();
    let sums: BTreeMap<&str, BTreeMap<&str, Value>> = table(tried)
        .into_iter()
        .map(|(category, by_runner)| {
            let by_runner = by_runner.into_iter().map(|(r, [stopped, escaped, skipped])| {
                (r.name(), json!({"stopped": stopped, "escaped": escaped, "skipped": skipped}))
            });
            (category, by_runner.collect())
        })
        .collect();
    let runners: Vec<&str> = runners.iter().map(|r| r.name()).collect();
    let everyday: BTreeMap<&str, Value> = unchanged
        .iter()
        .map(|(r, (same, others))| (r.name(), json!({"same": same, "different": others})))
        .collect();
    json!({"schema": "sbx.selftest/1", "runners": runners, "categories": sums, "everyday": everyday, "cases": cases})
}

/// JUnit's XML: a test case an attack, a failure an escape from this sandbox.
pub fn junit(tried: &[Tried]) -> String {
    let escaped = |t: &Tried| match t.verdicts.get(&Runner::Sbx) {
        Some(Verdict::Escaped(why)) => Some(why.clone()),
        _ => None,
    };
    let skipped = |t: &Tried| match t.verdicts.get(&Runner::Sbx) {
        Some(Verdict::Skipped(why)) => Some(why.clone()),
        _ => None,
    };
    let failures = tried.iter().filter(|t| escaped(t).is_some()).count();
    let skips = tried.iter().filter(|t| skipped(t).is_some()).count();
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"sbx selftest\" tests=\"{}\" failures=\"{failures}\" skipped=\"{skips}\">\n",
        tried.len()
    );
    for one in tried {
        let (class, name) = (escape(&one.case.category), escape(&one.case.id));
        let _ = write!(out, "  <testcase classname=\"{class}\" name=\"{name}\"");
        if let Some(why) = escaped(one) {
            let _ = writeln!(
                out,
                "><failure message=\"{}\">{}</failure></testcase>",
                escape(&why),
                escape(&one.case.script)
            );
        } else if let Some(why) = skipped(one) {
            let _ = writeln!(out, "><skipped message=\"{}\"/></testcase>", escape(&why));
        } else {
            out.push_str("/>\n");
        }
    }
    out.push_str("</testsuite>\n");
    out
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() && c != '\n' && c != '\t' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::selftest::cases;

    fn tried() -> Vec<Tried> {
        let cases = cases::all().unwrap().into_iter().take(3);
        let verdicts =
            [Verdict::Stopped, Verdict::Escaped("<&\">".into()), Verdict::Skipped("no perl".into())];
        cases.zip(verdicts).map(|(case, v)| Tried { case, verdicts: [(Runner::Sbx, v)].into() }).collect()
    }

    #[test]
    fn an_escape_is_a_failure_in_every_form() {
        let tried = tried();
        assert!(text(&tried, &[Runner::Sbx]).contains(" 1/2\n"));
        assert_eq!(
            object(&tried, &[Runner::Sbx], &Unchanged::new())["cases"][1]["verdicts"]["sbx"]["verdict"],
            "escaped"
        );
        let xml = junit(&tried);
        assert!(xml.contains("tests=\"3\" failures=\"1\" skipped=\"1\""), "{xml}");
        assert!(xml.contains("<failure message=\"&lt;&amp;&quot;&gt;\">"), "{xml}");
    }
}
