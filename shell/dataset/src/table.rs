//! The rows of the data set as arrow columns: the card's ten, and the full ones.

use arrow::array::{
    ArrayRef, Float64Builder, Int64Builder, ListBuilder, RecordBatch, StringBuilder, StructBuilder,
};
use arrow::datatypes::{DataType, Field, Fields, Schema};
use sbx_records::Rollout;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// A column's type.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Integer,
    Real,
    /// `list<struct<…>>` of texts.
    Messages(&'static [&'static str]),
}

/// A column: its name and its type.
pub(crate) type Column = (&'static str, Kind);

const CARD_MESSAGE: &[&str] = &["role", "content"];
const FULL_MESSAGE: &[&str] = &["role", "content", "reasoning_content", "tool_calls", "tool_call_id", "name"];

/// The columns of the SWE-ZERO card, in its order.
pub(crate) const CARD: [Column; 10] = [
    ("instance_id", Kind::Text),
    ("messages", Kind::Messages(CARD_MESSAGE)),
    ("repo", Kind::Text),
    ("exit_status", Kind::Text),
    ("exit_status_detail", Kind::Text),
    ("n_turns", Kind::Integer),
    ("n_messages", Kind::Integer),
    ("prompt_tokens", Kind::Integer),
    ("completion_tokens", Kind::Integer),
    ("duration_sec", Kind::Real),
];

/// The columns of the configuration `full`.
pub(crate) const FULL: [Column; 25] = [
    ("instance_id", Kind::Text),
    ("rollout", Kind::Integer),
    ("messages", Kind::Messages(FULL_MESSAGE)),
    ("repo", Kind::Text),
    ("base_commit", Kind::Text),
    ("model", Kind::Text),
    ("harness", Kind::Text),
    ("exit_status", Kind::Text),
    ("exit_status_detail", Kind::Text),
    ("patch", Kind::Text),
    ("submission", Kind::Text),
    ("resolved", Kind::Integer),
    ("n_turns", Kind::Integer),
    ("n_messages", Kind::Integer),
    ("prompt_tokens", Kind::Integer),
    ("completion_tokens", Kind::Integer),
    ("cached_tokens", Kind::Integer),
    ("observations", Kind::Integer),
    ("not_found", Kind::Integer),
    ("denied", Kind::Integer),
    ("temperature", Kind::Real),
    ("seed", Kind::Integer),
    ("policy", Kind::Text),
    ("policy_sha256", Kind::Text),
    ("duration_sec", Kind::Real),
];

/// The arrow schema, with the metadata from which `datasets` takes the features.
pub(crate) fn schema(columns: &[Column]) -> Arc<Schema> {
    let features: serde_json::Map<String, Value> =
        columns.iter().map(|(name, kind)| ((*name).to_string(), feature(*kind))).collect();
    let metadata = json!({"info": {"features": features}}).to_string();
    let fields: Vec<Field> =
        columns.iter().map(|(name, kind)| Field::new(*name, data_type(*kind), true)).collect();
    Arc::new(Schema::new_with_metadata(fields, HashMap::from([("huggingface".to_string(), metadata)])))
}

fn feature(kind: Kind) -> Value {
    let value = |dtype: &str| json!({"dtype": dtype, "_type": "Value"});
    match kind {
        Kind::Text => value("string"),
        Kind::Integer => value("int64"),
        Kind::Real => value("float64"),
        Kind::Messages(keys) => {
            let fields: serde_json::Map<String, Value> =
                keys.iter().map(|k| ((*k).to_string(), value("string"))).collect();
            json!([fields])
        }
    }
}

fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Text => DataType::Utf8,
        Kind::Integer => DataType::Int64,
        Kind::Real => DataType::Float64,
        Kind::Messages(keys) => {
            DataType::List(Arc::new(Field::new("item", DataType::Struct(message_fields(keys)), true)))
        }
    }
}

fn message_fields(keys: &[&str]) -> Fields {
    keys.iter().map(|k| Field::new(*k, DataType::Utf8, true)).collect()
}

enum Builder {
    Text(StringBuilder),
    Integer(Int64Builder),
    Real(Float64Builder),
    Messages(&'static [&'static str], Box<ListBuilder<StructBuilder>>),
}

