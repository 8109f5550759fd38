//! Every variant over every bundled suite, one test a pair.

use goldref::check::Ladder;
use goldref::suite::{Outcome, Selected, run};
use rstest::rstest;

#[rstest]
fn variant_answers_as_declared(
    #[values("ops", "attention", "onnx", "torch", "model", "decode")] suite: &str,
    #[values(
        "f64",
        "f64-cached",
        "f32",
        "f32-cached",
        "f32-chunked",
        "f32-paged",
        "f32-ring",
        "tf32",
        "bf16",
        "bf16-cached",
        "bf16-chunked",
        "bf16-paged",
        "bf16-eager",
        "bf16-softmax",
        "bf16-accumulate",
        "bf16-tp2",
        "bf16-tp4",
        "f16",
        "f32-cache-bf16",
        "f32-cache-f16",
        "f32-cache-f8",
        "f32-cache-int8"
    )]
    variant: &str,
) {
    let of_suite = |case: &str| case.split_once('/').is_some_and(|(name, _)| name == suite);
    let results: Vec<_> =
        super::whole_run().results.iter().filter(|r| r.variant == variant && of_suite(&r.case)).collect();
    let wrong: Vec<_> = results.iter().filter(|result| result.outcome.disagrees()).collect();
    assert!(wrong.is_empty(), "{}", serde_json::to_string_pretty(&wrong).unwrap());
    let asked = results.iter().filter(|result| result.outcome.was_asked()).count();
    let is_model_suite = ["model", "decode"].contains(&suite);
    let has_own_arithmetic = goldref::variant::find(variant).unwrap().answers_operations();
    assert_eq!(asked > 0, is_model_suite || has_own_arithmetic, "{variant} was asked {asked} cases of {suite}");
    assert!(results.iter().all(|result| !matches!(result.outcome, Outcome::Failed { .. })));
}

#[test]
fn the_list_of_variants_above_is_complete() {
    let source = std::fs::read_to_string(super::root().join("tests/goldref/fixtures.rs")).unwrap();
    for name in goldref::variant::names() {
        assert!(source.contains(&format!("\"{name}\"")), "{name} is not tested");
    }
}

#[test]
fn a_selection_of_nothing_is_refused() {
    let refuse =
        |selected: Selected| run(&super::store(), &selected, &Ladder::default(), &|| ()).unwrap_err().to_string();
    let unknown = |name: &str| vec![name.to_string()];
    assert!(
        refuse(Selected { suites: unknown("nope"), ..Selected::default() }).contains("no suite is called \"nope\"")
    );
    assert!(refuse(Selected { variants: unknown("f31"), ..Selected::default() }).contains("there are: f64"));
    assert!(refuse(Selected { cases: unknown("nope*"), ..Selected::default() }).contains("no case is called"));
}
