//! The tools: a file for each, and this table.

mod bash;
mod list_dir;
mod policy;
mod read_file;
mod write_file;

use super::answer::Answer;
use super::place::Place;
use rmcp::handler::server::tool::{schema_for_input, schema_for_output};
use rmcp::model::{CallToolResult, ToolAnnotations};
use rmcp::schemars::JsonSchema;
use sbx::Cancel;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::sync::Arc;
use tokio::sync::watch;

/// Bytes of the last output that are shown while a call goes on.
const GLIMPSE: usize = 800;

/// All tools, in the order in which a client is told of them.
pub fn table(place: &Place) -> Vec<Entry> {
    vec![
        entry::<bash::Bash>(place),
        entry::<read_file::ReadFile>(place),
        entry::<write_file::WriteFile>(place),
        entry::<list_dir::ListDir>(place),
        entry::<policy::Policy>(place),
    ]
}

/// What a tool takes, answers and does.
trait Tool: 'static {
    const NAME: &'static str;
    type Takes: DeserializeOwned + JsonSchema + Send + 'static;
    type Answers: Answer + JsonSchema + 'static;

    /// Whether it may change files.
    const WRITES: bool;

    /// What the model reads of it.
    fn about(place: &Place) -> String;

    fn hints(place: &Place) -> ToolAnnotations;

    /// What its types do not say of what it takes; the error begins with the key.
    fn check(_: &Self::Takes) -> Result<(), String> {
        Ok(())
    }

    fn act(takes: Self::Takes, call: &Call<'_>) -> anyhow::Result<Self::Answers>;
}

/// A call while it goes on.
pub struct Call<'a> {
    pub place: &'a Place,
    pub cancel: &'a Cancel,
    /// The last output, for whoever waits.
    pub shown: &'a watch::Sender<Vec<u8>>,
}

impl Call<'_> {
    fn show(&self, bytes: &[u8]) {
        self.shown.send_replace(bytes[bytes.len().saturating_sub(GLIMPSE)..].to_vec());
    }
}

/// What is to be done for a call, on a thread that may wait.
pub type Work = Box<dyn FnOnce(&Call<'_>) -> anyhow::Result<CallToolResult> + Send>;

/// What a tool is called with.
type Arguments = Option<Map<String, Value>>;

/// A tool as a client is told of it, and how a call of it begins.
pub struct Entry {
    pub told: rmcp::model::Tool,
    pub writes: bool,
    pub begin: fn(Arguments) -> Result<Work, String>,
}

fn entry<T: Tool>(place: &Place) -> Entry {
    let takes = plain(&schema_for_input::<T::Takes>().expect("what a tool takes is an object"));
    let told = rmcp::model::Tool::new(T::NAME, T::about(place), takes)
        .with_raw_output_schema(plain(&schema_for_output::<T::Answers>()))
        .with_annotations(T::hints(place));
    Entry { told, writes: T::WRITES, begin: begin::<T> }
}

/// A schema in the words that every client knows: no formats of Rust's numbers, and what may be left out is not `null` besides.
fn plain(schema: &Map<String, Value>) -> Arc<Map<String, Value>> {
    let mut plain = schema.clone();
    plain.remove("$schema");
    plain.values_mut().for_each(simplify);
    Arc::new(plain)
}

fn simplify(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            // A property may have one of these names; its value is then an object.
            object.retain(|key, value| {
                !(key == "format" && value.is_string() || key == "default" && value.is_null())
            });
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [one] = &mut types[..] {
                    let one = one.take();
                    object.insert("type".into(), one);
                }
            }
            object.values_mut().for_each(simplify);
        }
        Value::Array(list) => list.iter_mut().for_each(simplify),
        _ => {}
    }
}

fn begin<T: Tool>(arguments: Arguments) -> Result<Work, String> {
    let takes: T::Takes = read(arguments)?;
    T::check(&takes).map_err(|why| format!("arguments: {why}"))?;
    Ok(Box::new(move |call| Ok(T::act(takes, call)?.result())))
}

/// Reads what a tool is called with; the error names the key.
fn read<T: DeserializeOwned>(arguments: Arguments) -> Result<T, String> {
    serde_path_to_error::deserialize(Value::Object(arguments.unwrap_or_default())).map_err(|e| {
        let path = e.path().to_string();
        let of = if path == "." { String::new() } else { format!("{path}: ") };
        format!("arguments: {of}{}", e.into_inner())
    })
}

/// The hints of a tool that changes nothing.
fn reads_only(title: &str) -> ToolAnnotations {
    ToolAnnotations::with_title(title).read_only(true).open_world(false)
}
