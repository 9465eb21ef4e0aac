//! Tool calls in the text, for models without native ones: how they are described, and how they are read.

use crate::harness::tool_call::{Fault, ToolCall, in_text};
use serde_json::Value;

/// Where a reply ends.
pub(super) const STOP: &str = "</function";

const AFTER: &str = "

If you choose to call a function ONLY reply in the following format with NO suffix:

<function=example_function_name>
<parameter=example_parameter_1>value_1</parameter>
<parameter=example_parameter_2>
This is the value for the second parameter
that can span
multiple lines
</parameter>
</function>

<IMPORTANT>
Reminder:
- Function calls MUST follow the specified format, start with <function= and end with </function>
- Required parameters MUST be specified
- Only call one function at a time
- You may provide optional reasoning for your function call in natural language BEFORE the function call, but NOT after.
- If there is no function call available, answer the question like normal with your current knowledge and do not tell the user about function calls
</IMPORTANT>
";

/// What follows the system prompt.
pub(super) fn manual(tools: &Value) -> String {
    let functions = tools.as_array().into_iter().flatten().map(|tool| &tool["function"]);
    let described: Vec<String> = functions.enumerate().map(|(n, function)| one(n + 1, function)).collect();
    format!("\nYou have access to the following functions:\n\n{}{AFTER}", described.join("\n"))
}

fn one(number: usize, function: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let mut out = format!("---- BEGIN FUNCTION #{number}: {} ----\n", text(&function["name"]));
    out.push_str(&format!("Description: {}\n", text(&function["description"])));
    let parameters = &function["parameters"];
    let required: Vec<&str> =
        parameters["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    match parameters["properties"].as_object().filter(|p| !p.is_empty()) {
        None => out.push_str("No parameters are required for this function.\n"),
        Some(properties) => {
            out.push_str("Parameters:\n");
            for (n, (name, about)) in properties.iter().enumerate() {
                let status = if required.contains(&name.as_str()) { "required" } else { "optional" };
                let kind = about["type"].as_str().unwrap_or("string");
                let mut what = about["description"].as_str().unwrap_or("No description provided").to_string();
                if let Some(values) = about["enum"].as_array() {
                    let values: Vec<String> = values.iter().map(|v| format!("`{}`", text(v))).collect();
                    what.push_str(&format!("\nAllowed values: [{}]", values.join(", ")));
                }
                out.push_str(&format!("  ({}) {name} ({kind}, {status}): {what}\n", n + 1));
            }
        }
    }
    out.push_str(&format!("---- END FUNCTION #{number} ----\n"));
    out
}

/// Ends a call that the stop word has ended: else the model would read its own calls without their ends.
pub(super) fn complete(text: &mut String) {
    let count = |what: &str| text.matches(what).count();
    let is_cut = count("<function=") == 1 && count("</function>") == 0;
    if is_cut && count("<parameter=") == count("</parameter>") {
        let whole = text.trim_end();
        let whole = ["</function", "</"].iter().find_map(|end| whole.strip_suffix(end)).unwrap_or(whole);
        *text = format!("{}\n</function>", whole.trim_end());
    }
}

/// The call in a reply.
pub(super) fn read(text: &str) -> Result<ToolCall, Fault> {
    in_text(text)
}
