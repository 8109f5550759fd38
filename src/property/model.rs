//! Properties of whole models.

use super::sample::Sample;
use super::subject::Loaded;
use super::trial::{Pair, Posed, Trial, filled, named, part, shaped};
use crate::io::Array;
use crate::model::ModelSpec;
use crate::model::spec::Position;
use ndarray::ArrayD;
use serde_json::json;

/// Positions that a shift adds: beyond 256 not every whole number is a bf16 number.
const SHIFT: usize = 300;

/// Token ids `[batch, len]` of a sample; `salt` makes others.
fn tokens(sample: &Sample, spec: &ModelSpec, salt: u64) -> ArrayD<i64> {
    let sample = Sample { seed: sample.seed ^ salt, ..sample.clone() };
    sample.numbers().below(&[sample.batch, sample.tokens()], spec.vocab_size)
}

/// Whether the longest request of a sample fits the model's positions.
fn fits(sample: &Sample, spec: &ModelSpec) -> bool {
    spec.embedding.learned_positions.is_none_or(|rows| sample.tokens() <= rows)
}

fn ask(steps: Option<Vec<usize>>, arrays: Vec<(&str, ArrayD<i64>)>) -> Posed {
    let params = match steps {
        None => json!({}),
        Some(steps) => json!({"steps": steps}),
    };
    let inputs = arrays.into_iter().map(|(name, array)| (name, Array::I64(array))).collect();
    Posed { op: "model", params, inputs: named(inputs) }
}

fn cut(array: &ArrayD<i64>, axis: usize, from: usize, to: usize) -> ArrayD<i64> {
    array.slice_axis(ndarray::Axis(axis), (from..to).into()).as_standard_layout().into_owned()
}

/// The tokens of each request of `a`, and those of `b` behind them.
fn behind(a: &ArrayD<i64>, b: &ArrayD<i64>) -> ArrayD<i64> {
    let first = a.shape()[1];
    let token = |at: &[usize]| if at[1] < first { a[at] } else { b[[at[0], at[1] - first]] };
    filled(&[a.shape()[0], first + b.shape()[1]], &token)
}

/// Logits `[batch, len, vocab_size]` of two questions are equal.
fn same(posed: [Posed; 2], shape: Vec<usize>) -> Trial {
    Trial::new(posed.into(), move |answers| {
        let logits = |question| shaped(answers, question, "logits", &shape).cloned();
        Some(Pair { actual: logits(1)?, expected: logits(0)? })
    })
}

/// Logits of a token do not depend on later tokens.
pub(super) fn causality(sample: &Sample, model: &Loaded) -> Option<Trial> {
    let spec = model.spec();
    let (one, other) = (tokens(sample, spec, 0), tokens(sample, spec, 1));
    let (first, len) = (sample.first, sample.tokens());
    let changed = behind(&cut(&one, 1, 0, first), &cut(&other, 1, first, len));
    let shape = vec![sample.batch, len, spec.vocab_size];
    let posed = [one, changed].map(|ids| ask(None, vec![("input_ids", ids)]));
    fits(sample, spec).then(|| {
        Trial::new(posed.into(), move |answers| {
            let before = |question| Some(part(shaped(answers, question, "logits", &shape)?, 1, 0, first));
            Some(Pair { actual: before(1)?, expected: before(0)? })
        })
    })
}

/// A prompt and then token by token through the cache, or in chunks, is the whole.
pub(super) fn cached_is_whole(sample: &Sample, model: &Loaded) -> Option<Trial> {
    let spec = model.spec();
    let ids = tokens(sample, spec, 0);
    let mut steps = vec![sample.first];
    match sample.seed % 2 {
        0 => steps.extend(vec![1; sample.then]),
        _ => steps.push(sample.then),
    }
    let shape = vec![sample.batch, sample.tokens(), spec.vocab_size];
    let posed = [None, Some(steps)].map(|steps| ask(steps, vec![("input_ids", ids.clone())]));
    // Frequencies that depend on the length of a call make it another question.
    (fits(sample, spec) && !spec.depends_on_call_length()).then(|| same(posed, shape))
}

