//! A run made by hand, with every kind of outcome, that no change of the numbers moves.

use goldref::check::{
    Basis, Bias, FormatOf, Judged, Ladder, Ratios, Selection, Verdict, WrongShape, argmax, compare, tolerance_facts,
};
use goldref::num::Dtype;
use goldref::suite::{
    ArrayResult, Beside, CaseResult, ErrorRatios, Outcome, RUN_FORMAT, RunReport, SuiteCount, Unfit, VariantAbout,
};
use ndarray::ArrayD;

/// What is known of one array. The only place of the tests that spells out the fields of the judge.
pub(super) fn array(name: &str, actual: &[f64], expected: &[f64], verdict: Verdict) -> ArrayResult {
    let column = |values: &[f64]| ArrayD::from_shape_vec(vec![values.len()], values.to_vec()).unwrap();
    let facts = compare(&column(actual), &column(expected), Dtype::F64, Selection::All, &Ladder::default()).unwrap();
    let far = verdict > Verdict::Explained;
    let judged = Judged {
        verdict,
        basis: if far { Basis::Floor { evaluations: 8 } } else { Basis::Bounds },
        ratios: far.then(|| Ratios {
            estimate: 250.0,
            centred: 12.5,
            worst: Some(f64::INFINITY),
            index: vec![1],
            allowed: 4e-4,
        }),
        bias: far.then_some(Bias { offset: f64::NEG_INFINITY, scale: 3.5 }),
        reason: if far { "a worst case of 0 is exceeded".to_string() } else { String::new() },
    };
    let format = FormatOf { expected: Dtype::F64, output: Dtype::Bf16 };
    let tolerance = tolerance_facts(&column(expected), Selection::All, format, &Ladder::default(), 4e-4);
    let argmax = name.starts_with("logits").then(|| argmax(actual, expected, actual.len()));
    ArrayResult { name: name.to_string(), dtype: "f64".to_string(), facts, judged, tolerance, argmax }
}

/// An answer that was compared: the parts that follow from the arrays are made to follow.
pub(super) fn compared(arrays: Vec<ArrayResult>) -> Outcome {
    let passes = |rung: usize| arrays.iter().all(|array| array.facts.mismatches[rung] == 0);
    Outcome::Compared {
        passes: (0..Ladder::default().0.len()).map(passes).collect(),
        meets_tolerance: None,
        verdict: arrays.iter().map(|array| array.judged.verdict).max().unwrap(),
        arrays,
        same_bits: None,
        error_ratios: ErrorRatios { plain: Some(1.5), pytorch: None },
    }
}

/// `actual` against 0.5 and 0.25 in the array `out`.
pub(super) fn off_by(error: f64, verdict: Verdict) -> Outcome {
    compared(vec![array("out", &[0.5, 0.25 + error], &[0.5, 0.25], verdict)])
}

pub(super) fn exact() -> Outcome {
    off_by(0.0, Verdict::Exact)
}

fn beyond_tolerance() -> Outcome {
    let mut outcome = off_by(0.0625, Verdict::Explained);
    let Outcome::Compared { meets_tolerance, .. } = &mut outcome else { unreachable!() };
    *meets_tolerance = Some(false);
    outcome
}

fn other_bits() -> Outcome {
    let mut outcome = off_by(2f64.powi(-20), Verdict::Rounding);
    let Outcome::Compared { same_bits, .. } = &mut outcome else { unreachable!() };
    *same_bits = Some(false);
    outcome
}

