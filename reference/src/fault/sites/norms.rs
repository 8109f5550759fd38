//! Norms, the residual stream and the MLP by other formulas.

use super::{D, Sites};
use crate::eval::{Evaluator, Numerics};
use crate::model::Model;
use crate::model::spec::{QkNormOver, Residual};
use crate::num::core_math;
use crate::num::{Dtype, round_f64};
use crate::ops::activation::Activation;
use crate::ops::norm::{Downcast, Norm, NormKind, NormSpec, WeightForm, norm};
use ndarray::{Array1, Array4, ArrayD, Axis, s};
use std::f64::consts::PI;

const NORMS: [D; 8] = [
    D::EpsOutsideRoot,
    D::EpsInflated,
    D::DividedByRsqrt,
    D::SumForMean,
    D::MeanSubtracted,
    D::Unbiased,
    D::StatisticsInBf16,
    D::WeightInLowPrecision,
];

/// Kinds of norms that a model has.
pub(super) fn kinds(model: &Model<f64>) -> Vec<NormKind> {
    let spec = &model.spec;
    let mut norms = vec![spec.final_norm, spec.embedding.norm];
    for layer in &spec.layers {
        let qk = layer.attention.qk_norm.map(|qk| qk.norm);
        norms.extend([layer.input_norm, layer.post_attention_norm, layer.mlp_norm, layer.post_mlp_norm, qk]);
    }
    norms.into_iter().flatten().map(|norm| norm.kind).collect()
}

/// Whether an activation is one of GELU's forms.
pub(super) fn is_gelu(activation: Activation) -> bool {
    matches!(activation, Activation::GeluErf | Activation::GeluTanh | Activation::GeluTanhShort { .. })
}

