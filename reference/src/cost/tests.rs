//! The formulas against what the reference counts while it runs, over random specs.

use super::*;
use crate::eval::{CacheStorage, Counter, Evaluator, Numerics, Operation, Work};
use crate::model::kv_cache::CacheKind;
use crate::model::spec::*;
use crate::model::{Call, LayerWeights, Model, ModelSpec, Session};
use crate::num::{Dtype, RandomStream};
use crate::ops::activation::Activation;
use crate::ops::linear::Linear;
use crate::ops::norm::{Downcast, Norm, NormKind, NormSpec, WeightForm};
use crate::ops::rope::{RopeLayout, RopeScaling, RopeSpec};
use crate::ops::weight::Weight;
use ndarray::{Array1, Array2};
use std::cell::Cell;
use std::collections::BTreeMap;

/// Choices one after the other, the same for the same seed.
struct Dice {
    stream: RandomStream,
    thrown: Cell<u64>,
}

impl Dice {
    fn new(seed: u64) -> Self {
        Self { stream: RandomStream::new(seed, 0), thrown: Cell::new(0) }
    }

    fn below(&self, end: usize) -> usize {
        let number = self.thrown.replace(self.thrown.get() + 1);
        ((self.stream.uniform(number) * end as f64) as usize).min(end - 1)
    }

    fn between(&self, first: usize, last: usize) -> usize {
        first + self.below(last - first + 1)
    }

    fn yes(&self) -> bool {
        self.below(2) == 1
    }

    fn perhaps<T>(&self, value: impl FnOnce() -> T) -> Option<T> {
        self.yes().then(value)
    }

    fn norm(&self) -> NormSpec {
        NormSpec {
            kind: if self.yes() { NormKind::Rms } else { NormKind::Layer },
            norm_eps: 1e-5,
            weight_form: if self.yes() { WeightForm::W } else { WeightForm::OnePlusW },
            downcast: Downcast::BeforeWeight,
            weight: self.yes(),
            bias: self.yes(),
        }
    }

    fn attention(&self) -> AttentionLayerSpec {
        let (kv_heads, group, half) = (self.between(1, 3), self.between(1, 3), self.between(1, 3));
        let rope = || RopeSpec {
            layout: if self.yes() { RopeLayout::HalfSplit } else { RopeLayout::Interleaved },
            rotary_dim: 2 * self.between(1, half),
            rope_theta: 1e4,
            scaling: RopeScaling::None,
        };
        AttentionLayerSpec {
            num_attention_heads: kv_heads * group,
            num_key_value_heads: kv_heads,
            head_dim: 2 * half,
            qkv_bias: self.yes(),
            o_bias: self.yes(),
            qk_norm: self.perhaps(|| QkNorm {
                norm: self.norm(),
                over: [QkNormOver::Head, QkNormOver::HeadWithOwnWeight, QkNormOver::AllHeads][self.below(3)],
            }),
            position: match self.below(3) {
                0 => Position::None,
                1 => Position::Alibi,
                _ => Position::Rope(rope()),
            },
            scale: 0.5,
            softcap: self.perhaps(|| 20.0),
            sliding_window: self.perhaps(|| self.between(1, 6)),
        }
    }

    fn layer(&self) -> LayerSpec {
        LayerSpec {
            residual: [Residual::Sequential, Residual::SequentialFromNorm, Residual::Parallel][self.below(3)],
            input_norm: self.perhaps(|| self.norm()),
            attention: self.attention(),
            post_attention_norm: self.perhaps(|| self.norm()),
            mlp_norm: self.perhaps(|| self.norm()),
            mlp: MlpSpec {
                intermediate_size: self.between(1, 9),
                activation: Activation::SILU,
                gated: self.yes(),
                bias: self.yes(),
            },
            post_mlp_norm: self.perhaps(|| self.norm()),
            residual_scale: self.perhaps(|| 0.3),
        }
    }

    fn spec(&self) -> ModelSpec {
        ModelSpec {
            model_type: "random".into(),
            vocab_size: self.between(2, 9),
            hidden_size: self.between(1, 9),
            embedding: EmbeddingSpec {
                scale: self.perhaps(|| 2.0),
                learned_positions: self.perhaps(|| 40),
                norm: self.perhaps(|| self.norm()),
            },
            layers: (0..self.between(1, 3)).map(|_| self.layer()).collect(),
            final_norm: self.perhaps(|| self.norm()),
            head: HeadSpec {
                tied: self.yes(),
                bias: self.yes(),
                scale: [Scale::None, Scale::Multiply(0.5), Scale::Divide(2.0)][self.below(3)],
                softcap: self.perhaps(|| 30.0),
            },
        }
    }
}

