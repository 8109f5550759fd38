//! Softmax and its logarithm, over a whole row or block by block.

use super::inputs::Inputs;
use super::style::{Pass, Style};
use super::{Answer, only};
use ndarray::Axis;

/// `exp(xⱼ − m) / Σ exp(x − m)`.
pub(super) fn softmax(inputs: &Inputs, style: &Style) -> Answer {
    along_axis(inputs, style, probabilities)
}

/// `(xⱼ − m) − ln Σ exp(x − m)`.
pub(super) fn log_softmax(inputs: &Inputs, style: &Style) -> Answer {
    along_axis(inputs, style, |row, style| {
        let (m, sum) = maximum_and_sum(row, style);
        let log_sum = style.ln(sum);
        row.iter().map(|&x| style.sub(style.sub(x, m), log_sum)).collect()
    })
}

fn along_axis(inputs: &Inputs, style: &Style, row: fn(&[f64], &Style) -> Vec<f64>) -> Answer {
    inputs.knows(&["axis"], &["x"]);
    let mut x = inputs.floats("x");
    let axis = inputs.axis(x.ndim());
    for mut lane in x.lanes_mut(Axis(axis)) {
        let values = row(&lane.to_vec(), style);
        lane.iter_mut().zip(values).for_each(|(x, y)| *x = style.stored(y));
    }
    only(x)
}

/// The softmax of one row, in the format of the arithmetic; zeros when every score is −∞.
pub(super) fn probabilities(row: &[f64], style: &Style) -> Vec<f64> {
    let (m, sum) = maximum_and_sum(row, style);
    if m == f64::NEG_INFINITY {
        return vec![0.0; row.len()];
    }
    row.iter().map(|&x| style.div(style.exp(style.sub(x, m)), sum)).collect()
}

/// The maximum m of a row and `Σ exp(x − m)`.
fn maximum_and_sum(row: &[f64], style: &Style) -> (f64, f64) {
    let block = match style.pass {
        Pass::Whole => row.len().max(1),
        Pass::Online { block } => block,
    };
    let (mut m, mut sum) = (f64::NEG_INFINITY, 0.0);
    for block in row.chunks(block) {
        let higher = block.iter().copied().fold(m, f64::max);
        if higher == f64::NEG_INFINITY {
            continue;
        }
        let exponentials: Vec<f64> = block.iter().map(|&x| style.exp(style.sub(x, higher))).collect();
        // What was summed so far was relative to the old maximum; at the start it is 0 times exp(−∞) = 0.
        let rescaled = style.mul(sum, style.exp(style.sub(m, higher)));
        sum = style.add(rescaled, style.sums(block.len()).of(&exponentials));
        m = higher;
    }
    (m, sum)
}
