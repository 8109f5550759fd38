//! Arrays of one scalar as arrays of the other, compiled once for each.

use super::Real;
use crate::num::Dtype;
use ndarray::{ArrayBase, ArrayD, ArrayViewD, Data, Dimension};

/// The same values in f64, exactly.
#[inline]
pub fn to_f64<T: Real, S: Data<Elem = T>, D: Dimension>(x: &ArrayBase<S, D>) -> ArrayD<f64> {
    T::array_to_f64(x.view().into_dyn())
}

/// Each value rounded once to the scalar (exact for f64).
#[inline]
pub fn from_f64<T: Real, S: Data<Elem = f64>, D: Dimension>(x: &ArrayBase<S, D>) -> ArrayD<T> {
    T::array_from_f64(x.view().into_dyn())
}

/// Each value rounded to `dtype` and then, which is exact if `dtype` is no wider, to the scalar.
#[inline]
pub fn rounded_from_f64<T: Real, S: Data<Elem = f64>, D: Dimension>(x: &ArrayBase<S, D>, dtype: Dtype) -> ArrayD<T> {
    T::array_rounded_from_f64(x.view().into_dyn(), dtype)
}

/// Element by element, in standard layout.
pub(super) fn converted<A: Copy, B>(x: ArrayViewD<A>, convert: impl Fn(A) -> B) -> ArrayD<B> {
    let mut values = Vec::with_capacity(x.len());
    match x.as_slice() {
        Some(x) => values.extend(x.iter().map(|&x| convert(x))),
        None => x.iter().for_each(|&x| values.push(convert(x))),
    }
    ArrayD::from_shape_vec(x.shape(), values).expect("as many values as before")
}
