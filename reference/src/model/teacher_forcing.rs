//! Teacher forcing: the logits that each of some given tokens would be chosen from.

use super::kv_cache::CacheKind;
use super::{Call, Model, Session};
use crate::error::{Error, Result};
use crate::eval::{Evaluator, Numerics};
use crate::linalg::arrays::{concatenated, reshaped};
use crate::num::Real;
use ndarray::{Array2, Array3, ArrayView3, Axis, Ix3, concatenate, s};

/// Into which calls a prompt and the tokens behind it are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forcing {
    /// The prompt in one call, all tokens in another: the cheapest way.
    Together,
    /// The prompt in one call, then a call for each token, as a decoder with a cache does.
    TokenByToken,
    /// For each token a call with everything before it, as a decoder without a cache does.
    Anew,
}

impl<T: Real> Model<T> {
    /// Logits `[batch, count, vocab_size]`: those at place `t` come of `prompt` `[batch, len]` and the first `t` of `tokens`
    /// `[batch, count]`. Whatever the calls are, they are the same to the bit, unless the model depends on the length of a call
    /// ([`ModelSpec::depends_on_call_length`](super::ModelSpec::depends_on_call_length)).
    ///
    /// # Errors
    /// Batches that differ, no prompt or no token; whatever [`Model::forward`] refuses.
    pub fn forced_logits(
        &self,
        prompt: &Array2<i64>,
        tokens: &Array2<i64>,
        forcing: Forcing,
        numerics: Numerics,
        cache: CacheKind,
    ) -> Result<Array3<T>> {
        let (batch, count) = tokens.dim();
        if prompt.nrows() != batch || prompt.ncols() == 0 || count == 0 {
            return Err(Error::ask(format!(
                "a prompt of shape {:?} is followed by tokens of shape {:?}; both must be [batch, len], and neither empty",
                prompt.dim(),
                tokens.dim()
            )));
        }
        let mut eval = Evaluator::new(numerics);
        let empty = || Session::new(&self.spec, batch, cache, numerics.cache);
        let mut session = empty();
        let mut parts = vec![self.last(prompt, &mut session, &mut eval)?];
        let before = |t: usize| tokens.slice(s![.., ..t]).to_owned();
        match forcing {
            Forcing::Together if count > 1 => {
                let ids = before(count - 1);
                let call = Call { input_ids: &ids, attention_mask: None, position_ids: None };
                parts.push(self.forward(&call, &mut session, &mut eval)?);
            }
            Forcing::Together => (),
            Forcing::TokenByToken => {
                for t in 1..count {
                    let ids = tokens.slice(s![.., t - 1..t]).to_owned();
                    parts.push(self.last(&ids, &mut session, &mut eval)?);
                }
            }
            Forcing::Anew => {
                for t in 1..count {
                    let ids = concatenate(Axis(1), &[prompt.view(), before(t).view()]).map_err(Error::ask)?;
                    parts.push(self.last(&ids, &mut empty(), &mut eval)?);
                }
            }
        }
        let parts: Vec<ArrayView3<T>> = parts.iter().map(|part| part.view()).collect();
        concatenated(Axis(1), &parts).ok_or_else(|| Error::ask("there are no logits"))
    }

    /// Logits `[batch, 1, vocab_size]` of the last token of a call.
    fn last(&self, ids: &Array2<i64>, session: &mut Session<T>, eval: &mut Evaluator) -> Result<Array3<T>> {
        let call = Call { input_ids: ids, attention_mask: None, position_ids: None };
        let logits = self.last_logits(&call, session, eval)?;
        let (batch, vocab) = logits.dim();
        Ok(reshaped(logits, Ix3(batch, 1, vocab)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::AnyModel;
    use crate::num::Dtype;
    use ndarray::array;

    #[test]
    fn every_cut_gives_the_logits_of_one_pass_over_all_tokens() {
        let config = serde_json::json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 16, "intermediate_size": 24,
            "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 32, "rms_norm_eps": 1e-5,
            "max_position_embeddings": 64, "hidden_act": "silu", "rope_theta": 10000.0, "tie_word_embeddings": false,
        });
        let spec = crate::model::family::read(config.as_object().unwrap()).unwrap().0;
        let numerics = Numerics::plain(Dtype::F32);
        let AnyModel::F32(model) = AnyModel::random(spec.clone(), 5, &numerics).unwrap() else { panic!("no f32") };
        let (prompt, tokens) = (array![[1, 2, 3], [4, 0, 2]], array![[7, 31, 0, 5], [9, 9, 1, 2]]);
        let all = array![[1, 2, 3, 7, 31, 0], [4, 0, 2, 9, 9, 1]];
        let call = Call { input_ids: &all, attention_mask: None, position_ids: None };
        let mut session = Session::new(&spec, 2, CacheKind::Contiguous, numerics.cache);
        let whole = model.forward(&call, &mut session, &mut Evaluator::new(numerics)).unwrap();
        for forcing in [Forcing::Together, Forcing::TokenByToken, Forcing::Anew] {
            let forced = model.forced_logits(&prompt, &tokens, forcing, numerics, CacheKind::Contiguous).unwrap();
            assert_eq!(forced, whole.slice(s![.., 2.., ..]), "{forcing:?}");
        }
        let one = tokens.slice(s![.., ..1]).to_owned();
        let first = model.forced_logits(&prompt, &one, Forcing::Together, numerics, CacheKind::Contiguous).unwrap();
        assert_eq!(first, whole.slice(s![.., 2..3, ..]));
        for (prompt, tokens) in
            [(array![[1, 2]], tokens.clone()), (Array2::zeros((2, 0)), tokens), (prompt, Array2::zeros((2, 0)))]
        {
            assert!(model.forced_logits(&prompt, &tokens, Forcing::Together, numerics, CacheKind::Contiguous).is_err());
        }
    }
}
