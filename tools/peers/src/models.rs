//! Checkpoints in goldref.

use goldref::eval::{CacheStorage, Evaluator, Numerics};
use goldref::io::Checkpoint;
use goldref::model::kv_cache::CacheKind;
use goldref::model::{Call, Model, Session, generate};
use goldref::num::{Dtype, Real};
use ndarray::Array2;
use std::collections::HashMap;
use std::hint::black_box;
use std::time::Instant;

/// Models that stay from line to line, by folder and format of the weights.
#[derive(Default)]
pub struct Models {
    doubles: HashMap<(String, Dtype), Model<f64>>,
    singles: HashMap<(String, Dtype), Model<f32>>,
}

impl Models {
    /// A prompt in one call, then tokens one by one; `None` for a variant or a folder that cannot be read.
    pub fn seconds(&mut self, variant: &str, folder: &str, prompt: usize, tokens: usize) -> Option<f64> {
        let numerics = goldref::variant::find(variant)?.numerics;
        if numerics.arithmetic == Dtype::F64 {
            run(loaded(&mut self.doubles, folder, numerics.weights)?, numerics, prompt, tokens)
        } else {
            run(loaded(&mut self.singles, folder, numerics.weights)?, numerics, prompt, tokens)
        }
    }
}

fn loaded<'a, T: Real>(
    known: &'a mut HashMap<(String, Dtype), Model<T>>,
    folder: &str,
    stored: Dtype,
) -> Option<&'a Model<T>> {
    let key = (folder.to_string(), stored);
    if !known.contains_key(&key) {
        let checkpoint = Checkpoint::open(folder).ok()?;
        known.insert(key.clone(), Model::load(&checkpoint, stored).ok()?);
    }
    known.get(&key)
}

fn run<T: Real>(model: &Model<T>, numerics: Numerics, prompt: usize, tokens: usize) -> Option<f64> {
    let vocabulary = model.spec.vocab_size;
    let ids = Array2::from_shape_fn((1, prompt), |(_, i)| (i * 37 % vocabulary) as i64);
    let mut session = Session::new(&model.spec, 1, CacheKind::Contiguous, CacheStorage::AsComputed);
    let mut eval = Evaluator::new(numerics);
    let begin = Instant::now();
    let call = Call { input_ids: &ids, attention_mask: None, position_ids: None };
    if tokens > 0 {
        // As transformers' `generate`: of the prompt only the last logits.
        let last = model.last_logits(&call, &mut session, &mut eval).ok()?;
        black_box(generate(model, last, tokens, &mut session, &mut eval).ok()?);
    } else {
        black_box(model.forward(&call, &mut session, &mut eval).ok()?);
    }
    Some(begin.elapsed().as_secs_f64())
}
