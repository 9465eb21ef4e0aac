//! Quantities as people write them in a policy: `"1 GiB"`, `"60s"`. A bare number is refused: a unit is part of the value.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A number of bytes. Written with a unit: `B`, `KiB`, `MiB`, `GiB`, `TiB`, or the decimal `kB`, `MB`, `GB`, `TB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

const SIZE_UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

impl FromStr for ByteSize {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        parse(text, &SIZE_UNITS)
            .map(ByteSize)
            .ok_or_else(|| format!("expected a size such as \"1 GiB\", found {text:?}"))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The largest binary unit that divides exactly, so that the text reads back as the same number.
        let (unit, factor) = SIZE_UNITS[..5]
            .iter()
            .rev()
            .find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor))
            .unwrap_or(&SIZE_UNITS[0]);
        write!(f, "{} {unit}", self.0 / factor)
    }
}

/// A hundred years: no wait is longer. `Duration::MAX` has no moment at its end.
pub const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

const TIME_UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("min", 60_000), ("h", 3_600_000)];

/// Reads a span of time such as `"60s"`, `"1.5 min"` or `"250 ms"`; the units are `ms`, `s`, `min` and `h`.
///
/// # Errors
/// Says what was expected when the text is not a number with one of these units.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    parse(text, &TIME_UNITS)
        .map(Duration::from_millis)
        .ok_or_else(|| format!("expected a time such as \"60s\", found {text:?}"))
}

/// Writes a span of time so that [`parse_duration`] reads it back.
pub fn format_duration(time: Duration) -> String {
    let ms = time.as_millis();
    if ms.is_multiple_of(1_000) { format!("{}s", ms / 1_000) } else { format!("{ms}ms") }
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = (&text[..split], text[split..].trim_start());
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(*factor);
    }
    let value = number.parse::<f64>().ok()? * *factor as f64;
    (0.0..9e15).contains(&value).then_some(value as u64)
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = ByteSize;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as \"1 GiB\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, n: i64) -> Result<ByteSize, E> {
                Err(E::custom(format!("expected a size such as \"1 GiB\", found {n} without a unit")))
            }
        }
        d.deserialize_any(Visitor)
    }
}

/// A [`Duration`] in a policy file, for serde's `with`-less fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Time(pub Duration);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Time;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time such as \"60s\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Time, E> {
                parse_duration(text).map(Time).map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, n: i64) -> Result<Time, E> {
                Err(E::custom(format!("expected a time such as \"60s\", found {n} without a unit")))
            }
        }
        d.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units_and_written_back() {
        for (text, bytes) in
            [("1 GiB", 1 << 30), ("256KiB", 256 << 10), ("1.5 MiB", 3 << 19), ("2 MB", 2_000_000)]
        {
            let size: ByteSize = text.parse().unwrap();
            assert_eq!(size, ByteSize(bytes), "{text}");
            assert_eq!(size.to_string().parse::<ByteSize>().unwrap(), size);
        }
    }

    #[test]
    fn a_number_without_a_unit_is_refused() {
        for text in ["1", "1 gig", "", "GiB", "-1 GiB", "1e9 B", "99999999999 TiB"] {
            assert!(text.parse::<ByteSize>().unwrap_err().contains("expected a size"), "{text}");
        }
        assert!(parse_duration("60").is_err());
        assert!(parse_duration("60 m").is_err());
    }

    #[test]
    fn times_are_read_with_their_units() {
        assert_eq!(parse_duration("1.5 min").unwrap(), Duration::from_secs(90));
        assert_eq!(parse_duration("250ms").unwrap(), Duration::from_millis(250));
        assert_eq!(format_duration(Duration::from_secs(60)), "60s");
    }
}