/// Each request of a batch has the logits that it has alone.
pub(super) fn batch_is_alone(sample: &Sample, model: &Loaded) -> Option<Trial> {
    let spec = model.spec();
    let sample = Sample { batch: sample.batch.max(2), ..sample.clone() };
    let (ids, last, len) = (tokens(&sample, spec, 0), sample.batch - 1, sample.tokens());
    let alone = cut(&ids, 0, last, last + 1);
    let (batch, vocab) = (sample.batch, spec.vocab_size);
    let posed = vec![ask(None, vec![("input_ids", alone)]), ask(None, vec![("input_ids", ids)])];
    fits(&sample, spec).then(|| {
        Trial::new(posed, move |answers| {
            let whole = shaped(answers, 1, "logits", &[batch, len, vocab])?;
            let expected = shaped(answers, 0, "logits", &[1, len, vocab])?.clone();
            Some(Pair { actual: part(whole, 0, last, last + 1), expected })
        })
    })
}

/// A request behind padding, beside a longer one, has the logits that it has alone.
pub(super) fn padded_is_alone(sample: &Sample, model: &Loaded) -> Option<Trial> {
    let spec = model.spec();
    let sample = Sample { batch: 2, ..sample.clone() };
    let (ids, first, len) = (tokens(&sample, spec, 0), sample.first, sample.tokens());
    let alone = cut(&cut(&ids, 0, 1, 2), 1, first, len);
    let mask = filled(&[2, len], &|at| i64::from(at[0] == 0 || at[1] >= first));
    let vocab = spec.vocab_size;
    let posed =
        vec![ask(None, vec![("input_ids", alone)]), ask(None, vec![("input_ids", ids), ("attention_mask", mask)])];
    (fits(&sample, spec) && !spec.depends_on_call_length()).then(|| {
        Trial::new(posed, move |answers| {
            let whole = shaped(answers, 1, "logits", &[2, len, vocab])?;
            let actual = part(&part(whole, 0, 1, 2), 1, first, len);
            Some(Pair { actual, expected: shaped(answers, 0, "logits", &[1, len - first, vocab])?.clone() })
        })
    })
}

/// What stands in padded places does not matter.
pub(super) fn padding_unseen(sample: &Sample, model: &Loaded) -> Option<Trial> {
    let spec = model.spec();
    let (one, other) = (tokens(sample, spec, 0), tokens(sample, spec, 1));
    let (first, len) = (sample.first, sample.tokens());
    let changed = behind(&cut(&other, 1, 0, first), &cut(&one, 1, first, len));
    let mask = filled(&[sample.batch, len], &|at| i64::from(at[1] >= first));
    let posed = [one, changed].map(|ids| ask(None, vec![("input_ids", ids), ("attention_mask", mask.clone())]));
    let shape = vec![sample.batch, len, spec.vocab_size];
    fits(sample, spec).then(|| {
        Trial::new(posed.into(), move |answers| {
            let real = |question| Some(part(shaped(answers, question, "logits", &shape)?, 1, first, len));
            Some(Pair { actual: real(1)?, expected: real(0)? })
        })
    })
}

/// A request that follows another one in the same process has the logits that it has alone.
pub(super) fn second_request(sample: &Sample, model: &Loaded) -> Option<Trial> {
    let spec = model.spec();
    let (one, other) = (tokens(sample, spec, 0), tokens(sample, spec, 1));
    let len = sample.tokens();
    let steps = vec![sample.first, sample.then];
    let shape = [sample.batch, len, spec.vocab_size];
    let alone = ask(Some(steps.clone()), vec![("input_ids", other.clone())]);
    let mut both = ask(None, vec![("input_ids.0", one), ("input_ids.1", other)]);
    both.params = json!({"steps": [steps, steps]});
    fits(sample, spec).then(|| {
        Trial::new(vec![alone, both], move |answers| {
            let actual = shaped(answers, 1, "logits.1", &shape)?.clone();
            Some(Pair { actual, expected: shaped(answers, 0, "logits", &shape)?.clone() })
        })
    })
}

/// With rotary positions alone only differences of positions count.
pub(super) fn positions_relative(sample: &Sample, model: &Loaded) -> Option<Trial> {
    let spec = model.spec();
    let relative = spec.embedding.learned_positions.is_none()
        && spec.layers.iter().all(|layer| matches!(layer.attention.position, Position::Rope(_)))
        && !spec.depends_on_call_length();
    let shift = model.max_positions.unwrap_or(SHIFT).saturating_sub(sample.tokens()).min(SHIFT);
    let ids = tokens(sample, spec, 0);
    let positions = |from: usize| filled(&[sample.batch, sample.tokens()], &|at| (from + at[1]) as i64);
    let posed = [0, shift].map(|from| ask(None, vec![("input_ids", ids.clone()), ("position_ids", positions(from))]));
    (relative && shift > 0).then(|| same(posed, vec![sample.batch, sample.tokens(), spec.vocab_size]))
}
