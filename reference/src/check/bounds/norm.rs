//! RMSNorm and LayerNorm.
//!
//! ```text
//! RMSNorm:    y = x r w,  r = 1/√(mean(x²) + eps):  |Δr/r| ≤ (1 - t)^-½ - 1,  t = Δmean / (mean(x²) + eps),  and 4 u
//!             Δmean ≤ (n + 1) u mean(x²) + (2/n) Σ |x| δx
//! LayerNorm:  d = x - μ:  Δμ ≤ n u mean|x| + mean δx,  Δd ≤ Δμ + δx + 2 u |d|;  r as above with d for x
//! y:          |w| r δx + |y| (Δr/r + 3 u), storing
//! ```
//! A sum of n terms in any order: Jeannerod & Rump 2013, see `products`. Square roots and reciprocals count two
//! roundings each, so that `x / √…` and `x · (1/√…)` are both within.

use super::radius::{Radius, Step, Steps, repetition};
use super::{Bounded, BoundedAnswer, Shared};
use crate::error::Result;
use crate::eval::{Evaluator, Numerics};
use crate::linalg::arrays::into_values;
use crate::num::Dtype;
use crate::ops::norm::{Downcast, Norm, NormInputs, NormKind, NormSpec, WeightForm, layer_statistics, norm};
use crate::ops::question::Question;
use ndarray::Array2;

/// RMSNorm as a question.
pub(super) fn ask_rms(question: &Question, numerics: &Numerics) -> Result<BoundedAnswer> {
    let steps = Steps::of(numerics);
    let inputs = NormInputs::<f64>::read_rms(question, &Evaluator::new(*numerics))?;
    let rows = Bounded::exact(&inputs.rows.into_dyn());
    let bounded = bounded_norm(&rows, &inputs.weights, &inputs.spec, &steps);
    Ok(super::out(reshaped(bounded.stored(steps.activations), &inputs.shape, inputs.axis)))
}

/// LayerNorm as a question, with its statistics.
pub(super) fn ask_layer(question: &Question, numerics: &Numerics) -> Result<BoundedAnswer> {
    let steps = Steps::of(numerics);
    let inputs = NormInputs::<f64>::read_layer(question, &Evaluator::new(*numerics))?;
    let rows = Bounded::exact(&inputs.rows.clone().into_dyn());
    let bounded = bounded_norm(&rows, &inputs.weights, &inputs.spec, &steps);
    let mut answer = super::out(reshaped(bounded.stored(steps.activations), &inputs.shape, inputs.axis));

    let mut kept = inputs.shape.clone();
    kept[inputs.axis..].fill(1);
    let (mut means, mut deviations, mut leans) = (Vec::new(), Vec::new(), false);
    for row in inputs.rows.rows() {
        let values = row.to_vec();
        let exact = layer_statistics(&values, inputs.spec.norm_eps);
        let found = Statistics::of(&values, &vec![Radius::NONE; values.len()], &inputs.spec, &steps);
        means.push((exact.mean, found.mean.rounded(exact.mean, steps.activations)));
        let deviation = found.root.times(exact.inv_std_dev);
        deviations.push((exact.inv_std_dev, deviation.rounded(exact.inv_std_dev, steps.activations)));
        leans |= found.leans;
    }
    let shared = if leans { Shared::All } else { Shared::Leading(inputs.axis) };
    answer.push(("mean".to_string(), Bounded::from_pairs(&kept, means).sharing(shared)));
    answer.push(("inv_std_dev".to_string(), Bounded::from_pairs(&kept, deviations).sharing(shared)));
    Ok(answer)
}

/// The rows in the input's shape; the axes from `axis` on were one row.
fn reshaped(x: Bounded, shape: &[usize], axis: usize) -> Bounded {
    let shared = if x.shared == Shared::All { Shared::All } else { Shared::Leading(axis) };
    Bounded { shape: shape.to_vec(), shared, ..x }
}

/// Errors of the statistics of one row.
struct Statistics {
    /// Of the mean; none in an RMSNorm.
    mean: Radius,
    /// Relative, of `1/√(… + eps)`.
    root: Radius,
    /// `1/√(… + eps)` itself.
    inverse_root: f64,
    /// Centred values; the values themselves in an RMSNorm.
    centred: Vec<(f64, Radius)>,
    /// Whether the squares of errors outweigh the rest, which moves every row's root to the same side.
    leans: bool,
}

