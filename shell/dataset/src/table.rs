//! The rows of the data set: the card's ten columns, and the full ones.

use crate::features::{Feature, json_fields};
use crate::messages::{Conversations, PLAIN, RICH};
use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, ListBuilder, RecordBatch, StringBuilder,
};
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use sbx_records::Rollout;
use serde_json::json;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// A column: its name, and what a rollout has there.
pub(crate) type Column = (&'static str, Cell);

/// What a rollout has in a column.
#[derive(Clone, Copy)]
pub(crate) enum Cell {
    Text(fn(&Rollout) -> Cow<'_, str>),
    Integer(fn(&Rollout) -> i64),
    Optional(fn(&Rollout) -> Option<i64>),
    Real(fn(&Rollout) -> f64),
    Flag(fn(&Rollout) -> bool),
    Texts(fn(&Rollout) -> &[String]),
    /// Role and text of each message.
    PlainMessages,
    /// Each message with thinking and tool calls.
    RichMessages,
}

/// The columns of the SWE-ZERO card, in its order.
pub(crate) const CARD: [Column; 10] = [
    ("instance_id", Cell::Text(|r| Cow::Borrowed(&r.instance_id))),
    ("messages", Cell::PlainMessages),
    ("repo", Cell::Text(|r| Cow::Borrowed(&r.repo))),
    ("exit_status", Cell::Text(|r| Cow::Owned(r.exit_status.to_string()))),
    ("exit_status_detail", Cell::Text(|r| Cow::Borrowed(&r.exit_status_detail))),
    ("n_turns", Cell::Integer(|r| signed(r.n_turns))),
    ("n_messages", Cell::Integer(|r| signed(r.messages.len() as u64))),
    ("prompt_tokens", Cell::Integer(|r| signed(r.prompt_tokens))),
    ("completion_tokens", Cell::Integer(|r| signed(r.completion_tokens))),
    ("duration_sec", Cell::Real(|r| r.duration_sec)),
];

/// The columns of the configuration `full`.
pub(crate) const FULL: [Column; 34] = [
    ("instance_id", Cell::Text(|r| Cow::Borrowed(&r.instance_id))),
    ("rollout", Cell::Integer(|r| i64::from(r.rollout))),
    ("messages", Cell::RichMessages),
    ("repo", Cell::Text(|r| Cow::Borrowed(&r.repo))),
    ("base_commit", Cell::Text(|r| Cow::Borrowed(&r.base_commit))),
    ("model", Cell::Text(|r| Cow::Borrowed(&r.model))),
    ("harness", Cell::Text(|r| Cow::Borrowed(&r.harness))),
    ("exit_status", Cell::Text(|r| Cow::Owned(r.exit_status.to_string()))),
    ("exit_status_detail", Cell::Text(|r| Cow::Borrowed(&r.exit_status_detail))),
    ("patch", Cell::Text(|r| Cow::Borrowed(&r.patch))),
    ("submission", Cell::Text(|r| Cow::Borrowed(&r.submission))),
    ("final_observation", Cell::Text(|r| Cow::Borrowed(r.final_observation.as_deref().unwrap_or_default()))),
    // 1 resolved, 0 not, −1 not graded: no run grades itself.
    ("resolved", Cell::Integer(|_| -1)),
    ("n_turns", Cell::Integer(|r| signed(r.n_turns))),
    ("n_messages", Cell::Integer(|r| signed(r.messages.len() as u64))),
    ("prompt_tokens", Cell::Integer(|r| signed(r.prompt_tokens))),
    ("completion_tokens", Cell::Integer(|r| signed(r.completion_tokens))),
    ("cached_tokens", Cell::Integer(|r| signed(r.cached_tokens))),
    ("tokens_estimated", Cell::Flag(|r| r.tokens_estimated)),
    ("api_calls", Cell::Integer(|r| signed(r.api_calls))),
    ("observations", Cell::Integer(|r| signed(r.observations.total))),
    ("not_found", Cell::Integer(|r| signed(r.observations.not_found))),
    ("denied", Cell::Integer(|r| signed(r.observations.denied))),
    ("timed_out", Cell::Integer(|r| signed(r.observations.timed_out))),
    ("temperature", Cell::Real(|r| r.temperature)),
    ("seed", Cell::Optional(|r| r.seed.map(signed))),
    ("policy", Cell::Text(|r| Cow::Borrowed(&r.policy.name))),
    ("policy_sha256", Cell::Text(|r| Cow::Borrowed(&r.policy.sha256))),
    ("enforced", Cell::Texts(|r| &r.enforced)),
    ("missing", Cell::Texts(|r| &r.missing)),
    ("sbx_version", Cell::Text(|r| Cow::Borrowed(&r.sbx_version))),
    ("started_at", Cell::Real(|r| r.started_at)),
    ("duration_sec", Cell::Real(|r| r.duration_sec)),
    ("empty_patch", Cell::Flag(|r| r.patch.is_empty())),
];

/// The columns are signed, as on the card; no count comes near the bound.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl Cell {
    pub(crate) fn feature(self) -> Feature {
        match self {
            Cell::Text(_) => Feature::Text,
            Cell::Integer(_) | Cell::Optional(_) => Feature::Integer,
            Cell::Real(_) => Feature::Real,
            Cell::Flag(_) => Feature::Flag,
            Cell::Texts(_) => Feature::Texts,
            Cell::PlainMessages => Feature::List(PLAIN),
            Cell::RichMessages => Feature::List(RICH),
        }
    }
}

/// The arrow schema, with the metadata from which `datasets` takes the features.
pub(crate) fn schema(columns: &[Column]) -> Arc<Schema> {
    let features: Vec<(&str, Feature)> = columns.iter().map(|(name, cell)| (*name, cell.feature())).collect();
    let metadata = json!({"info": {"features": json_fields(&features)}}).to_string();
    let fields: Vec<Field> = features.iter().map(|(name, f)| Field::new(*name, f.arrow(), true)).collect();
    Arc::new(Schema::new_with_metadata(fields, HashMap::from([("huggingface".to_string(), metadata)])))
}

enum Builder {
    Text(fn(&Rollout) -> Cow<'_, str>, StringBuilder),
    Integer(fn(&Rollout) -> i64, Int64Builder),
    Optional(fn(&Rollout) -> Option<i64>, Int64Builder),
    Real(fn(&Rollout) -> f64, Float64Builder),
    Flag(fn(&Rollout) -> bool, BooleanBuilder),
    Texts(fn(&Rollout) -> &[String], ListBuilder<StringBuilder>),
    Messages(Box<Conversations>),
}

impl Builder {
    fn new(cell: Cell) -> Builder {
        match cell {
            Cell::Text(of) => Builder::Text(of, StringBuilder::new()),
            Cell::Integer(of) => Builder::Integer(of, Int64Builder::new()),
            Cell::Optional(of) => Builder::Optional(of, Int64Builder::new()),
            Cell::Real(of) => Builder::Real(of, Float64Builder::new()),
            Cell::Flag(of) => Builder::Flag(of, BooleanBuilder::new()),
            Cell::Texts(of) => Builder::Texts(of, ListBuilder::new(StringBuilder::new())),
            Cell::PlainMessages => Builder::Messages(Box::new(Conversations::plain())),
            Cell::RichMessages => Builder::Messages(Box::new(Conversations::rich())),
        }
    }

    fn push(&mut self, rollout: &Rollout) {
        match self {
            Builder::Text(of, b) => b.append_value(of(rollout)),
            Builder::Integer(of, b) => b.append_value(of(rollout)),
            Builder::Optional(of, b) => b.append_option(of(rollout)),
            Builder::Real(of, b) => b.append_value(of(rollout)),
            Builder::Flag(of, b) => b.append_value(of(rollout)),
            Builder::Texts(of, b) => b.append_value(of(rollout).iter().map(Some)),
            Builder::Messages(b) => b.push(&rollout.messages),
        }
    }

    /// Bytes of the texts held; all else is small.
    fn bytes(&self) -> usize {
        match self {
            Builder::Text(_, b) => b.values_slice().len(),
            Builder::Messages(b) => b.bytes(),
            _ => 0,
        }
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Builder::Text(_, b) => Arc::new(b.finish()),
            Builder::Integer(_, b) => Arc::new(b.finish()),
            Builder::Optional(_, b) => Arc::new(b.finish()),
            Builder::Real(_, b) => Arc::new(b.finish()),
            Builder::Flag(_, b) => Arc::new(b.finish()),
            Builder::Texts(_, b) => Arc::new(b.finish()),
            Builder::Messages(b) => b.finish()?,
        })
    }
}

