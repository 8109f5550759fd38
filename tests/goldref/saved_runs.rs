//! A saved run reads back as it was, and nothing else is taken for one.

use super::hand_made;
use super::schema::with_each_object_edited;
use goldref::check::Verdict;
use goldref::report;
use goldref::suite::{RunDiff, RunReport};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn every_outcome() -> Value {
    serde_json::from_str(&report::json(&hand_made::report())).unwrap()
}

/// Every format of a report and of its difference to itself.
fn render(report: &RunReport) {
    for format in [report::text, report::json, report::summary, report::junit, report::markdown, report::github] {
        assert!(!format(report).is_empty() || report.results.is_empty());
    }
    if let Ok(diff) = RunDiff::between(report, report, 2.0) {
        assert!(diff.changes.is_empty() && !diff.got_worse());
        assert!(!report::diff_text(&diff).is_empty() && !report::diff_markdown(&diff).is_empty());
    }
}

#[test]
fn a_run_reads_back_equal() {
    let run = super::reports::small_report();
    assert_eq!(RunReport::from_json(report::json(&run)).unwrap(), run);
    // NaN is not equal to itself; its text is.
    for report in [hand_made::report(), hand_made::hostile()] {
        let saved = report::json(&report);
        assert!(saved.contains("\"NaN\"") && saved.contains("\"inf\"") && saved.contains("\"-inf\""));
        assert_eq!(report::json(&RunReport::from_json(&saved).unwrap()), saved);
    }
    let empty = hand_made::report_of(&[], Vec::new());
    assert_eq!(RunReport::from_json(report::json(&empty)).unwrap(), empty);
    render(&empty);
}

#[test]
fn a_surplus_field_is_refused_in_every_object() {
    let more = |object: &mut Map<String, Value>| {
        object.insert("surplus".to_string(), json!(1));
        vec![object.clone()]
    };
    let mut objects = 0;
    with_each_object_edited(&every_outcome(), &more, &mut |broken, at| {
        objects += 1;
        let error = RunReport::from_json(broken.to_string()).map(drop).expect_err(at).to_string();
        // A pattern is a name with its fields: what else stands there is not a field of it.
        assert!(error.contains("surplus") || at.ends_with("/pattern"), "{at}: {error}");
    });
    assert!(objects > 50, "{objects}");
}

#[test]
fn what_contradicts_itself_is_refused_in_a_sentence() {
    let refuse = |pointer: &str, value: Value, reason: &str| {
        let mut report = every_outcome();
        *report.pointer_mut(pointer).unwrap() = value;
        let error = RunReport::from_json(report.to_string()).map(drop).expect_err(pointer).to_string();
        assert!(error.contains(reason), "{pointer}: {error}");
        assert!(!error.contains('\n'));
    };
    let other_version = "its format is \"goldref-run/2\"; this version reads goldref-run/1";
    refuse("/format", json!("goldref-run/2"), other_version);
    refuse("/format", Value::Null, "it has no \"format\"");
    refuse("/ladder/1/atol", json!(-1e-4), "rung 1 of its ladder is below 0");
    refuse("/ladder", json!([]), "passes has 3 entries; the ladder has 0 rungs");
    refuse("/variants/1/name", json!("f64"), "two of its variants are called \"f64\"");
    refuse("/variants/1/name", json!("tf32"), "where variant \"tf32\" has its case \"mine/mean\"");
    refuse("/variants", json!([]), "it has results and no variants");
    refuse("/suites/0/name", json!("ours"), "case \"mine/mean\" is of no suite that it lists");
    refuse("/suites/0/name", json!(""), "one of its suites has no name");
    refuse("/suites/0/cases", json!(3), "suite \"mine\" has 3 cases and results of 2");
    refuse("/suites/0/cases", json!(usize::MAX), "and results of 2");
    refuse("/results/0/case", json!("mine"), "a case is suite/id");
    refuse("/results/0/case", json!("mine/"), "a case is suite/id");
    refuse("/results/1/case", json!("mine/mean"), "two of its cases are called \"mine/mean\"");
    refuse("/results/4/case", json!("mine/mean"), "its results go by variants, then by cases");
    refuse("/results", json!([every_outcome()["results"][0]]), "it has 1 results of 5 variants");
    refuse("/results/0/outcome/passes", json!([true, true]), "passes has 2 entries; the ladder has 3 rungs");
    refuse("/results/0/outcome/passes/1", json!(false), "passes at rung 1 is false");
    refuse("/results/3/outcome/verdict", json!("rounding"), "the worst of its arrays is \"not rounding\"");
    refuse("/results/0/outcome/arrays", json!([]), "it was compared and has no arrays");
    let facts = |field: &str| format!("/results/3/outcome/arrays/0/facts/{field}");
    refuse(&facts("mismatches"), json!([1]), "mismatches has 1 entries");
    refuse("/results/3/outcome/arrays/0/tolerance/vacuous", json!([]), "vacuous has 0 entries; the ladder has 3 rungs");
    refuse(&facts("worst_rel/err"), json!("NaN"), "an error is NaN");
    refuse(&facts("mismatches/0"), json!(3), "3 elements disagree of 2 compared");
    refuse(&facts("non_finite_mismatches"), json!(3), "3 elements disagree of 2 compared");
    refuse(&facts("left_out"), json!(usize::MAX), "more than any array holds");
    refuse(&facts("worst_abs/err"), json!("NaN"), "an error is NaN");
    refuse(&facts("worst_abs/err"), json!(-1), "an error is -1");
    refuse(&facts("scale"), Value::Null, "invalid type: null");
    refuse("/results/4/outcome/arrays/1/name", json!("out"), "two of its arrays are called \"out\"");
    refuse("/results/3/outcome/arrays/0/judged/basis", json!({"kind": "floor"}), "lacks its evaluations");
    let both = json!({"kind": "bounds", "evaluations": 8});
    refuse("/results/0/outcome/arrays/0/judged/basis", both, "a basis of bounds has no evaluations");
}

