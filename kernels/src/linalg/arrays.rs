//! What is done with whole arrays, compiled once for each scalar and for any number of axes.

use super::Real;
use ndarray::{Array, ArrayBase, ArrayD, ArrayView, ArrayViewD, ArrayViewMut, ArrayViewMutD, Axis, Data, Dimension};
use std::borrow::Cow;

/// The values in the order of their indices: where they are, if they lie so.
#[inline]
pub fn values<T: Real, S: Data<Elem = T>, D: Dimension>(x: &ArrayBase<S, D>) -> Cow<'_, [T]> {
    match x.as_slice() {
        Some(values) => Cow::Borrowed(values),
        None => Cow::Owned(T::array_values(x.view().into_dyn())),
    }
}

/// The values in the order of their indices, in the memory of the array if they lie so.
#[inline]
pub fn into_values<T: Real, D: Dimension>(x: Array<T, D>) -> Vec<T> {
    T::array_into_values(x.into_dyn())
}

/// The array of these values, in the order of their indices.
///
/// # Panics
/// If there are more or fewer than the shape has places.
#[inline]
pub fn shaped<E, D: Dimension>(values: Vec<E>, shape: D) -> Array<E, D> {
    Array::from_shape_vec(shape, values).expect("as many values as places")
}

/// The same values in another shape.
///
/// # Panics
/// If that has more or fewer places.
#[inline]
pub fn reshaped<T: Real, D: Dimension, E: Dimension>(x: Array<T, D>, shape: E) -> Array<T, E> {
    shaped(into_values(x), shape)
}

/// A copy whose values lie in the order of their indices.
#[inline]
pub fn copied<T: Real, S: Data<Elem = T>, D: Dimension>(x: &ArrayBase<S, D>) -> Array<T, D> {
    shaped(values(x).into_owned(), x.raw_dim())
}

/// The same array, its values in the order of their indices.
#[inline]
pub fn in_order<T: Real, D: Dimension>(x: Array<T, D>) -> Array<T, D> {
    if x.is_standard_layout() { x } else { copied(&x) }
}

/// The values of an array as they lie in memory; it is copied if they lie apart.
#[inline]
pub fn elements<T: Real, D: Dimension>(x: &mut Array<T, D>) -> &mut [T] {
    if x.as_slice_memory_order().is_none() {
        *x = copied(x);
    }
    x.as_slice_memory_order_mut().expect("a new array has no gaps")
}

/// Each place of `to` gets the value that `from` has there.
///
/// # Panics
/// If the shapes differ.
#[inline]
pub fn assign<T: Real, D: Dimension>(to: ArrayViewMut<T, D>, from: ArrayView<T, D>) {
    T::array_assign(to.into_dyn(), from.into_dyn());
}

/// `a + b`, in the memory of `a`.
///
/// # Panics
/// If the shapes differ.
#[inline]
pub fn add<T: Real, D: Dimension>(a: Array<T, D>, b: &Array<T, D>) -> Array<T, D> {
    let mut sum = a;
    T::array_add(sum.view_mut().into_dyn(), b.view().into_dyn());
    sum
}

/// `a + b`.
///
/// # Panics
/// If the shapes differ.
#[inline]
pub fn sum<T: Real, D: Dimension>(a: &Array<T, D>, b: &Array<T, D>) -> Array<T, D> {
    add(copied(a), b)
}

/// `a · b`, element by element, in the memory of `a`.
///
/// # Panics
/// If the shapes differ.
#[inline]
pub fn multiply<T: Real, D: Dimension>(a: Array<T, D>, b: &Array<T, D>) -> Array<T, D> {
    let mut product = a;
    T::array_multiply(product.view_mut().into_dyn(), b.view().into_dyn());
    product
}

/// Each value plus the one of `others` in its place.
#[inline]
pub fn add_each<T: Real>(values: &mut [T], others: &[T]) {
    T::add_each(values, others);
}

/// Arrays one behind the other along an axis; `None` if there are none, or they differ along other axes.
#[inline]
pub fn concatenated<T: Real, D: Dimension>(axis: Axis, parts: &[ArrayView<T, D>]) -> Option<Array<T, D>> {
    let mut views = Vec::with_capacity(parts.len());
    for part in parts {
        views.push(part.view().into_dyn());
    }
    T::array_concatenated(axis, &views)?.into_dimensionality().ok()
}

/// Calls `f` with the index of each place of this shape, the last index moving first.
pub fn for_each_place(shape: &[usize], f: &mut dyn FnMut(&[usize])) {
    let mut index = vec![0; shape.len()];
    for _ in 0..shape.iter().product() {
        f(&index);
        // The last index that has not reached its end goes on, and those behind it begin anew.
        for (place, &length) in index.iter_mut().zip(shape).rev() {
            *place += 1;
            if *place < length {
                break;
            }
            *place = 0;
        }
    }
}

/// See [`into_values`].
pub(super) fn owned_values<T: Real>(x: ArrayD<T>) -> Vec<T> {
    if !x.is_standard_layout() {
        return T::array_values(x.view());
    }
    let len = x.len();
    let (values, first) = x.into_raw_vec_and_offset();
    // Of an array that was cut, memory before and behind is left.
    if values.len() == len { values } else { values[first.unwrap_or(0)..][..len].to_vec() }
}

