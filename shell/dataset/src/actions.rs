//! The action text of a rollout: what it did, without what it said and saw.

use sbx_records::Rollout;

/// The bash commands of a rollout, joined by line breaks: the first `bash` block of each assistant message.
pub(crate) fn action_text(rollout: &Rollout) -> String {
    let replies = rollout.messages.iter().filter(|m| m.role == "assistant");
    replies.filter_map(|m| block(&m.content)).collect::<Vec<_>>().join("\n")
}

fn block(reply: &str) -> Option<&str> {
    let (_, rest) = reply.split_once("```bash")?;
    let (blanks, rest) = rest.split_once('\n')?;
    if !blanks.trim().is_empty() {
        return None;
    }
    let (text, _) = rest.split_once("\n```")?;
    Some(text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sbx_records::Message;

    #[test]
    fn only_the_commands_of_the_assistant_count() {
        let messages = ["a\n```bash\nls\n```", "no block", "```bash\ncat <<E\nx\nE\n```\n```bash\npwd\n```"];
        let mut rollout = Rollout {
            messages: messages.map(|m| Message::new("assistant", m)).to_vec(),
            ..Rollout::default()
        };
        rollout.messages.push(Message::new("user", "```bash\nrm\n```"));
        assert_eq!(action_text(&rollout), "ls\ncat <<E\nx\nE");
    }
}
