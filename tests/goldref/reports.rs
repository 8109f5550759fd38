//! Snapshots of the reports, the pass-rate table of the bundled fixtures among them: a change of a rate is a diff.

use goldref::check::Ladder;
use goldref::report;
use goldref::suite::{RunReport, Selected, run};

fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings
}

fn report(selected: &Selected) -> RunReport {
    let mut report = run(&super::store(), selected, &Ladder::default(), &|| ()).unwrap();
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

#[test]
fn the_pass_rate_table() {
    settings().bind(|| insta::assert_snapshot!("pass_rates", report::text(&report(&Selected::default()))));
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
fn disagreements_are_explained_with_a_command_to_run_them_again() {
    use goldref::check::Verdict;
    use goldref::suite::Outcome;
    let mut report = report(&small());
    for result in &mut report.results {
        match (&mut result.outcome, result.variant.as_str()) {
            (Outcome::Compared { verdict, .. }, "f64") => *verdict = Verdict::NotRounding,
            (Outcome::Compared { same_bits, .. }, "f32-paged") => *same_bits = Some(false),
            (outcome, "bf16") => *outcome = Outcome::Missing { array: "logits".to_string() },
            _ => {}
        }
    }
    assert!(report.results.iter().any(|result| result.outcome.disagrees()));
    settings().bind(|| insta::assert_snapshot!("disagreements", report::text(&report)));
}

#[test]
fn the_readme_shows_what_is_printed() {
    let readme = std::fs::read_to_string(super::root().join("README.md")).unwrap();
    let shown = |command: &str| {
        let start = readme.find(&format!("$ {command}\n")).unwrap() + command.len() + 3;
        readme[start..].split("```").next().unwrap().trim_end().to_string()
    };
    let mut printed = report(&Selected::default());
    printed.arch = "x86_64".to_string();
    printed.goldref = env!("CARGO_PKG_VERSION").to_string();
    assert_eq!(shown("cargo run --release -- check"), report::text(&printed).trim_end());
}
