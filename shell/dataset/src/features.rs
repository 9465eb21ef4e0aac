//! A column's type, once: as arrow has it, as the parquet file's metadata tells `datasets`, and as the card does.

use arrow::datatypes::{DataType, Field, Fields};
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::sync::Arc;

/// A type of the `datasets` library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feature {
    Text,
    Integer,
    Real,
    Flag,
    Struct(&'static [(&'static str, Feature)]),
    /// A list of structs with such fields.
    List(&'static [(&'static str, Feature)]),
    /// A list of texts.
    Texts,
}

impl Feature {
    pub(crate) fn arrow(self) -> DataType {
        match self {
            Feature::Text => DataType::Utf8,
            Feature::Integer => DataType::Int64,
            Feature::Real => DataType::Float64,
            Feature::Flag => DataType::Boolean,
            Feature::Struct(fields) => DataType::Struct(arrow_fields(fields)),
            Feature::List(fields) => DataType::List(item(DataType::Struct(arrow_fields(fields)))),
            Feature::Texts => DataType::List(item(DataType::Utf8)),
        }
    }

    fn dtype(self) -> &'static str {
        match self {
            Feature::Integer => "int64",
            Feature::Real => "float64",
            Feature::Flag => "bool",
            _ => "string",
        }
    }

    /// For the key `huggingface` of the file's metadata. A list is written as `[…]`, which every version reads.
    pub(crate) fn json(self) -> Value {
        match self {
            Feature::Struct(fields) => json_fields(fields),
            Feature::List(fields) => json!([json_fields(fields)]),
            Feature::Texts => json!([Feature::Text.json()]),
            _ => json!({"dtype": self.dtype(), "_type": "Value"}),
        }
    }

    /// For the card's YAML: what follows `- name: …`, indented by `depth`.
    pub(crate) fn yaml(self, out: &mut String, depth: usize) {
        let margin = " ".repeat(depth);
        let nested = match self {
            Feature::Struct(fields) => Some(("struct", fields)),
            Feature::List(fields) => Some(("list", fields)),
            Feature::Texts => {
                out.push_str(&format!("{margin}list: string\n"));
                return;
            }
            _ => None,
        };
        let Some((key, fields)) = nested else {
            out.push_str(&format!("{margin}dtype: {}\n", self.dtype()));
            return;
        };
        out.push_str(&format!("{margin}{key}:\n"));
        yaml_fields(fields.iter().copied(), out, depth);
    }
}

/// Named features as a YAML list, indented by `depth`.
pub(crate) fn yaml_fields(
    fields: impl Iterator<Item = (&'static str, Feature)>,
    out: &mut String,
    depth: usize,
) {
    for (name, feature) in fields {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}- name: {name}", " ".repeat(depth));
        feature.yaml(out, depth + 2);
    }
}

pub(crate) fn arrow_fields(fields: &[(&str, Feature)]) -> Fields {
    fields.iter().map(|(name, feature)| Field::new(*name, feature.arrow(), true)).collect()
}

/// The field of a list's items.
pub(crate) fn item(data: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", data, true))
}

pub(crate) fn json_fields(fields: &[(&str, Feature)]) -> Value {
    Value::Object(fields.iter().map(|(name, f)| ((*name).to_string(), f.json())).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const INNER: &[(&str, Feature)] =
        &[("a", Feature::Text), ("b", Feature::Struct(&[("c", Feature::Flag)]))];

    #[test]
    fn nested_features_are_written_as_datasets_writes_them() {
        let mut yaml = String::new();
        let fields = [("n", Feature::Integer), ("l", Feature::List(INNER)), ("t", Feature::Texts)];
        yaml_fields(fields.into_iter(), &mut yaml, 2);
        assert_eq!(
            yaml,
            "  - name: n\n    dtype: int64\n  - name: l\n    list:\n    - name: a\n      dtype: string\n    \
             - name: b\n      struct:\n      - name: c\n        dtype: bool\n  - name: t\n    list: string\n"
        );
        assert_eq!(
            Feature::List(INNER).json().to_string(),
            r#"[{"a":{"dtype":"string","_type":"Value"},"b":{"c":{"dtype":"bool","_type":"Value"}}}]"#
        );
    }
}
