//! JSON as others write it: Python's writers put halves of surrogate pairs into texts, which no UTF-8 text can hold.

use serde::de::DeserializeOwned;
use std::borrow::Cow;

/// Reads JSON; a `\ud800`…`\udfff` without its other half becomes U+FFFD, as Python's `errors="replace"` has it.
///
/// # Errors
/// It is not JSON, or not a `T`.
pub fn from_json<T: DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(json).or_else(|error| match repaired(json) {
        Cow::Borrowed(_) => Err(error),
        Cow::Owned(whole) => serde_json::from_slice(&whole),
    })
}

/// The text with every lone surrogate escape replaced by one of the same length, so that columns in errors stay right.
fn repaired(json: &[u8]) -> Cow<'_, [u8]> {
    let mut whole = Cow::Borrowed(json);
    let mut at = 0;
    while at + 1 < json.len() {
        if json[at] != b'\\' {
            at += 1;
            continue;
        }
        match unit(json, at) {
            None => at += 2,
            Some(0xd800..=0xdbff) if matches!(unit(json, at + 6), Some(0xdc00..=0xdfff)) => at += 12,
            Some(0xd800..=0xdfff) => {
                whole.to_mut()[at + 2..at + 6].copy_from_slice(b"fffd");
                at += 6;
            }
            Some(_) => at += 6,
        }
    }
    whole
}

/// The number of a `\uXXXX` escape.
fn unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
    digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lone_surrogates_are_replaced_and_pairs_are_kept() {
        for (json, text) in [
            (r#""a\ud800b""#, "a\u{fffd}b"),
            (r#""\udc00\ud83d\ude00\ud83d""#, "\u{fffd}😀\u{fffd}"),
            (r#""\ud800\ud83d\ude00""#, "\u{fffd}😀"),
            (r#""\\ud800 \\\ud800""#, "\\ud800 \\\u{fffd}"),
            (r#""\u0000\u00e9""#, "\0é"),
        ] {
            assert_eq!(from_json::<String>(json.as_bytes()).unwrap(), text, "{json}");
        }
    }

    #[test]
    fn what_is_not_json_is_an_error_with_its_place() {
        assert!(from_json::<String>(br#""\ud8""#).is_err());
        let error = from_json::<Vec<String>>(br#"["\ud800", 7]"#).unwrap_err();
        assert_eq!(error.to_string(), "invalid type: integer `7`, expected a string at line 1 column 12");
    }
}
