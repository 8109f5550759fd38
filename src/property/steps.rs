//! The questions that show whether an answer follows its inputs: a base, and for each input the same with that input changed a little.

use super::sample::{Sample, Values};
use super::subject::Subject;
use super::trial::{Posed, filled, stored};
use crate::io::Array;
use ndarray::{ArrayD, Axis};

/// Questions of one form and one sample.
pub(super) struct Steps {
    pub(super) base: Posed,
    pub(super) changed: Vec<Step>,
}

/// The question with one input changed.
pub(super) struct Step {
    pub(super) input: String,
    pub(super) posed: Posed,
    pub(super) looks: Vec<Look>,
}

/// Where an answer is looked at, and what is asked of its change.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// What is looked at, for people.
    pub(super) answer: &'static str,
    /// Of a model, only the logits of tokens from here on.
    pub(super) from: Option<usize>,
    pub(super) bar: Bar,
}

/// What the change of an answer must meet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bar {
    /// The cosine between it and the change of the right answer is no less.
    Cosine(f64),
    /// Its norm, over that of the right answer's change, is no less.
    Norm(f64),
}

/// The cosine from which on an answer follows.
///
/// Measured on programs that compute nothing (zeros, copies of inputs, noise, one value, random projections) and on programs that are wrong somewhere (a
/// scale, a tile, a mask, a layout, an axis): of the former, the input that they follow least has a median of at most 0.10 in each form of question; of the
/// latter, each input has one of at least 0.52. Of those set aside until the rule stood, it was 0.10 and 0.60, but for a causal mask aligned top-left beside a
/// cache, which has 0 and breaks that property anyway. The norm tells less: a scale that is left out makes the change as many times too large as a copy does.
const FOLLOWS: f64 = 0.5;

/// The same for logits of tokens that stay, where tokens before them change. What comes from other tokens is a small part of what a model computes, and one
/// wrong part of it turns most of that: heads in another order leave 0.39, positions off by one in GPT-2 0.29. Noise has 0.12 at most, and a model that looks
/// at each token alone, whose whole answer has 0.69, has 0.
const FOLLOWS_CONTEXT: f64 = 0.2;

/// Positions and masks of a model say where tokens stand: they must matter, by so much of what they do to the right answer. Where a model takes them
/// wrongly, the cosine is anything (a mask off by one 0.34, another layout of rotary features 0.02), and a program that ignores them does not move at all.
const MATTERS: f64 = 0.1;

/// Sizes of the samples: requests, key heads, query heads of each, head_dim, tokens before and behind the cut.
///
/// In a third of them query heads share one of several key heads, so that a wrong grouping alone is a wrong answer and not a dead one.
const SIZES: [[usize; 6]; 6] = [
    [1, 2, 1, 8, 4, 4],
    [2, 1, 2, 8, 3, 5],
    [1, 2, 2, 16, 5, 3],
    [2, 1, 1, 16, 4, 5],
    [1, 1, 4, 8, 6, 4],
    [2, 2, 1, 16, 3, 6],
];

/// Seed of the first sample, if nobody gives another; those of the others follow it, for a property may choose by whether a seed is even.
pub(super) const SEED: u64 = 0x5eed_0000;

/// How far a number moves, as a part of how large such numbers are. Small, so that what only sees signs or the largest of a row seldom sees it; large
/// beside the roundings of every format of storage.
const STEP: f64 = 0.25;

/// How large queries and keys are. With these a softmax is far from one-hot, with or without the scale 1/√head_dim.
const QUERY: f64 = 0.5;

/// All scores of a softmax move by so much too, up or down: it does not matter to a softmax, and it does to a copy of the scores.
const SHIFT: f64 = 4.0;

/// Where rotary positions move, from 0: there the fastest pair of features points the other way, whichever way it turned.
const TURN: i64 = 3;

/// By how much the positions of the last tokens of a model move.
const GAP: i64 = 5;

pub(super) fn samples(first: u64) -> impl Iterator<Item = Sample> {
    (0..).map(move |at| first.wrapping_add(at)).zip(SIZES).map(
        |(seed, [batch, kv_heads, group, head_dim, first, then])| Sample {
            seed,
            batch,
            kv_heads,
            group,
            head_dim,
            first,
            then,
            values: Values::Normal,
        },
    )
}

