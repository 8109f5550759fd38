//! A model whose scalar is chosen while the program runs.
//!
//! Every function here is concrete: a crate that asks an [`AnyModel`] compiles no forward pass of its own, and runs the one that goldref was
//! compiled with, at its level of optimisation.

use super::generate::Generated;
use super::kv_cache::CacheKind;
use super::{Call, Forcing, Model, ModelSpec, Plan, PlannedRequest, Session, Watcher, generate};
use crate::error::Result;
use crate::eval::{Evaluator, Numerics};
use crate::io::Checkpoint;
use crate::linalg::convert::to_f64;
use crate::num::{Dtype, Real};
use ndarray::{Array2, Array3, ArrayD, s};

/// A [`Model`] in the scalar that computes.
#[derive(Debug, Clone)]
pub enum AnyModel {
    /// In f64.
    F64(Model<f64>),
    /// In f32.
    F32(Model<f32>),
}

/// The same expression over the model inside, whatever its scalar.
macro_rules! each {
    ($any:expr, $model:ident => $body:expr) => {
        match $any {
            AnyModel::F64($model) => $body,
            AnyModel::F32($model) => $body,
        }
    };
}

/// The logits of a request and of what was generated behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// `[batch, len, vocab_size]`: of the given tokens.
    pub logits: ArrayD<f64>,
    /// `[batch, count]`: the new tokens.
    pub tokens: Array2<i64>,
    /// `[batch, count, vocab_size]`: the logits that each was chosen from.
    pub generated_logits: ArrayD<f64>,
}

impl AnyModel {
    /// Reads a Hugging Face checkpoint for some numerics: in the scalar of their arithmetic, weights rounded to their format.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn load(checkpoint: &Checkpoint, numerics: &Numerics) -> Result<Self> {
        match numerics.arithmetic {
            Dtype::F64 => Ok(Self::F64(Model::load(checkpoint, numerics.weights)?)),
            _ => Ok(Self::F32(Model::load(checkpoint, numerics.weights)?)),
        }
    }

    /// A model of this shape with random weights, in the scalar of the numerics' arithmetic.
    ///
    /// # Errors
    /// As [`Model::random`].
    pub fn random(spec: ModelSpec, seed: u64, numerics: &Numerics) -> Result<Self> {
        match numerics.arithmetic {
            Dtype::F64 => Ok(Self::F64(Model::random(spec, seed)?)),
            _ => Ok(Self::F32(Model::random(spec, seed)?)),
        }
    }

    /// What is computed.
    pub fn spec(&self) -> &ModelSpec {
        each!(self, model => &model.spec)
    }

    /// What is to be known of the weights' files.
    pub fn notes(&self) -> &[String] {
        each!(self, model => &model.weights.notes)
    }

    /// Logits `[batch, len, vocab_size]` of each request with its suffix, widened exactly.
    ///
    /// # Errors
    /// As [`Plan::run`].
    pub fn run(
        &self,
        plan: &Plan,
        numerics: Numerics,
        cache: CacheKind,
        watcher: &mut dyn Watcher,
    ) -> Result<Vec<(String, ArrayD<f64>)>> {
        fn widened<T: Real>(
            model: &Model<T>,
            plan: &Plan,
            numerics: Numerics,
            cache: CacheKind,
            watcher: &mut dyn Watcher,
        ) -> Result<Vec<(String, ArrayD<f64>)>> {
            let mut logits = Vec::new();
            for (suffix, of_request) in plan.run(model, numerics, cache, watcher)? {
                logits.push((suffix, to_f64(&of_request)));
            }
            Ok(logits)
        }
        each!(self, model => widened(model, plan, numerics, cache, watcher))
    }

    /// Answers one request and appends `count` tokens, each the most likely one. The sites of the given tokens are watched, those of
    /// the new ones are not.
    ///
    /// # Errors
    /// As [`PlannedRequest::run`] and [`generate()`].
    pub fn complete(
        &self,
        request: &PlannedRequest,
        count: usize,
        numerics: Numerics,
        cache: CacheKind,
        watcher: &mut dyn Watcher,
    ) -> Result<Completion> {
        each!(self, model => complete(model, request, count, numerics, cache, watcher))
    }

    /// The `count` most likely tokens `[batch, count]` behind `prompt` `[batch, len]`, one after the other.
    ///
    /// # Errors
    /// No prompt; whatever [`Model::forward`] and [`generate()`] refuse.
    pub fn greedy(
        &self,
        prompt: &Array2<i64>,
        count: usize,
        numerics: Numerics,
        cache: CacheKind,
    ) -> Result<Array2<i64>> {
        fn greedy<T: Real>(
            model: &Model<T>,
            prompt: &Array2<i64>,
            count: usize,
            numerics: Numerics,
            cache: CacheKind,
        ) -> Result<Array2<i64>> {
            let mut session = Session::new(&model.spec, prompt.nrows(), cache, numerics.cache);
            let mut eval = Evaluator::new(numerics);
            let call = Call { input_ids: prompt, attention_mask: None, position_ids: None };
            let last = model.last_logits(&call, &mut session, &mut eval)?;
            Ok(generate(model, last, count, &mut session, &mut eval)?.tokens)
        }
        each!(self, model => greedy(model, prompt, count, numerics, cache))
    }

    /// As [`Model::forced_logits`], widened exactly.
    ///
    /// # Errors
    /// As [`Model::forced_logits`].
    pub fn forced_logits(
        &self,
        prompt: &Array2<i64>,
        tokens: &Array2<i64>,
        forcing: Forcing,
        numerics: Numerics,
        cache: CacheKind,
    ) -> Result<ArrayD<f64>> {
        each!(self, model => Ok(to_f64(&model.forced_logits(prompt, tokens, forcing, numerics, cache)?)))
    }
}

