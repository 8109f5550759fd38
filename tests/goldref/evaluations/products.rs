//! `linear` and `matmul`.

use super::inputs::Inputs;
use super::style::Style;
use super::{Answer, only};
use ndarray::{ArrayD, Axis, Dimension};

/// `y = x Wᵀ + b`.
pub(super) fn linear(inputs: &Inputs, style: &Style) -> Answer {
    inputs.knows(&["weight_layout"], &["x", "weight", "bias"]);
    let x = inputs.floats("x");
    let weight = inputs.floats("weight");
    let weight = if inputs.word("weight_layout") == Some("in_out") { weight.reversed_axes() } else { weight };
    let columns: Vec<Vec<f64>> = weight.outer_iter().map(|row| row.iter().copied().collect()).collect();
    let bias = inputs.floats_if("bias");
    let width = weight.shape()[1];
    let sums = style.sums(width);
    let mut shape = x.shape().to_vec();
    *shape.last_mut().unwrap() = columns.len();
    let mut out = ArrayD::zeros(shape);
    for (x, mut y) in x.lanes(Axis(x.ndim() - 1)).into_iter().zip(out.lanes_mut(Axis(x.ndim() - 1))) {
        let x = x.to_vec();
        for (o, column) in columns.iter().enumerate() {
            let product = style.between(sums.dot(&x, column));
            y[o] = style.stored(bias.as_ref().map_or(product, |bias| style.add(product, bias[[o]])));
        }
    }
    only(out)
}

/// `a b` with the rules of `numpy.matmul`.
pub(super) fn matmul(inputs: &Inputs, style: &Style) -> Answer {
    inputs.knows(&[], &["a", "b"]);
    let (a, b) = (inputs.floats("a"), inputs.floats("b"));
    // A vector is a row on the left and a column on the right.
    let (row, column) = (a.ndim() == 1, b.ndim() == 1);
    let a = if row { a.insert_axis(Axis(0)) } else { a };
    let b = if column { b.insert_axis(Axis(1)) } else { b };
    let axes = a.ndim().max(b.ndim());
    // The lengths of an array's batch axes, missing ones in front being 1.
    let length = |x: &ArrayD<f64>, axis: usize| (axis + x.ndim()).checked_sub(axes).map_or(1, |axis| x.shape()[axis]);
    let (m, k, n) = (length(&a, axes - 2), length(&a, axes - 1), length(&b, axes - 1));
    let mut shape: Vec<usize> = (0..axes - 2).map(|axis| length(&a, axis).max(length(&b, axis))).collect();
    shape.extend([m, n]);
    // The place in `x` of a batch, then of a row and a column in it.
    let at = |x: &ArrayD<f64>, batch: &[usize], i: usize, j: usize| {
        let missing = axes - x.ndim();
        let batch = batch[missing..].iter().zip(x.shape()).map(|(&i, &length)| if length == 1 { 0 } else { i });
        x[&batch.chain([i, j]).collect::<Vec<_>>()[..]]
    };
    let sums = style.sums(k);
    let mut out = ArrayD::from_shape_fn(shape, |index| {
        let (batch, i, j) = (&index.slice()[..axes - 2], index[axes - 2], index[axes - 1]);
        let left: Vec<f64> = (0..k).map(|l| at(&a, batch, i, l)).collect();
        let right: Vec<f64> = (0..k).map(|l| at(&b, batch, l, j)).collect();
        style.stored(sums.dot(&left, &right))
    });
    if column {
        out = out.remove_axis(Axis(axes - 1));
    }
    if row {
        out = out.remove_axis(Axis(axes - 2));
    }
    only(out)
}
