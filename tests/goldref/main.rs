//! The one integration binary: everything that needs the fixtures, the files of the source tree or the program itself.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its own fixture should stop where it stands")]

mod alive;
mod answers;
mod bits;
mod candidates;
mod command_line;
mod compare;
mod configs;
mod cost;
mod diagnose;
mod elementary;
mod evaluations;
mod faults;
mod fixtures;
mod frozen_bits;
mod generation;
mod grading;
mod hand_made;
mod harmless;
mod judge;
mod latency;
mod layers;
mod mapped_weights;
mod perturbed;
mod properties;
mod registry;
mod reports;
mod run_diff;
mod saved_runs;
mod schema;
mod side_arrays;
mod tightness;
mod trace;
mod truth;

use goldref::check::Ladder;
use goldref::suite::{RunReport, Selected, run};
use std::path::PathBuf;
use std::sync::OnceLock;

/// The root of the source tree.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every variant over every bundled case, run once for all tests that look at it.
fn whole_run() -> &'static RunReport {
    static REPORT: OnceLock<RunReport> = OnceLock::new();
    REPORT.get_or_init(|| run(&store(), &Selected::default(), &Ladder::default(), &|| ()).unwrap())
}

/// The bundled fixtures.
fn store() -> goldref::suite::Store {
    goldref::suite::Store::open(root().join("fixtures")).unwrap()
}
