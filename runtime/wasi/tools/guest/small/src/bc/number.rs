//! Decimal numbers of any length with a number of places.

use num_bigint::{BigInt, Sign};

/// Columns of a line of output; what is longer goes on in the next.
const LINE: usize = 68;
/// Most places, and most digits of a power.
pub const MOST: usize = 100_000;

/// A number: digits, of which so many stand behind the point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    digits: BigInt,
    /// Places behind the point.
    pub scale: usize,
}

fn ten(power: usize) -> BigInt {
    BigInt::from(10).pow(power as u32)
}

impl From<i64> for Number {
    fn from(value: i64) -> Number {
        Number { digits: value.into(), scale: 0 }
    }
}

impl Number {
    /// Reads a literal in a base from 2 to 36.
    pub fn read(text: &str, base: u32) -> Number {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = format!("{whole}{part}");
        // A single digit is itself in any base.
        let value = |c: char| c.to_digit(36).unwrap_or(0).min(if digits.len() > 1 { base - 1 } else { 35 });
        let mut number = BigInt::ZERO;
        for c in digits.chars() {
            number = number * base + value(c);
        }
        let scale = part.len();
        if base == 10 {
            return Number { digits: number, scale };
        }
        let whole = Number { digits: number, scale: 0 };
        let unit = Number { digits: BigInt::from(base).pow(scale as u32), scale: 0 };
        whole.divide(&unit, scale).unwrap_or(whole)
    }

    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        self.digits.sign() == Sign::NoSign
    }

    /// Whether it is below zero.
    pub fn is_negative(&self) -> bool {
        self.digits.sign() == Sign::Minus
    }

    /// Returns how many digits it has.
    pub fn length(&self) -> usize {
        let text = self.digits.magnitude().to_string();
        if self.is_zero() { self.scale.max(1) } else { text.len().max(self.scale) }
    }

    /// Cuts to so many places, or fills them up.
    pub fn with_scale(&self, scale: usize) -> Number {
        let digits = match scale.cmp(&self.scale) {
            std::cmp::Ordering::Less => &self.digits / ten(self.scale - scale),
            _ => &self.digits * ten(scale - self.scale),
        };
        Number { digits, scale }
    }

    /// Returns the whole part, if it is not too large.
    pub fn whole(&self) -> Option<i64> {
        i64::try_from(&self.with_scale(0).digits).ok()
    }

    fn pair(&self, other: &Number) -> (BigInt, BigInt, usize) {
        let scale = self.scale.max(other.scale);
        (self.with_scale(scale).digits, other.with_scale(scale).digits, scale)
    }

    /// Adds.
    pub fn add(&self, other: &Number) -> Number {
        let (a, b, scale) = self.pair(other);
        Number { digits: a + b, scale }
    }

    /// Takes away.
    pub fn subtract(&self, other: &Number) -> Number {
        self.add(&other.negate())
    }

    /// Turns the sign around.
    pub fn negate(&self) -> Number {
        Number { digits: -&self.digits, scale: self.scale }
    }

    /// Compares.
    pub fn order(&self, other: &Number) -> std::cmp::Ordering {
        let (a, b, _) = self.pair(other);
        a.cmp(&b)
    }

    /// Multiplies; the result has the places of both, but not more than are asked for or either has.
    pub fn multiply(&self, other: &Number, scale: usize) -> Number {
        let places = self.scale + other.scale;
        let product = Number { digits: &self.digits * &other.digits, scale: places };
        product.with_scale(places.min(scale.max(self.scale).max(other.scale)))
    }

    /// Divides to so many places; `None` by zero.
    pub fn divide(&self, other: &Number, scale: usize) -> Option<Number> {
        if other.is_zero() {
            return None;
        }
        let digits = &self.digits * ten(scale + other.scale) / (&other.digits * ten(self.scale));
        Some(Number { digits, scale })
    }

    /// Returns what division to so many places leaves; `None` by zero.
    pub fn remainder(&self, other: &Number, scale: usize) -> Option<Number> {
        let quotient = self.divide(other, scale)?;
        let places = self.scale.max(scale + other.scale);
        let product =
            Number { digits: &quotient.digits * &other.digits, scale: quotient.scale + other.scale };
        Some(self.subtract(&product).with_scale(places))
    }

    /// Raises to a whole power; `None` if that is too large, or zero to a negative one.
    pub fn power(&self, exponent: i64, scale: usize) -> Option<Number> {
        let count = usize::try_from(exponent.unsigned_abs()).ok()?;
        if self.length().checked_mul(count)? > MOST * 10 {
            return None;
        }
        let whole = Number { digits: self.digits.pow(count as u32), scale: self.scale * count };
        if exponent < 0 {
            return Number::from(1).divide(&whole, scale);
        }
        let places = whole.scale.min(scale.max(self.scale));
        Some(whole.with_scale(places))
    }

    /// Returns the square root; `None` below zero.
    pub fn root(&self, scale: usize) -> Option<Number> {
        if self.is_negative() {
            return None;
        }
        let scale = scale.max(self.scale);
        Some(Number { digits: self.with_scale(scale * 2).digits.sqrt(), scale })
    }

    /// Writes it in a base, broken into lines.
    pub fn show(&self, base: u32) -> String {
        let text = if base == 10 { self.decimal() } else { self.in_base(base) };
        let mut out = String::with_capacity(text.len());
        for (at, c) in text.chars().enumerate() {
            if at > 0 && at % LINE == 0 {
                out.push_str("\\\n");
            }
            out.push(c);
        }
        out
    }

    fn decimal(&self) -> String {
        if self.is_zero() {
            return "0".into();
        }
        let text = format!("{:0>width$}", self.digits.magnitude().to_string(), width = self.scale);
        let (whole, part) = text.split_at(text.len() - self.scale);
        let sign = if self.is_negative() { "-" } else { "" };
        if self.scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
    }

    fn in_base(&self, base: u32) -> String {
        let digit = |value: u32| match base {
            2..=16 => char::from_digit(value, 16).unwrap_or('?').to_ascii_uppercase().to_string(),
            // Larger digits are decimal numbers of one width.
            _ => format!(" {value:0width$}", width = (base - 1).to_string().len()),
        };
        let mut whole = self.with_scale(0).digits.magnitude().clone();
        let mut rest = (self.subtract(&self.with_scale(0))).digits.magnitude().clone();
        let mut digits = Vec::new();
        while whole != num_bigint::BigUint::ZERO {
            let low = u32::try_from(&whole % base).unwrap_or(0);
            digits.push(digit(low));
            whole /= base;
        }
        let mut text: String = digits.into_iter().rev().collect();
        if self.scale > 0 && !self.is_zero() {
            text.push('.');
            let unit = ten(self.scale).magnitude().clone();
            // As many digits as make up the decimal places.
            let mut reach = num_bigint::BigUint::from(1u32);
            while reach < unit {
                rest *= base;
                text += &digit(u32::try_from(&rest / &unit).unwrap_or(0));
                rest %= &unit;
                reach *= base;
            }
        }
        let sign = if self.is_negative() { "-" } else { "" };
        if text.is_empty() { "0".into() } else { format!("{sign}{text}") }
    }
}

#[cfg(test)]
mod tests {
    use super::Number;

    #[test]
    fn places_are_kept_cut_and_shown() {
        let (ten, three) = (Number::from(10), Number::from(3));
        assert_eq!(ten.divide(&three, 2).unwrap().show(10), "3.33");
        assert_eq!(Number::from(-1).divide(&three, 3).unwrap().show(10), "-.333");
        assert_eq!(Number::read("1.50", 10).multiply(&Number::from(2), 0).show(10), "3.00");
        assert_eq!(Number::from(2).power(100, 0).unwrap().show(10), "1267650600228229401496703205376");
        assert_eq!(Number::from(255).show(16), "FF");
        assert_eq!(Number::read("FF", 16).show(10), "255");
        assert_eq!(Number::from(2).root(5).unwrap().show(10), "1.41421");
        assert!(ten.divide(&Number::from(0), 2).is_none());
    }
}
