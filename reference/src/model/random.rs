//! A model with random weights: for measuring what does not depend on them.

use super::layout::{Param, Part};
use super::weights::Source;
use super::{LayerWeights, Model, ModelSpec, Weights};
use crate::error::{Error, Result};
use crate::num::parallel::in_pieces;
use crate::num::{RandomStream, Real};
use crate::ops::linear::Linear;
use crate::ops::norm::{Norm, NormSpec};
use crate::ops::weight::Weight;
use ndarray::{Array1, Array2};

impl<T: Real> Model<T> {
    /// A model of this shape whose weights are uniform, `±1/√in` in a matrix of `in` inputs: logits of every token are finite
    /// and differ. The same seed gives the same weights.
    ///
    /// # Errors
    /// A matrix that cannot be allocated.
    pub fn random(spec: ModelSpec, seed: u64) -> Result<Self> {
        let weights = Filler { seed, matrices: 0 }.weights(&spec)?;
        Ok(Self { spec, weights })
    }
}

/// Hands out weights, those of each matrix and vector from a stream of its own.
struct Filler {
    seed: u64,
    matrices: u64,
}

impl Filler {
    fn weights<T: Real>(mut self, spec: &ModelSpec) -> Result<Weights<T>> {
        let (hidden, vocab) = (spec.hidden_size, spec.vocab_size);
        let embed_tokens: Weight<T> = self.matrix(vocab, hidden)?.into();
        let lm_head = match spec.head.tied {
            true => Linear { weight: embed_tokens.clone().transposed(), bias: self.vector(vocab, spec.head.bias)? },
            false => self.linear(None, Param::LmHead, spec.head.bias, vocab, hidden)?,
        };
        let embed_positions = match spec.embedding.learned_positions {
            Some(rows) => Some(self.matrix(rows, hidden)?.into()),
            None => None,
        };
        let embed_norm = self.norm(None, Param::EmbedNorm, spec.embedding.norm.as_ref(), hidden)?;
        let mut layers = Vec::with_capacity(spec.layers.len());
        for (i, layer) in spec.layers.iter().enumerate() {
            layers.push(LayerWeights::of(&mut self, i, layer, hidden)?);
        }
        let final_norm = self.norm(None, Param::FinalNorm, spec.final_norm.as_ref(), hidden)?;
        Ok(Weights { embed_tokens, embed_positions, embed_norm, layers, final_norm, lm_head, notes: Vec::new() })
    }

    fn vector<T: Real>(&mut self, len: usize, wanted: bool) -> Result<Option<Array1<T>>> {
        Ok(if wanted { Some(self.numbers(len, 1.0)?.into()) } else { None })
    }

    fn matrix<T: Real>(&mut self, rows: usize, columns: usize) -> Result<Array2<T>> {
        let numbers = self.numbers(rows * columns, 1.0 / (columns.max(1) as f64).sqrt())?;
        Ok(Array2::from_shape_vec((rows, columns), numbers).expect("as many numbers as asked for"))
    }

    fn numbers<T: Real>(&mut self, len: usize, size: f64) -> Result<Vec<T>> {
        let stream = RandomStream::new(self.seed, self.matrices);
        self.matrices += 1;
        let mut numbers = Vec::new();
        numbers
            .try_reserve_exact(len)
            .map_err(|_| Error::ask(format!("there is no memory for {len} random weights")))?;
        numbers.resize(len, T::ZERO);
        in_pieces(&mut numbers, 1, &|first, piece| {
            for (number, index) in piece.iter_mut().zip(first as u64..) {
                *number = T::from_f64(size * (2.0 * stream.uniform(index) - 1.0));
            }
        });
        Ok(numbers)
    }
}

impl<T: Real> Source<T> for Filler {
    /// The weight lies as checkpoints have it, `[out, in]`.
    fn linear(
        &mut self,
        _: Option<usize>,
        _: fn(Part) -> Param,
        bias: bool,
        out: usize,
        input: usize,
    ) -> Result<Linear<T>> {
        let weight = Weight::from(self.matrix(out, input)?).transposed();
        Ok(Linear { weight, bias: self.vector(out, bias)? })
    }

    fn norm(
        &mut self,
        _: Option<usize>,
        _: fn(Part) -> Param,
        spec: Option<&NormSpec>,
        width: usize,
    ) -> Result<Norm<T>> {
        let Some(spec) = spec else { return Ok(Norm::default()) };
        Ok(Norm { weight: self.vector(width, spec.weight)?, bias: self.vector(width, spec.bias)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::{CacheStorage, Evaluator, Numerics};
    use crate::model::kv_cache::CacheKind;
    use crate::model::{Call, Session, family};
    use crate::num::Dtype;

    #[test]
    fn a_seed_is_a_model_whose_logits_differ_from_token_to_token() {
        let config =
            serde_json::json!({ "model_type": "gpt2", "n_embd": 12, "n_layer": 2, "n_head": 3, "vocab_size": 30 });
        let (spec, _) = family::read(config.as_object().unwrap()).unwrap();
        let logits = |seed| {
            let model = Model::<f64>::random(spec.clone(), seed).unwrap();
            let mut session = Session::new(&model.spec, 1, CacheKind::Contiguous, CacheStorage::AsComputed);
            let ids = ndarray::array![[1, 7, 2]];
            let call = Call { input_ids: &ids, attention_mask: None, position_ids: None };
            model.forward(&call, &mut session, &mut Evaluator::new(Numerics::plain(Dtype::F64))).unwrap()
        };
        let one = logits(1);
        assert_eq!(one, logits(1));
        assert_ne!(one, logits(2));
        assert!(one.iter().all(|x| x.is_finite()) && one[[0, 0, 0]] != one[[0, 0, 1]]);
    }
}