/// Rows on their way into a record batch.
pub(crate) struct Rows {
    schema: Arc<Schema>,
    builders: Vec<(&'static str, Builder)>,
    /// Rows held.
    pub len: usize,
    /// Bytes of text held, roughly.
    pub bytes: usize,
}

impl Rows {
    pub(crate) fn new(columns: &[Column]) -> Rows {
        let builder = |kind: Kind| match kind {
            Kind::Text => Builder::Text(StringBuilder::new()),
            Kind::Integer => Builder::Integer(Int64Builder::new()),
            Kind::Real => Builder::Real(Float64Builder::new()),
            Kind::Messages(keys) => {
                let list = ListBuilder::new(StructBuilder::from_fields(message_fields(keys), 0));
                Builder::Messages(keys, Box::new(list))
            }
        };
        let builders = columns.iter().map(|(name, kind)| (*name, builder(*kind))).collect();
        Rows { schema: schema(columns), builders, len: 0, bytes: 0 }
    }

    pub(crate) fn push(&mut self, rollout: &Rollout) {
        for (name, builder) in &mut self.builders {
            match builder {
                Builder::Text(b) => b.append_value(text(name, rollout)),
                Builder::Integer(b) => b.append_value(integer(name, rollout)),
                Builder::Real(b) => b.append_value(if *name == "temperature" {
                    rollout.temperature
                } else {
                    rollout.duration_sec
                }),
                Builder::Messages(keys, b) => messages(keys, b, rollout),
            }
        }
        self.len += 1;
        self.bytes +=
            rollout.patch.len() + rollout.messages.iter().map(|m| m.content.len() + 64).sum::<usize>();
    }

    /// The rows as a batch; the builders are empty then.
    pub(crate) fn take(&mut self) -> Result<RecordBatch, arrow::error::ArrowError> {
        (self.len, self.bytes) = (0, 0);
        let columns = self.builders.iter_mut().map(|(_, builder)| -> ArrayRef {
            match builder {
                Builder::Text(b) => Arc::new(b.finish()),
                Builder::Integer(b) => Arc::new(b.finish()),
                Builder::Real(b) => Arc::new(b.finish()),
                Builder::Messages(_, b) => Arc::new(b.finish()),
            }
        });
        RecordBatch::try_new(self.schema.clone(), columns.collect())
    }
}

fn text(name: &str, r: &Rollout) -> String {
    match name {
        "instance_id" => r.instance_id.clone(),
        "repo" => r.repo.clone(),
        "base_commit" => r.base_commit.clone(),
        "model" => r.model.clone(),
        "harness" => r.harness.clone(),
        "exit_status" => r.exit_status.to_string(),
        "exit_status_detail" => r.exit_status_detail.clone(),
        "patch" => r.patch.clone(),
        "submission" => r.submission.clone(),
        "policy" => r.policy.name.clone(),
        "policy_sha256" => r.policy.sha256.clone(),
        _ => String::new(),
    }
}

fn integer(name: &str, r: &Rollout) -> i64 {
    let number = match name {
        "rollout" => u64::from(r.rollout),
        "n_turns" => r.n_turns,
        "n_messages" => r.messages.len() as u64,
        "prompt_tokens" => r.prompt_tokens,
        "completion_tokens" => r.completion_tokens,
        "cached_tokens" => r.cached_tokens,
        "observations" => r.observations.total,
        "not_found" => r.observations.not_found,
        "denied" => r.observations.denied,
        "seed" => r.seed.unwrap_or(0),
        // 1 resolved, 0 not, −1 not graded: a run does not grade itself.
        _ => return -1,
    };
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn messages(keys: &[&str], list: &mut ListBuilder<StructBuilder>, rollout: &Rollout) {
    for message in &rollout.messages {
        let item = list.values();
        for (i, key) in keys.iter().enumerate() {
            let value = match *key {
                "role" => Some(message.role.clone()),
                "content" => Some(message.content.clone()),
                "reasoning_content" => {
                    message.reasoning_content.clone().or_else(|| message.reasoning.clone())
                }
                "tool_calls" => message.tool_calls.as_ref().map(ToString::to_string),
                "tool_call_id" => message.tool_call_id.clone(),
                _ => message.name.clone(),
            };
            let builder = item.field_builder::<StringBuilder>(i).expect("every field of a message is text");
            builder.append_option(value);
        }
        item.append(true);
    }
    list.append(true);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn column_names_are_unique_and_every_text_column_has_a_source() {
        for columns in [&CARD[..], &FULL[..]] {
            assert_eq!(columns.iter().map(|(n, _)| n).collect::<HashSet<_>>().len(), columns.len());
        }
        let r = Rollout {
            instance_id: "x".into(),
            repo: "x".into(),
            base_commit: "x".into(),
            model: "x".into(),
            harness: "x".into(),
            exit_status_detail: "x".into(),
            patch: "x".into(),
            submission: "x".into(),
            policy: sbx_records::PolicyStamp { name: "x".into(), sha256: "x".into() },
            ..Rollout::default()
        };
        for (name, kind) in FULL {
            assert!(kind != Kind::Text || !text(name, &r).is_empty(), "{name}");
        }
    }
}