impl Statistics {
    fn of(row: &[f64], radii: &[Radius], spec: &NormSpec, steps: &Steps) -> Self {
        let n = row.len() as f64;
        let u = steps.arithmetic.u;
        let inner = steps.norm;
        let mut centred = Vec::with_capacity(row.len());
        let mean = match spec.kind {
            NormKind::Rms => {
                for (&x, &radius) in row.iter().zip(radii) {
                    centred.push((x, radius));
                }
                Radius::NONE
            }
            NormKind::Layer => {
                let mean = row.iter().sum::<f64>() / n;
                let (mut magnitude, mut partial, mut partial_squares) = (0.0, 0.0, 0.0);
                for x in row {
                    magnitude += x.abs();
                    partial += x;
                    partial_squares += partial * partial;
                }
                let size = u * magnitude;
                let variance = repetition(row) * u * u / 3.0 * partial_squares / (n * n);
                let summed = Radius { variance, ..Radius::uniform(size) };
                let mut inherited = Radius::NONE;
                for radius in radii {
                    inherited = inherited.plus(*radius);
                }
                let inherited = Radius { variance: inherited.variance / (n * n), ..inherited.times(1.0 / n) };
                let mean_radius = summed.plus(inherited).rounded(mean, steps.arithmetic).rounded(mean, inner);
                for (&x, &radius) in row.iter().zip(radii) {
                    let d = x - mean;
                    let radius = radius.plus(mean_radius);
                    // Twice: some centre the centred values again.
                    let radius = radius.rounded(d, steps.arithmetic).rounded(d, steps.arithmetic).rounded(d, inner);
                    centred.push((d, radius));
                }
                mean_radius
            }
        };
        let mut squares = Vec::with_capacity(row.len());
        let (mut worst, mut common, mut of_squares, mut one_sided) = (0.0, 0.0, 0.0, 0.0);
        for (d, r) in &centred {
            squares.push(d * d);
            worst += 2.0 * d.abs() * r.worst + r.worst * r.worst;
            common += 2.0 * d.abs() * r.centred + r.centred * r.centred;
            of_squares += 4.0 * d * d * r.variance;
            one_sided += r.variance;
        }
        // mean(d²) + eps
        let mean_square = squares.iter().sum::<f64>() / n;
        let below_root = mean_square + spec.norm_eps;
        // d² of an erroneous d: 2 d δ + δ², of which the second part has one sign.
        let (inherited_variance, one_sided) = (of_squares / (n * n), one_sided / n);
        let summed = (n + 1.0) * u * mean_square;
        let rounded = inner.u * mean_square + inner.floor + u * below_root;
        let t = |inherited: f64| (inherited + summed + rounded) / below_root;
        let root_of = |t: f64| if t < 1.0 { (1.0 - t).sqrt().recip() - 1.0 } else { f64::INFINITY };
        let own = Radius::several(4.0, u).plus(Radius::uniform(inner.u));
        let summing = repetition(&squares) * (u * mean_square).powi(2) * n / 9.0;
        let mean_variance = inherited_variance + 3.0 * one_sided * one_sided + summing + rounded * rounded / 3.0;
        let root = Radius {
            worst: root_of(t(worst / n)),
            centred: root_of(t(common / n)),
            variance: 0.25 * mean_variance / (below_root * below_root),
        };
        let leans = one_sided * one_sided > inherited_variance;
        Self { mean, root: root.plus(own), inverse_root: below_root.sqrt().recip(), centred, leans }
    }
}

/// A norm of each row, not yet stored.
fn bounded_norm(x: &Bounded, weights: &Norm<f64>, spec: &NormSpec, steps: &Steps) -> Bounded {
    let [rows, width] = x.axes();
    let exact = Array2::from_shape_vec((rows, width), x.value.clone()).expect("rows of one width");
    let value = norm(&exact, weights, spec, &Evaluator::new(Numerics::plain(Dtype::F64)));
    let mut out = Vec::with_capacity(x.value.len());
    let mut leans = false;
    for (row, radii) in x.value.chunks(width.max(1)).zip(x.radius.chunks(width.max(1))) {
        let found = Statistics::of(row, radii, spec, steps);
        leans |= found.leans;
        for (i, &(d, radius)) in found.centred.iter().enumerate() {
            let weight = weights.weight.as_ref().map_or(1.0, |weight| match spec.weight_form {
                WeightForm::W => weight[i],
                WeightForm::OnePlusW => 1.0 + weight[i],
            });
            let normal = d * found.inverse_root;
            // x̂ = d r, each factor with its error
            let product = Radius {
                worst: radius.worst * found.inverse_root * (1.0 + found.root.worst) + normal.abs() * found.root.worst,
                centred: radius.centred * found.inverse_root * (1.0 + found.root.centred)
                    + normal.abs() * found.root.centred,
                variance: radius.variance * found.inverse_root.powi(2) + normal * normal * found.root.variance,
            };
            let stored = match spec.downcast {
                Downcast::BeforeWeight => steps.activations,
                Downcast::AfterWeight => Step::NONE,
            };
            let normalised =
                product.rounded(normal, steps.arithmetic).rounded(normal, steps.norm).rounded(normal, stored);
            // x̂ w + b; 1 + w is one rounding more
            let scaled =
                normalised.times(weight).plus(Radius::several(2.0, steps.arithmetic.u * (normal * weight).abs()));
            let biased = match &weights.bias {
                Some(bias) => scaled.rounded(normal * weight + bias[i], steps.arithmetic),
                None => scaled,
            };
            out.push(biased);
        }
    }
    let bounded = Bounded::new(&x.shape, into_values(value), out);
    if leans { bounded.sharing(Shared::All) } else { bounded }
}
