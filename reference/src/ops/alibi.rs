//! ALiBi: attention with linear biases (Press, Smith & Lewis, arXiv:2108.12409).
//!
//! ```text
//! scores[h, i, j] += -slope[h] · (positionᵢ - positionⱼ)
//! slope[h] = 2^(-8 (h + 1) / n)          n heads, n a power of two
//! ```
//! For other n: the slopes of the largest power of two m < n, then the 1st, 3rd, 5th … of those of 2m,
//! as in the authors' code and in BLOOM.

use super::parameters::parameters;
use super::question::{Answer, Question, refuse_oversize, refuse_positions, with_axes};
use crate::error::{Error, Result};
use crate::eval::Evaluator;
use crate::linalg::arrays::shaped;
use crate::linalg::convert::to_f64;
use crate::num::Real;
use ndarray::{Array1, Ix1, IxDyn};

/// One slope a head.
///
/// ```
/// // Four heads: 2^-2, 2^-4, 2^-6, 2^-8. Six: those, then the first and third of eight heads, 1/2 and 1/8.
/// let slopes = goldref_reference::ops::alibi::slopes::<f64>(6);
/// assert_eq!(slopes.to_vec(), [0.25, 0.0625, 0.015625, 0.00390625, 0.5, 0.125]);
/// ```
pub fn slopes<T: Real>(num_heads: usize) -> Array1<T> {
    let power = if num_heads.is_power_of_two() { num_heads } else { num_heads.next_power_of_two() / 2 };
    let of_power = |n: usize, k: usize| T::from_f64(2.0).pow(T::from_f64(-8.0 * k as f64 / n as f64));
    (0..num_heads)
        .map(|h| if h < power { of_power(power, h + 1) } else { of_power(2 * power, 2 * (h - power) + 1) })
        .collect()
}

/// `-slope · (q_position - kv_position)`.
pub fn bias<T: Real>(slope: T, q_position: i64, kv_position: i64) -> T {
    -slope * T::from_f64((q_position - kv_position) as f64)
}

parameters! {
    struct Params {
        num_heads: usize,
    }
}

/// The operation as a question: `q_positions`, `kv_positions` → `slopes`, `bias`.
pub(super) fn ask<T: Real>(question: &Question, _eval: &mut Evaluator) -> Result<Answer> {
    let params: Params = question.read()?;
    if params.num_heads == 0 {
        return Err(Error::ask("num_heads is 0; it must be at least 1"));
    }
    let q = with_axes::<i64, Ix1>("q_positions", "[q_len]", question.integers("q_positions")?)?;
    let kv = with_axes::<i64, Ix1>("kv_positions", "[kv_len]", question.integers("kv_positions")?)?;
    refuse_positions("q_positions", &q)?;
    refuse_positions("kv_positions", &kv)?;
    refuse_oversize("the bias", &[params.num_heads, q.len(), kv.len()])?;
    let slopes = slopes::<T>(params.num_heads);
    let mut biases = Vec::with_capacity(slopes.len() * q.len() * kv.len());
    for &slope in &slopes {
        for &q in &q {
            for &kv in &kv {
                biases.push(bias(slope, q, kv).to_f64());
            }
        }
    }
    let biases = shaped(biases, IxDyn(&[slopes.len(), q.len(), kv.len()]));
    let mut answer = Answer::new();
    answer.insert("slopes".to_string(), to_f64(&slopes));
    answer.insert("bias".to_string(), biases);
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_those_of_the_paper() {
        // 8 heads: 1/2, 1/4, … 1/256. 6 heads: those of 4 (1/4, 1/16, 1/64, 1/256), then 1/2 and 1/8 of those of 8.
        assert_eq!(slopes::<f64>(8).to_vec(), (1..=8).map(|k| 0.5f64.powi(k)).collect::<Vec<_>>());
        assert_eq!(slopes::<f64>(6).to_vec(), [0.25, 0.0625, 0.015625, 0.00390625, 0.5, 0.125]);
    }

    #[test]
    fn nearer_keys_are_dearer() {
        assert_eq!(bias(0.5, 3, 3), 0.0);
        assert_eq!(bias(0.5, 3, 1), -1.0);
    }
}
