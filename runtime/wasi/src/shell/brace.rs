//! Brace expansion: `a{b,c}` and `{1..3}`, over the parts of a word.

use super::syntax::{Part, Word};

/// Most words that one word becomes.
const MAX_WORDS: usize = 8_000_000;
/// Most braces of one word that are looked at: each is a level of the stack. With more, the word is left as it is.
const MAX_BRACES: usize = 1024;
/// Most steps of looking for the ends of a word's braces.
const MAX_WORK: usize = 64 << 20;
/// Braces within braces, at most.
const MAX_DEPTH: usize = 64;

/// A byte of unquoted text, or a part that is left alone.
#[derive(Clone)]
enum Unit<'a> {
    Byte(u8),
    Part(&'a Part),
}

/// The words that a word becomes; `None` when there are too many.
pub(super) fn expand(word: &Word, fits: &dyn Fn(usize) -> bool) -> Option<Vec<Vec<Part>>> {
    let mut units = Vec::new();
    for part in &word.parts {
        match part {
            Part::Text(text) => units.extend(text.iter().map(|b| Unit::Byte(*b))),
            other => units.push(Unit::Part(other)),
        }
    }
    let opened = units.iter().filter(|unit| is(unit, b'{')).count();
    if opened > MAX_BRACES || opened.saturating_mul(units.len()) > MAX_WORK {
        return Some(vec![parts(units)]);
    }
    let words = spread(&units, fits, 0)?;
    Some(words.into_iter().map(parts).collect())
}

fn parts(units: Vec<Unit<'_>>) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for unit in units {
        match (unit, parts.last_mut()) {
            (Unit::Byte(b), Some(Part::Text(text))) => text.push(b),
            (Unit::Byte(b), _) => parts.push(Part::Text(vec![b])),
            (Unit::Part(part), _) => parts.push(part.clone()),
        }
    }
    if parts.is_empty() {
        parts.push(Part::Text(Vec::new()));
    }
    parts
}

fn is(unit: &Unit<'_>, byte: u8) -> bool {
    matches!(unit, Unit::Byte(b) if *b == byte)
}

fn spread<'a>(units: &[Unit<'a>], fits: &dyn Fn(usize) -> bool, depth: usize) -> Option<Vec<Vec<Unit<'a>>>> {
    let mut from = 0;
    while depth < MAX_DEPTH
        && let Some(open) = units[from..].iter().position(|u| is(u, b'{')).map(|n| n + from)
    {
        let Some((close, commas)) = close(units, open) else {
            from = open + 1;
            continue;
        };
        let inner = &units[open + 1..close];
        let middles: Vec<Vec<Unit<'a>>> = if commas.is_empty() {
            match sequence(inner, fits)? {
                Some(items) => items.into_iter().map(|i| i.into_iter().map(Unit::Byte).collect()).collect(),
                None => {
                    from = open + 1;
                    continue;
                }
            }
        } else {
            let mut middles = Vec::new();
            let mut start = open + 1;
            for end in commas.iter().copied().chain([close]) {
                middles.extend(spread(&units[start..end], fits, depth + 1)?);
                start = end + 1;
            }
            middles
        };
        let tails = spread(&units[close + 1..], fits, depth)?;
        let count = middles.len().saturating_mul(tails.len());
        let lengths = |words: &[Vec<Unit<'_>>]| words.iter().map(Vec::len).sum::<usize>();
        let all = count
            .saturating_mul(open)
            .saturating_add(lengths(&middles).saturating_mul(tails.len()))
            .saturating_add(lengths(&tails).saturating_mul(middles.len()));
        let bytes = all.saturating_mul(size_of::<Unit<'_>>()).saturating_add(count.saturating_mul(64));
        if count > MAX_WORDS || !fits(bytes) {
            return None;
        }
        let mut words = Vec::with_capacity(count);
        for middle in &middles {
            for tail in &tails {
                let mut word = units[..open].to_vec();
                word.extend(middle.iter().cloned());
                word.extend(tail.iter().cloned());
                words.push(word);
            }
        }
        return Some(words);
    }
    Some(vec![units.to_vec()])
}

/// The brace that closes, and the commas between; `None` when it is no expansion.
fn close(units: &[Unit<'_>], open: usize) -> Option<(usize, Vec<usize>)> {
    let mut depth = 0;
    let mut commas = Vec::new();
    for (at, unit) in units.iter().enumerate().skip(open) {
        let Unit::Byte(byte) = unit else { continue };
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some((at, commas));
                }
            }
            b',' if depth == 1 => commas.push(at),
            _ => {}
        }
    }
    None
}

/// `1..9..2` or `a..e`: its elements. The outer `None`: too many.
fn sequence(units: &[Unit<'_>], fits: &dyn Fn(usize) -> bool) -> Option<Option<Vec<Vec<u8>>>> {
    let mut text = Vec::new();
    for unit in units {
        let Unit::Byte(byte) = unit else { return Some(None) };
        text.push(*byte);
    }
    let Ok(text) = String::from_utf8(text) else { return Some(None) };
    let ends: Vec<&str> = text.split("..").collect();
    let (first, last, step) = match ends.as_slice() {
        [first, last] => (*first, *last, 0),
        [first, last, step] => match step.parse::<i64>() {
            Ok(step) => (*first, *last, step),
            Err(_) => return Some(None),
        },
        _ => return Some(None),
    };
    let (low, high, is_letter) = match (first.parse::<i64>(), last.parse::<i64>()) {
        (Ok(low), Ok(high)) => (low, high, false),
        _ => match (first.as_bytes(), last.as_bytes()) {
            ([low], [high]) if low.is_ascii_alphabetic() && high.is_ascii_alphabetic() => {
                (i64::from(*low), i64::from(*high), true)
            }
            _ => return Some(None),
        },
    };
    let step = i128::from(step).abs().max(1);
    let distance = (i128::from(high) - i128::from(low)).abs();
    let count = usize::try_from(distance / step + 1).unwrap_or(usize::MAX);
    if count > MAX_WORDS || !fits(count.saturating_mul(64)) {
        return None;
    }
    let is_padded = |s: &str| {
        let digits = s.strip_prefix('-').unwrap_or(s);
        digits.len() > 1 && digits.starts_with('0')
    };
    let width =
        if !is_letter && (is_padded(first) || is_padded(last)) { first.len().max(last.len()) } else { 0 };
    let items = (0..count as i128).map(|i| {
        let offset = i * step;
        let value = if high >= low { i128::from(low) + offset } else { i128::from(low) - offset };
        if is_letter {
            return vec![u8::try_from(value).unwrap_or(b'?')];
        }
        let sign = usize::from(value < 0);
        let digits = value.unsigned_abs().to_string();
        let zeros = width.saturating_sub(digits.len() + sign);
        format!("{}{}{digits}", if sign == 1 { "-" } else { "" }, "0".repeat(zeros)).into_bytes()
    });
    Some(Some(items.collect()))
}
