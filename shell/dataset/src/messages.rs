//! Conversations as arrow columns: role and text alone, or with thinking and tool calls.

use crate::features::{Feature, arrow_fields, item};
use arrow::array::{ArrayBuilder, ArrayRef, ListArray, StringBuilder, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use sbx_records::Message;
use serde_json::Value;
use std::sync::Arc;

/// A message of the SWE-ZERO card.
pub(crate) const PLAIN: &[(&str, Feature)] = &[("role", Feature::Text), ("content", Feature::Text)];

/// A message with all that training may want. Arguments are JSON texts, as servers send them.
pub(crate) const RICH: &[(&str, Feature)] = &[
    ("role", Feature::Text),
    ("content", Feature::Text),
    ("reasoning_content", Feature::Text),
    ("tool_calls", Feature::List(CALL)),
    ("tool_call_id", Feature::Text),
    ("name", Feature::Text),
];

const CALL: &[(&str, Feature)] =
    &[("id", Feature::Text), ("type", Feature::Text), ("function", Feature::Struct(FUNCTION))];
const FUNCTION: &[(&str, Feature)] = &[("name", Feature::Text), ("arguments", Feature::Text)];

/// Bytes that a message without a text takes, roughly.
const MESSAGE_BYTES: usize = 64;

/// Conversations on their way into a column.
#[derive(Default)]
pub(crate) struct Conversations {
    messages: Vec<usize>,
    role: StringBuilder,
    content: StringBuilder,
    /// All else, if it is wanted.
    rich: Option<Rich>,
}

#[derive(Default)]
struct Rich {
    reasoning: StringBuilder,
    tool_call_id: StringBuilder,
    name: StringBuilder,
    /// Calls of each message.
    calls: Vec<usize>,
    /// Whether a message has a list of them at all.
    calling: Vec<bool>,
    id: StringBuilder,
    kind: StringBuilder,
    function: StringBuilder,
    arguments: StringBuilder,
}

impl Conversations {
    pub(crate) fn plain() -> Conversations {
        Conversations::default()
    }

    pub(crate) fn rich() -> Conversations {
        Conversations { rich: Some(Rich::default()), ..Conversations::default() }
    }

    pub(crate) fn push(&mut self, messages: &[Message]) {
        self.messages.push(messages.len());
        for message in messages {
            self.role.append_value(&message.role);
            self.content.append_value(&message.content);
            if let Some(rich) = &mut self.rich {
                rich.push(message);
            }
        }
    }

    /// Bytes held: the texts, and what a message takes without any.
    pub(crate) fn bytes(&self) -> usize {
        let rich = self.rich.as_ref().map_or(0, Rich::bytes);
        let texts = [&self.role, &self.content].map(|b| b.values_slice().len());
        texts.iter().sum::<usize>() + rich + MESSAGE_BYTES * self.role.len()
    }

    /// The conversations as an array; none are held then.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let mut columns: Vec<ArrayRef> = vec![Arc::new(self.role.finish()), Arc::new(self.content.finish())];
        if let Some(rich) = &mut self.rich {
            columns.extend(rich.finish()?);
        }
        let fields = if self.rich.is_some() { RICH } else { PLAIN };
        list(fields, columns, &std::mem::take(&mut self.messages), None)
    }
}

impl Rich {
    fn bytes(&self) -> usize {
        let texts = [
            &self.reasoning,
            &self.tool_call_id,
            &self.name,
            &self.id,
            &self.kind,
            &self.function,
            &self.arguments,
        ];
        texts.iter().map(|b| b.values_slice().len()).sum()
    }

    fn push(&mut self, message: &Message) {
        let thinking = message.reasoning_content.as_ref().or(message.reasoning.as_ref());
        self.reasoning.append_option(thinking);
        self.tool_call_id.append_option(message.tool_call_id.as_ref());
        self.name.append_option(message.name.as_ref());
        let calls = match &message.tool_calls {
            Some(Value::Array(calls)) => calls.as_slice(),
            None | Some(Value::Null) => &[],
            // Not a list: kept as a call all the same.
            Some(other) => std::slice::from_ref(other),
        };
        self.calls.push(calls.len());
        self.calling.push(!calls.is_empty());
        for call in calls {
            self.call(call);
        }
    }

