//! How long it takes to generate tokens after a prompt, with the cache and without.
//!
//! ```text
//! with a cache       prefill(P) + Σ decode(P + i)       i = 1 … G - 1
//! without            Σ prefill(P + i)                   i = 0 … G - 1
//! ```
//! Both give the same tokens, to the bit. Where prefill dominates, the second takes `G` times as long as the first: the limit of the
//! speed-up.

use crate::cost::{Roofline, Step, forward};
use crate::error::{Error, Result};
use crate::eval::{Evaluator, Numerics};
use crate::model::kv_cache::CacheKind;
use crate::model::{AnyModel, Call, Model, ModelSpec, Session};
use crate::num::Real;
use crate::num::sort::sort_by;
use ndarray::Array2;
use serde::Serialize;
use std::time::Instant;

/// What is to be measured.
#[derive(Debug, Clone)]
pub struct LatencyQuestion {
    /// Lengths of prompts.
    pub prompts: Vec<usize>,
    /// Tokens generated after each.
    pub generate: Vec<usize>,
    /// How the model computes.
    pub numerics: Numerics,
    /// Its cache.
    pub cache: CacheKind,
    /// Runs of each measurement before those that count.
    pub warmup: usize,
    /// Runs that count.
    pub repeats: usize,
    /// Lengths that are measured without a cache for each number of generated tokens; the others lie on lines between them.
    pub recomputed: usize,
}

/// Median and range of some runs, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Half of the runs took longer.
    pub median: f64,
    /// The quickest run.
    pub least: f64,
    /// The slowest run.
    pub most: f64,
}

impl Spread {
    /// Of at least one run.
    pub(super) fn of(mut seconds: Vec<f64>) -> Self {
        sort_by(&mut seconds, &f64::total_cmp);
        let (least, most) = (seconds[0], seconds[seconds.len() - 1]);
        Self { median: seconds[seconds.len() / 2], least, most }
    }
}

/// One prompt and one number of generated tokens.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LatencyRow {
    /// Tokens of the prompt.
    pub prompt: usize,
    /// Generated tokens, and the limit of the speed-up.
    pub generate: usize,
    /// With the cache.
    pub with_cache: Spread,
    /// Without, from the medians of the lengths that were measured.
    pub without_cache: f64,
    /// How many lengths those are.
    pub recomputed: usize,
    /// Without over with.
    pub speed_up: f64,
    /// The prompt alone.
    pub prefill: Spread,
    /// A token behind it; the median over tokens of a run. `None` where only the prompt's token is generated.
    pub decode: Option<Spread>,
    /// What the roofline of the measured limits says of the prompt.
    pub predicted_prefill: f64,
    /// And of a token halfway.
    pub predicted_decode: f64,
}

/// All rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LatencyReport {
    /// By prompt, then by number of generated tokens.
    pub rows: Vec<LatencyRow>,
}

/// Seconds of one run with the cache.
struct CachedRun {
    prefill: f64,
    decode: Vec<f64>,
}

/// Measures, and predicts by a roofline; `progress` is called after each run.
///
/// # Errors
/// Nothing to measure, a model whose positions end before the last token.
pub fn latency(
    model: &AnyModel,
    question: &LatencyQuestion,
    roofline: &Roofline,
    progress: &dyn Fn(),
) -> Result<LatencyReport> {
    match model {
        AnyModel::F64(model) => latency_in(model, question, roofline, progress),
        AnyModel::F32(model) => latency_in(model, question, roofline, progress),
    }
}

fn latency_in<T: Real>(
    model: &Model<T>,
    question: &LatencyQuestion,
    roofline: &Roofline,
    progress: &dyn Fn(),
) -> Result<LatencyReport> {
    let bytes = Bytes { weight: model.weights.embed_tokens.dtype().bytes() as u128, number: T::DTYPE.bytes() as u128 };
    let timed = Timed {
        spec: &model.spec,
        bytes,
        with_cache: &|prompt, generate| with_cache(model, question, prompt, generate),
        prefill: &|length| Ok(prefill(model, question, length)?.0),
    };
    measured(&timed, question, roofline, progress)
}

