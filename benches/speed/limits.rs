//! What the machine can do at most, on one thread and on all.

use crate::multiply_adds::{Format, Kernel};
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use rayon::prelude::*;
use std::sync::LazyLock;

/// Steps of a loop of multiply-adds: about a millisecond.
const STEPS: u64 = 1 << 18;

#[divan::bench(types = [f64, f32])]
fn multiply_adds_on_one_thread<T: Format>(bencher: Bencher) {
    let kernel = T::kernel();
    bencher.counter(ItemsCount::new(kernel.operations * STEPS)).bench(|| kernel.run(STEPS));
}

#[divan::bench(types = [f64, f32])]
fn multiply_adds_on_all_threads<T: Format>(bencher: Bencher) {
    let kernel: Kernel = T::kernel();
    let threads = rayon::current_num_threads() as u64;
    bencher
        .counter(ItemsCount::new(threads * kernel.operations * STEPS))
        .bench(|| rayon::broadcast(|_| kernel.run(STEPS)));
}

#[divan::bench]
fn read_on_one_thread(bencher: Bencher) {
    let words = words();
    bencher.counter(BytesCount::of_slice(words)).bench(|| read(words));
}

#[divan::bench]
fn read_on_all_threads(bencher: Bencher) {
    let words = words();
    let part = words.len().div_ceil(rayon::current_num_threads());
    bencher.counter(BytesCount::of_slice(words)).bench(|| {
        words.par_chunks(part).for_each(|part| {
            black_box(read(part));
        })
    });
}

/// The exclusive or of all words: each is read, and the registers have next to nothing else to do.
fn read(words: &[u64]) -> u64 {
    const LANES: usize = 16;
    let (blocks, rest) = words.as_chunks::<LANES>();
    let mut all = [0; LANES];
    for block in blocks {
        for (lane, word) in all.iter_mut().zip(block) {
            *lane ^= word;
        }
    }
    all.iter().chain(rest).fold(0, |all, word| all ^ word)
}

/// An array much larger than the caches.
fn words() -> &'static [u64] {
    static WORDS: LazyLock<Vec<u64>> = LazyLock::new(|| {
        let words = array_bytes() / size_of::<u64>();
        // Written on the threads that will read, for machines where memory is nearer to some cores.
        (0..words as u64).into_par_iter().map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect()
    });
    &WORDS
}

/// Four times the largest cache of this machine where Linux says how large it is; at least 512 MiB, at most 2 GiB.
fn array_bytes() -> usize {
    const MIB: usize = 1 << 20;
    let kib = |index: usize| -> Option<usize> {
        let size = std::fs::read_to_string(format!("/sys/devices/system/cpu/cpu0/cache/index{index}/size")).ok()?;
        size.trim().strip_suffix('K')?.parse().ok()
    };
    let largest = (0..8).filter_map(kib).max().unwrap_or(0) * 1024;
    (4 * largest).clamp(512 * MIB, 2048 * MIB)
}