#[test]
fn a_field_of_another_kind_of_outcome_is_refused() {
    let of_kind = |outcome: Value| {
        let mut report = every_outcome();
        report["results"][0]["outcome"] = outcome;
        RunReport::from_json(report.to_string()).map(drop).map_err(|e| e.to_string())
    };
    assert_eq!(of_kind(json!({"kind": "failed", "reason": "x"})), Ok(()));
    for (outcome, reason) in [
        (json!({"kind": "failed", "reason": "x", "array": "out"}), "the field `array`, which its kind has not"),
        (json!({"kind": "missing", "array": "out", "passes": []}), "the field `passes`, which its kind has not"),
        (json!({"kind": "failed", "reason": "x", "same_bits": null}), "the field `same_bits`"),
        (json!({"kind": "failed"}), "lacks a field"),
        (json!({"kind": "wrong_shape", "array": "out"}), "lacks a field"),
        (json!({"kind": "passed"}), "unknown variant `passed`"),
        (json!({"reason": "x"}), "missing field `kind`"),
    ] {
        let error = of_kind(outcome).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn more_rows_than_any_run_has_are_refused() {
    let mut report = every_outcome();
    report["suites"] = (0..1001).map(|i| json!({"name": format!("s{i}"), "cases": 0})).collect();
    let error = RunReport::from_json(report.to_string()).unwrap_err().to_string();
    assert!(error.contains("it lists 1001 suites; a run has at most 1000"), "{error}");
    assert!(RunReport::from_json("[".repeat(1_000_000)).is_err(), "depth is bounded");
}

/// Any f64, the odd ones often.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 5e-324, f64::MAX, 0.1]),
    ]
}

proptest! {
    #[test]
    fn every_number_reads_back_to_the_bit(pairs in prop::collection::vec((number(), number()), 1..6)) {
        let (actual, expected): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
        let outcome = hand_made::compared(vec![hand_made::array("out", &actual, &expected, Verdict::Suspicious)]);
        let run = hand_made::report_of(&["mine/mean"], vec![("f32", vec![outcome])]);
        let saved = report::json(&run);
        prop_assert_eq!(report::json(&RunReport::from_json(&saved).unwrap()), saved);
        render(&run);
    }

    #[test]
    fn whatever_is_accepted_is_rendered(at in any::<prop::sample::Index>(), with in leaf()) {
        let mut report = every_outcome();
        let leaves = leaves(&report);
        *report.pointer_mut(&leaves[at.index(leaves.len())]).unwrap() = with;
        if let Ok(report) = RunReport::from_json(report.to_string()) {
            render(&report);
        }
    }
}

/// Pointers to everything that holds nothing else.
fn leaves(value: &Value) -> Vec<String> {
    let below =
        |name: &str, value: &Value| leaves(value).into_iter().map(|at| format!("/{name}{at}")).collect::<Vec<_>>();
    match value {
        Value::Object(object) => object.iter().flat_map(|(name, value)| below(name, value)).collect(),
        Value::Array(items) if !items.is_empty() => {
            items.iter().enumerate().flat_map(|(i, item)| below(&i.to_string(), item)).collect()
        }
        _ => vec![String::new()],
    }
}

/// What a stranger could write where something else stood.
fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-5i64..5).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![
            "",
            "NaN",
            "inf",
            "-inf",
            "f32",
            "mine/mean",
            "\u{1b}[2J\n::x",
            "exact",
            "not_finite"
        ])
        .prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!([usize::MAX])),
    ]
}
