//! What is done to each element between the products; an item is an element.

use crate::numbers::{array, numbers};
use divan::Bencher;
use divan::counter::ItemsCount;
use goldref::eval::{Evaluator, Numerics};
use goldref::num::Real;
use goldref::ops::norm::{Downcast, Norm, NormKind, NormSpec, WeightForm, norm};
use goldref::ops::rope::{RopeLayout, RopeScaling, RopeSpec, rotate, tables};
use goldref::ops::softmax::softmax;
use ndarray::{Array2, Array4};

/// Elements of a slice: it stays in the second cache.
const ELEMENTS: usize = 1 << 16;
/// A row of scores.
const KEYS: usize = 1024;

fn bench_each<T: Real>(bencher: Bencher, each: fn(&mut [T])) {
    let values = numbers::<T>(ELEMENTS);
    bencher.counter(ItemsCount::new(ELEMENTS)).with_inputs(|| values.clone()).bench_local_refs(|values| each(values));
}

#[divan::bench(types = [f64, f32])]
fn exp_each<T: Real>(bencher: Bencher) {
    bench_each(bencher, T::exp_each);
}

#[divan::bench(types = [f64, f32])]
fn tanh_each<T: Real>(bencher: Bencher) {
    bench_each(bencher, T::tanh_each);
}

#[divan::bench(types = [f64, f32])]
fn softmax_rows<T: Real>(bencher: Bencher) {
    bench_each::<T>(bencher, |values| values.chunks_exact_mut(KEYS).for_each(|row| softmax(row, T::DTYPE)));
}

/// 128 tokens of 4096.
fn bench_norm<T: Real>(bencher: Bencher, kind: NormKind) {
    let x: Array2<T> = array((128, 4096));
    let weights = Norm { weight: Some(array(4096)), bias: None };
    let (weight_form, downcast) = (WeightForm::W, Downcast::BeforeWeight);
    let spec = NormSpec { kind, norm_eps: 1e-5, weight_form, downcast, weight: true, bias: false };
    let eval = Evaluator::new(Numerics::plain(T::DTYPE));
    bencher.counter(ItemsCount::new(x.len())).bench_local(|| norm(&x, &weights, &spec, &eval));
}

#[divan::bench(types = [f64, f32])]
fn rms_norm<T: Real>(bencher: Bencher) {
    bench_norm::<T>(bencher, NormKind::Rms);
}

#[divan::bench(types = [f64, f32])]
fn layer_norm<T: Real>(bencher: Bencher) {
    bench_norm::<T>(bencher, NormKind::Layer);
}

/// 8 heads of 128, 512 tokens; the tables are made before.
#[divan::bench(types = [f64, f32])]
fn rope_rotate<T: Real>(bencher: Bencher) {
    let x: Array4<T> = array((1, 8, 512, 128));
    let layout = RopeLayout::HalfSplit;
    let spec = RopeSpec { layout, rotary_dim: 128, rope_theta: 10_000.0, scaling: RopeScaling::None };
    let positions = Array2::from_shape_fn((1, 512), |(_, t)| t as i64);
    let tables = tables(&spec, &positions, &mut Evaluator::new(Numerics::plain(T::DTYPE)));
    bencher.counter(ItemsCount::new(x.len())).bench_local(|| rotate(&x, &tables, layout));
}
