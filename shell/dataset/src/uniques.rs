//! Which rollouts repeat others. The first of a kind is kept, as on the SWE-ZERO card.

use crate::minhash::{MultiplyShift, PERMUTATIONS, Shingles, Signature, swe_zero};
use crate::pairwise::Pairwise;
use std::collections::{HashMap, VecDeque};

/// Similarity from which a rollout is a repetition, as on the SWE-ZERO card.
const THRESHOLD: f64 = 0.5;
/// Equal places from which a pair is measured exactly: four standard deviations below the threshold.
const LIKELY: usize = 41;
/// Kept texts up to which each is compared; beyond, only those that share a band are.
const ALL_PAIRS: usize = 2_000;
/// 42 bands of 3 values propose a pair of similarity 0.5 with probability 0.996.
const BAND_ROWS: usize = 3;
/// Texts up to which the similarities of all pairs are counted: 12.5 million pairs.
const MAX_PAIRWISE: usize = 5_000;
/// Bytes of shingles that are held; those of older texts are made again when needed.
const MAX_HELD_BYTES: usize = 64 << 20;

/// How repetitions are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Diversity {
    /// By the exact Jaccard similarity; signatures only tell which pairs to measure. The default.
    #[default]
    Exact,
    /// By the SWE-ZERO data set's own MD5 signatures, bit for bit. Some hundred times slower.
    SweZero,
}

/// The texts seen so far, and which of them are unique. A text takes about 2 KB of memory, whatever its length.
pub(crate) struct Uniques {
    diversity: Diversity,
    permutations: MultiplyShift,
    kept: Vec<Kept>,
    /// For each band: the last kept text with such values.
    bands: Vec<HashMap<u64, u32>>,
    /// Signatures of repetitions, as long as all pairs are counted.
    repeated: Vec<Signature>,
    held: Held,
    seen: usize,
}

struct Kept {
    /// Which text it was.
    row: usize,
    signature: Signature,
    /// For each band: the kept text before it with the same values.
    before: Vec<Option<u32>>,
}

impl Uniques {
    pub(crate) fn new(diversity: Diversity) -> Uniques {
        Uniques {
            diversity,
            permutations: MultiplyShift::new(),
            kept: Vec::new(),
            bands: vec![HashMap::new(); PERMUTATIONS / BAND_ROWS],
            repeated: Vec::new(),
            held: Held::default(),
            seen: 0,
        }
    }

    /// Takes a text; true when it is not a repetition of one that was kept. `earlier` gives a former text again.
    pub(crate) fn add<E>(
        &mut self,
        text: &str,
        earlier: impl FnMut(usize) -> Result<String, E>,
    ) -> Result<bool, E> {
        let row = self.seen;
        self.seen += 1;
        let (signature, shingles) = match self.diversity {
            Diversity::SweZero => (swe_zero(text), None),
            Diversity::Exact => {
                let shingles = Shingles::of(text);
                (self.permutations.signature(&shingles), Some(shingles))
            }
        };
        let repeats = match &shingles {
            None => self.kept.iter().any(|k| k.signature.agreement(&signature) * 2 >= PERMUTATIONS),
            Some(shingles) => self.repeats(shingles, &signature, earlier)?,
        };
        if !repeats {
            if let Some(shingles) = shingles {
                self.held.keep(self.kept.len(), shingles);
            }
            self.keep(row, signature);
        } else if self.seen <= MAX_PAIRWISE {
            self.repeated.push(signature);
        }
        Ok(!repeats)
    }

    pub(crate) fn unique(&self) -> usize {
        self.kept.len()
    }

