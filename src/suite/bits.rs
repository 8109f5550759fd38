//! One hash for each suite and variant over the bits of all answers: two machines that print the same hashes
//! computed the same bits.
//!
//! **The hash of a case** is the SHA-256 of, in this order:
//!
//! 1. the case's id;
//! 2. one byte: 0 if the variant is not asked (nothing follows), 1 if it could not answer (nothing follows, the reason
//!    is words and no bits), 2 if it answered;
//! 3. the number of arrays; then for each array, sorted by name: its name, the number of its axes, their lengths, and
//!    each value in row-major order as the 8 bytes of its f64. Values of every other format are f64 too. −0 and +0
//!    differ; every NaN counts as `7ff8000000000000`, because IEEE 754 leaves sign and payload of a computed NaN to
//!    the processor.
//!
//! Numbers are unsigned, of 64 bits; a text is the number of its bytes, then they in UTF-8. Everything is little-endian.
//!
//! **The hash of a suite and variant** is the SHA-256 of the hashes of its selected cases (32 bytes each), in the order of
//! `suite.json`. A variant that no selected case of a suite asks has no hash there.
//!
//! Arrays are those of [`answer()`]: the outputs of an operation, the logits and the expected sites of a model. The expected
//! values have no part in the hash, and neither have tolerances.

use super::answer::{Asked, Prepared, answer};
use super::case::Case;
use super::selection::{Selected, select_cases, select_suites, select_variants};
use super::store::Store;
use crate::error::{Error, Result};
use crate::io::wording::hex;
use crate::linalg::arrays::values;
use crate::num::parallel;
use crate::ops;
use crate::variant::Variant;
use hmac_sha256::Hash as Sha256;
use serde::{Serialize, Serializer};

/// The value of `format` that this version writes.
const FORMAT: &str = "goldref-bits/1";
/// What every NaN counts as.
const NAN: u64 = 0x7ff8_0000_0000_0000;

/// A SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hash([u8; 32]);

impl Hash {
    /// All of it, in hexadecimal digits.
    pub fn whole(&self) -> String {
        hex(&self.0)
    }

    /// The first 16 digits, which are enough to tell a fault.
    pub fn short(&self) -> String {
        hex(&self.0[..8])
    }

    fn of(hasher: Sha256) -> Self {
        Self(hasher.finalize())
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.whole())
    }
}

/// The hashes of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BitsReport {
    /// `goldref-bits/1`.
    pub format: &'static str,
    /// Version of goldref.
    pub goldref: &'static str,
    /// One entry a suite and variant, in the order of the suites, then of the variants.
    pub hashes: Vec<VariantBits>,
}

/// The hash of all answers of a variant to the cases of a suite.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VariantBits {
    /// Name of the suite.
    pub suite: String,
    /// Name of the variant.
    pub variant: &'static str,
    /// The hash.
    pub sha256: Hash,
    /// What it is made of, in the order of the suite.
    pub cases: Vec<CaseBits>,
}

/// The hash of one answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaseBits {
    /// The case's id in its suite.
    pub case: String,
    /// What came of asking.
    pub outcome: BitsOutcome,
    /// The hash, which the outcome is part of.
    pub sha256: Hash,
}

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum BitsOutcome {
    /// The question does not fit the variant.
    NotAsked,
    /// The variant could not answer.
    Failed {
        /// Why.
        reason: String,
    },
    /// There are bits.
    Answered,
}

impl BitsReport {
    /// The first answer that failed, as `suite/id`, variant and reason.
    pub fn first_failure(&self) -> Option<(String, &'static str, &str)> {
        self.hashes.iter().find_map(|of_variant| {
            of_variant.cases.iter().find_map(|case| match &case.outcome {
                BitsOutcome::Failed { reason } => {
                    Some((format!("{}/{}", of_variant.suite, case.case), of_variant.variant, reason.as_str()))
                }
                BitsOutcome::NotAsked | BitsOutcome::Answered => None,
            })
        })
    }
}

/// The hashes of the selected variants over the selected cases. `on_case` is called once a finished case, from any thread.
///
/// # Errors
/// A selection that names nothing, or of which no case fits a variant; a case whose own files cannot be read. What a
/// variant cannot answer is an outcome and not an error.
pub fn bits(store: &Store, selected: &Selected, on_case: &(dyn Fn() + Sync)) -> Result<BitsReport> {
    let variants = select_variants(&selected.variants)?;
    let suites = select_suites(store, &selected.suites)?;
    let cases = select_cases(&suites, &selected.cases)?;
    let by_case: Vec<Vec<CaseBits>> = parallel::try_map(cases.len(), &|number| {
        let bits = bits_of_case(cases[number], &variants);
        on_case();
        bits
    })?;

    let mut hashes = Vec::with_capacity(suites.len() * variants.len());
    for suite in suites {
        for (number, variant) in variants.iter().enumerate() {
            let of_suite = cases.iter().zip(&by_case).filter(|(case, _)| case.suite_folder == suite.folder);
            let cases: Vec<CaseBits> = of_suite.map(|(_, of_case)| of_case[number].clone()).collect();
            if cases.iter().all(|case| case.outcome == BitsOutcome::NotAsked) {
                continue;
            }
            let mut hasher = Sha256::new();
            cases.iter().for_each(|case| hasher.update(case.sha256.0));
            hashes.push(VariantBits {
                suite: suite.name.clone(),
                variant: variant.name,
                sha256: Hash::of(hasher),
                cases,
            });
        }
    }
    if hashes.is_empty() {
        return Err(Error::ask("no selected case fits a selected variant, and nothing asked has no bits"));
    }
    Ok(BitsReport { format: FORMAT, goldref: env!("CARGO_PKG_VERSION"), hashes })
}

