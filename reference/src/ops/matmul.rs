//! Matrix product over batches, and the general form with factors.
//!
//! ```text
//! matmul:  out[.., i, j] = Σₖ a[.., i, k] · b[.., k, j]      (NumPy's rules for batches and vectors)
//! gemm:    out = alpha · (a b) + beta · c
//! ```

use super::parameters::parameters;
use super::question::{Answer, Question, answer_out, no_params, refuse_oversize, with_axes};
use crate::error::{Error, Result};
use crate::eval::{Evaluator, Role};
use crate::linalg;
use crate::linalg::arrays::{copied, elements, in_order, shaped, values};
use crate::num::{Real, scale_each};
use ndarray::{Array2, ArrayD, ArrayView2, Axis, Ix2, IxDyn};

/// `a b` as `numpy.matmul`: leading axes are batches and broadcast; a vector is a row on the left and a
/// column on the right, and its axis is dropped from the result.
///
/// # Errors
/// If an operand has no axis, the inner sizes differ or the batches do not broadcast.
pub fn matmul<T: Real>(a: &ArrayD<T>, b: &ArrayD<T>, eval: &Evaluator) -> Result<ArrayD<T>> {
    matmul_with(a, b, &mut |a, b| linalg::matmul(a, b, eval.numerics().product_rules()))
}

/// [`matmul`] with the product of two matrices as the caller computes it, batch by batch in row-major order.
pub(crate) fn matmul_with<T: Real>(
    a: &ArrayD<T>,
    b: &ArrayD<T>,
    product: &mut dyn FnMut(ArrayView2<T>, ArrayView2<T>) -> Array2<T>,
) -> Result<ArrayD<T>> {
    if a.ndim() == 0 || b.ndim() == 0 {
        return Err(Error::ask("matmul: an operand is a single number; it needs at least one axis"));
    }
    let (vector_a, vector_b) = (a.ndim() == 1, b.ndim() == 1);
    let a = if vector_a { a.clone().insert_axis(Axis(0)) } else { a.clone() };
    let b = if vector_b { b.clone().insert_axis(Axis(1)) } else { b.clone() };
    let (m, k) = (a.shape()[a.ndim() - 2], a.shape()[a.ndim() - 1]);
    let (k_b, n) = (b.shape()[b.ndim() - 2], b.shape()[b.ndim() - 1]);
    if k != k_b {
        return Err(Error::ask(format!("matmul: inner sizes differ, {:?} and {:?}", a.shape(), b.shape())));
    }
    let batch = broadcast_shape(&a.shape()[..a.ndim() - 2], &b.shape()[..b.ndim() - 2]).ok_or_else(|| {
        Error::ask(format!("matmul: batches of {:?} and {:?} do not broadcast", a.shape(), b.shape()))
    })?;
    refuse_oversize("the product", &[batch.as_slice(), &[m, n]].concat())?;
    let with_batch = |tail: [usize; 2]| IxDyn(&[batch.as_slice(), &tail].concat());
    let cannot = || Error::ask("matmul: batches do not broadcast");
    let (a, b) =
        (a.broadcast(with_batch([m, k])).ok_or_else(cannot)?, b.broadcast(with_batch([k, n])).ok_or_else(cannot)?);
    let (a, b) = (values(&a), values(&b));
    let mut out = Vec::with_capacity(batch.iter().product::<usize>() * m * n);
    for index in 0..batch.iter().product() {
        let a = ArrayView2::from_shape((m, k), &a[index * m * k..][..m * k]).expect("a matrix of each batch");
        let b = ArrayView2::from_shape((k, n), &b[index * k * n..][..k * n]).expect("a matrix of each batch");
        out.extend_from_slice(&values(&product(a, b)));
    }
    let mut out = shaped(out, with_batch([m, n]));
    if vector_b {
        let last = Axis(out.ndim() - 1);
        out = out.remove_axis(last);
    }
    if vector_a {
        let axis = Axis(out.ndim() - if vector_b { 1 } else { 2 });
        out = out.remove_axis(axis);
    }
    Ok(out)
}

/// NumPy's broadcasting of two shapes.
pub(crate) fn broadcast_shape(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let ndim = a.len().max(b.len());
    let size = |shape: &[usize], i: usize| if i + shape.len() < ndim { 1 } else { shape[i + shape.len() - ndim] };
    (0..ndim)
        .map(|i| match (size(a, i), size(b, i)) {
            (a, b) if a == b => Some(a),
            (1, b) => Some(b),
            (a, 1) => Some(a),
            _ => None,
        })
        .collect()
}