    fn call(&mut self, call: &Value) {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_string);
        let function = call.get("function");
        self.id.append_option(text(call.get("id")));
        self.kind.append_option(text(call.get("type")));
        self.function.append_option(text(function.and_then(|f| f.get("name"))));
        // What has no arguments of that name is kept whole in their place.
        self.arguments.append_value(match function.and_then(|f| f.get("arguments")) {
            Some(Value::String(arguments)) => arguments.clone(),
            Some(other) => other.to_string(),
            None => call.to_string(),
        });
    }

    fn finish(&mut self) -> Result<[ArrayRef; 4], ArrowError> {
        let function: Vec<ArrayRef> =
            vec![Arc::new(self.function.finish()), Arc::new(self.arguments.finish())];
        let function = StructArray::try_new(arrow_fields(FUNCTION), function, None)?;
        let columns: Vec<ArrayRef> =
            vec![Arc::new(self.id.finish()), Arc::new(self.kind.finish()), Arc::new(function)];
        let calling = NullBuffer::from(std::mem::take(&mut self.calling));
        let calls = list(CALL, columns, &std::mem::take(&mut self.calls), Some(calling))?;
        Ok([
            Arc::new(self.reasoning.finish()),
            calls,
            Arc::new(self.tool_call_id.finish()),
            Arc::new(self.name.finish()),
        ])
    }
}

/// A list of structs, from its fields' values and the lengths of its entries.
fn list(
    fields: &[(&str, Feature)],
    columns: Vec<ArrayRef>,
    lengths: &[usize],
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ArrowError> {
    let items = StructArray::try_new(arrow_fields(fields), columns, None)?;
    let field = item(DataType::Struct(arrow_fields(fields)));
    let offsets = OffsetBuffer::from_lengths(lengths.iter().copied());
    Ok(Arc::new(ListArray::try_new(field, offsets, Arc::new(items), nulls)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Array;
    use arrow::util::display::{ArrayFormatter, FormatOptions};
    use serde_json::json;

    fn shown(conversations: &mut Conversations) -> Vec<String> {
        let array = conversations.finish().unwrap();
        let format = ArrayFormatter::try_new(&array, &FormatOptions::default().with_null("-")).unwrap();
        (0..array.len()).map(|i| format.value(i).to_string()).collect()
    }

    #[test]
    fn empty_conversations_and_tool_calls_keep_their_places() {
        let call = json!([{"id": "1", "type": "function", "function": {"name": "bash", "arguments": "{}"}},
                          {"function": {"name": "edit", "arguments": {"path": "f"}}}]);
        let mut rich = Conversations::rich();
        rich.push(&[]);
        rich.push(&[
            Message { tool_calls: Some(call), reasoning: Some("hm".into()), ..Message::new("assistant", "") },
            Message {
                tool_call_id: Some("1".into()),
                name: Some("bash".into()),
                ..Message::new("tool", "x")
            },
        ]);
        rich.push(&[Message { tool_calls: Some(json!("odd")), ..Message::new("assistant", "y") }]);
        assert_eq!(
            shown(&mut rich),
            [
                "[]",
                "[{role: assistant, content: , reasoning_content: hm, tool_calls: [{id: 1, type: function, function: \
                 {name: bash, arguments: {}}}, {id: -, type: -, function: {name: edit, arguments: {\"path\":\"f\"}}}], \
                 tool_call_id: -, name: -}, {role: tool, content: x, reasoning_content: -, tool_calls: -, tool_call_id: 1, \
                 name: bash}]",
                "[{role: assistant, content: y, reasoning_content: -, tool_calls: [{id: -, type: -, function: \
                 {name: -, arguments: \"odd\"}}], tool_call_id: -, name: -}]",
            ]
        );
        assert!(shown(&mut rich).is_empty());
    }
}
