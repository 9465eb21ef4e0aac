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

    /// Messages that were counted are gone: all is estimated until the server counts again.
    pub(crate) fn forget(&mut self) {
        (self.known, self.counted) = (0, 0);
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
        chars += message.tool_calls.as_ref().map_or(0, |calls| calls.to_string().len() as u64);
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

    /// Numbers that look random, the same in each run.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, n: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % n
        }
    }

    /// Tokens of a text on a server that gives each text a density of its own: prose has 5 characters a token, code 3 to
    /// 4, tables of numbers 2.5. Each message costs four more for the template.
    fn tokens(chars: u64, dice: &mut Dice) -> u64 {
        4 + chars * 100 / (250 + dice.below(251))
    }

    /// Rolls a conversation out until the budget ends it; returns the tokens that are left.
    fn left_of(total: u64, dice: &mut Dice) -> u64 {
        let mut budget = Budget::new(total, 768, 1_024);
        let mut messages = Vec::new();
        let mut prompt = 0;
        let say = |role: &str, chars: u64, prompt: &mut u64, messages: &mut Vec<Message>, dice: &mut Dice| {
            messages.push(Message::new(role, "x".repeat(chars as usize)));
            *prompt += tokens(chars, dice);
        };
        say("system", 3_000, &mut prompt, &mut messages, dice);
        say("user", 200 + dice.below(6_000), &mut prompt, &mut messages, dice);
        while let Some(most) = budget.next(&messages) {
            assert!(prompt + most <= total, "a strict server answers 400: {prompt} + {most} > {total}");
            let completion = 20 + dice.below(most.saturating_sub(20).clamp(1, 400));
            messages.push(Message::new("assistant", "x".repeat(completion as usize * 4)));
            let usage = Usage { prompt_tokens: prompt, completion_tokens: completion, cached_tokens: 0 };
            budget.count(usage, &messages);
            prompt += completion;
            // Most observations are short; one in eight is as long as they get.
            let chars = if dice.below(8) == 0 { 8_060 } else { dice.below(2_000) };
            say("user", chars, &mut prompt, &mut messages, dice);
        }
        total.saturating_sub(prompt)
    }

    #[test]
    fn ten_thousand_conversations_never_overflow_a_strict_server_and_use_their_budget() {
        let mut dice = Dice(7);
        let (mut left, mut rounds) = (0, 0);
        for round in 0..10_000 {
            if round % 10 == 0 {
                left += left_of(32_768, &mut dice);
                rounds += 1;
            } else {
                left_of(8_192, &mut dice);
            }
        }
        let share = left as f64 / (rounds * 32_768) as f64;
        assert!(share < 0.05, "unused: {share}");
    }

    #[test]
    fn the_first_estimate_is_the_json_length_over_three() {
        let messages = [Message::new("user", "é\"\n")];
        let json = r#"[{"role": "user", "content": "\u00e9\"\n"}]"#;
        assert_eq!(estimate(&messages), json.len() as u64 / 3);
    }
}
