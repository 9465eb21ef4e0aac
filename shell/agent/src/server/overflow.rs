//! A prompt that is longer than the model's context: every server says it in words of its own.
//!
//! Sources: vLLM 0.6 to 0.33, SGLang 0.5, llama.cpp's server, OpenAI, text-generation-inference 3, TensorRT-LLM, LMDeploy,
//! Ollama, Mistral, Gemini, Anthropic, and gateways (LiteLLM 1.106's list).

use super::ServerError;
use regex::Regex;
use serde_json::Value;
use std::sync::LazyLock;

/// What servers say, in lower case.
const WORDS: [&str; 19] = [
    "this model's maximum context length is",
    "is longer than the model's context length",
    "exceeds the available context size",
    "requested token count exceeds the model's maximum context length",
    "exceed context limit",
    "maximum context limit",
    "input tokens exceed the configured limit",
    "exceed_context_size_error",
    "context_length_exceeded",
    "longer than the maximum model length",
    "is too long to fit into the model",
    "context size exceeded",
    "tokens + `max_new_tokens` must be <=",
    "should not exceed max_num_tokens",
    "exceeds the session length",
    "exceeds maximum context length",
    "too large for model with",
    "exceeds the maximum number of tokens allowed",
    "prompt is too long",
];

/// Reads the body of an error; `error` is its inner object. Keys are believed before words.
pub(super) fn overflow(error: &Value, text: &str) -> Option<ServerError> {
    let lower = text.to_lowercase();
    if !WORDS.iter().any(|words| lower.contains(words)) {
        return None;
    }
    static PROMPT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?:prompt contains (?:at least )?|(?:input|request) \(|request has )(\d+) (?:input )?tokens|\((\d+) in the messages|(\d+) tokens from the input")
            .expect("the expression is constant")
    });
    static LIMIT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"context (?:length|size|limit)[a-z ]{0,12}\(?(\d+) tokens")
            .expect("the expression is constant")
    });
    let key = |key: &str| error.get(key).and_then(Value::as_u64);
    let words =
        |regex: &Regex| regex.captures(&lower).and_then(|c| c.iter().flatten().nth(1)?.as_str().parse().ok());
    Some(ServerError::ContextOverflow {
        prompt: key("n_prompt_tokens").or_else(|| words(&PROMPT)),
        limit: key("n_ctx").or_else(|| words(&LIMIT)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_servers_overflow_is_known_with_its_numbers() {
        for (text, prompt, limit) in [
            (
                r#"{"error":{"message":"This model's maximum context length is 8192 tokens. However, your prompt contains at least 9000 input tokens, which exceeds this limit even without any output tokens.","code":400}}"#,
                Some(9000),
                Some(8192),
            ),
            (
                r#"{"error":{"message":"This model's maximum context length is 8192 tokens. However, you requested 9100 tokens (9000 in the messages, 100 in the completion).","code":"context_length_exceeded"}}"#,
                Some(9000),
                Some(8192),
            ),
            (
                r#"{"message":"The input (9000 tokens) is longer than the model's context length (8192 tokens)."}"#,
                Some(9000),
                Some(8192),
            ),
            (
                r#"{"error":"Requested token count exceeds the model's maximum context length of 8192 tokens. You requested a total of 9100 tokens"}"#,
                None,
                Some(8192),
            ),
            (
                r#"{"error":{"code":400,"message":"request (9000 tokens) exceeds the available context size (8192 tokens), try increasing it"}}"#,
                Some(9000),
                Some(8192),
            ),
            (
                r#"{"error":{"type":"exceed_context_size_error","n_prompt_tokens":9,"n_ctx":8,"message":"request (1 tokens) exceeds the available context size (2 tokens)"}}"#,
                Some(9),
                Some(8),
            ),
            (
                r#"{"message":"Requested token count exceeds the model's maximum context length of 8192 tokens. You requested a total of 9100 tokens: 9000 tokens from the input messages and 100 tokens for the completion."}"#,
                Some(9000),
                Some(8192),
            ),
            (
                r#"{"error":{"message":"'max_tokens' or 'max_completion_tokens' is too large: 1024. This model's maximum context length is 4096 tokens and your request has 3500 input tokens (1024 > 4096 - 3500)."}}"#,
                Some(3500),
                Some(4096),
            ),
            (r#"{"error":{"message":"input tokens exceed the configured limit"}}"#, None, None),
        ] {
            let body: Value = serde_json::from_str(text).unwrap();
            let found = overflow(body.get("error").unwrap_or(&body), text);
            assert_eq!(found, Some(ServerError::ContextOverflow { prompt, limit }), "{text}");
        }
    }

    #[test]
    fn an_overflow_is_one_without_its_numbers() {
        for text in [
            r#"{"error":{"message":"The decoder prompt (length 9000) is longer than the maximum model length of 8192. Make sure that `max_model_len` is no smaller than the number of text tokens."}}"#,
            r#"{"error":{"code":500,"message":"Context size exceeded","type":"server_error"}}"#,
            r#"{"error":"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8192. Given: 9000 `inputs` tokens and 1024 `max_new_tokens`","error_type":"validation"}"#,
            r#"{"object":"error","message":"The sum of prompt length (9000.0) and query length (0.0) should not exceed max_num_tokens (8192)"}"#,
            r#"{"message":"The prompt length 9000 exceeds the session length 8192"}"#,
            r#"{"error":"input length exceeds maximum context length"}"#,
            r#"{"message":"Prompt contains 9000 tokens and 0 draft tokens, too large for model with 8192 maximum context length"}"#,
            r#"{"error":{"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."}}"#,
            r#"{"error":{"message":"prompt is too long: 209000 tokens > 200000 maximum"}}"#,
        ] {
            assert!(overflow(&Value::Null, text).is_some(), "{text}");
        }
    }

    #[test]
    fn other_faults_are_no_overflow() {
        for text in ["", "{}", r#"{"error":{"message":"max_tokens must be at least 1"}}"#] {
            assert_eq!(overflow(&Value::Null, text), None);
        }
    }
}
