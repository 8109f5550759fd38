//! Norms and activations.

use super::each_layer;
use crate::model::Model;
use crate::ops::activation::Activation;
use crate::ops::norm::{Norm, NormSpec, WeightForm};

/// Every norm of the stream and of queries and keys, with its weights.
fn each_norm(model: &mut Model<f64>, edit: &dyn Fn(&mut NormSpec, &mut Norm<f64>) -> bool) -> bool {
    let (spec, weights) = (&mut model.spec, &mut model.weights);
    let mut any = false;
    let mut one = |spec: Option<&mut NormSpec>, norm: &mut Norm<f64>| {
        if let Some(spec) = spec {
            any |= edit(spec, norm);
        }
    };
    one(spec.embedding.norm.as_mut(), &mut weights.embed_norm);
    one(spec.final_norm.as_mut(), &mut weights.final_norm);
    for (spec, weights) in spec.layers.iter_mut().zip(&mut weights.layers) {
        one(spec.input_norm.as_mut(), &mut weights.input_norm);
        one(spec.post_attention_norm.as_mut(), &mut weights.post_attention_norm);
        one(spec.mlp_norm.as_mut(), &mut weights.mlp_norm);
        one(spec.post_mlp_norm.as_mut(), &mut weights.post_mlp_norm);
        if let Some(qk_norm) = &mut spec.attention.qk_norm {
            let mut of_keys = qk_norm.norm;
            one(Some(&mut qk_norm.norm), &mut weights.q_norm);
            one(Some(&mut of_keys), &mut weights.k_norm);
        }
    }
    any
}

/// 1e-5 for 1e-6, and 1e-6 for any other.
pub(crate) fn other_eps(model: &mut Model<f64>) -> bool {
    each_norm(model, &|spec, _| {
        spec.norm_eps = if spec.norm_eps == 1e-6 { 1e-5 } else { 1e-6 };
        true
    })
}

/// w where 1 + w is meant, and no weight where w is.
pub(crate) fn norm_weight_missing(model: &mut Model<f64>) -> bool {
    each_norm(model, &|spec, norm| {
        match spec.weight_form {
            WeightForm::OnePlusW => spec.weight_form = WeightForm::W,
            WeightForm::W => {
                if let Some(weight) = &mut norm.weight {
                    weight.fill(1.0);
                }
            }
        }
        norm.weight.is_some()
    })
}

/// The norm before attention for the one before the MLP; of two norms behind the parts, the first for the second.
pub(crate) fn other_norm_instance(model: &mut Model<f64>) -> bool {
    let mut any = false;
    for (spec, weights) in model.spec.layers.iter().zip(&mut model.weights.layers) {
        if spec.input_norm.is_some() && spec.mlp_norm.is_some() {
            weights.mlp_norm = weights.input_norm.clone();
            any = true;
        } else if spec.post_attention_norm.is_some() && spec.post_mlp_norm.is_some() {
            weights.post_mlp_norm = weights.post_attention_norm.clone();
            any = true;
        }
    }
    any
}

/// No norm after the last layer.
pub(crate) fn final_norm_missing(model: &mut Model<f64>) -> bool {
    model.spec.final_norm.take().is_some()
}

/// The tanh form of GELU for the erf form, and the reverse.
pub(crate) fn gelu_form(model: &mut Model<f64>) -> bool {
    each_layer(model, &|layer| {
        let other = match layer.mlp.activation {
            Activation::GeluErf => Activation::GeluTanh,
            Activation::GeluTanh | Activation::GeluTanhShort { .. } => Activation::GeluErf,
            _ => return false,
        };
        layer.mlp.activation = other;
        true
    })
}

/// GELU for SiLU and SiLU for GELU.
pub(crate) fn silu_for_gelu(model: &mut Model<f64>) -> bool {
    each_layer(model, &|layer| {
        layer.mlp.activation = match layer.mlp.activation {
            Activation::Silu { .. } => Activation::GeluErf,
            _ => Activation::Silu { alpha: 1.0 },
        };
        true
    })
}
