//! Prompts that no program can know beforehand.
//!
//! Every question has a prompt of its own: whoever keeps the answers of earlier prompts, or ships a table of them, has none of the next. The
//! seed comes from the operating system's randomness, and prompts from it by HMAC-SHA-256: neither earlier prompts nor the program tell
//! anything of those to come. A report names the seed, so that a measurement can be repeated.

use crate::model::ModelSpec;
use hmac_sha256::HMAC;
use ndarray::Array2;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// Seeds are below this: whole numbers that every reader of JSON has exactly.
const SEEDS: u64 = 1 << 53;

/// A seed that nobody can predict.
pub fn unpredictable_seed() -> u64 {
    // The standard library keys its hashes with the system's randomness.
    RandomState::new().hash_one("prompts") % SEEDS
}

/// The places of prompts in a measurement: each is another prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PromptPlace {
    /// Which of the lengths that are measured.
    pub(super) row: usize,
    /// Tokens of the prompt.
    pub(super) len: usize,
    /// Which run, those before the ones that count being the first.
    pub(super) run: usize,
    /// Which question of the run.
    pub(super) question: usize,
    /// Which attempt to find a prompt that tells something.
    pub(super) attempt: usize,
}

/// Token ids `[1, len]`, uniform over the vocabulary.
pub(super) fn drawn_prompt(seed: u64, spec: &ModelSpec, place: PromptPlace) -> Array2<i64> {
    let vocab = spec.vocab_size.max(1) as u64;
    let mut ids = Vec::with_capacity(place.len);
    let mut block = 0u64;
    while ids.len() < place.len {
        let mut message = Vec::with_capacity(40);
        let PromptPlace { row, len: _, run, question, attempt } = place;
        for number in [row as u64, run as u64, question as u64, attempt as u64, block] {
            message.extend_from_slice(&number.to_le_bytes());
        }
        // A vocabulary is so small beside 2^64 that the remainder is as good as uniform.
        for word in HMAC::mac(message, seed.to_le_bytes()).as_chunks::<8>().0 {
            ids.push((u64::from_le_bytes(*word) % vocab) as i64);
        }
        block += 1;
    }
    ids.truncate(place.len);
    Array2::from_shape_fn((1, place.len), |(_, t)| ids[t])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::Preset;

    #[test]
    fn another_place_or_seed_is_another_prompt_and_the_same_is_the_same() {
        let spec = Preset::find("llama-3-8b").unwrap().spec().unwrap();
        let place = PromptPlace { row: 0, len: 50, run: 1, question: 2, attempt: 0 };
        let places = [
            place,
            PromptPlace { run: 2, ..place },
            PromptPlace { question: 1, ..place },
            PromptPlace { attempt: 1, ..place },
            PromptPlace { row: 1, ..place },
        ];
        let mut drawn: Vec<Vec<i64>> = Vec::new();
        for seed in [0, 1, SEEDS - 1] {
            for place in places {
                let ids = drawn_prompt(seed, &spec, place);
                assert_eq!(ids, drawn_prompt(seed, &spec, place));
                assert!(ids.dim() == (1, place.len) && ids.iter().all(|&id| (0..spec.vocab_size as i64).contains(&id)));
                drawn.push(ids.iter().copied().take(50).collect());
            }
        }
        let count = drawn.len();
        drawn.sort();
        drawn.dedup();
        assert_eq!(drawn.len(), count);
        // Not all of a prompt is one token, and all parts of the vocabulary come.
        let mut halves = [0, 0];
        drawn.iter().flatten().for_each(|&id| halves[usize::from(id as usize * 2 >= spec.vocab_size)] += 1);
        assert!(halves.iter().all(|&half| half > 300), "{halves:?}");
    }

    #[test]
    fn two_seeds_differ_and_fit_into_json() {
        let seeds = [unpredictable_seed(), unpredictable_seed(), unpredictable_seed()];
        assert!(seeds[0] != seeds[1] && seeds[1] != seeds[2] && seeds.iter().all(|&seed| seed < SEEDS), "{seeds:?}");
    }
}
