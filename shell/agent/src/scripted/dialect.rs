//! Whom a scripted server imitates where servers differ: how they tell their context, count a prompt, and refuse one that is
//! too long. All of them make a token of every two bytes here, which is denser than any estimate expects.

use axum::http::StatusCode;
use serde_json::{Value, json};

const BYTES_PER_TOKEN: u64 = 2;

/// Whom a scripted server imitates where servers differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// vLLM.
    Vllm,
    /// SGLang.
    Sglang,
    /// llama.cpp's server.
    LlamaCpp,
    /// A gateway: it tells neither its context nor what a prompt costs.
    Gateway,
}

/// A dialect, and a context that is held to the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Strict {
    pub dialect: Dialect,
    pub context: u64,
}

impl Strict {
    pub(super) fn models(self) -> Value {
        let mut model = json!({"id": "scripted", "object": "model"});
        match self.dialect {
            Dialect::Vllm | Dialect::Sglang => model["max_model_len"] = self.context.into(),
            Dialect::LlamaCpp => model["meta"] = json!({"n_ctx_train": 1 << 20}),
            Dialect::Gateway => {}
        }
        json!({"object": "list", "data": [model]})
    }

    /// Answers on the paths beside the chat's; 404 where this server has no such path.
    pub(super) fn aside(self, path: &str, body: &Value) -> (StatusCode, Value) {
        let bad = (StatusCode::BAD_REQUEST, json!({"error": {"message": "a field is missing"}}));
        match (self.dialect, path) {
            (Dialect::Vllm, "/tokenize") if body["messages"].is_array() => {
                (StatusCode::OK, json!({"count": prompt(body), "max_model_len": self.context, "tokens": []}))
            }
            (Dialect::Sglang, "/v1/tokenize") => match body["prompt"].as_array() {
                Some(texts) => {
                    let counts: Vec<u64> =
                        texts.iter().map(|t| tokens(t.as_str().unwrap_or_default())).collect();
                    (StatusCode::OK, json!({"count": counts, "tokens": []}))
                }
                None => bad,
            },
            (Dialect::LlamaCpp, "/props") => {
                (StatusCode::OK, json!({"default_generation_settings": {"n_ctx": self.context}}))
            }
            (Dialect::LlamaCpp, "/apply-template") => (StatusCode::OK, json!({"prompt": rendered(body)})),
            // Without a content there is nothing to count; that is no error to it.
            (Dialect::LlamaCpp, "/tokenize") => {
                let count = tokens(body["content"].as_str().unwrap_or_default());
                (StatusCode::OK, json!({"tokens": (0..count).collect::<Vec<_>>()}))
            }
            (Dialect::Vllm | Dialect::Sglang, "/tokenize") => bad,
            _ => (StatusCode::NOT_FOUND, json!({"detail": "Not Found"})),
        }
    }

    /// The refusal of a request that may need more than the context, in the server's own words.
    pub(super) fn refusal(self, body: &Value) -> Option<Value> {
        let (prompt, context) = (prompt(body), self.context);
        let reply = body["max_tokens"].as_u64().unwrap_or(1);
        let total = prompt + reply;
        if total <= context {
            return None;
        }
        Some(match self.dialect {
            Dialect::Vllm | Dialect::Gateway => json!({"error": {
                "message": format!("This model's maximum context length is {context} tokens. However, you requested {total} tokens ({prompt} in the messages, {reply} in the completion). Please reduce the length of the messages or completion."),
                "type": "BadRequestError", "param": null, "code": 400,
            }}),
            Dialect::Sglang => json!({
                "object": "error", "type": "BadRequest", "param": null, "code": 400,
                "message": format!("Requested token count exceeds the model's maximum context length of {context} tokens. You requested a total of {total} tokens: {prompt} tokens from the input messages and {reply} tokens for the completion."),
            }),
            Dialect::LlamaCpp => json!({"error": {
                "code": 400, "type": "exceed_context_size_error", "n_prompt_tokens": prompt, "n_ctx": context,
                "message": format!("request ({prompt} tokens) exceeds the available context size ({context} tokens), try increasing it"),
            }}),
        })
    }
}

/// Tokens of a request's prompt.
pub(super) fn prompt(body: &Value) -> u64 {
    tokens(&rendered(body))
}

pub(super) fn tokens(text: &str) -> u64 {
    (text.len() as u64).div_ceil(BYTES_PER_TOKEN)
}

/// A chat template.
fn rendered(body: &Value) -> String {
    let mut text = body["tools"].as_array().map(|tools| format!("{tools:?}")).unwrap_or_default();
    for message in body["messages"].as_array().into_iter().flatten() {
        let (role, content) = (message["role"].as_str(), message["content"].as_str());
        text.push_str(&format!("<s>{}\n{}</s>\n", role.unwrap_or_default(), content.unwrap_or_default()));
        if message["tool_calls"].is_array() {
            text.push_str(&message["tool_calls"].to_string());
        }
    }
    text + "<s>assistant\n"
}
