//! Token accounting of SWE-ZERO: a rollout may use a total of tokens, prompt and completion together, and no request may
//! overflow it. What is not known is estimated, on the high side: by length, and by how dense the texts of this conversation
//! turned out to be. Where the estimate decides, the server's tokenizer is asked if it has one.

use crate::server::{Count, Usage};
use sbx_records::Message;

/// Fewer tokens than this are not worth a turn.
const LEAST: u64 = 64;
/// Characters of JSON that count as a token where nothing better is known.
const CHARS_PER_TOKEN: u64 = 3;
/// Tokens that a server's template adds to a message, left out where a density is learned.
const TEMPLATE_TOKENS: u64 = 8;
/// Fewest estimated tokens from which a density is learned; of short texts the template is too large a part.
const LEARNED_FROM: u64 = 64;
/// The densest text is taken to be so many times denser than estimated: a token a byte is 3, with some room.
const DENSEST: f64 = 4.0;

/// How many tokens a rollout may use, and how many it has used.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    total: u64,
    reserve: u64,
    per_turn: u64,
    /// Tokens of the messages up to `counted`, as the server counted them.
    known: u64,
    counted: usize,
    /// How many times more tokens than estimated a text of this conversation had at most. At least 1.
    density: f64,
}

impl Budget {
    /// `total` is the least of what the rollout may use and what the server can hold.
    pub(crate) fn new(total: u64, reserve: u64, per_turn: u64) -> Budget {
        Budget { total, reserve, per_turn, known: 0, counted: 0, density: 1.0 }
    }

    /// Tokens that the next reply may have, or `None` when the budget is over.
    pub(crate) fn next(&self, messages: &[Message]) -> Option<u64> {
        let remaining = self.remaining(messages);
        (remaining > LEAST).then(|| remaining.min(self.per_turn))
    }

    /// Whether an estimate decides how long the next reply may be, so that a better count is worth a request.
    pub(crate) fn is_close(&self, messages: &[Message]) -> bool {
        let least = if self.per_turn == u64::MAX { LEAST } else { self.per_turn };
        // Of a text whose density nobody has measured the most is feared.
        let unknown = (self.tail(messages) as f64 * (DENSEST - self.density)) as u64;
        self.counted < messages.len() && self.remaining(messages).saturating_sub(unknown) <= least
    }

    fn remaining(&self, messages: &[Message]) -> u64 {
        self.total.saturating_sub(self.estimate(messages)).saturating_sub(self.reserve)
    }

    /// Tokens of the next prompt: what the server counted, and an estimate of what came after.
    pub(crate) fn estimate(&self, messages: &[Message]) -> u64 {
        self.known + (self.tail(messages) as f64 * self.density).ceil() as u64
    }

    /// Estimated tokens of the messages that the server has not counted.
    fn tail(&self, messages: &[Message]) -> u64 {
        estimate(messages.get(self.counted..).unwrap_or(&[]))
    }

    /// The first message that the server has not counted.
    pub(crate) fn counted(&self) -> usize {
        self.counted
    }

    /// Takes the server's count of a reply. `messages` ends with it.
    pub(crate) fn count(&mut self, usage: Usage, messages: &[Message]) {
        let before = &messages[..messages.len().saturating_sub(1)];
        self.learn(usage.prompt_tokens, before);
        self.known = usage.prompt_tokens + usage.completion_tokens;
        self.counted = messages.len();
    }

    /// Takes a count of a prompt that was not sent yet.
    pub(crate) fn take(&mut self, count: Count, messages: &[Message]) {
        let prompt = match count {
            Count::Whole(prompt) => prompt,
            Count::Since(new) => self.known + new,
        };
        self.learn(prompt, messages);
        (self.known, self.counted) = (prompt, messages.len());
    }

    /// The server turned out to hold less.
    pub(crate) fn shrink(&mut self, total: u64) {
        self.total = self.total.min(total);
    }

    fn learn(&mut self, prompt: u64, messages: &[Message]) {
        let estimated = self.tail(messages);
        if estimated >= LEARNED_FROM {
            let template = TEMPLATE_TOKENS * messages.len().saturating_sub(self.counted) as u64;
            let true_count = prompt.saturating_sub(self.known + template);
            self.density = (true_count as f64 / estimated as f64).clamp(self.density, DENSEST);
        }
    }

    /// Messages that were counted are gone: all is estimated until the server counts again.
    pub(crate) fn forget(&mut self) {
        (self.known, self.counted) = (0, 0);
    }
}

/// Tokens of messages by the length of their JSON, written as Python's `json.dumps` does: a character outside ASCII
/// takes six. A digit is a token of its own, as it is to many models.
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
        '0'..='9' => CHARS_PER_TOKEN,
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
