//! RMSNorm and LayerNorm by the textbook: a quotient by the root, one mean, the biased variance.

use super::inputs::Inputs;
use super::style::{Stages, Style};
use super::{Answer, only};
use ndarray::{ArrayD, IxDyn};

/// `x / √(mean(x²) + eps) · w`.
///
/// Where stages are stored it is Llama's `x · (1/√…)`, stored before the weight unless `downcast` says after it.
pub(super) fn rms_norm(inputs: &Inputs, style: &Style) -> Answer {
    inputs.knows(&["norm_eps", "axis", "weight_form", "downcast"], &["x", "weight"]);
    let rows = Rows::of(inputs);
    let eps = style.r(inputs.number("norm_eps").unwrap());
    let sums = style.sums(rows.width);
    let offset = if inputs.word("weight_form") == Some("one_plus_w") { 1.0 } else { 0.0 };
    let weight = rows.weight(inputs, "weight").map(|w| w.iter().map(|&w| style.add(offset, w)).collect::<Vec<_>>());
    let before = inputs.word("downcast") != Some("after_weight");
    only(rows.each(|row| {
        let mean_square = style.div(sums.dot(row, row), rows.width as f64);
        let root = style.sqrt(style.add(mean_square, eps));
        for (i, x) in row.iter_mut().enumerate() {
            *x = match style.stages {
                Stages::Kept => style.div(*x, root),
                Stages::Stored => style.mul(*x, style.div(1.0, root)),
            };
            if before {
                *x = style.between(*x);
            }
            *x = style.stored(weight.as_ref().map_or(*x, |w| style.mul(*x, w[i])));
        }
    }))
}

/// `(x − mean) / √(mean((x − mean)²) + eps) · w + b`, one kernel throughout, as in PyTorch.
pub(super) fn layer_norm(inputs: &Inputs, style: &Style) -> Answer {
    inputs.knows(&["norm_eps", "axis"], &["x", "weight", "bias"]);
    let rows = Rows::of(inputs);
    let eps = style.r(inputs.number("norm_eps").unwrap());
    let sums = style.sums(rows.width);
    let (weight, bias) = (rows.weight(inputs, "weight"), rows.weight(inputs, "bias"));
    let (mut means, mut inverses) = (Vec::new(), Vec::new());
    let out = rows.each(|row| {
        let mean = style.div(sums.of(row), rows.width as f64);
        let centred: Vec<f64> = row.iter().map(|&x| style.sub(x, mean)).collect();
        let variance = style.div(sums.dot(&centred, &centred), rows.width as f64);
        let root = style.sqrt(style.add(variance, eps));
        for (i, x) in row.iter_mut().enumerate() {
            let normalised = style.div(centred[i], root);
            let weighted = weight.as_ref().map_or(normalised, |w| style.mul(normalised, w[i]));
            *x = style.stored(bias.as_ref().map_or(weighted, |b| style.add(weighted, b[i])));
        }
        means.push(style.stored(mean));
        inverses.push(style.stored(style.div(1.0, root)));
    });
    let kept: Vec<usize> = rows.shape.iter().enumerate().map(|(i, &n)| if i < rows.axis { n } else { 1 }).collect();
    let statistic = |values| ArrayD::from_shape_vec(IxDyn(&kept), values).unwrap();
    Answer::from([
        ("out".to_owned(), out),
        ("mean".to_owned(), statistic(means)),
        ("inv_std_dev".to_owned(), statistic(inverses)),
    ])
}

/// `x` with all axes from `axis` on as one.
struct Rows {
    values: Vec<f64>,
    shape: Vec<usize>,
    axis: usize,
    width: usize,
}

impl Rows {
    fn of(inputs: &Inputs) -> Self {
        let x = inputs.floats("x");
        let (shape, axis) = (x.shape().to_vec(), inputs.axis(x.ndim()));
        let width = shape[axis..].iter().product();
        Self { values: x.iter().copied().collect(), shape, axis, width }
    }

    /// A weight that fits the normalised axes, flat.
    fn weight(&self, inputs: &Inputs, name: &str) -> Option<Vec<f64>> {
        let weight = inputs.floats_if(name)?;
        Some(weight.broadcast(&self.shape[self.axis..]).unwrap().iter().copied().collect())
    }

    /// The array after `change` of each row.
    fn each(&self, change: impl FnMut(&mut [f64])) -> ArrayD<f64> {
        let mut values = self.values.clone();
        values.chunks_exact_mut(self.width).for_each(change);
        ArrayD::from_shape_vec(IxDyn(&self.shape), values).unwrap()
    }
}