/// How many numbers a model's weights are.
fn numbers(model: &Model<f64>) -> u128 {
    let matrix = |weight: &Weight<f64>| weight.nrows() * weight.ncols();
    let vector = |vector: &Option<Array1<f64>>| vector.as_ref().map_or(0, |vector| vector.len());
    let norm = |norm: &Norm<f64>| vector(&norm.weight) + vector(&norm.bias);
    let linear = |linear: &Linear<f64>| matrix(&linear.weight) + vector(&linear.bias);
    let of_layer = |layer: &LayerWeights<f64>| {
        let norms = [&layer.input_norm, &layer.post_attention_norm, &layer.mlp_norm, &layer.post_mlp_norm];
        let linears = [&layer.q_proj, &layer.k_proj, &layer.v_proj, &layer.o_proj, &layer.up_proj, &layer.down_proj];
        let heads = norm(&layer.q_norm) + norm(&layer.k_norm);
        heads
            + norms.into_iter().map(norm).sum::<usize>()
            + linears.into_iter().chain(&layer.gate_proj).map(linear).sum::<usize>()
    };
    let weights = &model.weights;
    let head = if model.spec.head.tied { vector(&weights.lm_head.bias) } else { linear(&weights.lm_head) };
    let all = matrix(&weights.embed_tokens)
        + weights.embed_positions.as_ref().map_or(0, matrix)
        + norm(&weights.embed_norm)
        + weights.layers.iter().map(of_layer).sum::<usize>()
        + norm(&weights.final_norm)
        + head;
    all as u128
}

/// A prompt, chunks and single tokens.
fn calls(dice: &Dice) -> Vec<usize> {
    let mut calls = vec![dice.between(1, 7)];
    calls.extend((0..dice.below(3)).map(|_| dice.between(1, 3)));
    calls.extend(std::iter::repeat_n(1, dice.below(3)));
    calls
}

#[test]
fn formulas_are_what_the_reference_counts_for_1000_random_specs() {
    let mut seen: BTreeMap<Operation, usize> = BTreeMap::new();
    for seed in 0..1000 {
        let dice = Dice::new(seed);
        let model = Model::<f64>::random(dice.spec(), seed).unwrap();
        assert_eq!(parameters(&model.spec).total(), numbers(&model), "seed {seed}");

        let batch = dice.between(1, 3);
        let cache = match dice.below(3) {
            0 => CacheKind::Contiguous,
            1 => CacheKind::Paged { page_size: dice.between(1, 4) },
            _ => CacheKind::Ring,
        };
        let numerics = Numerics::plain(Dtype::F64);
        let mut session = Session::new(&model.spec, batch, cache, CacheStorage::AsComputed);
        let (counter, only_last) = (Counter::default(), dice.yes());
        let mut eval = Evaluator::new(numerics).counted_by(&counter);
        let mut expected: BTreeMap<Operation, Work> = BTreeMap::new();
        let mut past_len = 0;
        for q_len in calls(&dice) {
            let ids = Array2::from_shape_fn((batch, q_len), |(b, t)| ((b + t) % model.spec.vocab_size) as i64);
            let call = Call { input_ids: &ids, attention_mask: None, position_ids: None };
            if only_last {
                model.last_logits(&call, &mut session, &mut eval).unwrap();
            } else {
                model.forward(&call, &mut session, &mut eval).unwrap();
            }
            let step = Step { batch, q_len, past_len, cache, logits: if only_last { 1 } else { q_len } };
            for (operation, work) in forward(&model.spec, &step).by_operation() {
                *expected.entry(operation).or_default() += work;
            }
            past_len += q_len;
        }
        assert_eq!(counter.counts(), expected, "seed {seed}: {:#?}", model.spec);
        let held = session.cache.numbers() as u128 * 8;
        let size = KvCacheSize::new(&model.spec, cache, CacheStorage::AsComputed, Dtype::F64).unwrap();
        assert_eq!(batch as u128 * size.bytes_a_request(past_len as u128), held, "seed {seed}");
        expected.keys().for_each(|&operation| *seen.entry(operation).or_default() += 1);
    }
    // Every operation was there, and those that not every model has were absent too.
    assert_eq!(seen.len(), 11);
    for operation in [Operation::Rope, Operation::Logits, Operation::Norm] {
        assert!((100..1000).contains(&seen[&operation]), "{operation:?}: {}", seen[&operation]);
    }
}

#[test]
fn visible_pairs_are_those_of_the_mask() {
    for past_len in 0..6 {
        for q_len in 1..7 {
            for window in [None, Some(1), Some(3), Some(5), Some(40)] {
                let step = Step { batch: 1, q_len, past_len, cache: CacheKind::Contiguous, logits: q_len };
                let visible = |i: usize, j: usize| j <= past_len + i && window.is_none_or(|w| past_len + i < j + w);
                let pairs = (0..q_len).flat_map(|i| (0..past_len + q_len).map(move |j| (i, j)));
                let counted = pairs.filter(|&(i, j)| visible(i, j)).count() as u128;
                assert_eq!(step.visible_pairs(window), counted, "{past_len} {q_len} {window:?}");
            }
        }
    }
}