/// A model of any scalar, and how its runs are timed.
struct Timed<'a> {
    spec: &'a ModelSpec,
    bytes: Bytes,
    /// A prompt of so many tokens, and so many generated ones.
    with_cache: &'a dyn Fn(usize, usize) -> Result<CachedRun>,
    /// Seconds for so many tokens at once.
    prefill: &'a dyn Fn(usize) -> Result<f64>,
}

fn measured(
    model: &Timed,
    question: &LatencyQuestion,
    roofline: &Roofline,
    progress: &dyn Fn(),
) -> Result<LatencyReport> {
    question.refuse()?;
    let mut rows = Vec::new();
    for &prompt in &question.prompts {
        let most = question.generate.iter().copied().max().unwrap_or(1);
        let mut runs = Vec::with_capacity(question.repeats);
        let lengths = question.lengths(prompt);
        let mut recomputed = vec![Vec::with_capacity(question.repeats); lengths.len()];
        for run in 0..question.warmup + question.repeats {
            let timed = (model.with_cache)(prompt, most)?;
            progress();
            if run < question.warmup {
                continue;
            }
            runs.push(timed);
            // In turn with the cached runs, so that both see the same phases of a machine that is shared.
            for (seconds, &length) in recomputed.iter_mut().zip(&lengths) {
                seconds.push((model.prefill)(length)?);
                progress();
            }
        }
        let mut without = Vec::with_capacity(lengths.len());
        for (length, seconds) in lengths.into_iter().zip(recomputed) {
            without.push((length, Spread::of(seconds).median));
        }
        for &generate in &question.generate {
            rows.push(question.row(model, [prompt, generate], roofline, &runs, &without));
        }
    }
    Ok(LatencyReport { rows })
}

fn prefill<T: Real>(model: &Model<T>, question: &LatencyQuestion, length: usize) -> Result<(f64, Session<T>)> {
    let mut session = Session::new(&model.spec, 1, question.cache, question.numerics.cache);
    let mut eval = Evaluator::new(question.numerics);
    let ids = question.prompt_ids(&model.spec, length);
    let begin = Instant::now();
    model.last_logits(&Call { input_ids: &ids, attention_mask: None, position_ids: None }, &mut session, &mut eval)?;
    Ok((begin.elapsed().as_secs_f64(), session))
}

/// Seconds that `model` takes for one pass over so many tokens, on so many threads: the least of `runs`.
///
/// # Errors
/// No tokens, more than the model has positions for; threads that cannot be started.
pub fn pass_seconds(
    model: &AnyModel,
    question: &LatencyQuestion,
    length: usize,
    threads: usize,
    runs: usize,
) -> Result<f64> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(Error::ask)?;
    let mut least = f64::INFINITY;
    // The first run reads weights.
    for run in 0..=runs {
        let seconds = pool.install(|| match model {
            AnyModel::F64(model) => prefill(model, question, length).map(|(seconds, _)| seconds),
            AnyModel::F32(model) => prefill(model, question, length).map(|(seconds, _)| seconds),
        })?;
        least = if run > 0 && seconds < least { seconds } else { least };
    }
    Ok(least)
}

/// Some token ids: which ones changes no time.
fn token(place: usize, vocab: usize) -> i64 {
    ((place * 7919 + 1) % vocab) as i64
}

fn with_cache<T: Real>(
    model: &Model<T>,
    question: &LatencyQuestion,
    prompt: usize,
    generate: usize,
) -> Result<CachedRun> {
    let (prefill, mut session) = prefill(model, question, prompt)?;
    let mut eval = Evaluator::new(question.numerics);
    let mut decode = Vec::with_capacity(generate);
    for place in prompt..prompt + generate - 1 {
        let ids = Array2::from_elem((1, 1), token(place, model.spec.vocab_size));
        let begin = Instant::now();
        let call = Call { input_ids: &ids, attention_mask: None, position_ids: None };
        model.last_logits(&call, &mut session, &mut eval)?;
        decode.push(begin.elapsed().as_secs_f64());
    }
    Ok(CachedRun { prefill, decode })
}