fn bits_of_case(case: &Case, variants: &[&'static Variant]) -> Result<Vec<CaseBits>> {
    let inputs = case.inputs()?;
    let expected = case.expected()?;
    let wanted: Vec<&str> = expected.keys().map(String::as_str).collect();
    let mut prepared = Prepared::default();
    let of_variant = |variant: &&Variant| {
        let asked = answer(case, &inputs, &wanted, variant, &mut prepared);
        let sha256 = hash_of_case(&case.id, &asked);
        let outcome = match asked {
            Ok(Asked::NotAsked(_)) => BitsOutcome::NotAsked,
            Err(e) => BitsOutcome::Failed { reason: e.to_string() },
            Ok(Asked::Answered(_)) => BitsOutcome::Answered,
        };
        CaseBits { case: case.id.clone(), outcome, sha256 }
    };
    Ok(variants.iter().map(of_variant).collect())
}

/// Step by step as the head of this file says.
fn hash_of_case(id: &str, asked: &Result<Asked>) -> Hash {
    let mut hasher = Sha256::new();
    add_text(&mut hasher, id);
    match asked {
        Ok(Asked::NotAsked(_)) => hasher.update([0]),
        Err(_) => hasher.update([1]),
        Ok(Asked::Answered(answer)) => {
            hasher.update([2]);
            add_answer(&mut hasher, answer);
        }
    }
    Hash::of(hasher)
}

fn add_answer(hasher: &mut Sha256, answer: &ops::Answer) {
    add_number(hasher, answer.len());
    for (name, array) in answer {
        add_text(hasher, name);
        add_number(hasher, array.ndim());
        array.shape().iter().for_each(|&length| add_number(hasher, length));
        for x in values(array).iter() {
            let bits = if x.is_nan() { NAN } else { x.to_bits() };
            hasher.update(bits.to_le_bytes());
        }
    }
}

fn add_number(hasher: &mut Sha256, number: usize) {
    hasher.update((number as u64).to_le_bytes());
}

fn add_text(hasher: &mut Sha256, text: &str) {
    add_number(hasher, text.len());
    hasher.update(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{ArrayD, IxDyn, ShapeBuilder, array};

    fn hash(id: &str, arrays: &[(&str, ArrayD<f64>)]) -> String {
        let answer = arrays.iter().map(|(name, array)| (name.to_string(), array.clone())).collect();
        hash_of_case(id, &Ok(Asked::Answered(answer))).whole()
    }

    #[test]
    fn the_hash_is_that_of_the_documented_bytes() {
        let mut bytes: Vec<u8> = Vec::new();
        bytes.extend([3, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(b"two");
        bytes.push(2);
        bytes.extend([1, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend([3, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(b"out");
        bytes.extend([2, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend([1, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend([3, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend([0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 0x80]);
        bytes.extend([0, 0, 0, 0, 0, 0, 0xf8, 0x7f]);
        let array = array![[1.0, -0.0, f64::NAN]].into_dyn();
        assert_eq!(hash("two", &[("out", array)]), Hash(Sha256::hash(&bytes)).whole());
        let not_asked = hash_of_case("two", &Ok(Asked::NotAsked("why".into())));
        bytes.truncate(11);
        bytes.push(0);
        assert_eq!(not_asked, Hash(Sha256::hash(&bytes)));
        bytes[11] = 1;
        assert_eq!(hash_of_case("two", &Err(Error::ask("why"))), Hash(Sha256::hash(&bytes)));
    }

    #[test]
    fn every_bit_name_and_shape_counts_but_no_payload_and_no_layout() {
        let of = |x: f64| hash("a", &[("out", array![x].into_dyn())]);
        let different = [
            of(0.0),
            of(-0.0),
            of(f64::from_bits(1)),
            of(f64::NAN),
            of(f64::INFINITY),
            hash("b", &[("out", array![0.0].into_dyn())]),
            hash("a", &[("tuo", array![0.0].into_dyn())]),
            hash("a", &[("out", array![[0.0]].into_dyn())]),
            hash("a", &[("out", array![0.0, 0.0].into_dyn())]),
            hash("a", &[("out", ArrayD::zeros(vec![0]))]),
            hash("a", &[("out", ArrayD::zeros(vec![0, 2]))]),
            hash("a", &[]),
        ];
        for (i, one) in different.iter().enumerate() {
            assert!(different[..i].iter().all(|other| other != one), "{i}");
        }
        for payload in [0x7ff8_0000_0000_0001, 0xfff8_0000_0000_0000, 0x7ff0_0000_0000_0001] {
            assert_eq!(of(f64::from_bits(payload)), of(f64::NAN));
        }
        let rows = array![[1.0, 2.0], [3.0, 4.0]].into_dyn();
        let columns = ArrayD::from_shape_vec(IxDyn(&[2, 2]).f(), vec![1.0, 3.0, 2.0, 4.0]).unwrap();
        assert_eq!(hash("a", &[("out", rows)]), hash("a", &[("out", columns)]));
    }

    #[test]
    fn a_short_hash_is_the_beginning_of_the_whole() {
        let hash = Hash(Sha256::hash(b""));
        assert_eq!(hash.short(), "e3b0c44298fc1c14");
        assert!(hash.whole().starts_with(&hash.short()) && hash.whole().len() == 64);
    }
}
