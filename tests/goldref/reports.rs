//! Snapshots of the reports, the pass-rate table of the bundled fixtures among them: a change of a rate is a diff.

use super::hand_made;
use super::harmless::is_harmless;
use goldref::check::Ladder;
use goldref::report;
use goldref::suite::{RunReport, Selected, run};

pub(super) fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings
}

fn report(selected: &Selected) -> RunReport {
    named(run(&super::store(), selected, &Ladder::default(), &|| ()).unwrap())
}

fn named(mut report: RunReport) -> RunReport {
    // The numbers are the same on every processor; its name is not.
    report.arch = "any".to_string();
    report.goldref = "VERSION".to_string();
    report
}

fn small() -> Selected {
    let words = |words: &[&str]| words.iter().map(|word| word.to_string()).collect();
    Selected {
        suites: words(&["model"]),
        variants: words(&["f64", "f32", "f32-paged", "bf16"]),
        cases: words(&["gpt2", "llama_mha"]),
    }
}

/// A small run of the bundled fixtures.
pub(super) fn small_report() -> RunReport {
    report(&small())
}

#[test]
fn the_pass_rate_table() {
    settings().bind(|| insta::assert_snapshot!("pass_rates", report::text(&named(super::whole_run().clone()))));
}

#[test]
fn the_summary() {
    settings().bind(|| insta::assert_snapshot!("summary", report::summary(&report(&small()))));
}

#[test]
fn the_json() {
    settings().bind(|| insta::assert_snapshot!("json", report::json(&report(&small()))));
}

#[test]
fn results_come_by_variant_in_the_order_of_the_cases() {
    let (run, store) = (super::whole_run(), super::store());
    let cases: Vec<&str> = store.suites.iter().flat_map(|suite| &suite.cases).map(|case| case.name.as_str()).collect();
    let expected = run.variants.iter().flat_map(|variant| cases.iter().map(|case| (variant.name.as_str(), *case)));
    assert!(run.results.iter().map(|result| (result.variant.as_str(), result.case.as_str())).eq(expected));
}

#[test]
fn the_readme_shows_what_is_printed() {
    let readme = std::fs::read_to_string(super::root().join("README.md")).unwrap();
    let shown = |command: &str| {
        let start = readme.find(&format!("$ {command}\n")).unwrap() + command.len() + 3;
        readme[start..].split("```").next().unwrap().trim_end().to_string()
    };
    let mut printed = named(super::whole_run().clone());
    printed.arch = "x86_64".to_string();
    printed.goldref = env!("CARGO_PKG_VERSION").to_string();
    assert_eq!(shown("cargo run --release -- check"), report::text(&printed).trim_end());
}

#[test]
fn each_format_of_every_kind_of_outcome() {
    let report = hand_made::report();
    settings().bind(|| {
        insta::assert_snapshot!("every_outcome_text", report::text(&report));
        insta::assert_snapshot!("every_outcome_summary", report::summary(&report));
        insta::assert_snapshot!("every_outcome_junit", report::junit(&report));
        insta::assert_snapshot!("every_outcome_markdown", report::markdown(&report));
        insta::assert_snapshot!("every_outcome_github", report::github(&report));
    });
}

/// What CI servers read: `testsuites` > `testsuite` > `properties`, then `testcase` > at most one outcome, with the counts
/// of each level those of what stands below it.
fn junit_is_as_servers_read_it(xml: &str) -> [usize; 4] {
    let document = roxmltree::Document::parse(xml).unwrap();
    let count = |node: roxmltree::Node, name: &str| node.descendants().filter(|n| n.has_tag_name(name)).count();
    let counts_are_true = |node: roxmltree::Node| {
        let tags = ["testcase", "failure", "error", "skipped"];
        let found = tags.map(|tag| count(node, tag));
        let said: [usize; 4] =
            ["tests", "failures", "errors", "skipped"].map(|said| node.attribute(said).unwrap().parse().unwrap());
        assert_eq!(found, said);
        found
    };
    let root = document.root_element();
    assert_eq!(root.tag_name().name(), "testsuites");
    let elements = |node: roxmltree::Node<'_, '_>| -> Vec<String> {
        node.children().filter(|n| n.is_element()).map(|n| n.tag_name().name().to_string()).collect()
    };
    for suite in root.children().filter(roxmltree::Node::is_element) {
        assert_eq!(suite.tag_name().name(), "testsuite");
        assert!(suite.attribute("name").unwrap().starts_with("goldref."));
        counts_are_true(suite);
        let mut inside = elements(suite);
        assert_eq!(inside.remove(0), "properties");
        inside.dedup();
        assert_eq!(inside, ["testcase"]);
        for case in suite.children().filter(|n| n.has_tag_name("testcase")) {
            assert!(case.attribute("classname").is_some() && case.attribute("name").is_some());
            let outcome: Vec<_> = case.children().filter(roxmltree::Node::is_element).collect();
            assert!(outcome.len() <= 1);
            for outcome in outcome {
                assert!(["failure", "error", "skipped"].contains(&outcome.tag_name().name()));
                assert!(!outcome.attribute("message").unwrap().contains('\n'));
            }
        }
    }
    counts_are_true(root)
}