impl Steps {
    /// Questions like this one, with numbers of their own: an exact property has numbers that make it easy.
    pub(super) fn of(posed: &Posed, sample: &Sample, subject: &Subject) -> Self {
        let mut base = posed.clone();
        let numbers = sample.numbers();
        for (name, array) in &mut base.inputs {
            match array {
                Array::I64(ids) if posed.op == "rope" => ids.fill(0),
                Array::I64(_) => {}
                floats => *floats = stored(&(numbers.array(floats.shape()) * size(name))),
            }
        }
        let mut changed = Vec::new();
        let moves = Sample { seed: !sample.seed, ..sample.clone() };
        for (name, array) in &base.inputs {
            let array = match array {
                Array::I64(ids) => whole(name, ids, &moves, posed.op, subject).map(Array::I64),
                floats => {
                    let floats = floats.to_f64();
                    let step = moves.numbers().array(floats.shape()) * (STEP * size(name));
                    let moved = &floats + &step;
                    Some(stored(&if posed.op == "softmax" { kept_largest(&floats, moved, sample) } else { moved }))
                }
            };
            if let Some(array) = array {
                let mut posed = base.clone();
                posed.inputs.insert(name.clone(), array);
                let looks = looks(name, posed.op, sample);
                changed.push(Step { input: name.clone(), posed, looks });
            }
        }
        Self { base, changed }
    }
}

/// Padding ends at the cut of a sample; what an answer says of padded places is nobody's business.
fn looks(input: &str, op: &str, sample: &Sample) -> Vec<Look> {
    let look = |answer, from, bar| Look { answer, from, bar };
    let later = |bar| look("the answer for later tokens", Some(behind(sample)), bar);
    match (op, input) {
        ("model", "position_ids" | "attention_mask") => vec![later(Bar::Norm(MATTERS))],
        ("model", _) => {
            let all = look("the answer", Some(sample.first), Bar::Cosine(FOLLOWS));
            vec![all, later(Bar::Cosine(FOLLOWS_CONTEXT))]
        }
        _ => vec![look("the answer", None, Bar::Cosine(FOLLOWS))],
    }
}

/// Tokens before here change and those from here on stay: behind the cut of the sample, so that padding ends before it.
fn behind(sample: &Sample) -> usize {
    sample.first + sample.then / 2
}

fn size(input: &str) -> f64 {
    match input {
        "q" | "k" | "past_key" => QUERY,
        _ => 1.0,
    }
}

/// The largest of each row stays the largest, and all scores move together: what copies scores, or picks the largest, does not follow that.
fn kept_largest(old: &ArrayD<f64>, mut moved: ArrayD<f64>, sample: &Sample) -> ArrayD<f64> {
    let shift = if sample.seed.is_multiple_of(2) { SHIFT } else { -SHIFT };
    let row = Axis(old.ndim() - 1);
    for (old, mut moved) in old.lanes(row).into_iter().zip(moved.lanes_mut(row)) {
        let largest = old.iter().fold(f64::NEG_INFINITY, |largest, &x| if x > largest { x } else { largest });
        for (&old, moved) in old.iter().zip(&mut moved) {
            let below = if *moved < largest { *moved } else { largest };
            *moved = shift + if old == largest { largest + STEP } else { below };
        }
    }
    moved
}

/// Other whole numbers that are as valid; `None` where there are none.
fn whole(name: &str, ids: &ArrayD<i64>, moves: &Sample, op: &str, subject: &Subject) -> Option<ArrayD<i64>> {
    let (place, cut) = (ids.ndim() - 1, behind(moves));
    match name.split('.').next()? {
        "input_ids" => {
            let Subject::Checkpoint(model) = subject else { return None };
            let others = model.spec().vocab_size.checked_sub(1).filter(|&others| others > 0)?;
            let away = moves.numbers().below(ids.shape(), others);
            let vocab = others as i64 + 1;
            Some(filled(ids.shape(), &|at| if at[place] < cut { (ids[at] + 1 + away[at]) % vocab } else { ids[at] }))
        }
        "position_ids" if op == "rope" => Some(ids + TURN),
        "position_ids" => {
            let Subject::Checkpoint(model) = subject else { return None };
            let last = ids.iter().max()? + GAP;
            let room = model.max_positions.is_none_or(|max| usize::try_from(last).is_ok_and(|last| last < max));
            room.then(|| filled(ids.shape(), &|at| ids[at] + if at[place] < cut { 0 } else { GAP }))
        }
        "attention_mask" => {
            // What is masked ends one place later.
            let at_cut = |at: &[usize]| ids.index_axis(Axis(place), moves.first - 1)[&at[..place]];
            Some(filled(ids.shape(), &|at| if at[place] == moves.first { at_cut(at) } else { ids[at] }))
        }
        _ => None,
    }
}
