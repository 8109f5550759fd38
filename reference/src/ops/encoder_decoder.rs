//! The layers of the original transformer, as `torch.nn.TransformerEncoderLayer` and `…DecoderLayer` have them.
//!
//! ```text
//! post-norm   h = norm1(x + self_attn(x));      y = norm2(h + mlp(h))
//! pre-norm    h = x + self_attn(norm1(x));      y = h + mlp(norm2(h))          (norm_first)
//! mlp(x) = act(x W₁ᵀ + b₁) W₂ᵀ + b₂
//! ```
//! A decoder layer has attention over the encoder's `memory` between the two, with a norm of its own.

use super::activation::Activation;
use super::linear::{Linear, linear};
use super::multihead_attention::{MultiheadWeights, TorchMasks, multihead_attention, vector};
use super::norm::{Downcast, Norm, NormKind, NormSpec, WeightForm, norm};
use super::parameters::{parameters, spelled};
use super::question::{Answer, Question, answer_out, with_axes};
use super::weight::Weight;
use crate::error::{Error, Result};
use crate::eval::{Evaluator, Role};
use crate::linalg::arrays::sum;
use crate::num::Real;
use ndarray::{Array3, Ix2, Ix3};

parameters! {
    struct Params {
        num_heads: usize,
        norm_first: bool = false,
        activation: TorchActivation,
        norm_eps: f64 = 1e-5,
        num_layers: Option<usize> = None,
    }
}

/// The two activations `torch.nn` knows by name.
#[derive(Debug, Clone, Copy)]
enum TorchActivation {
    Relu,
    Gelu,
}

spelled! {
    TorchActivation {
        "relu" => Self::Relu,
        "gelu" => Self::Gelu,
    }
}

/// One sublayer and its norm, joined to the residual stream before or after it.
fn sublayer<T: Real>(
    x: &Array3<T>,
    norm_name: &str,
    params: &Params,
    question: &Question,
    eval: &mut Evaluator,
    inner: &dyn Fn(&Array3<T>, &mut Evaluator) -> Result<Array3<T>>,
) -> Result<Array3<T>> {
    if params.norm_first {
        let normed = named_norm(x, norm_name, params, question, eval)?;
        let y = inner(&normed, eval)?;
        Ok(eval.at("residual", Role::Activation, sum(x, &y)))
    } else {
        let y = inner(x, eval)?;
        let joined = eval.at("residual", Role::Activation, sum(x, &y));
        named_norm(&joined, norm_name, params, question, eval)
    }
}

fn named_norm<T: Real>(
    x: &Array3<T>,
    name: &str,
    params: &Params,
    question: &Question,
    eval: &mut Evaluator,
) -> Result<Array3<T>> {
    let weights = Norm {
        weight: vector(question, &format!("{name}.weight"), eval)?,
        bias: vector(question, &format!("{name}.bias"), eval)?,
    };
    if weights.weight.as_ref().or(weights.bias.as_ref()).is_some_and(|w| w.len() != x.dim().2) {
        return Err(Error::ask(format!("{name} must be {} wide", x.dim().2)));
    }
    let spec = NormSpec {
        kind: NormKind::Layer,
        norm_eps: params.norm_eps,
        weight_form: WeightForm::W,
        downcast: Downcast::AfterWeight,
        weight: weights.weight.is_some(),
        bias: weights.bias.is_some(),
    };
    let y = norm(x, &weights, &spec, eval);
    Ok(eval.at(name, Role::Activation, y))
}

fn mlp<T: Real>(
    x: &Array3<T>,
    prefix: &str,
    params: &Params,
    question: &Question,
    eval: &mut Evaluator,
) -> Result<Array3<T>> {
    let activation = match params.activation {
        TorchActivation::Relu => Activation::Relu,
        TorchActivation::Gelu => Activation::GeluErf,
    };
    let (first, second) = (
        named_linear(question, &format!("{prefix}linear1"), eval)?,
        named_linear(question, &format!("{prefix}linear2"), eval)?,
    );
    if first.weight.nrows() != x.dim().2 || second.weight.nrows() != first.weight.ncols() {
        return Err(Error::ask(format!("{prefix}linear1 and {prefix}linear2 do not fit a stream {} wide", x.dim().2)));
    }
    let up = linear(x, &first, eval);
    let up = eval.at("mlp.up", Role::Activation, up);
    let activated = eval.at("mlp.activated", Role::Activation, activation.apply_to(up));
    let down = linear(&activated, &second, eval);
    Ok(eval.at("mlp.down", Role::Activation, down))
}

fn named_linear<T: Real>(question: &Question, name: &str, eval: &Evaluator) -> Result<Linear<T>> {
    let weight_name = format!("{name}.weight");
    let weight = with_axes::<T, Ix2>(&weight_name, "[out, in]", question.weight(&weight_name, eval)?)?;
    Ok(Linear { weight: Weight::from(weight).transposed(), bias: vector(question, &format!("{name}.bias"), eval)? })
}

/// An encoder layer, or with `num_layers` a stack `layers.N.*` and a final `norm`: `src` → `out`.
pub(super) fn ask_encoder<T: Real>(question: &Question, eval: &mut Evaluator) -> Result<Answer> {
    let params: Params = question.read()?;
    let mut x = with_axes::<T, Ix3>("src", "[batch, len, width]", question.activation("src", eval)?)?;
    let masks = TorchMasks::read(question, "src_mask", "src_key_padding_mask", eval)?;
    for layer in 0..params.num_layers.unwrap_or(1) {
        let prefix = params.num_layers.map_or(String::new(), |_| format!("layers.{layer}."));
        let attn = MultiheadWeights::read(question, &format!("{prefix}self_attn."), params.num_heads, eval)?;
        x = sublayer(&x, &format!("{prefix}norm1"), &params, question, eval, &|x, eval| {
            multihead_attention(x, x, x, &attn, &masks, eval)
        })?;
        x = sublayer(&x, &format!("{prefix}norm2"), &params, question, eval, &|x, eval| {
            mlp(x, &prefix, &params, question, eval)
        })?;
    }
    if params.num_layers.is_some() && question.has("norm.weight") {
        x = named_norm(&x, "norm", &params, question, eval)?;
    }
    Ok(answer_out(x))
}

/// A decoder layer: `tgt`, `memory` → `out`.
pub(super) fn ask_decoder<T: Real>(question: &Question, eval: &mut Evaluator) -> Result<Answer> {
    let params: Params = question.read()?;
    let x = with_axes::<T, Ix3>("tgt", "[batch, len, width]", question.activation("tgt", eval)?)?;
    let memory = with_axes::<T, Ix3>("memory", "[batch, len, width]", question.activation("memory", eval)?)?;
    let own = TorchMasks::read(question, "tgt_mask", "tgt_key_padding_mask", eval)?;
    let cross = TorchMasks::read(question, "memory_mask", "memory_key_padding_mask", eval)?;
    let self_attn = MultiheadWeights::read(question, "self_attn.", params.num_heads, eval)?;
    let cross_attn = MultiheadWeights::read(question, "multihead_attn.", params.num_heads, eval)?;
    let x = sublayer(&x, "norm1", &params, question, eval, &|x, eval| {
        multihead_attention(x, x, x, &self_attn, &own, eval)
    })?;
    let x = sublayer(&x, "norm2", &params, question, eval, &|x, eval| {
        multihead_attention(x, &memory, &memory, &cross_attn, &cross, eval)
    })?;
    let x = sublayer(&x, "norm3", &params, question, eval, &|x, eval| mlp(x, "", &params, question, eval))?;
    Ok(answer_out(x))
}