    fn repeats<E>(
        &self,
        shingles: &Shingles,
        signature: &Signature,
        mut earlier: impl FnMut(usize) -> Result<String, E>,
    ) -> Result<bool, E> {
        let mut likely: Vec<(usize, usize)> = self
            .candidates(signature)
            .into_iter()
            .map(|c| (self.kept[c].signature.agreement(signature), c))
            .filter(|(agreement, _)| *agreement >= LIKELY)
            .collect();
        // The most similar first: it mostly decides.
        likely.sort_unstable_by(|a, b| b.cmp(a));
        for (_, candidate) in likely {
            let similarity = match self.held.get(candidate) {
                Some(held) => held.jaccard(shingles),
                None => Shingles::of(&earlier(self.kept[candidate].row)?).jaccard(shingles),
            };
            if similarity >= THRESHOLD {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn candidates(&self, signature: &Signature) -> Vec<usize> {
        if self.kept.len() <= ALL_PAIRS {
            return (0..self.kept.len()).collect();
        }
        let mut found = Vec::new();
        for (band, key) in signature.bands(BAND_ROWS).enumerate() {
            let mut next = self.bands[band].get(&key).copied();
            while let Some(candidate) = next {
                found.push(candidate as usize);
                next = self.kept[candidate as usize].before[band];
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    fn keep(&mut self, row: usize, signature: Signature) {
        // Four thousand million texts are out of reach: they would take 8 TB here.
        let number = self.kept.len() as u32;
        let bands = signature.bands(BAND_ROWS).zip(&mut self.bands);
        let before = bands.map(|(key, band)| band.insert(key, number)).collect();
        self.kept.push(Kept { row, signature, before });
    }

    /// The similarities of all pairs, when there are pairs and not too many.
    pub(crate) fn pairwise(&self) -> Option<Pairwise> {
        if !(2..=MAX_PAIRWISE).contains(&self.seen) {
            return None;
        }
        let all = self.kept.iter().map(|k| &k.signature).chain(&self.repeated).collect::<Vec<_>>();
        Some(Pairwise::of(&all))
    }
}

/// The shingles of the texts kept last. Rollouts come by instance, so that nearly all repetitions are among them.
#[derive(Default)]
struct Held {
    sets: VecDeque<Shingles>,
    /// Number of the first.
    first: usize,
    bytes: usize,
}

impl Held {
    fn keep(&mut self, number: usize, shingles: Shingles) {
        debug_assert_eq!(number, self.first + self.sets.len());
        self.bytes += shingles.size();
        self.sets.push_back(shingles);
        while self.bytes > MAX_HELD_BYTES {
            let Some(oldest) = self.sets.pop_front() else { break };
            self.bytes -= oldest.size();
            self.first += 1;
        }
    }

    fn get(&self, number: usize) -> Option<&Shingles> {
        self.sets.get(number.checked_sub(self.first)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn run(diversity: Diversity, texts: &[String], uniques: &mut Uniques) -> Vec<bool> {
        assert_eq!(uniques.diversity, diversity);
        texts.iter().map(|t| uniques.add(t, |row| Ok::<_, Infallible>(texts[row].clone())).unwrap()).collect()
    }

    /// Texts of random words, each followed by one that keeps a random part of it.
    fn corpus(originals: usize, words: u64) -> Vec<String> {
        let mut state = 5u64;
        let mut random = move |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % n
        };
        let mut texts = Vec::new();
        for _ in 0..originals {
            let text: Vec<String> = (0..words).map(|_| format!("w{}", random(90_000))).collect();
            let cut = random(words) as usize;
            let other = text[..cut].iter().cloned().chain((0..5).map(|_| format!("v{}", random(90_000))));
            texts.push(other.collect::<Vec<_>>().join(" "));
            texts.insert(texts.len() - 1, text.join(" "));
        }
        texts
    }

    fn all_pairs(texts: &[String]) -> Vec<bool> {
        let mut kept: Vec<Shingles> = Vec::new();
        let keep = |text: &String| {
            let shingles = Shingles::of(text);
            let new = kept.iter().all(|k| k.jaccard(&shingles) < THRESHOLD);
            if new {
                kept.push(shingles);
            }
            new
        };
        texts.iter().map(keep).collect()
    }

    #[test]
    fn the_first_of_a_kind_is_kept() {
        let text = "sed -n 1,40p src/main.rs\ngrep -rn main src".to_string();
        let texts = [text.clone(), text.clone(), format!("{text}\npwd"), "something else entirely".into()];
        for diversity in [Diversity::Exact, Diversity::SweZero] {
            let mut uniques = Uniques::new(diversity);
            assert_eq!(run(diversity, &texts, &mut uniques), [true, false, false, true]);
            assert_eq!(uniques.unique(), 2);
        }
    }

    #[test]
    fn signatures_miss_no_pair_that_all_pairs_find() {
        let texts = corpus(100, 60);
        let mut uniques = Uniques::new(Diversity::Exact);
        let slow = all_pairs(&texts);
        assert_eq!(run(Diversity::Exact, &texts, &mut uniques), slow);
        assert!(slow.iter().filter(|new| !**new).count() > 20);
    }

    #[test]
    fn bands_propose_every_pair_that_is_clearly_similar() {
        let texts = corpus(300, 40);
        let mut uniques = Uniques::new(Diversity::Exact);
        for (row, text) in texts.iter().enumerate() {
            uniques.keep(row, uniques.permutations.signature(&Shingles::of(text)));
        }
        // Enough others that the bands are asked.
        for n in 0..ALL_PAIRS {
            let other = Shingles::of(&format!("{n} of many others, {}", n * n));
            uniques.keep(texts.len() + n, uniques.permutations.signature(&other));
        }
        let (mut similar, mut missed) = (0, 0);
        for i in (0..texts.len()).step_by(2) {
            let (a, b) = (Shingles::of(&texts[i]), Shingles::of(&texts[i + 1]));
            if a.jaccard(&b) >= THRESHOLD {
                let found = uniques.candidates(&uniques.kept[i].signature);
                similar += 1;
                missed += usize::from(!found.contains(&(i + 1)));
                assert!(found.len() < 300, "most others are not proposed: {}", found.len());
            }
        }
        assert!(similar > 80 && missed * 100 <= similar, "{missed} of {similar}");
    }

    #[test]
    fn shingles_that_are_not_held_are_made_again() {
        let texts = corpus(20, 60);
        let mut uniques = Uniques::new(Diversity::Exact);
        let mut asked = 0;
        for (row, text) in texts.iter().chain(&texts).enumerate() {
            uniques.held.first += uniques.held.sets.drain(..).count();
            let again = |row: usize| {
                asked += 1;
                Ok::<_, Infallible>(texts[row].clone())
            };
            let new = uniques.add(text, again).unwrap();
            assert!(row < texts.len() || !new);
        }
        assert!(asked >= texts.len());
    }
}