/// Rows on their way into a record batch.
pub(crate) struct Rows {
    schema: Arc<Schema>,
    builders: Vec<Builder>,
    /// Rows held.
    pub len: usize,
}

impl Rows {
    pub(crate) fn new(columns: &[Column]) -> Rows {
        let builders = columns.iter().map(|(_, cell)| Builder::new(*cell)).collect();
        Rows { schema: schema(columns), builders, len: 0 }
    }

    pub(crate) fn push(&mut self, rollout: &Rollout) {
        self.builders.iter_mut().for_each(|b| b.push(rollout));
        self.len += 1;
    }

    /// Bytes of text held, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.builders.iter().map(Builder::bytes).sum()
    }

    /// The rows as a batch; none are held then.
    pub(crate) fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        self.len = 0;
        let columns: Result<_, _> = self.builders.iter_mut().map(Builder::finish).collect();
        RecordBatch::try_new(self.schema.clone(), columns?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sbx_records::Message;
    use std::collections::HashSet;

    #[test]
    fn column_names_are_unique() {
        for columns in [&CARD[..], &FULL[..]] {
            assert_eq!(columns.iter().map(|(n, _)| n).collect::<HashSet<_>>().len(), columns.len());
        }
    }

    #[test]
    fn the_full_columns_hold_all_that_the_card_has() {
        let rollout = Rollout {
            instance_id: "i".into(),
            repo: "r".into(),
            exit_status_detail: "d".into(),
            messages: vec![Message::new("user", "u")],
            n_turns: 1,
            prompt_tokens: 2,
            completion_tokens: 3,
            duration_sec: 4.0,
            ..Rollout::default()
        };
        let batch = |columns: &[Column]| {
            let mut rows = Rows::new(columns);
            rows.push(&rollout);
            rows.take().unwrap()
        };
        let (card, full) = (batch(&CARD), batch(&FULL));
        for (name, _) in CARD.iter().filter(|(name, _)| *name != "messages") {
            assert_eq!(card.column_by_name(name), full.column_by_name(name), "{name}");
        }
    }
}
