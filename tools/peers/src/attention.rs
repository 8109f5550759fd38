//! Causal attention of some heads over themselves, keys and values with as many heads as queries, in goldref and in candle.

use crate::numbers::numbers;
use candle_core::{D, Device, Result, Tensor, WithDType};
use candle_nn::attention::{AttnMask, flash_attn};
use candle_nn::ops::softmax_last_dim;
use goldref::eval::{Evaluator, Numerics};
use goldref::num::Real;
use goldref::ops::attention::{Allowed, ScoreMask, ScoreRule, attention};
use goldref::ops::mask::MaskRule;
use ndarray::{Array2, Array4};
use std::hint::black_box;
use std::time::Instant;

/// One attention; `None` for a peer or a format that is not known, or an error of candle.
pub fn seconds(dtype: &str, peer: &str, sizes: [usize; 3]) -> Option<f64> {
    match (peer, dtype) {
        ("goldref", "f64") => Some(of_goldref::<f64>(sizes)),
        ("goldref", "f32") => Some(of_goldref::<f32>(sizes)),
        ("candle", "f64") => of_candle::<f64>(sizes).ok(),
        ("candle", "f32") => of_candle::<f32>(sizes).ok(),
        // In f64 it would sum in f32.
        ("candle-flash", "f32") => of_candle_flash(sizes).ok(),
        _ => None,
    }
}

/// `[1, heads, len, dim]`; another seed, other numbers.
fn tensor<T: Real>([heads, len, dim]: [usize; 3], seed: usize) -> Array4<T> {
    let x = numbers::<T>(heads * len + seed, dim);
    let x = x.slice_move(ndarray::s![seed.., ..]);
    x.as_standard_layout().into_owned().into_shape_with_order((1, heads, len, dim)).expect("as many numbers")
}

fn of_goldref<T: Real>(sizes: [usize; 3]) -> f64 {
    let [_, len, dim] = sizes;
    let [q, k, v] = [1, 2, 3].map(|seed| tensor::<T>(sizes, seed));
    let rule = MaskRule { causal: true, ..MaskRule::default() };
    let real = Array2::from_elem((1, len), true);
    let mask = ScoreMask { allowed: Allowed::Rule { rule, first_key: 0, real }, additive: None };
    let scores = ScoreRule { scale: 1.0 / (dim as f64).sqrt(), softcap: None };
    let mut eval = Evaluator::new(Numerics::plain(T::DTYPE));
    let begin = Instant::now();
    black_box(attention(&q, k.view(), v.view(), &mask, &scores, None, &mut eval));
    begin.elapsed().as_secs_f64()
}

fn candle_tensor<T: Real + WithDType>(sizes: [usize; 3], seed: usize) -> Result<Tensor> {
    let [heads, len, dim] = sizes;
    let numbers = tensor::<T>(sizes, seed);
    Tensor::from_iter(numbers, &Device::Cpu)?.reshape((1, heads, len, dim))
}

/// The stages one after the other; the mask is made before the clock starts.
fn of_candle<T: Real + WithDType>(sizes: [usize; 3]) -> Result<f64> {
    let [_, len, dim] = sizes;
    let [q, k, v] = [1, 2, 3].map(|seed| candle_tensor::<T>(sizes, seed));
    let (q, k, v) = (q?, k?, v?);
    let rows = (0..len).flat_map(|i| (0..len).map(move |j| if j <= i { T::ZERO } else { T::NEG_INFINITY }));
    let mask = Tensor::from_iter(rows, &Device::Cpu)?.reshape((1, 1, len, len))?;
    let begin = Instant::now();
    let scores = (q.matmul(&k.transpose(D::Minus2, D::Minus1)?)? * (1.0 / (dim as f64).sqrt()))?;
    let probs = softmax_last_dim(&scores.broadcast_add(&mask)?)?;
    black_box(probs.matmul(&v)?);
    Ok(begin.elapsed().as_secs_f64())
}

/// In one kernel, from `[1, len, heads, dim]`.
fn of_candle_flash(sizes: [usize; 3]) -> Result<f64> {
    let tensor = |seed| candle_tensor::<f32>(sizes, seed)?.transpose(1, 2)?.contiguous();
    let (q, k, v) = (tensor(1)?, tensor(2)?, tensor(3)?);
    let scale = 1.0 / (sizes[2] as f32).sqrt();
    let begin = Instant::now();
    black_box(flash_attn::<f32>(&q, &k, &v, scale, AttnMask::causal(), None, None)?);
    Ok(begin.elapsed().as_secs_f64())
}
