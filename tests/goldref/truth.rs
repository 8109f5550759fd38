//! The figures the reference promises against its foreign oracles.

use goldref::check::{Ladder, Rung};
use goldref::suite::{CaseResult, Outcome, RunReport, Selected, run};

fn run_suite(suite: &str, variant: &str, ladder: Ladder) -> RunReport {
    let selected = Selected { suites: vec![suite.to_string()], variants: vec![variant.to_string()], cases: Vec::new() };
    run(&super::store(), &selected, &ladder, &|| ()).unwrap()
}

fn worst(result: &CaseResult) -> f64 {
    let Outcome::Compared { arrays, .. } = &result.outcome else { panic!("{result:?}") };
    arrays.iter().map(|array| array.facts.worst_abs.as_ref().map_or(0.0, |worst| worst.err)).fold(0.0, f64::max)
}

#[test]
fn f64_models_and_their_hidden_states_are_within_1e_12() {
    for suite in ["model", "decode"] {
        for result in run_suite(suite, "f64", Ladder::default()).results {
            // The rotation at position 5003 carries 5003 roundings of the frequency: the two oracles are 9.4e-13 apart.
            let allowed = if result.case == "decode/positions_from_5003" { 4e-12 } else { 1e-12 };
            let worst = worst(&result);
            assert!(worst <= allowed, "{}: {worst:e}", result.case);
        }
    }
}

#[test]
fn f64_agrees_with_pytorch_layers_within_1e_12() {
    for result in run_suite("torch", "f64", Ladder::default()).results {
        let worst = worst(&result);
        assert!(worst <= 1e-12, "{}: {worst:e}", result.case);
    }
}

/// Operations whose arrays may be further off than four last places of their largest element, how far, and why.
/// A row that is not needed any more fails the test.
const BEYOND_FOUR_ULPS: [(&str, f64, &str); 2] = [
    ("ops/linear_large_terms_cancel", 1000.0, "terms of 1e3 sum to 6: the left fold keeps their rounding"),
    ("ops/rope_scaling_yarn_not_truncated", 20.0, "the correction range is a quotient of f64 logarithms"),
];

#[test]
fn f64_operations_are_within_four_last_places_of_mpmath() {
    let mut worst_ulps = (0.0, String::new());
    for result in run_suite("ops", "f64", Ladder::default()).results {
        let Outcome::Compared { arrays, .. } = &result.outcome else { panic!("{result:?}") };
        // Last places of the array's largest element: single elements may cancel to anything.
        let ulps = arrays.iter().map(|array| match &array.facts.worst_abs {
            None => 0.0,
            Some(worst) => worst.err / goldref::num::ulp(array.facts.scale, goldref::num::Dtype::F64),
        });
        let ulps = ulps.fold(0.0, f64::max);
        match BEYOND_FOUR_ULPS.iter().find(|(case, _, _)| *case == result.case) {
            Some((case, allowed, why)) => assert!(4.0 < ulps && ulps <= *allowed, "{case}: {ulps} ulps ({why})"),
            None => assert!(ulps <= 4.0, "{}: {ulps} ulps", result.case),
        }
        if ulps > worst_ulps.0 {
            worst_ulps = (ulps, result.case);
        }
    }
    println!("worst: {} ulps at {}", worst_ulps.0, worst_ulps.1);
    assert!(worst_ulps.0 > 0.0);
}

#[test]
fn f32_is_within_the_tolerance_of_the_onnx_standard() {
    // rtol 1e-3, atol 1e-7 where the output is f32; two last places of the output's format in f16 and bf16.
    let ladder =
        Ladder(vec![Rung { atol: 1e-7, rtol: 1e-3, max_ulps: None }, Rung { max_ulps: Some(2.0), ..Rung::default() }]);
    let report = run_suite("onnx", "f32", ladder);
    assert!(report.results.len() >= 123);
    for result in &report.results {
        let Outcome::Compared { passes, .. } = &result.outcome else { panic!("{result:?}") };
        let half = result.case.contains("16") && !result.case.contains("f16_mask_only");
        assert!(if half { passes[1] || passes[0] } else { passes[0] }, "{result:?}");
    }
}

#[test]
fn sixteen_bit_variants_are_within_two_ulps_of_the_onnx_goldens() {
    let ladder = Ladder(vec![Rung { max_ulps: Some(2.0), ..Rung::default() }]);
    for (variant, marks) in [("f16", ["fp16", "float16"]), ("bf16", ["bf16", "bf16"])] {
        let report = run_suite("onnx", variant, ladder.clone());
        let of_format: Vec<_> =
            report.results.iter().filter(|r| marks.iter().any(|mark| r.case.contains(mark))).collect();
        assert!(of_format.len() >= 3, "{variant}: {}", of_format.len());
        for result in of_format {
            assert!(result.outcome.passes(0), "{variant}: {result:?}");
        }
    }
}