/// `change` of the values of `a`, with those of `b` in the same places.
pub(super) fn change_each<T: Real>(mut a: ArrayViewMutD<T>, b: ArrayViewD<T>, change: fn(&mut [T], &[T])) {
    assert_eq!(a.shape(), b.shape(), "what is put together element by element has one shape");
    if let Some(a) = a.as_slice_mut() {
        return change(a, &values(&b));
    }
    let mut changed = T::array_values(a.view());
    change(&mut changed, &values(&b));
    for (a, changed) in a.iter_mut().zip(changed) {
        *a = changed;
    }
}

/// See [`assign`].
pub(super) fn assign_each<A: Copy>(mut to: ArrayViewMutD<A>, from: ArrayViewD<A>) {
    assert_eq!(to.shape(), from.shape(), "what is assigned has the shape of its place");
    if let (Some(to), Some(from)) = (to.as_slice_mut(), from.as_slice()) {
        to.copy_from_slice(from);
    } else if to.ndim() > 1 {
        for (to, from) in to.outer_iter_mut().zip(from.outer_iter()) {
            assign_each(to, from);
        }
    } else {
        for (to, &from) in to.iter_mut().zip(from.iter()) {
            *to = from;
        }
    }
}

/// See [`concatenated`].
pub(super) fn joined<T: Real>(axis: Axis, parts: &[ArrayViewD<T>]) -> Option<ArrayD<T>> {
    let mut shape = parts.first()?.shape().to_vec();
    let Axis(axis) = axis;
    let before: usize = shape.get(..axis)?.iter().product();
    *shape.get_mut(axis)? = 0;
    let mut rows = Vec::with_capacity(parts.len());
    for part in parts {
        let fits = part.ndim() == shape.len() && (0..shape.len()).all(|i| i == axis || part.shape()[i] == shape[i]);
        if !fits {
            return None;
        }
        shape[axis] += part.shape()[axis];
        rows.push((values(part), part.shape()[axis..].iter().product::<usize>()));
    }
    let mut all = Vec::with_capacity(shape.iter().product());
    for row in 0..before {
        for (values, len) in &rows {
            all.extend_from_slice(&values[row * len..(row + 1) * len]);
        }
    }
    ArrayD::from_shape_vec(shape, all).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, Array3, array, s};

    #[test]
    fn values_come_in_the_order_of_indices_wherever_they_lie() {
        let x = Array3::from_shape_fn((2, 3, 4), |(a, b, c)| (100 * a + 10 * b + c) as f64);
        let across = x.clone().reversed_axes();
        assert!(across.as_slice().is_none());
        let expected: Vec<f64> = across.iter().copied().collect();
        assert_eq!(values(&across), expected);
        assert_eq!(into_values(across.clone()), expected);
        assert!(copied(&across).is_standard_layout() && in_order(across.clone()) == across);
        let cut = x.clone().slice_move(s![1.., 1.., ..]);
        assert_eq!(into_values(cut.clone()), cut.iter().copied().collect::<Vec<_>>());
        assert_eq!(reshaped(cut.clone(), ndarray::Ix2(2, 4)), cut.index_axis_move(Axis(0), 0));
    }

    #[test]
    fn sums_products_and_assignments_meet_by_index() {
        let a = array![[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]];
        let b = array![[10.0f32, 20.0], [30.0, 40.0], [50.0, 60.0]].reversed_axes();
        assert_eq!(sum(&a, &b), &a + &b);
        assert_eq!(add(b.clone(), &a), &a + &b);
        assert_eq!(multiply(a.clone(), &b), &a * &b);
        let mut wide = Array2::<f32>::zeros((4, 5));
        assign(wide.slice_mut(s![1..3, 2..]), b.view());
        assert_eq!(wide.slice(s![1..3, 2..]), b);
        assert_eq!(wide.sum(), b.sum());
    }

    #[test]
    fn places_come_in_the_order_of_their_indices() {
        for shape in [&[][..], &[3], &[2, 3, 2], &[2, 0, 4]] {
            let mut places = Vec::new();
            for_each_place(shape, &mut |index| places.push(index.to_vec()));
            assert!(places.into_iter().eq(ndarray::indices(shape).into_iter().map(|index| index.slice().to_vec())));
        }
    }

    #[test]
    fn arrays_stand_one_behind_the_other_along_any_axis() {
        let x = Array3::from_shape_fn((2, 3, 4), |(a, b, c)| (100 * a + 10 * b + c) as f64);
        for axis in 0..3 {
            let (first, rest) = x.view().split_at(Axis(axis), 1);
            assert_eq!(concatenated(Axis(axis), &[first, rest]).as_ref(), Some(&x));
        }
        assert_eq!(concatenated(Axis(0), &[x.view(), x.slice(s![.., 1.., ..])]), None);
        assert_eq!(concatenated::<f64, ndarray::Ix2>(Axis(0), &[]), None);
    }
}
