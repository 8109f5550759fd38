//! What goldref's parts cost on this machine, and what the machine can do: `cargo bench`, about a minute.
//!
//! `limits` measures the machine and nothing of goldref: multiply-adds in registers, and reading memory. The others give their
//! speed in the same units, so that the two can be held beside each other: an *item* is a floating-point operation in `limits`,
//! `products` and causal attention (a multiply-add is two), an element in `elementwise`, a token in `forward`; bytes are
//! those that must be read at least. `cargo bench -- products` runs one group, `RAYON_NUM_THREADS=1 cargo bench` one thread.
//! Other programs on the same work: `tools/bench_peers.py`.

mod attention;
mod comparison;
mod elementwise;
mod forward;
mod limits;
mod numbers;
mod products;

use std::time::Duration;

/// Seconds a row, so that all rows together take about a minute; `--max-time` changes it.
const SECONDS: u64 = 1;

fn main() {
    divan::Divan::default().max_time(Duration::from_secs(SECONDS)).config_with_args().main();
}
