//! Answers one line of standard input after the other with the seconds that a piece of work took.
//!
//! A line: `matmul f64 goldref M K N`, `matmul f32 faer M K N`, `attention f32 HEADS LENGTH HEAD_DIM` (causal),
//! `prefill VARIANT FOLDER TOKENS`, `decode VARIANT FOLDER PROMPT TOKENS` (greedy, with a cache). The work is done once on data that stay from line to
//! line, so that runs of several programs can be interleaved by whoever asks.

use faer::linalg::matmul::matmul;
use faer::{Accum, Par};
use goldref::eval::{CacheStorage, Evaluator, Numerics};
use goldref::io::Checkpoint;
use goldref::linalg::ProductRules;
use goldref::model::kv_cache::CacheKind;
use goldref::model::{Call, Model, Session, generate};
use goldref::num::{Dtype, Real};
use goldref::ops::attention::{Allowed, ScoreMask, ScoreRule, attention};
use goldref::ops::mask::MaskRule;
use ndarray::Array2;
use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::time::Instant;

/// Numbers of no meaning in (-1, 1), the same in each run.
fn numbers<T: Real>(rows: usize, columns: usize) -> Array2<T> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    Array2::from_shape_simple_fn((rows, columns), || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        T::from_f64((state >> 11) as f64 / (1u64 << 52) as f64 - 1.0)
    })
}

struct Operands<T> {
    known: HashMap<[usize; 3], (Array2<T>, Array2<T>)>,
}

impl<T: Real + faer::traits::ComplexField> Operands<T> {
    fn time(&mut self, peer: &str, [m, k, n]: [usize; 3]) -> Option<f64> {
        let (a, b) = self.known.entry([m, k, n]).or_insert_with(|| (numbers(m, k), numbers(k, n)));
        let begin;
        match peer {
            "goldref" => {
                begin = Instant::now();
                std::hint::black_box(goldref::linalg::matmul(a.view(), b.view(), ProductRules::exact_operands::<T>()));
            }
            "faer" => {
                let view = |x: &'_ Array2<T>| unsafe {
                    // SAFETY: a standard array of this shape, borrowed during the product.
                    faer::MatRef::from_raw_parts(x.as_ptr(), x.nrows(), x.ncols(), x.ncols() as isize, 1)
                };
                begin = Instant::now();
                // Row by row as the others have it.
                let mut out = faer::Mat::<T>::zeros(n, m);
                let one = T::from_f64(1.0);
                let threads = Par::rayon(rayon::current_num_threads());
                matmul(out.as_mut(), Accum::Replace, view(b).transpose(), view(a).transpose(), one, threads);
                std::hint::black_box(out);
            }
            _ => return None,
        }
        Some(begin.elapsed().as_secs_f64())
    }
}

/// Causal attention over itself, keys and values with as many heads as queries.
fn attention_seconds<T: Real>([heads, len, dim]: [usize; 3]) -> f64 {
    let tensor = |seed: usize| {
        let x = numbers::<T>(heads * len + seed, dim);
        let x = x.slice(ndarray::s![seed.., ..]).to_owned();
        x.into_shape_with_order((1, heads, len, dim)).expect("as many numbers")
    };
    let (q, k, v) = (tensor(1), tensor(2), tensor(3));
    let rule = MaskRule { causal: true, ..MaskRule::default() };
    let real = Array2::from_elem((1, len), true);
    let mask = ScoreMask { allowed: Allowed::Rule { rule, first_key: 0, real }, additive: None };
    let scores = ScoreRule { scale: 1.0 / (dim as f64).sqrt(), softcap: None };
    let mut eval = Evaluator::new(Numerics::plain(T::DTYPE));
    let begin = Instant::now();
    std::hint::black_box(attention(&q, k.view(), v.view(), &mask, &scores, None, &mut eval));
    begin.elapsed().as_secs_f64()
}

/// Models that stay from line to line.
#[derive(Default)]
struct Models {
    doubles: HashMap<String, Model<f64>>,
    singles: HashMap<String, Model<f32>>,
}

impl Models {
    fn time(&mut self, variant: &str, folder: &str, prompt: usize, tokens: usize) -> Option<f64> {
        let variant = goldref::variant::find(variant)?;
        let known = format!("{folder} {}", variant.name);
        let load = |dtype| Checkpoint::open(folder).ok().map(|checkpoint| (checkpoint, dtype));
        if variant.numerics.arithmetic == Dtype::F64 {
            if !self.doubles.contains_key(&known) {
                let (checkpoint, dtype) = load(variant.numerics.weights)?;
                self.doubles.insert(known.clone(), Model::load(&checkpoint, dtype).ok()?);
            }
            model_seconds(self.doubles.get(&known)?, variant.numerics, prompt, tokens)
        } else {
            if !self.singles.contains_key(&known) {
                let (checkpoint, dtype) = load(variant.numerics.weights)?;
                self.singles.insert(known.clone(), Model::load(&checkpoint, dtype).ok()?);
            }
            model_seconds(self.singles.get(&known)?, variant.numerics, prompt, tokens)
        }
    }
}

/// A prompt in one call, then tokens one by one.
fn model_seconds<T: Real>(model: &Model<T>, numerics: Numerics, prompt: usize, tokens: usize) -> Option<f64> {
    let vocabulary = model.spec.vocab_size;
    let ids = Array2::from_shape_fn((1, prompt), |(_, i)| (i * 37 % vocabulary) as i64);
    let mut session = Session::new(&model.spec, 1, CacheKind::Contiguous, CacheStorage::AsComputed);
    let mut eval = Evaluator::new(numerics);
    let begin = Instant::now();
    let call = Call { input_ids: &ids, attention_mask: None, position_ids: None };
    let logits = model.forward(&call, &mut session, &mut eval).ok()?;
    if tokens > 0 {
        let last = logits.slice(ndarray::s![.., prompt - 1, ..]).to_owned();
        std::hint::black_box(generate(model, last, tokens, &mut session, &mut eval).ok()?);
    }
    std::hint::black_box(logits);
    Some(begin.elapsed().as_secs_f64())
}

fn main() {
    let mut doubles = Operands::<f64> { known: HashMap::new() };
    let mut singles = Operands::<f32> { known: HashMap::new() };
    let mut models = Models::default();
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        let words: Vec<&str> = line.split_whitespace().collect();
        let seconds = match words[..] {
            ["matmul", dtype, peer, m, k, n] => {
                let sizes = [m, k, n].map(|size| size.parse().unwrap_or(0));
                if dtype == "f64" { doubles.time(peer, sizes) } else { singles.time(peer, sizes) }
            }
            ["attention", dtype, heads, len, dim] => {
                let sizes = [heads, len, dim].map(|size| size.parse().unwrap_or(1));
                Some(if dtype == "f64" { attention_seconds::<f64>(sizes) } else { attention_seconds::<f32>(sizes) })
            }
            ["prefill", variant, folder, prompt] => models.time(variant, folder, prompt.parse().unwrap_or(1), 0),
            ["decode", variant, folder, prompt, tokens] => {
                models.time(variant, folder, prompt.parse().unwrap_or(1), tokens.parse().unwrap_or(1))
            }
            _ => None,
        };
        match seconds {
            Some(seconds) => println!("{seconds}"),
            None => println!("unknown: {line}"),
        }
        let _ = std::io::stdout().flush();
    }
}