#[test]
fn junit_counts_are_those_of_its_elements() {
    // By hand: 15 answers; f32 3, paged 1, bf16 2 disagree, bf16 fails once, one is not asked.
    assert_eq!(junit_is_as_servers_read_it(&report::junit(&hand_made::report())), [15, 6, 1, 1]);
    assert_eq!(junit_is_as_servers_read_it(&report::junit(&hand_made::hostile())), [15, 6, 1, 1]);
}

#[test]
fn hostile_names_stay_names() {
    let hostile = hand_made::hostile();
    for (format, printed) in [
        ("text", report::text(&hostile)),
        ("summary", report::summary(&hostile)),
        ("markdown", report::markdown(&hostile)),
        ("junit", report::junit(&hostile)),
        ("github", report::github(&hostile)),
        ("json", report::json(&hostile)),
    ] {
        assert!(is_harmless(&printed), "{format} steers whoever shows it");
        if format != "github" && format != "json" {
            assert!(!printed.contains("\n::") && !printed.contains("##["), "{format} holds a command of a runner");
        }
    }
    let github = report::github(&hostile);
    let lines: Vec<&str> = github.lines().collect();
    assert_eq!(lines.len(), 8, "seven errors and a notice");
    for line in &lines[..7] {
        let properties = line.strip_prefix("::error title=").unwrap().split("::").next().unwrap();
        assert!(!properties.contains([',', ':']), "{properties}");
        assert!(line.len() < 65_536);
    }
    assert!(lines[7].starts_with("::notice title=goldref::7 of 14 answers disagree"), "{}", lines[7]);

    let markdown = report::markdown(&hostile);
    assert!(markdown.chars().count() < 65_536);
    // A row has as many bars as the head, but for those that a backslash makes plain.
    let bars = |line: &str| line.replace("\\|", "").matches('|').count();
    let rows: Vec<&str> = markdown.lines().filter(|line| line.starts_with("| ")).collect();
    assert_eq!(rows.len(), 2 + hostile.variants.len());
    assert!(rows.iter().all(|line| bars(line) == bars(rows[0])), "{rows:?}");
    assert!(!markdown.lines().next().unwrap().contains('<'));
}

#[test]
fn a_comment_fits_and_says_what_is_left_out() {
    let cases: Vec<String> = (0..3000).map(|i| format!("mine/case_{i}")).collect();
    let names: Vec<&str> = cases.iter().map(String::as_str).collect();
    let wrong = hand_made::off_by(0.125, goldref::check::Verdict::NotRounding);
    let report = hand_made::report_of(&names, vec![("f32", vec![wrong; 3000])]);
    let markdown = report::markdown(&report);
    let shown = markdown.matches("**not rounding** · ").count();
    assert!(markdown.chars().count() < 65_536 && shown > 100, "{shown}");
    assert!(markdown.contains(&format!("{} more are left out here", 3000 - shown)), "{shown}");
    assert!(markdown.starts_with("### goldref: 3000 of 3000 answers disagree\n"));

    let github = report::github(&report);
    assert_eq!(github.lines().filter(|line| line.starts_with("::error ")).count(), 10);
    assert!(
        github.ends_with("::notice title=goldref::3000 of 3000 answers disagree; 2990 of them are not annotated\n")
    );
    assert!(report::text(&report).contains("\nand 2990 more; --format json has them all\n"));
}

#[test]
fn a_case_is_run_again_with_the_same_tolerances_and_fixtures() {
    let mut report = hand_made::report();
    report.fixtures = Some("my suites/$x".to_string());
    report.ladder.0 = [1e-6, 1e-4, 1.0].map(goldref::check::Rung::absolute).to_vec();
    let command = "goldref check --fixtures 'my suites/$x' --variant f32 --case mine/mean --atol 1e-6,1e-4,1e0\n";
    assert!(report::text(&report).contains(&format!("   rerun  {command}")));
    assert!(report::junit(&report).contains(&command.trim_end().replace('\'', "&apos;")));
    assert!(report::markdown(&report).contains(command));
    // Who answered is asked again, and not goldref.
    report.candidate = Some(["--", "python", "my student.py"].map(String::from).to_vec());
    let command = command.replace('\n', " -- python 'my student.py'\n");
    assert!(report::text(&report).contains(&format!("   rerun  {command}")));
}
