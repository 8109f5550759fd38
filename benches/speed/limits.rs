//! What the machine can do at most, on one thread and on all.

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use goldref::bench::{Format, Kernel, words};
use goldref::num::xor_all;
use rayon::prelude::*;

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
    bencher.counter(BytesCount::of_slice(words)).bench(|| xor_all(words));
}

#[divan::bench]
fn read_on_all_threads(bencher: Bencher) {
    let words = words();
    let part = words.len().div_ceil(rayon::current_num_threads());
    bencher.counter(BytesCount::of_slice(words)).bench(|| {
        words.par_chunks(part).for_each(|part| {
            black_box(xor_all(part));
        })
    });
}