fn complete<T: Real>(
    model: &Model<T>,
    request: &PlannedRequest,
    count: usize,
    numerics: Numerics,
    cache: CacheKind,
    watcher: &mut dyn Watcher,
) -> Result<Completion> {
    let mut session = Session::new(&model.spec, request.batch(), cache, numerics.cache);
    let logits = request.run(model, &mut session, numerics, watcher)?;
    let (batch, _, vocab) = logits.dim();
    let generated = if count > 0 {
        let last = logits.slice(s![.., -1, ..]).to_owned();
        let mut unwatched = Evaluator::new(numerics);
        generate(model, last, count, &mut session, &mut unwatched)?
    } else {
        Generated { tokens: Array2::zeros((batch, 0)), logits: Array3::default((batch, 0, vocab)) }
    };
    Ok(Completion { logits: to_f64(&logits), tokens: generated.tokens, generated_logits: to_f64(&generated.logits) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Unwatched;

    fn spec() -> ModelSpec {
        let config = serde_json::json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 16, "intermediate_size": 24,
            "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 32, "rms_norm_eps": 1e-5,
            "max_position_embeddings": 64, "hidden_act": "silu", "rope_theta": 10000.0, "tie_word_embeddings": false,
        });
        crate::model::family::read(config.as_object().unwrap()).unwrap().0
    }

    #[test]
    fn in_either_scalar_it_answers_as_the_model_inside() {
        let ids = ndarray::array![[1, 2, 3], [4, 0, 2]];
        let tokens = Call { input_ids: &ids, attention_mask: None, position_ids: None };
        let request = PlannedRequest::new("", &tokens, &[2, 1]).unwrap();
        let plan = Plan { requests: vec![request.clone()], clears: true };
        for (arithmetic, eps) in [(Dtype::F64, 0.0), (Dtype::F32, 1e-5)] {
            let numerics = Numerics::plain(arithmetic);
            let any = AnyModel::random(spec(), 3, &numerics).unwrap();
            assert_eq!(matches!(any, AnyModel::F64(_)), arithmetic == Dtype::F64);
            let (suffix, logits) =
                any.run(&plan, numerics, CacheKind::Contiguous, &mut Unwatched).unwrap().pop().unwrap();
            assert_eq!(suffix, "");

            let model: Model<f64> = Model::random(spec(), 3).unwrap();
            let exact = plan.run(&model, Numerics::plain(Dtype::F64), CacheKind::Contiguous, &mut Unwatched).unwrap();
            let exact = &exact[""];
            assert_eq!(logits.shape(), exact.shape());
            assert!(logits.iter().zip(exact).all(|(a, e)| (a - e).abs() <= eps));

            let completion = any.complete(&request, 2, numerics, CacheKind::Contiguous, &mut Unwatched).unwrap();
            assert_eq!(completion.logits, logits);
            assert_eq!((completion.tokens.dim(), completion.generated_logits.shape()[1]), ((2, 2), 2));
            assert_eq!(any.greedy(&ids, 2, numerics, CacheKind::Contiguous).unwrap(), completion.tokens);
        }
    }
}