/// What the operation as a question is asked with.
pub(crate) fn read<T: Real>(question: &Question, eval: &Evaluator) -> Result<(ArrayD<T>, ArrayD<T>)> {
    no_params(question)?;
    Ok((question.activation::<T>("a", eval)?, question.activation::<T>("b", eval)?))
}

/// The operation as a question: `a`, `b` → `out`.
pub(super) fn ask<T: Real>(question: &Question, eval: &mut Evaluator) -> Result<Answer> {
    let (a, b) = read::<T>(question, eval)?;
    let out = matmul(&a, &b, eval)?;
    Ok(answer_out(eval.at("out", Role::Activation, out)))
}

parameters! {
    struct GemmParams {
        alpha: f64 = 1.0,
        beta: f64 = 1.0,
        trans_a: bool = false,
        trans_b: bool = false,
    }
}

/// What the general product as a question is asked with: transposed already, the shapes fit.
#[derive(Debug)]
pub(crate) struct GemmInputs<T> {
    pub(crate) a: Array2<T>,
    pub(crate) b: Array2<T>,
    pub(crate) c: Option<Array2<T>>,
    pub(crate) alpha: f64,
    pub(crate) beta: f64,
}

impl<T: Real> GemmInputs<T> {
    pub(crate) fn read(question: &Question, eval: &Evaluator) -> Result<Self> {
        let params: GemmParams = question.read()?;
        let matrix = |name, transpose: bool, eval: &Evaluator| -> Result<Array2<T>> {
            let x = with_axes::<T, Ix2>(name, "a matrix", question.activation(name, eval)?)?;
            Ok(if transpose { x.reversed_axes() } else { x })
        };
        let (a, b) = (matrix("a", params.trans_a, eval)?, matrix("b", params.trans_b, eval)?);
        if a.ncols() != b.nrows() {
            return Err(Error::ask(format!(
                "gemm: inner sizes differ, {:?} and {:?} after transposition",
                a.dim(),
                b.dim()
            )));
        }
        let c = if question.has("c") {
            let c = question.activation::<T>("c", eval)?;
            let shape = (a.nrows(), b.ncols());
            let fits = c.broadcast(shape).map(|c| copied(&c));
            Some(fits.ok_or_else(|| {
                Error::ask(format!("gemm: c of shape {:?} does not broadcast to {shape:?}", c.shape()))
            })?)
        } else {
            None
        };
        Ok(Self { a, b, c, alpha: params.alpha, beta: params.beta })
    }
}

/// The general product as a question: `a`, `b`, `[c]` → `out`.
pub(super) fn ask_gemm<T: Real>(question: &Question, eval: &mut Evaluator) -> Result<Answer> {
    let GemmInputs { a, b, c, alpha, beta } = GemmInputs::<T>::read(question, eval)?;
    let mut out = in_order(linalg::matmul(a.view(), b.view(), eval.numerics().product_rules()));
    scale_each(elements(&mut out), T::from_f64(alpha));
    if let Some(c) = c {
        for (y, &c) in elements(&mut out).iter_mut().zip(values(&c).iter()) {
            *y = *y + T::from_f64(beta) * c;
        }
    }
    Ok(answer_out(eval.at("out", Role::Activation, out)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::Numerics;
    use crate::num::Dtype;
    use ndarray::array;

    #[test]
    fn vectors_lose_their_axis_and_batches_broadcast() {
        let eval = Evaluator::new(Numerics::plain(Dtype::F64));
        let v = array![1.0, 2.0].into_dyn();
        let m = array![[3.0, 4.0], [5.0, 6.0]].into_dyn();
        // 1·3 + 2·5 = 13, 1·4 + 2·6 = 16; 3·1 + 4·2 = 11, 5·1 + 6·2 = 17.
        assert_eq!(matmul(&v, &m, &eval).unwrap(), array![13.0, 16.0].into_dyn());
        assert_eq!(matmul(&m, &v, &eval).unwrap(), array![11.0, 17.0].into_dyn());
        assert_eq!(matmul(&v, &v, &eval).unwrap(), ndarray::arr0(5.0).into_dyn());
        let batches = ArrayD::from_elem(vec![3, 1, 2, 2], 1.0);
        let other = ArrayD::from_elem(vec![4, 2, 5], 1.0);
        assert_eq!(matmul(&batches, &other, &eval).unwrap().shape(), [3, 4, 2, 5]);
        assert!(matmul(&batches, &array![1.0, 2.0, 3.0].into_dyn(), &eval).is_err());
    }
}
