//! What a scripted model says.

use crate::server::without_thinking;
use serde::Deserialize;
use serde_json::Value;

/// What the model says: conversations, turn by turn.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Conversations; new ones are handed out in turn.
    pub rollouts: Vec<Turns>,
}

/// The replies of one conversation. When they are used up the last one is repeated.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turns {
    /// The assistant's texts.
    pub replies: Vec<String>,
}

impl Script {
    /// The next reply: that of the conversation whose replies so far are the request's, or a new conversation's first. A
    /// harness may leave replies out; then the one after the last that is there.
    pub(super) fn next(&self, body: &Value, conversations: &mut usize) -> &str {
        let said = said(body);
        let Some(first) = self.rollouts.first() else { return "" };
        let turns = if said.is_empty() {
            let turns = &self.rollouts[*conversations % self.rollouts.len()];
            *conversations += 1;
            turns
        } else {
            // Thinking does not come back.
            let fits = |turns: &&Turns| {
                said.iter().enumerate().all(|(i, s)| without_thinking(turns.reply(i)).1 == *s)
            };
            match self.rollouts.iter().find(fits) {
                Some(turns) => turns,
                None => return self.after(said[said.len() - 1]).unwrap_or(first.reply(said.len())),
            }
        };
        turns.reply(said.len())
    }
}

impl Script {
    fn after(&self, said: &str) -> Option<&str> {
        let place = |turns: &Turns| turns.replies.iter().position(|r| without_thinking(r).1 == said);
        self.rollouts.iter().find_map(|turns| Some(turns.reply(place(turns)? + 1)))
    }
}

impl Turns {
    fn reply(&self, turn: usize) -> &str {
        self.replies.get(turn).or(self.replies.last()).map_or("", String::as_str)
    }
}

/// What the assistant has said in a request.
pub(super) fn said(body: &Value) -> Vec<&str> {
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    messages.iter().filter(|m| m["role"] == "assistant").filter_map(|m| m["content"].as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn conversations_are_told_apart_by_what_was_said() {
        let turns = |replies: &[&str]| Turns { replies: replies.iter().map(|r| (*r).into()).collect() };
        let script = Script { rollouts: vec![turns(&["a", "b"]), turns(&["<think>t</think>c", "d"])] };
        let mut conversations = 0;
        let mut next = |said: &[&str]| {
            let messages: Vec<_> = said.iter().map(|s| json!({"role": "assistant", "content": s})).collect();
            script.next(&json!({"messages": messages}), &mut conversations).to_string()
        };
        assert_eq!([next(&[]), next(&[]), next(&[])], ["a", "<think>t</think>c", "a"]);
        assert_eq!([next(&["c"]), next(&["a"]), next(&["a", "b"])], ["d", "b", "b"]);
        assert_eq!([next(&["x", "c"]), next(&["b"])], ["d", "b"], "replies are left out");
    }
}
