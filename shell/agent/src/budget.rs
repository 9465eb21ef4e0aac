//! Token accounting of SWE-ZERO: a rollout may use a total of tokens, prompt and completion together, and no request may
//! overflow it. What is not known is estimated, on the high side.

use crate::server::Usage;
use sbx_records::Message;

/// Fewer tokens than this are not worth a turn.
const LEAST: u64 = 64;
/// Characters of JSON that count as a token where nothing better is known.
const CHARS_PER_TOKEN: u64 = 3;

/// How many tokens a rollout may use, and how many it has used.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    total: u64,
    reserve: u64,
    per_turn: u64,
    /// Tokens of the messages up to `counted`, as the server counted them.
    known: u64,
    counted: usize,
}

impl Budget {
    pub(crate) fn new(total: u64, reserve: u64, per_turn: u64) -> Budget {
        Budget { total, reserve, per_turn, known: 0, counted: 0 }
    }

    /// Tokens that the next reply may have, or `None` when the budget is over.
    pub(crate) fn next(&self, messages: &[Message]) -> Option<u64> {
        let estimate = self.estimate(messages);
        let remaining = self.total.saturating_sub(estimate).saturating_sub(self.reserve);
        (remaining > LEAST).then(|| remaining.min(self.per_turn))
    }

    /// Tokens of the next prompt: what the server counted, and an estimate of what came after.
    pub(crate) fn estimate(&self, messages: &[Message]) -> u64 {
        self.known + estimate(messages.get(self.counted..).unwrap_or(&[]))
    }

    /// Takes the server's count. `messages` ends with the reply.
    pub(crate) fn count(&mut self, usage: Usage, messages: &[Message]) {
        self.known = usage.prompt_tokens + usage.completion_tokens;
        self.counted = messages.len();
    }
}

/// Tokens of messages by the length of their JSON, written as Python's `json.dumps` does: a character outside ASCII
/// takes six.
pub(crate) fn estimate(messages: &[Message]) -> u64 {
    if messages.is_empty() {
        return 0;
    }
    let mut chars = 2;
    for message in messages {
        // {"role": "…", "content": "…"}, and the comma.
        chars += 28 + message.role.len() as u64;
        chars += message.content.chars().map(width).sum::<u64>();
    }
    chars / CHARS_PER_TOKEN
}

fn width(c: char) -> u64 {
    match c {
        '"' | '\\' | '\n' | '\t' | '\r' => 2,
        ' '..='~' => 1,
        c if u32::from(c) > 0xffff => 12,
        _ => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server with a tokenizer of its own that answers 400 when prompt and reply do not fit.
    fn tokens(messages: &[Message], per_token: u64) -> u64 {
        messages.iter().map(|m| 4 + (m.content.len() as u64).div_ceil(per_token)).sum()
    }

    #[test]
    fn no_request_overflows_and_little_is_left_unused() {
        let mut state = 7u64;
        let mut random = move |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % n
        };
        let (mut unused, mut ended) = (0u64, 0u64);
        for round in 0..10_000 {
            let per_token = 3 + round % 3;
            let total = 8_192;
            let mut budget = Budget::new(total, 256, 512);
            let mut messages = vec![Message::new("system", "s".repeat(1 + random(2_000) as usize))];
            loop {
                let prompt = tokens(&messages, per_token);
                let Some(most) = budget.next(&messages) else {
                    unused += total - prompt.min(total);
                    ended += 1;
                    break;
                };
                assert!(prompt + most <= total, "{prompt} + {most} > {total}");
                let completion = 1 + random(most);
                messages.push(Message::new(
                    "assistant",
                    "a".repeat((completion.saturating_sub(4) * per_token) as usize),
                ));
                budget.count(
                    Usage { prompt_tokens: prompt, completion_tokens: completion, cached_tokens: 0 },
                    &messages,
                );
                messages.push(Message::new("user", "o".repeat(random(1_500) as usize)));
            }
        }
        let share = unused as f64 / (ended * 8_192) as f64;
        // The reserve alone is 3 %.
        assert!(share < 0.07, "{share}");
    }

    #[test]
    fn the_first_estimate_is_the_json_length_over_three() {
        let messages = [Message::new("user", "é\"\n")];
        let json = r#"[{"role": "user", "content": "\u00e9\"\n"}]"#;
        assert_eq!(estimate(&messages), json.len() as u64 / 3);
    }
}
