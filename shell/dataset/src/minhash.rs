//! Which rollouts repeat others: Jaccard similarity of character 5-grams of their action texts, found through MinHash.
//!
//! Signatures only propose pairs; every proposed pair is decided by its exact similarity.

use std::collections::HashMap;
use xxhash_rust::xxh3::xxh3_64;

/// Characters of a shingle.
const SHINGLE: usize = 5;
const PERMUTATIONS: usize = 128;
/// 42 bands of 3 rows propose a pair of similarity 0.5 with probability 0.996.
const BANDS: usize = 42;
const ROWS: usize = 3;
/// Similarity from which a rollout is a repetition, as on the SWE-ZERO card.
const THRESHOLD: f64 = 0.5;

/// The texts seen so far, and which of them are unique.
pub(crate) struct Uniques {
    multipliers: Vec<(u64, u64)>,
    bands: Vec<HashMap<[u32; ROWS], Vec<u32>>>,
    /// Sorted shingle hashes of the unique texts.
    kept: Vec<Vec<u32>>,
    seen: usize,
}

impl Uniques {
    pub(crate) fn new() -> Uniques {
        // Fixed numbers: the same texts give the same answer everywhere.
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let multipliers = (0..PERMUTATIONS).map(|_| (next() | 1, next())).collect();
        Uniques { multipliers, bands: vec![HashMap::new(); BANDS], kept: Vec::new(), seen: 0 }
    }

    /// Takes a text; true when it is not a repetition of one that was kept. The first of a kind is kept.
    pub(crate) fn add(&mut self, text: &str) -> bool {
        self.seen += 1;
        let shingles = shingles(text);
        let signature = self.signature(&shingles);
        let keys: Vec<[u32; ROWS]> =
            signature.chunks_exact(ROWS).take(BANDS).map(|c| [c[0], c[1], c[2]]).collect();
        let mut candidates: Vec<u32> = keys
            .iter()
            .zip(&self.bands)
            .flat_map(|(key, band)| band.get(key).into_iter().flatten().copied())
            .collect();
        candidates.sort_unstable();
        candidates.dedup();
        if candidates.iter().any(|c| jaccard(&shingles, &self.kept[*c as usize]) >= THRESHOLD) {
            return false;
        }
        let number = u32::try_from(self.kept.len()).unwrap_or(u32::MAX);
        for (key, band) in keys.into_iter().zip(&mut self.bands) {
            band.entry(key).or_default().push(number);
        }
        self.kept.push(shingles);
        true
    }

    pub(crate) fn unique(&self) -> usize {
        self.kept.len()
    }

    fn signature(&self, shingles: &[u32]) -> Vec<u32> {
        let least = |(a, b): &(u64, u64)| {
            let hash = |s: &u32| (a.wrapping_mul(u64::from(*s)).wrapping_add(*b) >> 32) as u32;
            shingles.iter().map(hash).min().unwrap_or(u32::MAX)
        };
        self.multipliers.iter().map(least).collect()
    }
}

/// Sorted hashes of the distinct shingles. A text shorter than one is its own shingle.
fn shingles(text: &str) -> Vec<u32> {
    let starts: Vec<usize> = text.char_indices().map(|(i, _)| i).chain([text.len()]).collect();
    let hash = |s: &str| (xxh3_64(s.as_bytes()) >> 32) as u32;
    let mut hashes: Vec<u32> = if starts.len() <= SHINGLE + 1 {
        vec![hash(text)]
    } else {
        starts.windows(SHINGLE + 1).map(|w| hash(&text[w[0]..w[SHINGLE]])).collect()
    };
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

/// Size of the intersection over that of the union, of two sorted lists.
fn jaccard(a: &[u32], b: &[u32]) -> f64 {
    let (mut i, mut j, mut both) = (0, 0, 0usize);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                both += 1;
                i += 1;
                j += 1;
            }
        }
    }
    both as f64 / (a.len() + b.len() - both).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similarity_is_exact() {
        // "abcdef" has {abcde, bcdef}, "abcdeg" has {abcde, bcdeg}: one of three.
        assert!((jaccard(&shingles("abcdef"), &shingles("abcdeg")) - 1.0 / 3.0).abs() < 1e-12);
        assert!((jaccard(&shingles("ééééé"), &shingles("ééééé")) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_first_of_a_kind_is_kept() {
        let text = |n: usize| {
            (0..200).map(|i| format!("grep -n word{} file{}\n", i * n % 97, i * n % 89)).collect::<String>()
        };
        let mut uniques = Uniques::new();
        assert!(uniques.add(&text(3)));
        assert!(!uniques.add(&text(3)));
        assert!(!uniques.add(&format!("{}pwd", text(3))));
        assert!(uniques.add("something else entirely, with nothing in common"));
        assert_eq!((uniques.unique(), uniques.seen), (2, 4));
    }

    #[test]
    fn signatures_miss_no_pair_that_all_pairs_find() {
        let mut state = 5u64;
        let mut random = move |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % n
        };
        let base: Vec<String> =
            (0..40).map(|_| (0..60).map(|_| format!("w{} ", random(400))).collect()).collect();
        let mut texts = Vec::new();
        for text in &base {
            texts.push(text.clone());
            let mut words: Vec<&str> = text.split(' ').collect();
            words.truncate(words.len() - random(20) as usize);
            texts.push(words.join(" "));
        }
        let mut uniques = Uniques::new();
        let fast: Vec<bool> = texts.iter().map(|t| uniques.add(t)).collect();
        let mut kept: Vec<Vec<u32>> = Vec::new();
        let slow: Vec<bool> = texts
            .iter()
            .map(|t| {
                let s = shingles(t);
                let new = kept.iter().all(|k| jaccard(&s, k) < THRESHOLD);
                if new {
                    kept.push(s);
                }
                new
            })
            .collect();
        assert_eq!(fast, slow);
        assert!(slow.iter().any(|s| !s));
    }
}
