//! The action text of a rollout: what it did, without what it said and saw.

use sbx_records::Rollout;

/// The actions of a rollout, each without the blanks around it, joined by line breaks.
pub(crate) fn action_text(rollout: &Rollout) -> String {
    let replies = rollout.messages.iter().filter(|m| m.role == "assistant");
    let actions: Vec<_> = replies.flat_map(|m| m.acted()).collect();
    actions.iter().map(|a| a.text().trim()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use sbx_records::Message;

    #[test]
    fn only_what_the_assistant_did_counts() {
        let say = |role: &str, script: &str| Message::new(role, format!("```bash\n{script}\n```"));
        let messages = vec![say("assistant", " ls "), say("user", "rm"), say("assistant", "pwd")];
        assert_eq!(action_text(&Rollout { messages, ..Rollout::default() }), "ls\npwd");
    }
}
