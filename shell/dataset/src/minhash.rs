//! Similarity of texts: sets of character 5-grams, their exact Jaccard similarity, and signatures that estimate it.
//!
//! Two kinds of signatures: a fast one, and the one of the SWE-ZERO data set bit for bit.

use std::collections::HashSet;
use xxhash_rust::xxh3::xxh3_64;

/// Characters of a shingle.
const SHINGLE: usize = 5;
/// Values of a signature.
pub(crate) const PERMUTATIONS: usize = 128;

/// The distinct 5-grams of a text, as sorted hashes.
#[derive(Clone, Debug)]
pub(crate) struct Shingles(Vec<u64>);

impl Shingles {
    pub(crate) fn of(text: &str) -> Shingles {
        let mut hashes: Vec<u64> = grams(text).map(|gram| xxh3_64(gram.as_bytes())).collect();
        hashes.sort_unstable();
        hashes.dedup();
        Shingles(hashes)
    }

    /// Size of the intersection over that of the union; 1 for two empty texts.
    pub(crate) fn jaccard(&self, other: &Shingles) -> f64 {
        let (a, b) = (&self.0, &other.0);
        let (mut i, mut j, mut both) = (0, 0, 0usize);
        while i < a.len() && j < b.len() {
            both += usize::from(a[i] == b[j]);
            let (left, right) = (a[i], b[j]);
            i += usize::from(left <= right);
            j += usize::from(right <= left);
        }
        both as f64 / (a.len() + b.len() - both) as f64
    }

    /// Bytes in memory.
    pub(crate) fn size(&self) -> usize {
        self.0.len() * size_of::<u64>()
    }
}

/// The 5-grams of a text in order, repetitions included. A text shorter than one is its own.
fn grams(text: &str) -> impl Iterator<Item = &str> {
    let begins = text.char_indices().map(|(i, _)| i);
    let ends = text.char_indices().map(|(i, _)| i).skip(SHINGLE).chain([text.len()]);
    begins.zip(ends).map(move |(a, b)| &text[a..b]).chain(text.is_empty().then_some(text))
}

/// The least value of each of 128 hash functions over a text's shingles. Equal places estimate the similarity.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Signature(Box<[u32; PERMUTATIONS]>);

impl Signature {
    /// Places at which two signatures are equal, of 128.
    pub(crate) fn agreement(&self, other: &Signature) -> usize {
        self.0.iter().zip(other.0.iter()).map(|(a, b)| usize::from(a == b)).sum()
    }

    /// A key for each group of `rows` values.
    pub(crate) fn bands(&self, rows: usize) -> impl Iterator<Item = u64> {
        self.0.chunks_exact(rows).map(|band| {
            let mut bytes = [0; PERMUTATIONS * 4];
            for (slot, value) in bytes.chunks_exact_mut(4).zip(band) {
                slot.copy_from_slice(&value.to_le_bytes());
            }
            xxh3_64(&bytes[..4 * band.len()])
        })
    }
}

/// 128 permutations of 32-bit numbers: multiply, shift, multiply. A multiplication alone would estimate too low.
#[derive(Debug)]
pub(crate) struct MultiplyShift([(u32, u32); PERMUTATIONS]);

impl MultiplyShift {
    pub(crate) fn new() -> MultiplyShift {
        // Fixed numbers: the same texts give the same answer everywhere.
        MultiplyShift(std::array::from_fn(|i| {
            let n = xxh3_64(&(i as u64).to_le_bytes());
            (n as u32 | 1, (n >> 32) as u32)
        }))
    }

    pub(crate) fn signature(&self, shingles: &Shingles) -> Signature {
        let mut least = Box::new([u32::MAX; PERMUTATIONS]);
        for shingle in &shingles.0 {
            let shingle = (shingle >> 32) as u32;
            for (slot, (a, b)) in least.iter_mut().zip(&self.0) {
                let product = shingle.wrapping_mul(*a).wrapping_add(*b);
                *slot = (*slot).min((product ^ (product >> 15)).wrapping_mul(0x2c1b_3c6d));
            }
        }
        Signature(least)
    }
}

/// The signature of the SWE-ZERO data set: value i is the least first four bytes, little-endian, of the MD5 of
/// `i:shingle`.
pub(crate) fn swe_zero(text: &str) -> Signature {
    let mut least = Box::new([u32::MAX; PERMUTATIONS]);
    for gram in grams(text).collect::<HashSet<_>>() {
        for (i, slot) in least.iter_mut().enumerate() {
            let digest = md5::compute(format!("{i}:{gram}"));
            *slot = (*slot).min(u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]));
        }
    }
    Signature(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_into_its_characters_grams() {
        let of = |text| grams(text).collect::<Vec<_>>();
        assert_eq!(of("abcdefg"), ["abcde", "bcdef", "cdefg"]);
        assert_eq!(of("äöüßé😀"), ["äöüßé", "öüßé😀"]);
        assert_eq!((of("abcde"), of("ab"), of("")), (vec!["abcde"], vec!["ab"], vec![""]));
    }

    #[test]
    fn similarity_is_exact() {
        let of = |a, b| Shingles::of(a).jaccard(&Shingles::of(b));
        // {abcde, bcdef} and {abcde, bcdeg}: one of three.
        assert_eq!(of("abcdef", "abcdeg"), 1.0 / 3.0);
        assert_eq!(of("aaaaaaaaaa", "aaaaa"), 1.0);
        assert_eq!((of("", ""), of("", "abcdef")), (1.0, 0.0));
    }

    #[test]
    fn the_signature_of_swe_zero_is_bit_for_bit() {
        // Values of hashlib.md5(f"{i}:{shingle}".encode()).digest()[:4] in Python 3.11.
        let one = swe_zero(GOLDEN_TEXT);
        assert_eq!(one.0[..8], GOLDEN);
        assert_eq!(one.agreement(&swe_zero(GOLDEN_NEAR)), GOLDEN_AGREEMENT);
    }

    const GOLDEN_TEXT: &str = "grep -rn 'TODO é' . | wc -l\nsed -n '1,40p' src/main.rs\ngit diff";
    const GOLDEN_NEAR: &str = "grep -rn 'TODO é' . | wc -l\nsed -n '1,80p' src/lib.rs\ngit diff";

    const GOLDEN: [u32; 8] =
        [43_372_049, 125_291_590, 92_446_524, 51_724_279, 10_203_028, 53_212_704, 73_038_998, 69_168_838];
    const GOLDEN_AGREEMENT: usize = 85;

    #[test]
    fn signatures_estimate_the_similarity() {
        let permutations = MultiplyShift::new();
        for overlap in [0, 250, 500, 750, 1000] {
            let text = |from: usize| {
                (from..from + 1000).map(|i| format!("{:05}", i * 7919 % 99_991)).collect::<String>()
            };
            let (a, b) = (Shingles::of(&text(0)), Shingles::of(&text(overlap)));
            let agreement = permutations.signature(&a).agreement(&permutations.signature(&b));
            let estimate = agreement as f64 / PERMUTATIONS as f64;
            // Four standard deviations at a half.
            assert!((estimate - a.jaccard(&b)).abs() < 0.18, "{overlap}: {estimate}, {}", a.jaccard(&b));
        }
    }
}
