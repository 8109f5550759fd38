//! What storing does to keys and values.

use crate::eval::CacheStorage;
use crate::num::{Real, saturate_round_f64};
use ndarray::{Array4, Axis};

/// The values as they come back from storage.
pub(super) fn store<T: Real>(mut x: Array4<T>, storage: CacheStorage) -> Array4<T> {
    match storage {
        CacheStorage::AsComputed => x,
        CacheStorage::Float(dtype) => x.mapv_into(|x| T::from_f64(saturate_round_f64(x.to_f64(), dtype))),
        CacheStorage::Int8 { block } => {
            for mut row in x.lanes_mut(Axis(3)) {
                for mut block in row.axis_chunks_iter_mut(Axis(0), block.max(1)) {
                    let stored = through_int8(&block.to_vec());
                    block.iter_mut().zip(stored).for_each(|(x, stored)| *x = stored);
                }
            }
            x
        }
    }
}

/// `s · round(x / s)` with `s = max|x| / 127`: the largest value of the block becomes ±127. A block of zeros stays zero.
fn through_int8<T: Real>(block: &[T]) -> Vec<T> {
    let largest = block.iter().fold(T::ZERO, |largest, x| if x.abs() > largest { x.abs() } else { largest });
    if largest == T::ZERO {
        return block.to_vec();
    }
    let scale = largest / T::from_f64(127.0);
    block.iter().map(|&x| T::from_f64((x / scale).to_f64().round_ties_even()) * scale).collect()
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
        let stored = store(x, CacheStorage::Int8 { block: 2 });
        approx::assert_relative_eq!(stored[[0, 0, 0, 0]], 1.27, max_relative = 1e-15);
        assert_eq!(stored[[0, 0, 0, 1]], 0.0);
        assert_eq!(stored[[0, 0, 0, 2]], 127.0);
        // One step of 1, not of 127/128.
        assert_eq!(stored[[0, 0, 0, 3]], 1.0);
        let nan = store(array![[[[f64::NAN, 1.0]]]], CacheStorage::Int8 { block: 2 });
        assert!(nan[[0, 0, 0, 0]].is_nan());
    }

    #[test]
    fn floats_are_rounded_and_saturate() {
        let x = array![[[[1.0f32 + 1.0 / 256.0, 1000.0]]]];
        assert_eq!(store(x.clone(), CacheStorage::Float(Dtype::Bf16)), array![[[[1.0f32, 1000.0]]]]);
        assert_eq!(store(x, CacheStorage::Float(Dtype::F8E4M3)), array![[[[1.0f32, 448.0]]]]);
    }
}
