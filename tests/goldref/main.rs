//! The one integration binary: everything that needs the fixtures, the files of the source tree or the program itself.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its own fixture should stop where it stands")]

mod bits;
mod command_line;
mod compare;
mod elementary;
mod evaluations;
mod fixtures;
mod hand_made;
mod judge;
mod layers;
mod perturbed;
mod registry;
mod reports;
mod run_diff;
mod saved_runs;
mod schema;
mod tightness;
mod truth;

use std::path::PathBuf;

/// The root of the source tree.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The bundled fixtures.
fn store() -> goldref::suite::Store {
    goldref::suite::Store::open(root().join("fixtures")).unwrap()
}