/// A report of these variants, each with one outcome a case.
pub(super) fn report_of(cases: &[&str], variants: Vec<(&str, Vec<Outcome>)>) -> RunReport {
    let mut suites: Vec<SuiteCount> = Vec::new();
    for case in cases {
        let suite = case.split('/').next().unwrap();
        match suites.iter_mut().find(|known| known.name == suite) {
            Some(known) => known.cases += 1,
            None => suites.push(SuiteCount { name: suite.to_string(), cases: 1 }),
        }
    }
    let about = |name: &str| VariantAbout {
        name: name.to_string(),
        about: format!("rounds as {name}"),
        twin_of: name.strip_suffix("-paged").map(str::to_string),
    };
    let mut results = Vec::new();
    for (variant, outcomes) in &variants {
        assert_eq!(outcomes.len(), cases.len());
        results.extend(cases.iter().zip(outcomes).map(|(case, outcome)| CaseResult {
            variant: variant.to_string(),
            case: case.to_string(),
            outcome: outcome.clone(),
        }));
    }
    RunReport {
        format: RUN_FORMAT.to_string(),
        goldref: "VERSION".to_string(),
        arch: "any".to_string(),
        fixtures: None,
        candidate: None,
        ladder: Ladder::default(),
        suites,
        variants: variants.iter().map(|(name, _)| about(name)).collect(),
        results,
    }
}

/// Every kind of outcome.
pub(super) fn report() -> RunReport {
    let words = str::to_string;
    let not_finite = compared(vec![
        array("out", &[0.5, 0.25], &[0.5, 0.25], Verdict::Exact),
        array("probs", &[f64::NAN, 1.0], &[0.0, f64::INFINITY], Verdict::NotFinite),
    ]);
    let beside = Beside {
        also: vec![
            Unfit { array: words("mean"), shapes: None },
            Unfit { array: words("scores"), shapes: Some(WrongShape { actual: vec![3], expected: vec![2, 2] }) },
        ],
        arrays: vec![array("probs", &[0.5, 0.25], &[0.5, 0.25], Verdict::Exact)],
    };
    let shapes = WrongShape { actual: vec![1, 2], expected: vec![2] };
    report_of(
        &["mine/mean", "mine/peaked", "yours/mean"],
        vec![
            ("f64", vec![exact(), off_by(2f64.powi(-50), Verdict::Rounding), exact()]),
            ("f32", vec![off_by(0.125, Verdict::NotRounding), not_finite, beyond_tolerance()]),
            ("f32-paged", vec![other_bits(), Outcome::NotAsked { reason: words("there is no cache") }, exact()]),
            (
                "bf16",
                vec![
                    Outcome::WrongShape { array: words("out"), shapes, beside: Beside::default() },
                    Outcome::Failed { reason: words("no memory for 4000000000 rows") },
                    Outcome::Missing { array: words("out"), beside },
                ],
            ),
            ("f16", vec![exact(), off_by(0.0078125, Verdict::Explained), exact()]),
        ],
    )
}

/// Names that would break out of every format that does not escape them.
pub(super) fn hostile() -> RunReport {
    let name = "<a&b>\"'|`x`](y) @you #1\u{1b}[2J\u{202e}\u{9b}\u{61c}\u{200b}\u{2028}\u{feff}\u{e0041}\u{ffff}\n::error::, 50%\r##[add-mask]";
    let mut report = report();
    report.fixtures = Some(format!("it's {name}"));
    let long = "ä".repeat(5000);
    let renamed = |old: &str| format!("{name}{old}");
    for suite in &mut report.suites {
        suite.name = renamed(&suite.name);
    }
    for variant in &mut report.variants {
        variant.name = renamed(&variant.name);
        variant.about = long.clone();
        variant.twin_of = variant.twin_of.as_deref().map(renamed);
    }
    for result in &mut report.results {
        result.variant = renamed(&result.variant);
        result.case = renamed(&result.case) + &long;
        match &mut result.outcome {
            Outcome::Compared { arrays, .. } => {
                for array in arrays {
                    array.name = renamed(&array.name);
                    array.judged.reason = renamed(&long);
                }
            }
            Outcome::WrongShape { array, beside, .. } | Outcome::Missing { array, beside } => {
                *array = renamed(array);
                for unfit in &mut beside.also {
                    unfit.array = renamed(&unfit.array);
                }
                for array in &mut beside.arrays {
                    array.name = renamed(&array.name);
                }
            }
            Outcome::Failed { reason } | Outcome::NotAsked { reason } => *reason = renamed(&long),
        }
    }
    report
}