impl LatencyQuestion {
    /// Token ids `[1, len]` of a prompt.
    pub fn prompt_ids(&self, spec: &ModelSpec, len: usize) -> Array2<i64> {
        let mut ids = Array2::zeros((1, len));
        for t in 0..len {
            ids[[0, t]] = token(t, spec.vocab_size);
        }
        ids
    }

    /// Calls of `progress`.
    pub fn steps(&self) -> usize {
        let of = |prompt: usize| self.warmup + self.repeats * (1 + self.lengths(prompt).len());
        self.prompts.iter().map(|&prompt| of(prompt)).sum()
    }

    /// Refuses what cannot be measured.
    ///
    /// # Errors
    /// No lengths, lengths of 0, no runs.
    pub fn refuse(&self) -> Result<()> {
        for (what, sizes) in [("--prompt", &self.prompts), ("--generate", &self.generate)] {
            if sizes.is_empty() || sizes.contains(&0) {
                return Err(Error::ask(format!("{what} is {sizes:?}; each must be at least 1")));
            }
        }
        for (what, count) in [("--repeats", self.repeats), ("--recomputed", self.recomputed)] {
            if count == 0 {
                return Err(Error::ask(format!("{what} is 0; it must be at least 1")));
            }
        }
        Ok(())
    }

    /// Lengths that are measured without a cache: for each number of tokens the first, the last, and some between.
    fn lengths(&self, prompt: usize) -> Vec<usize> {
        let mut lengths = Vec::new();
        for &generate in &self.generate {
            let (last, points) = (generate.saturating_sub(1), self.recomputed.max(2) - 1);
            lengths.extend((0..=points).map(|point| prompt + last * point / points));
        }
        lengths.sort_unstable();
        lengths.dedup();
        lengths
    }

    /// `without` says the seconds of each length that was measured without a cache, in ascending order.
    fn row(
        &self,
        model: &Timed,
        [prompt, generate]: [usize; 2],
        roofline: &Roofline,
        runs: &[CachedRun],
        without: &[(usize, f64)],
    ) -> LatencyRow {
        let tokens = generate - 1;
        let (mut whole, mut prefill, mut decode) = (Vec::new(), Vec::new(), Vec::new());
        for run in runs {
            let mut seconds = run.decode[..tokens].to_vec();
            whole.push(run.prefill + seconds.iter().sum::<f64>());
            prefill.push(run.prefill);
            if tokens > 0 {
                sort_by(&mut seconds, &f64::total_cmp);
                decode.push(seconds[tokens / 2]);
            }
        }
        let with_cache = Spread::of(whole);
        let (mut without_cache, mut recomputed) = (0.0, 0);
        for length in prompt..prompt + generate {
            without_cache += on_the_line(without, length);
            recomputed += usize::from(without.iter().any(|&(measured, _)| measured == length));
        }
        LatencyRow {
            prompt,
            generate,
            with_cache,
            without_cache,
            recomputed,
            speed_up: without_cache / with_cache.median,
            prefill: Spread::of(prefill),
            decode: (tokens > 0).then(|| Spread::of(decode)),
            predicted_prefill: self.predicted(model.spec, model.bytes, roofline, prompt, 0),
            predicted_decode: self.predicted(model.spec, model.bytes, roofline, 1, prompt + tokens / 2),
        }
    }

    /// The roofline of a call, scores staying in the caches.
    pub(super) fn predicted(
        &self,
        spec: &ModelSpec,
        bytes: Bytes,
        roofline: &Roofline,
        q_len: usize,
        past_len: usize,
    ) -> f64 {
        let step = Step { batch: 1, q_len, past_len, cache: self.cache, logits: 1 };
        let total = forward(spec, &step).total();
        let moved = [total.read, total.written];
        let moved: u128 =
            moved.iter().map(|n| n.weights * bytes.weight + (n.activations + n.cache) * bytes.number).sum();
        roofline.seconds(total.total_flops(), moved)
    }
}

