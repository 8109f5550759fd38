//! The difference of two runs: each kind of change, and which of them is a change to the worse.

use super::hand_made::{array, compared, exact, off_by, report, report_of};
use goldref::check::{Rung, Verdict};
use goldref::report;
use goldref::suite::{Difference, Direction, Outcome, RunDiff, RunReport, Standing};

/// One variant, one case.
fn run(outcome: Outcome) -> RunReport {
    report_of(&["mine/mean"], vec![("f32", vec![outcome])])
}

fn differences(before: Outcome, after: Outcome) -> (Option<Direction>, Vec<Difference>) {
    let diff = RunDiff::between(&run(before), &run(after), 2.0).unwrap();
    assert_eq!(diff.got_worse(), diff.count(Direction::Worse) == 1);
    match diff.changes.as_slice() {
        [] => (None, Vec::new()),
        [change] => (Some(change.direction), change.differences.clone()),
        more => panic!("{more:?}"),
    }
}

#[test]
fn the_same_run_has_no_changes() {
    let diff = RunDiff::between(&report(), &report(), 1.0).unwrap();
    // 15 answers, one not asked.
    assert_eq!((diff.compared, diff.changes.len(), diff.got_worse()), (14, 0, false));
}

#[test]
fn a_verdict_gets_worse_and_better() {
    let (fine, wrong) = (off_by(0.125, Verdict::Explained), off_by(0.125, Verdict::NotRounding));
    let standing = |before, after| vec![Difference::Standing { before, after }];
    let (explained, not_rounding) = (Standing::Explained, Standing::NotRounding);
    assert_eq!(differences(fine.clone(), wrong.clone()), (Some(Direction::Worse), standing(explained, not_rounding)));
    assert_eq!(differences(wrong, fine.clone()), (Some(Direction::Better), standing(not_rounding, explained)));
    // What has no numbers at all stands below.
    let failed = Outcome::Failed { reason: String::new() };
    assert_eq!(differences(fine, failed), (Some(Direction::Worse), standing(explained, Standing::Failed)));
}

#[test]
fn a_rung_is_missed_and_met() {
    // 0.9e-5 meets 1e-5 and 1.1e-5 does not; neither is twice the other.
    let (near, far) = (off_by(0.9e-5, Verdict::Rounding), off_by(1.1e-5, Verdict::Rounding));
    let rung = |passes| vec![Difference::Rung { rung: 0, passes }];
    assert_eq!(differences(near.clone(), far.clone()), (Some(Direction::Worse), rung(false)));
    assert_eq!(differences(far, near), (Some(Direction::Better), rung(true)));
}

#[test]
fn an_error_changes_beyond_the_factor_only() {
    // Powers of two, which the sum with 0.25 holds exactly: 2 × is not beyond 2, 4 × is.
    let of = |power: i32| off_by(2f64.powi(power), Verdict::Rounding);
    let error = |before: i32, after: i32| {
        vec![Difference::Error { array: "out".to_string(), before: 2f64.powi(before), after: 2f64.powi(after) }]
    };
    assert_eq!(differences(of(-30), of(-29)), (None, vec![]));
    assert_eq!(differences(of(-30), of(-28)), (Some(Direction::Worse), error(-30, -28)));
    assert_eq!(differences(of(-28), of(-30)), (Some(Direction::Better), error(-28, -30)));
    let diff = RunDiff::between(&run(of(-30)), &run(of(-28)), 4.0).unwrap();
    assert!(diff.changes.is_empty());
}

#[test]
fn errors_of_zero_and_infinity_are_compared_too() {
    let of = |actual: f64| compared(vec![array("out", &[actual], &[1.0], Verdict::Suspicious)]);
    let (nan, one, small) = (of(f64::NAN), of(1.0), of(1.0 + 2f64.powi(-40)));
    let direction = |before: &Outcome, after: &Outcome| differences(before.clone(), after.clone()).0;
    assert_eq!(direction(&nan, &nan), None);
    assert_eq!(direction(&one, &one), None);
    assert_eq!(direction(&one, &small), Some(Direction::Worse), "from 0 to anything is beyond every factor");
    assert_eq!(direction(&small, &nan), Some(Direction::Worse));
    assert_eq!(direction(&nan, &small), Some(Direction::Better));
}

#[test]
fn a_change_to_both_sides_is_one_to_the_worse() {
    let of = |a: f64, b: f64| {
        let column = |name, error: f64| array(name, &[1.0 + error], &[1.0], Verdict::Rounding);
        compared(vec![column("a", a), column("b", b)])
    };
    let (direction, differences) = differences(of(2f64.powi(-30), 2f64.powi(-40)), of(2f64.powi(-40), 2f64.powi(-30)));
    assert_eq!((direction, differences.len()), (Some(Direction::Worse), 2));
}

#[test]
fn an_array_that_is_gone_is_worse_and_one_more_is_not() {
    let column = |name| array(name, &[1.0], &[1.0], Verdict::Exact);
    let (one, two) = (compared(vec![column("a")]), compared(vec![column("a"), column("b")]));
    let removed = vec![Difference::RemovedArray { array: "b".to_string() }];
    assert_eq!(differences(two.clone(), one.clone()), (Some(Direction::Worse), removed));
    assert_eq!(differences(one, two), (None, vec![]));
}

