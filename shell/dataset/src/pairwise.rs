//! How similar the rollouts of a run are to each other.

use crate::minhash::{PERMUTATIONS, Signature};
use serde::Serialize;

/// The similarities of all pairs of rollouts, as their signatures estimate them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Pairwise {
    /// Mean.
    pub mean: f64,
    /// Median.
    pub median: f64,
    /// Least.
    pub min: f64,
    /// Greatest.
    pub max: f64,
    /// Standard deviation of all pairs.
    pub std: f64,
}

impl Pairwise {
    /// Of so many signatures; there are at least two.
    pub(crate) fn of(signatures: &[&Signature]) -> Pairwise {
        let mut counts = [0u64; PERMUTATIONS + 1];
        for (i, a) in signatures.iter().enumerate() {
            for b in &signatures[i + 1..] {
                counts[a.agreement(b)] += 1;
            }
        }
        Pairwise::counted(&counts)
    }

    /// From the number of pairs for each number of equal places.
    fn counted(counts: &[u64; PERMUTATIONS + 1]) -> Pairwise {
        let pairs: u64 = counts.iter().sum();
        let value = |agreement: usize| agreement as f64 / PERMUTATIONS as f64;
        let mean_of = |f: &dyn Fn(f64) -> f64| {
            counts.iter().enumerate().map(|(a, n)| f(value(a)) * *n as f64).sum::<f64>() / pairs as f64
        };
        let mean = mean_of(&|v| v);
        // The similarity of the pair with so many before it.
        let nth = |n: u64| {
            let mut before = 0;
            let reached = counts.iter().position(|count| {
                before += count;
                before > n
            });
            value(reached.unwrap_or(PERMUTATIONS))
        };
        Pairwise {
            mean,
            median: f64::midpoint(nth((pairs - 1) / 2), nth(pairs / 2)),
            min: nth(0),
            max: nth(pairs - 1),
            std: mean_of(&|v| (v - mean).powi(2)).sqrt(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairwise_numbers_are_those_of_the_list() {
        let mut counts = [0; PERMUTATIONS + 1];
        // 0, 0, 0.5, 1
        (counts[0], counts[64], counts[128]) = (2, 1, 1);
        let found = Pairwise::counted(&counts);
        assert_eq!((found.mean, found.median, found.min, found.max), (0.375, 0.25, 0.0, 1.0));
        assert!((found.std - 0.414_578).abs() < 1e-6);
    }
}
