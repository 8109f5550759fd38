//! Comparing two arrays; the bytes are those of both, to be held against `limits::read`.

use crate::numbers::numbers;
use divan::Bencher;
use divan::counter::BytesCount;
use goldref::check::{Element, Ladder, Question, compare_slices};
use goldref::num::Real;

/// 64 MB in f32, with rounding noise in each eighth element.
#[divan::bench(types = [f64, f32])]
fn compare<T: Real + Element>(bencher: Bencher) {
    let expected = numbers::<T>(8_000_000);
    let mut actual = expected.clone();
    for x in actual.iter_mut().step_by(8) {
        *x = *x * T::from_f64(1.000_001);
    }
    let ladder = Ladder::default();
    let bytes = size_of_val(&expected[..]) + size_of_val(&actual[..]);
    bencher
        .counter(BytesCount::new(bytes))
        .bench(|| compare_slices(&actual, &expected, &Question::new(&ladder)).expect("of one length"));
}