#[test]
fn what_is_removed_is_worse_and_what_is_new_is_not() {
    let both = |cases: &[&str], variants: &[&str]| {
        report_of(cases, variants.iter().map(|variant| (*variant, vec![exact(); cases.len()])).collect())
    };
    let (small, large) = (both(&["mine/a"], &["f32"]), both(&["mine/a", "mine/b"], &["f32", "bf16"]));
    let fewer = RunDiff::between(&large, &small, 2.0).unwrap();
    assert!(fewer.got_worse() && fewer.changes.is_empty());
    assert_eq!((fewer.removed_variants, fewer.removed_cases), (vec!["bf16".to_string()], vec!["mine/b".to_string()]));
    assert!(fewer.new_variants.is_empty() && fewer.new_cases.is_empty());
    let more = RunDiff::between(&small, &large, 2.0).unwrap();
    assert!(!more.got_worse());
    assert_eq!((more.new_variants, more.new_cases), (vec!["bf16".to_string()], vec!["mine/b".to_string()]));
    assert_eq!((more.compared, more.removed_variants.len()), (1, 0));
}

#[test]
fn not_asking_any_more_is_worse_and_asking_now_is_neither() {
    let silent = Outcome::NotAsked { reason: String::new() };
    let of = |second: &Outcome| report_of(&["mine/a", "mine/b"], vec![("f32", vec![exact(), second.clone()])]);
    let gone = RunDiff::between(&of(&exact()), &of(&silent), 2.0).unwrap();
    assert_eq!((gone.compared, gone.count(Direction::Worse), gone.got_worse()), (1, 1, true));
    let asked = RunDiff::between(&of(&silent), &of(&exact()), 2.0).unwrap();
    assert_eq!((asked.compared, asked.count(Direction::New), asked.got_worse()), (1, 1, false));
}

#[test]
fn runs_that_cannot_be_compared_are_refused() {
    let refusal = |before: &RunReport, after: &RunReport, factor: f64| {
        RunDiff::between(before, after, factor).unwrap_err().to_string()
    };
    let one = run(exact());
    let mut other_ladder = one.clone();
    other_ladder.ladder.0.push(Rung::absolute(1.0));
    assert!(refusal(&one, &other_ladder, 2.0).contains("1e-5, 1e-4, 1e-3 and the second 1e-5, 1e-4, 1e-3, 1e0"));
    let other_case = report_of(&["mine/other"], vec![("f32", vec![exact()])]);
    assert!(refusal(&one, &other_case, 2.0).contains("no answer in common"));
    let silent = run(Outcome::NotAsked { reason: String::new() });
    assert!(refusal(&one, &silent, 2.0).contains("no answer in common"));
    for factor in [0.5, f64::NAN, -2.0] {
        assert!(refusal(&one, &one, factor).contains("at least 1"), "{factor}");
    }
}

/// Something of each kind.
fn large() -> RunDiff {
    let mut before = report();
    let mut after = report();
    for (result, outcome) in before.results.iter_mut().zip([0, 1, 3].map(|i| after.results[i].outcome.clone())) {
        result.outcome = outcome;
    }
    before.results[1].outcome = off_by(2f64.powi(-54), Verdict::Rounding);
    before.results[3].outcome = exact();
    before.results[7].outcome = exact();
    before.results[9].outcome = Outcome::Failed { reason: "no memory".to_string() };
    before.results[10].outcome = Outcome::NotAsked { reason: "no cache".to_string() };
    let last = after.results.len() - 3;
    after.results.truncate(last);
    after.variants.pop();
    after.results.iter_mut().filter(|r| r.case == "yours/mean").for_each(|r| r.case = "yours/me|an".to_string());
    after.fixtures = Some("mine".to_string());
    RunDiff::between(&before, &after, 2.0).unwrap()
}

#[test]
fn each_format_of_a_difference() {
    let diff = large();
    super::reports::settings().bind(|| {
        insta::assert_snapshot!("diff_text", report::diff_text(&diff));
        insta::assert_snapshot!("diff_markdown", report::diff_markdown(&diff));
        insta::assert_snapshot!("diff_json", report::diff_json(&diff));
    });
}

#[test]
fn a_long_difference_fits_a_comment() {
    let cases: Vec<String> = (0..3000).map(|i| format!("mine/{i}_{}", "x".repeat(30))).collect();
    let names: Vec<&str> = cases.iter().map(String::as_str).collect();
    let of = |outcome: Outcome| report_of(&names, vec![("f32", vec![outcome; 3000])]);
    let diff = RunDiff::between(&of(exact()), &of(off_by(1.0, Verdict::NotRounding)), 2.0).unwrap();
    let markdown = report::diff_markdown(&diff);
    let shown = markdown.matches("| `f32` |").count();
    assert!(markdown.chars().count() < 65_536 && shown > 100, "{shown}");
    assert!(markdown.contains(&format!("{} more are left out here", 3000 - shown)));
    assert!(report::diff_text(&diff).contains(" and 2950 more; --format json has them all"));
}
