//! Perturbed evaluations: the same variant under other seeds, whole cases at a time.

use goldref::check::{Ladder, Selection, compare};
use goldref::num::Dtype;
use goldref::ops::Answer;
use goldref::suite::{Asked, Case, Prepared, answer};
use goldref::variant::{self, Variant};

fn asked(case: &Case, variant: &Variant, prepared: &mut Prepared) -> Option<Answer> {
    match answer(case, &case.inputs().unwrap(), &[], variant, prepared).unwrap() {
        Asked::Answered(answer) => Some(answer),
        Asked::NotAsked(_) => None,
    }
}

fn under(variant: &Variant, seed: u64) -> Variant {
    Variant { numerics: variant.numerics.perturbed(seed), ..*variant }
}

/// Largest |actual − expected| over the logits of all requests.
fn distance(actual: &Answer, expected: &Answer) -> f64 {
    let logits = expected.iter().filter(|(name, _)| name.starts_with("logits"));
    logits.fold(0.0, |largest, (name, expected)| {
        let facts = compare(&actual[name], expected, Dtype::F64, Selection::All, &Ladder::default()).unwrap();
        let err = facts.worst_abs.map_or(0.0, |worst| worst.err);
        if err > largest { err } else { largest }
    })
}

fn bits(answer: &Answer) -> Vec<u64> {
    answer.values().flat_map(|array| array.iter().map(|x| x.to_bits())).collect()
}

#[test]
fn eight_seeds_of_a_model_lie_as_far_apart_as_it_is_wrong() {
    let store = super::store();
    let suite = store.suites.iter().find(|suite| suite.name == "model").unwrap();
    let oracle = variant::find("f64").unwrap();
    // One model in four is enough for a second format.
    for (name, every) in [("f32", 1), ("bf16", 4)] {
        let variant = variant::find(name).unwrap();
        for case in suite.cases.iter().step_by(every) {
            let mut prepared = Prepared::default();
            let exact = asked(case, oracle, &mut prepared).unwrap();
            let nearest = asked(case, variant, &mut prepared).unwrap();
            let err = distance(&nearest, &exact);
            let spread = (0..8).fold(0.0, |spread, seed| {
                let d = distance(&asked(case, &under(variant, seed), &mut prepared).unwrap(), &nearest);
                if d > spread { d } else { spread }
            });
            // A perturbation has a standard deviation of up to 0.71 gaps where one rounding has 0.29, 2.4 times as much;
            // the difference of two evaluations √2 times that; the worst of eight is somewhat more again. Seen: 1.3 to 3.8.
            // A seed that perturbs nothing would give 0, one that lets a wrong value through a hundred times the error.
            let ratio = spread / err;
            assert!((0.5..=8.0).contains(&ratio), "{} {name}: spread {spread:.2e}, error {err:.2e}", case.name);
        }
    }
}

#[test]
fn a_seed_is_an_answer_to_the_bit_for_every_case() {
    let store = super::store();
    let (mut same, mut other) = (0, 0);
    for suite in &store.suites {
        for case in suite.cases.iter().filter(|case| case.op != "model" || case.id.starts_with("gemma")) {
            for name in ["f32", "bf16-eager", "bf16-tp2", "f32-cache-int8", "f32-cache-f8"] {
                let variant = variant::find(name).unwrap();
                let mut prepared = Prepared::default();
                let Some(first) = asked(case, &under(variant, 1), &mut prepared) else { continue };
                let again = asked(case, &under(variant, 1), &mut prepared).unwrap();
                assert!(bits(&first) == bits(&again), "{} {name}", case.name);
                let second = asked(case, &under(variant, 2), &mut prepared).unwrap();
                match bits(&first) == bits(&second) {
                    true => same += 1,
                    false => other += 1,
                }
            }
        }
    }
    // Masks, positions, sums of small whole numbers and copies have nothing to round.
    assert!(other > 3 * same && other >= 200, "{other} with other bits, {same} with the same");
}
