//! Hostile bytes for every reader of files: bytes changed, cut, doubled and spliced from a fixed seed.
//!
//! A reader may accept or refuse, and nothing else: it never panics, never takes more memory than the file's length
//! justifies (each reader states how much), never repeats a stranger's control characters in a message, and what it
//! accepts is consistent: written again and read again it is the same, bit for bit.
//!
//! There is no instrumentation to say which inputs reach new code. Two things stand in for it: changes that know the
//! format (lengths and checksums are put right again, so that a change reaches the layer below), and a pool that keeps
//! each input that is refused for a reason not seen before.
//!
//! `cargo test --test fuzz` is the short run of 20 000 executions a reader. The long one:
//!
//! ```text
//! GOLDREF_FUZZ=10000000 cargo test --release --test fuzz npz -- --nocapture
//! GOLDREF_FUZZ_SEED=7   another sequence (default 1)
//! GOLDREF_FUZZ_FILE=x   only this input, for the one reader that is named
//! ```
//!
//! `README.md` beside this file says what to do with an input that was found.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its own corpus should stop where it stands")]
#![expect(clippy::print_stderr, reason = "a long run says how far it came")]

mod allocation;
mod campaign;
mod json;
mod mutation;
mod random;
mod readers;

use campaign::campaign;
use readers::{Npy, Npz, RunReport, SafeTensors, Suite};
use rstest::rstest;

#[rstest]
#[case::npy(campaign::<Npy>)]
#[case::npz(campaign::<Npz>)]
#[case::safetensors(campaign::<SafeTensors>)]
#[case::suite(campaign::<Suite>)]
#[case::run_report(campaign::<RunReport>)]
fn hostile_bytes_are_read_or_refused(#[case] campaign: fn()) {
    campaign();
}
