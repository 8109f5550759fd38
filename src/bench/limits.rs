//! What the machine can do at most, on all threads.

use crate::num::parallel::{for_each_index, in_pieces};
use crate::num::sort::sort_by;
use crate::num::xor_all;
use crate::simd::multiply_adds::Format;
use serde::Serialize;
use std::hint::black_box;
use std::sync::LazyLock;
use std::time::Instant;

/// Measured limits of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Limits {
    /// FLOP/s of multiply-adds in f64.
    pub f64_peak: f64,
    /// FLOP/s of multiply-adds in f32.
    pub f32_peak: f64,
    /// Bytes/s read from an array larger than the caches.
    pub bandwidth: f64,
    /// Threads.
    pub threads: usize,
}

/// Runs of each measurement; the median counts.
const RUNS: usize = 5;

impl Limits {
    /// Measures for about a second.
    pub fn measure() -> Self {
        let words = words();
        let part = words.len().div_ceil(rayon::current_num_threads());
        let reading = median(&|| {
            for_each_index(words.len().div_ceil(part), &|number| {
                let begin = number * part;
                black_box(xor_all(&words[begin..words.len().min(begin + part)]));
            });
        });
        Self {
            f64_peak: peak::<f64>(),
            f32_peak: peak::<f32>(),
            bandwidth: size_of_val(words) as f64 / reading,
            threads: rayon::current_num_threads(),
        }
    }
}

fn peak<T: Format>() -> f64 {
    /// About ten milliseconds.
    const STEPS: u64 = 1 << 21;
    let kernel = T::kernel();
    let operations = rayon::current_num_threads() as u64 * kernel.operations * STEPS;
    let seconds = median(&|| on_each_thread(&|| kernel.run(STEPS)));
    operations as f64 / seconds
}

/// Does `work` once on each thread.
fn on_each_thread(work: &(dyn Fn() + Sync)) {
    rayon::broadcast(|_| work());
}

fn median(work: &dyn Fn()) -> f64 {
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let begin = Instant::now();
            work();
            begin.elapsed().as_secs_f64()
        })
        .collect();
    sort_by(&mut times, &f64::total_cmp);
    times[RUNS / 2]
}

/// An array much larger than the caches.
pub fn words() -> &'static [u64] {
    static WORDS: LazyLock<Vec<u64>> = LazyLock::new(|| {
        let words = array_bytes() / size_of::<u64>();
        // Written on the threads that will read, for machines where memory is nearer to some cores.
        let mut words = vec![0; words];
        in_pieces(&mut words, 1, &|first, piece| {
            for (word, index) in piece.iter_mut().zip(first as u64..) {
                *word = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            }
        });
        words
    });
    &WORDS
}

/// Twice the largest cache of this machine where Linux says how large it is; at least 256 MiB, at most 1 GiB.
fn array_bytes() -> usize {
    const MIB: usize = 1 << 20;
    let kib = |index: usize| -> Option<usize> {
        let size = std::fs::read_to_string(format!("/sys/devices/system/cpu/cpu0/cache/index{index}/size")).ok()?;
        size.trim().strip_suffix('K')?.parse().ok()
    };
    let largest = (0..8).filter_map(kib).max().unwrap_or(0) * 1024;
    (2 * largest).clamp(256 * MIB, 1024 * MIB)
}
