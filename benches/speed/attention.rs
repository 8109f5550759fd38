//! Attention: a prompt over itself, and one token over a cache.

use crate::numbers::array;
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use goldref::eval::{Evaluator, Numerics};
use goldref::num::Real;
use goldref::ops::attention::{Allowed, ScoreMask, ScoreRule, attention};
use goldref::ops::mask::MaskRule;
use ndarray::{Array2, Array4};

/// Causal, for the last `q_len` of `kv_len` tokens.
fn causal<T>(q_len: usize, kv_len: usize) -> ScoreMask<T> {
    let rule = MaskRule { causal: true, offset: (kv_len - q_len) as i64, ..MaskRule::default() };
    ScoreMask {
        allowed: Allowed::Rule { rule, first_key: 0, real: Array2::from_elem((1, kv_len), true) },
        additive: None,
    }
}

fn of<T: Real>(q: &Array4<T>, k: &Array4<T>, v: &Array4<T>, mask: &ScoreMask<T>) -> Array4<T> {
    let rule = ScoreRule { scale: 0.125, softcap: None };
    let mut eval = Evaluator::new(Numerics::plain(T::DTYPE));
    attention(q, k.view(), v.view(), mask, &rule, None, &mut eval)
}

/// 8 heads of 64; an item is an operation of the two products over the keys that are not masked.
#[divan::bench(types = [f64, f32], args = [512, 2048])]
fn causal_prompt<T: Real>(bencher: Bencher, len: usize) {
    const HEADS: usize = 8;
    const DIM: usize = 64;
    let [q, k, v] = [(); 3].map(|()| array((1, HEADS, len, DIM)));
    let mask = causal(len, len);
    let pairs = len * (len + 1) / 2;
    bencher.counter(ItemsCount::new(4 * HEADS * DIM * pairs)).bench(|| of::<T>(&q, &k, &v, &mask));
}

/// 32 query heads and 8 heads of 128 in the cache; the bytes are those of all keys and values.
#[divan::bench(types = [f64, f32], args = [4096])]
fn one_token<T: Real>(bencher: Bencher, kv_len: usize) {
    const HEADS: usize = 32;
    const KV_HEADS: usize = 8;
    const DIM: usize = 128;
    let q = array((1, HEADS, 1, DIM));
    let [k, v] = [(); 2].map(|()| array((1, KV_HEADS, kv_len, DIM)));
    let mask = causal(1, kv_len);
    let bytes = 2 * KV_HEADS * kv_len * DIM * size_of::<T>();
    bencher.counter(BytesCount::new(bytes)).bench(|| of::<T>(&q, &k, &v, &mask));
}