/// Bytes of one stored weight, and of one number of activations and cache.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes {
    pub(super) weight: u128,
    pub(super) number: u128,
}

/// The value at `length` on the line between its neighbours; `measured` is in ascending order.
fn on_the_line(measured: &[(usize, f64)], length: usize) -> f64 {
    let (mut below, mut above) = (None, None);
    for &(at, seconds) in measured {
        if at <= length {
            below = Some((at, seconds));
        }
        if at >= length && above.is_none() {
            above = Some((at, seconds));
        }
    }
    match (below, above) {
        (Some((a, at_a)), Some((b, at_b))) if b > a => at_a + (at_b - at_a) * (length - a) as f64 / (b - a) as f64,
        (Some((_, seconds)), _) | (None, Some((_, seconds))) => seconds,
        (None, None) => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::Preset;
    use crate::num::Dtype;
    use std::cell::Cell;

    const ROOFLINE: Roofline = Roofline { peak: 1e9, bandwidth: 1e9 };

    fn question() -> LatencyQuestion {
        LatencyQuestion {
            prompts: vec![3, 8],
            generate: vec![1, 5],
            numerics: Numerics::plain(Dtype::F32),
            cache: CacheKind::Contiguous,
            warmup: 1,
            repeats: 3,
            recomputed: 3,
        }
    }

    fn small() -> AnyModel {
        let mut spec = Preset::find("llama-3-8b").unwrap().spec().unwrap();
        (spec.hidden_size, spec.vocab_size) = (16, 32);
        spec.layers.truncate(2);
        for layer in &mut spec.layers {
            layer.mlp.intermediate_size = 24;
            layer.attention.num_attention_heads = 4;
            layer.attention.num_key_value_heads = 2;
        }
        AnyModel::random(spec, 1, &Numerics::plain(Dtype::F32)).unwrap()
    }

    #[test]
    fn a_row_adds_up_what_was_measured() {
        let steps = Cell::new(0);
        let report = latency(&small(), &question(), &ROOFLINE, &|| steps.set(steps.get() + 1)).unwrap();
        assert_eq!(steps.get(), question().steps());
        let asked: Vec<_> = report.rows.iter().map(|row| (row.prompt, row.generate)).collect();
        assert_eq!(asked, [(3, 1), (3, 5), (8, 1), (8, 5)]);
        for row in &report.rows {
            assert!(row.with_cache.least > 0.0 && row.with_cache.least <= row.with_cache.median);
            assert!(row.with_cache.median <= row.with_cache.most && row.prefill.median <= row.with_cache.most);
            assert!(row.without_cache > 0.0 && row.predicted_prefill > row.predicted_decode);
            assert!((row.speed_up - row.without_cache / row.with_cache.median).abs() < 1e-9);
            assert_eq!(
                (row.decode.is_some(), row.recomputed),
                (row.generate > 1, if row.generate > 1 { 3 } else { 1 })
            );
        }
    }

    #[test]
    fn lengths_between_lie_on_lines() {
        assert_eq!(question().lengths(10), [10, 12, 14]);
        let measured = [(10, 1.0), (14, 3.0)];
        let at = |length| on_the_line(&measured, length);
        assert_eq!((at(10), at(11), at(13), at(14)), (1.0, 1.5, 2.5, 3.0));
        assert_eq!(question().steps(), 2 * (1 + 3 * (1 + 3)));
    }

    #[test]
    fn nothing_to_measure_is_refused() {
        for wrong in [
            LatencyQuestion { prompts: vec![], ..question() },
            LatencyQuestion { generate: vec![2, 0], ..question() },
            LatencyQuestion { repeats: 0, ..question() },
            LatencyQuestion { recomputed: 0, ..question() },
        ] {
            assert!(latency(&small(), &wrong, &ROOFLINE, &|| ()).unwrap_err().to_string().contains("at least 1"));
        }
    }
}
