//! Perturbed evaluations: the same variant under other seeds, whole cases at a time.

use goldref::check::{Ladder, Selection, compare};
use goldref::num::Dtype;
use goldref::ops::Answer;
use goldref::suite::{Asked, Case, Prepared, answer};
use goldref::variant::{self, Variant};

fn asked(case: &Case, variant: &Variant, prepared: &mut Prepared) -> Option<Answer> {
    let inputs = case.inputs().unwrap();
    match answer(case, &inputs, &[], variant, prepared).unwrap() {
        Asked::Answered(answer) => Some(answer),
        Asked::NotAsked(_) => None,
    }
}

fn under(variant: &Variant, seed: u64) -> Variant {
    Variant { numerics: variant.numerics.perturbed(seed), ..*variant }
}

/// Largest |actual − expected| over the logits of all requests.
fn distance(actual: &Answer, expected: &Answer) -> f64 {
    let mut largest = 0.0;
    for (name, expected) in expected.iter().filter(|(name, _)| name.starts_with("logits")) {
        let facts = compare(&actual[name], expected, Dtype::F64, Selection::All, &Ladder::default()).unwrap();
        let err = facts.worst_abs.map_or(0.0, |worst| worst.err);
        if err > largest {
            largest = err;
        }
    }
    largest
}

#[test]
fn measure() {
    let store = super::store();
    let suite = store.suites.iter().find(|suite| suite.name == "model").unwrap();
    let mut out = String::new();
    for name in ["f32", "bf16", "bf16-tp2", "f32-cache-int8", "f64"] {
        let variant = variant::find(name).unwrap();
        let mut ratios = vec![];
        for case in &suite.cases {
            let mut prepared = Prepared::default();
            let exact = asked(case, variant::find("f64").unwrap(), &mut prepared).unwrap();
            let nearest = asked(case, variant, &mut prepared).unwrap();
            let err = distance(&nearest, &exact);
            let answers: Vec<_> =
                (0..8).map(|seed| asked(case, &under(variant, seed), &mut prepared).unwrap()).collect();
            let err_max = answers.iter().map(|a| distance(a, &exact)).fold(0.0, |m: f64, x| if x > m { x } else { m });
            let spread = answers.iter().map(|a| distance(a, &nearest)).fold(0.0, |m: f64, x| if x > m { x } else { m });
            // largest standard deviation
            let mut sd = 0.0;
            let x0 = &answers[0];
            for (n, a) in x0.iter().filter(|(n, _)| n.starts_with("logits")) {
                for (i, _) in a.indexed_iter() {
                    let v: Vec<f64> = answers.iter().map(|s| s[n][&i]).collect();
                    let m = v.iter().sum::<f64>() / 8.0;
                    let s = (v.iter().map(|x| (x - m).powi(2)).sum::<f64>() / 7.0).sqrt();
                    if s > sd {
                        sd = s
                    }
                }
            }
            ratios.push((spread / err, sd / err, err_max / err));
            out += &format!(
                "{name} {} err {err:.2e} spread {spread:.2e} sd {sd:.2e} errmax {err_max:.2e} ratio {:.2} {:.2} {:.2}\n",
                case.name,
                spread / err,
                sd / err,
                err_max / err
            );
        }
        ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
        out += &format!(
            "== {name}: spread/err min {:.2} median {:.2} max {:.2}\n",
            ratios[0].0,
            ratios[ratios.len() / 2].0,
            ratios[ratios.len() - 1].0
        );
    }
    std::fs::write("/tmp/spread.txt", out).unwrap();
}
