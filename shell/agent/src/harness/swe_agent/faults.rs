//! What a model reads of a reply that could not be read: SWE-agent 1.1's own words (`sweagent/tools/parsing.py`, MIT
//! licence), since models were trained on them. A configuration may set others.

use super::config::Parser;

/// What is wrong with a reply: SWE-agent's code for it, empty where its parser has none, and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub code: &'static str,
    pub why: String,
}

impl Fault {
    pub(super) fn new(code: &'static str, why: impl Into<String>) -> Fault {
        Fault { code, why: why.into() }
    }

    /// A fault of a grammar that has no codes.
    pub(super) fn plain(why: impl Into<String>) -> Fault {
        Fault::new("", why)
    }
}

/// The template of a grammar where the configuration has none.
pub(super) fn template(parser: Parser) -> &'static str {
    match parser {
        Parser::FunctionCalling => FUNCTION_CALLING,
        Parser::XmlFunctionCalling => XML_FUNCTION_CALLING,
        Parser::ThoughtAction => THOUGHT_ACTION,
        Parser::XmlThoughtAction => XML_THOUGHT_ACTION,
        Parser::EditFormat => EDIT_FORMAT,
        Parser::Action => ACTION,
        Parser::ActionOnly => "No message found in model response.",
        Parser::Identity => "It seems like something went wrong with your output. Please try again.\n",
        Parser::Json => JSON,
        Parser::AllBashBlocks => ALL_BASH_BLOCKS,
        Parser::SingleBashBlock => SINGLE_BASH_BLOCK,
    }
}

const FUNCTION_CALLING: &str = r#"{%- if error_code == "missing" -%}
Your last output did not use any tool calls!
Please make sure your output includes exactly _ONE_ function call!
You must invoke the function directly using the function call format.
You cannot invoke commands with ```, you have to use the function call format.
If you think you have already resolved the issue, please submit your changes by running the `submit` command.
If you think you cannot solve the problem, please run `exit_forfeit` (if available) or `submit`.
Else, please continue with a new tool call!
{%- elif error_code == "multiple" -%}
Your last output included multiple tool calls!
Please make sure your output includes a thought and exactly _ONE_ function call.
{%- elif error_code == "unexpected_arg" -%}
Your action could not be parsed properly: {{exception_message}}.
Make sure your function call doesn't include any extra arguments that are not in the allowed arguments, and only use the allowed commands.
{%- else -%}
Your action could not be parsed properly: {{exception_message}}.
{% endif %}
"#;

const XML_FUNCTION_CALLING: &str = r#"{%- if error_code == "missing" -%}
Your last output did not use any tool calls!
Please make sure your output includes exactly _ONE_ function call!
If you think you have already resolved the issue, please submit your changes by running the `submit` command.
If you think you cannot solve the problem, please run `submit`.
Else, please continue with a new tool call!
{%- elif error_code == "multiple" -%}
Your last output included multiple tool calls!
Please make sure your output includes a thought and exactly _ONE_ function call.
{%- elif error_code == "unexpected_arg" -%}
Your action could not be parsed properly: {{exception_message}}.
Make sure your function call doesn't include any extra arguments that are not in the allowed arguments, and only use the allowed commands.
{%- else -%}
Your action could not be parsed properly: {{exception_message}}.
{% endif %}
"#;

const THOUGHT_ACTION: &str = "\
Your output was not formatted correctly. You must always include one discussion and one command as part of your response. Make sure you do not have multiple discussion/command tags.
Please make sure your output precisely matches the following format:
DISCUSSION
Discuss here with yourself about what your planning and what you're going to do in this step.

```
command(s) that you're going to run
```
";

const XML_THOUGHT_ACTION: &str = "\
Your output was not formatted correctly. You must always include one discussion and one command as part of your response. Make sure you do not have multiple discussion/command tags.
Please make sure your output precisely matches the following format:
";

const EDIT_FORMAT: &str = "\
Your output was not formatted correctly. You must wrap the replacement text in backticks (```).
Please make sure your output precisely matches the following format:
COMMENTS
You can write comments here about what you're going to do if you want.

```
New window contents.
Make sure you copy the entire contents of the window here, with the required indentation.
Make the changes to the window above directly in this window.
Remember that all of the window's contents will be replaced with the contents of this window.
Don't include line numbers in your response.
```
";

/// The original does not fill in `{command_docs}` either.
const ACTION: &str = "\
The command you provided was not recognized. Please specify one of the commands (+ any necessary arguments) from the following list in your response. Do not include any other text.

COMMANDS:
{command_docs}
";

const JSON: &str = "\
Your output could not be parsed as JSON. Please make sure your output 1) is valid JSON and
2) Includes the \"thought\" and \"command\" fields.

";

const ALL_BASH_BLOCKS: &str = "\
No bash code blocks were detected in your output.
You need to include at least one bash code block in your output.

It must follow this format exactly to be valid:
```bash
cmd arg1 arg2 ...
...

Other types of code blocks (e.g. python, rust, none, etc.) won't be executed. Only bash.
";

const SINGLE_BASH_BLOCK: &str = "\
We did not detect the right number of bash code blocks in your output.
You need to include EXACTLY ONE bash code block in your output.

It must follow this format exactly to be valid:
```bash
cmd arg1 arg2 ...
```
";