impl Sites<'_> {
    pub(super) fn wrong_norm(&self, site: &str) -> Option<ArrayD<f64>> {
        if !self.any(&NORMS) {
            return None;
        }
        let weights = &self.model.weights;
        if self.layer.is_none() {
            let spec = &self.model.spec;
            return match site {
                "final_norm" => self.normed(self.last(&["x"])?, spec.final_norm.as_ref()?, &weights.final_norm),
                "embed" => {
                    let x = self.last(&["embed_tokens", "embed_sum"])?;
                    self.normed(x, spec.embedding.norm.as_ref()?, &weights.embed_norm)
                }
                _ => None,
            };
        }
        let (spec, weights) = (self.layer_spec()?, weights.layers.get(self.layer?)?);
        match site {
            "input_norm" => self.normed(self.last(&["x"])?, spec.input_norm.as_ref()?, &weights.input_norm),
            "mlp_norm" => {
                let parallel = spec.residual == Residual::Parallel;
                let x = self.last(if parallel { &["x"] } else { &["attn_residual"] })?;
                self.normed(x, spec.mlp_norm.as_ref()?, &weights.mlp_norm)
            }
            "attn.post_norm" => {
                let x = self.last(&["attn.out"])?;
                self.normed(x, spec.post_attention_norm.as_ref()?, &weights.post_attention_norm)
            }
            "mlp.post_norm" => {
                self.normed(self.last(&["mlp.down"])?, spec.post_mlp_norm.as_ref()?, &weights.post_mlp_norm)
            }
            "attn.q_norm" => Some(self.qk_normed(self.last4(&["attn.q"])?, &weights.q_norm)?.into_dyn()),
            "attn.k_norm" => Some(self.qk_normed(self.last4(&["attn.k"])?, &weights.k_norm)?.into_dyn()),
            _ => None,
        }
    }

    fn normed(&self, x: &ArrayD<f64>, spec: &NormSpec, weights: &Norm<f64>) -> Option<ArrayD<f64>> {
        let mut y = x.as_standard_layout().into_owned();
        let width = y.shape().last().copied().unwrap_or(1).max(1);
        for row in y.as_slice_mut()?.chunks_mut(width) {
            let wrong = self.row(row, spec, weights);
            row.copy_from_slice(&wrong);
        }
        Some(y)
    }

    fn row(&self, x: &[f64], spec: &NormSpec, weights: &Norm<f64>) -> Vec<f64> {
        let n = x.len() as f64;
        let mean = |x: &[f64]| x.iter().sum::<f64>() / n;
        let mut centred = x.to_vec();
        if spec.kind == NormKind::Layer || self.has(D::MeanSubtracted) {
            let mean = mean(x);
            for x in &mut centred {
                *x -= mean;
            }
        }
        let square = |x: &[f64], n: f64| x.iter().map(|x| x * x).sum::<f64>() / n;
        let eps = spec.norm_eps;
        let below = if self.has(D::Unbiased) && spec.kind == NormKind::Layer { n - 1.0 } else { n };
        let statistic = if self.has(D::SumForMean) { square(&centred, 1.0) } else { square(&centred, below) };
        let statistic = if self.has(D::StatisticsInBf16) { round_f64(statistic, Dtype::Bf16) } else { statistic };
        let divisor = if self.has(D::EpsOutsideRoot) {
            statistic.sqrt() + eps
        } else if self.has(D::EpsInflated) {
            let top = centred.iter().fold(0.0, |top: f64, x| if x.abs() > top { x.abs() } else { top });
            let top = if top == 0.0 { 1.0 } else { top };
            top * (statistic / (top * top) + eps).sqrt()
        } else if self.has(D::DividedByRsqrt) {
            1.0 / (statistic + eps).sqrt()
        } else {
            (statistic + eps).sqrt()
        };
        let low = self.has(D::WeightInLowPrecision) && spec.kind == NormKind::Rms;
        let in_bf16 = |x: f64| if low { round_f64(x, Dtype::Bf16) } else { x };
        let weight = |i: usize| {
            let weight = weights.weight.as_ref().map_or(1.0, |weight| weight[i]);
            if spec.weight_form == WeightForm::OnePlusW { 1.0 + weight } else { weight }
        };
        // The other order of product and rounding: where the product comes first by right, 1 + w is rounded too.
        let weighted = |i: usize, x: f64| match spec.downcast {
            Downcast::BeforeWeight => in_bf16(x / divisor * weight(i)),
            Downcast::AfterWeight => in_bf16(in_bf16(x / divisor) * in_bf16(weight(i))),
        };
        let bias = |i: usize| weights.bias.as_ref().map_or(0.0, |bias| bias[i]);
        for (i, x) in centred.iter_mut().enumerate() {
            *x = weighted(i, *x) + bias(i);
        }
        centred
    }

    /// Queries or keys normed by the wrong formula.
    fn qk_normed(&self, x: Array4<f64>, weights: &Norm<f64>) -> Option<Array4<f64>> {
        let spec = self.attention()?.qk_norm?;
        over(spec.over, x, weights, &|x, weights| self.normed(&x, &spec.norm, weights))
    }

    /// Queries or keys normed by the right formula.
    pub(super) fn right_qk_norm(&self, x: Array4<f64>, keys: bool) -> Option<Array4<f64>> {
        let spec = self.attention()?.qk_norm?;
        let layer = self.model.weights.layers.get(self.layer?)?;
        let eval = Evaluator::new(Numerics::plain(Dtype::F64));
        let weights = if keys { &layer.k_norm } else { &layer.q_norm };
        over(spec.over, x, weights, &|x, weights| Some(norm(&x, weights, &spec.norm, &eval)))
    }

    pub(super) fn wrong_residual(&self, site: &str) -> Option<ArrayD<f64>> {
        let which = self.which(&[D::ResidualFromNormed, D::ResidualMissing])?;
        let spec = self.layer_spec()?;
        let from_norm = which == D::ResidualFromNormed;
        let scaled = |x: &ArrayD<f64>| spec.residual_scale.map_or_else(|| x.clone(), |scale| x * scale);
        let x = self.last(&["x"])?;
        let a_in = if from_norm { self.last(&["x", "input_norm"])? } else { x };
        let a = scaled(self.last(&["attn.out", "attn.post_norm"])?);
        let m = || Some(scaled(self.last(&["mlp.down", "mlp.post_norm"])?));
        match (spec.residual, site) {
            // Both parts are added at the end; their first sum is a site on the way.
            (Residual::Parallel, "attn_residual") => Some(if from_norm { a_in + &a } else { a }),
            (Residual::Parallel, _) => None,
            (_, "attn_residual") => from_norm.then(|| a_in + &a),
            (_, _) if from_norm => Some(self.last(&["attn_residual", "mlp_norm"])? + &m()?),
            (_, _) => Some(x + &m()?),
        }
    }

    pub(super) fn wrong_mlp(&self, site: &str) -> Option<ArrayD<f64>> {
        let spec = &self.layer_spec()?.mlp;
        if site == "mlp.gated" && self.has(D::SiluOfProduct) {
            let product = self.last(&["mlp.gate"])? * self.last(&["mlp.up"])?;
            return Some(spec.activation.apply_to(product));
        }
        if site == "mlp.activated" && self.has(D::GeluTerm) && is_gelu(spec.activation) {
            let root = (2.0 / PI).sqrt();
            let wrong = |x: f64| 0.5 * x * (1.0 + core_math::tanh(root * (x + 0.044_715 * x * x)));
            let mut activated = self.last(&["mlp.up", "mlp.gate"])?.clone();
            for x in &mut activated {
                *x = wrong(*x);
            }
            return Some(activated);
        }
        None
    }
}

/// A norm of heads: of each alone, of each with its own weights, of all together.
fn over(
    axis: QkNormOver,
    x: Array4<f64>,
    weights: &Norm<f64>,
    norm: &dyn Fn(ArrayD<f64>, &Norm<f64>) -> Option<ArrayD<f64>>,
) -> Option<Array4<f64>> {
    let (batch, heads, len, dim) = x.dim();
    match axis {
        QkNormOver::Head => norm(x.into_dyn(), weights)?.into_dimensionality().ok(),
        QkNormOver::AllHeads => {
            let merged = x.permuted_axes([0, 2, 1, 3]).as_standard_layout().into_owned();
            let merged = merged.into_shape_with_order((batch, len, heads * dim)).ok()?;
            let normed = norm(merged.into_dyn(), weights)?.into_shape_with_order((batch, len, heads, dim)).ok()?;
            Some(normed.permuted_axes([0, 2, 1, 3]).as_standard_layout().into_owned())
        }
        QkNormOver::HeadWithOwnWeight => {
            let own = |all: &Option<Array1<f64>>, h: usize| {
                all.as_ref().map(|all| all.slice(s![h * dim..(h + 1) * dim]).to_owned())
            };
            let mut out = x.clone();
            for h in 0..heads {
                let weights = Norm { weight: own(&weights.weight, h), bias: own(&weights.bias, h) };
                let normed = norm(x.index_axis(Axis(1), h).to_owned().into_dyn(), &weights)?;
                for b in 0..batch {
                    for t in 0..len {
                        for d in 0..dim {
                            out[[b, h, t, d]] = normed[[b, t, d]];
                        }
                    }
                }
            }
            Some(out)
        }
    }
}
