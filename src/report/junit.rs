//! JUnit XML, as the test pages of Jenkins, GitLab and GitHub actions read it.
//!
//! A `testsuite` for each suite, a `testcase` for each variant and case: `classname` is `suite.variant`, by which those
//! pages group, and `name` is the case. A disagreement is a `failure`, a variant that could not answer an `error`, a
//! question that does not fit the variant is `skipped`. No times: the same run gives the same bytes.

use super::explain::{again, explain, headline, suite_and_id};
use super::words::{joined, name, visible};
use crate::suite::{CaseResult, Outcome, RunReport};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

/// The whole report.
pub fn junit(report: &RunReport) -> String {
    let mut document = Report::new("goldref");
    for suite in &report.suites {
        let mut page = TestSuite::new(format!("goldref.{}", visible(&suite.name)));
        page.add_property(("goldref", name(&report.goldref).as_str()));
        page.add_property(("arch", name(&report.arch).as_str()));
        page.add_property(("fixtures", report.fixtures.as_deref().map_or("bundled".to_string(), visible).as_str()));
        page.add_property(("ladder", joined(&report.ladder.0, ", ", &|rung| name(&rung.label())).as_str()));
        for result in &report.results {
            if suite_and_id(&result.case).0 == suite.name {
                page.add_test_case(test_case(report, result));
            }
        }
        document.add_test_suite(page);
    }
    // Writing to memory cannot fail; an empty file would be the honest sign that it did.
    document.to_string().map(|xml| valid(&xml)).unwrap_or_default()
}

fn test_case(report: &RunReport, result: &CaseResult) -> TestCase {
    let (suite, id) = suite_and_id(&result.case);
    let mut case = TestCase::new(visible(id), status(report, result));
    case.set_classname(format!("{}.{}", visible(suite), visible(&result.variant)));
    case
}

fn status(report: &RunReport, result: &CaseResult) -> TestCaseStatus {
    let outcome = &result.outcome;
    let kind = match outcome {
        Outcome::NotAsked { .. } => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(headline(outcome));
            return status;
        }
        _ if !outcome.disagrees() => return TestCaseStatus::success(),
        Outcome::Failed { .. } => NonSuccessKind::Error,
        _ => NonSuccessKind::Failure,
    };
    let mut status = TestCaseStatus::non_success(kind);
    let lines = explain(outcome).join("\n");
    status
        .set_type(outcome.standing().words())
        .set_message(headline(outcome))
        .set_description(format!("{lines}\nrerun  {}", again(report, result)));
    status
}

/// Without the two characters that XML forbids and that are no control characters.
fn valid(xml: &str) -> String {
    xml.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}
