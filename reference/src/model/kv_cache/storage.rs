//! What storing does to keys and values.

use crate::eval::CacheStorage;
use crate::linalg::arrays::{elements, in_order};
use crate::num::{RandomStream, Real, round_stochastic, saturate_round_f64};
use ndarray::Array4;

/// The values as they come back from storage; `stream` rounds them stochastically, else they go to nearest.
pub(super) fn store<T: Real>(x: Array4<T>, storage: CacheStorage, stream: Option<RandomStream>) -> Array4<T> {
    match storage {
        CacheStorage::AsComputed => x,
        CacheStorage::Float(dtype) => {
            let mut x = in_order(x);
            for (x, index) in elements(&mut x).iter_mut().zip(0..) {
                let wide = x.to_f64();
                *x = T::from_f64(match stream {
                    None => saturate_round_f64(wide, dtype),
                    Some(stream) => {
                        round_stochastic(wide.clamp(-dtype.max(), dtype.max()), dtype, stream.uniform(index))
                    }
                });
            }
            x
        }
        CacheStorage::Int8 { block } => {
            let mut index = 0;
            let mut step = |x: f64| {
                index += 1;
                match stream {
                    None => x.round_ties_even(),
                    // Up if the number drawn is below the distance to the step beneath. A quotient a little above 127
                    // is a rounding error of the division.
                    Some(stream) => {
                        let up = if stream.uniform(index) < x - x.floor() { 1.0 } else { 0.0 };
                        (x.floor() + up).clamp(-127.0, 127.0)
                    }
                }
            };
            let width = x.dim().3.max(1);
            let mut x = in_order(x);
            for row in elements(&mut x).chunks_mut(width) {
                for block in row.chunks_mut(block.max(1)) {
                    through_int8(block, &mut step);
                }
            }
            x
        }
    }
}

/// `s · step(x / s)` with `s = max|x| / 127`: the largest value of the block becomes ±127. A block of zeros stays zero.
fn through_int8<T: Real>(block: &mut [T], step: &mut impl FnMut(f64) -> f64) {
    let largest = block.iter().fold(T::ZERO, |largest, x| if x.abs() > largest { x.abs() } else { largest });
    if largest == T::ZERO {
        return;
    }
    let scale = largest / T::from_f64(127.0);
    for x in block {
        *x = T::from_f64(step((*x / scale).to_f64())) * scale;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::num::Dtype;
    use ndarray::array;

    #[test]
    fn int8_has_a_scale_for_each_block() {
        // Block one: s = 1.27/127 = 0.01, block two: s = 127/127 = 1.
        let x = array![[[[1.27, 0.004, 127.0, 0.6]]]];
        let stored = store(x, CacheStorage::Int8 { block: 2 }, None);
        approx::assert_relative_eq!(stored[[0, 0, 0, 0]], 1.27, max_relative = 1e-15);
        assert_eq!(stored[[0, 0, 0, 1]], 0.0);
        assert_eq!(stored[[0, 0, 0, 2]], 127.0);
        // One step of 1, not of 127/128.
        assert_eq!(stored[[0, 0, 0, 3]], 1.0);
        let nan = store(array![[[[f64::NAN, 1.0]]]], CacheStorage::Int8 { block: 2 }, None);
        assert!(nan[[0, 0, 0, 0]].is_nan());
    }

    #[test]
    fn floats_are_rounded_and_saturate() {
        let x = array![[[[1.0f32 + 1.0 / 256.0, 1000.0]]]];
        assert_eq!(store(x.clone(), CacheStorage::Float(Dtype::Bf16), None), array![[[[1.0f32, 1000.0]]]]);
        assert_eq!(store(x, CacheStorage::Float(Dtype::F8E4M3), None), array![[[[1.0f32, 448.0]]]]);
    }

    #[test]
    fn with_chance_a_neighbour_is_stored_and_the_mean_is_the_value() {
        // s = 127/127 = 1 and 0.25 goes to 1 in a quarter of 4096 cases: 1024 ± 5 · 27.7. bf16 has 1 and 1 + 2^-7 about
        // 1 + 2^-9, a quarter again.
        let x = Array4::from_shape_fn((1, 1, 4096, 2), |(_, _, _, i)| [127.0f32, 0.25][i]);
        let stored = store(x, CacheStorage::Int8 { block: 2 }, Some(RandomStream::new(1, 0)));
        assert!(stored.iter().step_by(2).all(|&x| x == 127.0));
        let ones = stored.iter().skip(1).step_by(2).inspect(|x| assert!(**x == 0.0 || **x == 1.0)).sum::<f32>();
        assert!((885.0..=1163.0).contains(&ones), "{ones}");

        let x = Array4::from_elem((1, 1, 4096, 1), 1.0 + 2f32.powi(-9));
        let stored = store(x, CacheStorage::Float(Dtype::Bf16), Some(RandomStream::new(1, 0)));
        let up = stored.iter().filter(|&&x| x == 1.0 + 2f32.powi(-7)).count();
        assert!((885..=1163).contains(&up) && stored.iter().filter(|&&x| x == 1.0).count() == 4096 - up, "{up}");
        let beyond = store(array![[[[1000.0f32]]]], CacheStorage::Float(Dtype::F8E4M3), Some(RandomStream::new(1, 0)));
        assert_eq!(beyond, array![[[[448.0f32]]]]);
    }
}
