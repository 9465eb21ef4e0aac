//! The functions of `bc -l`: series, summed with some places more than are asked for.

use super::number::Number;

/// Places more than asked for.
const GUARD: usize = 12;

fn one() -> Number {
    Number::from(1)
}

/// Sums terms until they vanish; `next` makes a term of the last and its number.
fn sum(first: Number, scale: usize, next: &dyn Fn(&Number, i64) -> Number) -> Number {
    let (mut total, mut term) = (first.clone(), first);
    for number in 1.. {
        term = next(&term, number).with_scale(scale);
        if term.is_zero() {
            break;
        }
        total = total.add(&term);
    }
    total
}

fn over(a: &Number, b: &Number, scale: usize) -> Number {
    a.divide(b, scale).unwrap_or_else(|| Number::from(0))
}

/// Returns e to a power.
pub fn exponential(x: &Number, scale: usize) -> Number {
    let places = scale + GUARD + x.length();
    // A small argument makes the series short.
    let mut halvings = 0;
    let mut small = x.with_scale(places);
    while small.order(&one()).is_gt() || small.order(&Number::from(-1)).is_lt() {
        small = over(&small, &Number::from(2), places);
        halvings += 1;
    }
    let mut result = sum(one().with_scale(places), places, &|term, number| {
        over(&term.multiply(&small, places), &Number::from(number), places)
    });
    for _ in 0..halvings {
        result = result.multiply(&result, places);
    }
    result.with_scale(scale)
}

/// Returns the natural logarithm of a number above zero.
pub fn logarithm(x: &Number, scale: usize) -> Number {
    let places = scale + GUARD + x.length();
    // Roots bring the argument near one, where the series is short.
    let mut doublings = 1;
    let mut near = x.with_scale(places);
    let (low, high) = (Number::read("0.9", 10), Number::read("1.1", 10));
    while near.order(&low).is_lt() || near.order(&high).is_gt() {
        near = near.root(places).unwrap_or_else(one);
        doublings *= 2;
    }
    let ratio = over(&near.subtract(&one()), &near.add(&one()), places);
    let square = ratio.multiply(&ratio, places);
    let mut power = ratio.clone();
    let mut total = ratio;
    for number in (3..).step_by(2) {
        power = power.multiply(&square, places).with_scale(places);
        let term = over(&power, &Number::from(number), places);
        if term.is_zero() {
            break;
        }
        total = total.add(&term);
    }
    total.multiply(&Number::from(2 * doublings), places).with_scale(scale)
}

/// Returns the angle whose tangent this is.
pub fn arctangent(x: &Number, scale: usize) -> Number {
    let places = scale + GUARD + x.length();
    let mut small = x.with_scale(places);
    let mut doublings = 1;
    let limit = Number::read("0.2", 10);
    while small.order(&limit).is_gt() || small.order(&limit.negate()).is_lt() {
        let root = one().add(&small.multiply(&small, places)).root(places).unwrap_or_else(one);
        small = over(&small, &one().add(&root), places);
        doublings *= 2;
    }
    let square = small.multiply(&small, places).negate();
    let mut power = small.clone();
    let mut total = small;
    for number in (3..).step_by(2) {
        power = power.multiply(&square, places).with_scale(places);
        let term = over(&power, &Number::from(number), places);
        if term.is_zero() {
            break;
        }
        total = total.add(&term);
    }
    total.multiply(&Number::from(doublings), places).with_scale(scale)
}

/// Returns the sine.
pub fn sine(x: &Number, scale: usize) -> Number {
    let places = scale + GUARD + x.length() * 2;
    let turn = arctangent(&one(), places).multiply(&Number::from(8), places);
    let small = x.with_scale(places).remainder(&turn, 0).unwrap_or_else(|| x.clone()).with_scale(places);
    let square = small.multiply(&small, places).negate();
    sum(small, places, &|term, number| {
        over(&term.multiply(&square, places), &Number::from(2 * number * (2 * number + 1)), places)
    })
    .with_scale(scale)
}

/// Returns the cosine.
pub fn cosine(x: &Number, scale: usize) -> Number {
    let places = scale + GUARD + x.length() * 2;
    let quarter = arctangent(&one(), places).multiply(&Number::from(2), places);
    sine(&x.add(&quarter), places).with_scale(scale)
}
