//! The latency of somebody else's program, whether its cache saves work, and whether its tokens are right.
//!
//! The program is asked to `generate` with `use_cache` true and false, and the time from question to answer counts. With `G = 1` it does the
//! prefill alone; a token behind it takes `(T(G) - T(1)) / (G - 1)`.
//!
//! The clock runs from before the inputs are written until the tokens are in memory: a program that answers before it is done, and goes on while
//! its file is read, is still on time's account. Every question has a prompt of its own ([`super::prompts`]), and every token of every
//! answer, of the runs that do not count too, is held against the reference ([`crate::generation`]). That is done behind the last
//! question, so that nothing else is computed between two of them.

use super::cache_work::CacheWork;
use super::latency::{Bytes, LatencyQuestion, LatencyReport, LatencyRow, Spread};
use super::prompts::{PromptPlace, drawn_prompt};
use crate::candidate::{Outcome, Program, ProgramQuestion};
use crate::cost::Roofline;
use crate::error::{Error, Result};
use crate::generation::{TokenJudge, TokenJudgement, Way, WrongToken, read_tokens};
use crate::io::Array;
use crate::model::ModelSpec;
use ndarray::Array2;
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// A wrong answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct WrongAnswer {
    /// Tokens of the prompt.
    pub prompt: usize,
    /// Generated tokens.
    pub generate: usize,
    /// Whether it was asked for with the cache.
    pub use_cache: bool,
    /// The first token that is wrong.
    pub first_wrong: WrongToken,
}

/// What was found of all tokens.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct TokensFound {
    /// Answers that were judged.
    pub answers: usize,
    /// Tokens that were judged.
    pub tokens: usize,
    /// Tokens other than the reference's that rounding explains.
    pub ties: usize,
    /// Of each prompt, number of tokens and way to ask, the first answer that has a wrong token; answers behind it are not judged.
    pub wrong: Vec<WrongAnswer>,
}

/// What was found besides times.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProgramFindings {
    /// Whether the cache saves work.
    pub cache: CacheWork,
    /// What the prompts were drawn from.
    pub seed: u64,
    /// What was found of the tokens; `None` where nothing judged them.
    pub tokens: Option<TokensFound>,
}

/// Prompts that are drawn for a measurement, one for each question.
#[derive(Debug, Clone)]
pub struct DrawnPrompts {
    seed: u64,
    /// For each length, for each run, those of its questions.
    drawn: Vec<Vec<Vec<Array2<i64>>>>,
}

/// What a question of a run is: how many tokens, and how.
type Asked = (usize, Way);

/// An answer that is to be judged.
struct Answer {
    prompt: Array2<i64>,
    tokens: Array2<i64>,
    way: Way,
}

/// Who is measured, and on what.
#[derive(Debug)]
pub struct Measured<'a> {
    /// The program.
    pub program: &'a mut Program,
    /// The folder of the checkpoint that it is asked about.
    pub folder: &'a Path,
    /// What the checkpoint computes.
    pub spec: &'a ModelSpec,
    /// For one question.
    pub limit: Duration,
    /// Judges the tokens, if anything does.
    pub judge: Option<&'a mut TokenJudge>,
}

/// Measures a program; `progress` is called after each question.
///
/// # Errors
/// Nothing to measure; a program that does not answer, and why; tokens of another shape or kind; a reference that cannot judge them.
pub fn program_latency(
    measured: Measured,
    question: &LatencyQuestion,
    prompts: &DrawnPrompts,
    roofline: &Roofline,
    progress: &dyn Fn(),
) -> Result<(LatencyReport, ProgramFindings)> {
    question.refuse()?;
    let Measured { program, folder, spec, limit, judge } = measured;
    let (mut rows, mut answers) = (Vec::new(), Vec::new());
    for (&prompt, runs) in question.prompts.iter().zip(&prompts.drawn) {
        // For each question of a run, its seconds in the runs that count.
        let mut seconds = vec![Vec::new(); question.asked_a_run().len()];
        for (run, prompts) in runs.iter().enumerate() {
            // In turn, so that all kinds of questions see the same phases of a machine that is shared.
            for (place, (ids, asked)) in prompts.iter().zip(question.asked_a_run()).enumerate() {
                let (took, tokens) = ask(program, folder, spec, ids, asked, limit)?;
                progress();
                if run >= question.warmup {
                    seconds[place].push(took);
                }
                answers.push(Answer { prompt: ids.clone(), tokens, way: asked.1 });
            }
        }
        for (index, &generate) in question.generate.iter().enumerate() {
            let times = [&seconds[0], &seconds[1 + 2 * index], &seconds[2 + 2 * index]];
            rows.push(row(spec, question, [prompt, generate], roofline, times));
        }
    }
    let tokens = judge.map(|judge| found(judge, &answers)).transpose()?;
    let cache = CacheWork::of(&rows);
    Ok((LatencyReport { rows }, ProgramFindings { cache, seed: prompts.seed, tokens }))
}

/// Asks one question: seconds and tokens.
fn ask(
    program: &mut Program,
    folder: &Path,
    spec: &ModelSpec,
    ids: &Array2<i64>,
    (generate, way): Asked,
    limit: Duration,
) -> Result<(f64, Array2<i64>)> {
    let inputs = BTreeMap::from([("input_ids".to_string(), Array::I64(ids.clone().into_dyn()))]);
    let params = json!({"max_new_tokens": generate, "use_cache": way == Way::WithCache});
    let question = ProgramQuestion { op: "generate", params: &params, model: Some(folder), inputs: &inputs };
    let begin = Instant::now();
    let outcome = program.ask(&question, limit)?;
    let took = begin.elapsed().as_secs_f64();
    let tokens = match outcome {
        Outcome::Answered { arrays, .. } => read_tokens(&arrays, [1, generate], spec.vocab_size),
        other => Err(other.in_words()),
    };
    let of = |why| format!("the program, asked for {generate} tokens after {}, {why}", ids.ncols());
    Ok((took, tokens.map_err(|why| Error::ask(of(why)))?))
}

/// Judges answer after answer.
fn found(judge: &mut TokenJudge, answers: &[Answer]) -> Result<TokensFound> {
    let mut found = TokensFound::default();
    for Answer { prompt, tokens, way } in answers {
        let (prompt_len, generate, use_cache) = (prompt.ncols(), tokens.ncols(), *way == Way::WithCache);
        let known =
            |wrong: &WrongAnswer| (wrong.prompt, wrong.generate, wrong.use_cache) == (prompt_len, generate, use_cache);
        if found.wrong.iter().any(known) {
            continue;
        }
        let TokenJudgement { tokens, ties, wrong: _, first_wrong } = judge.judge(prompt, tokens, *way)?;
        found.answers += 1;
        found.tokens += tokens;
        found.ties += ties;
        let wrong = first_wrong.map(|first_wrong| WrongAnswer { prompt: prompt_len, generate, use_cache, first_wrong });
        found.wrong.extend(wrong);
    }
    Ok(found)
}

impl LatencyQuestion {
    /// Questions to a program.
    pub fn program_steps(&self) -> usize {
        self.prompts.len() * (self.warmup + self.repeats) * self.asked_a_run().len()
    }

    /// The questions of a run: the prefill alone, then each number of tokens with the cache and without.
    fn asked_a_run(&self) -> Vec<Asked> {
        let mut asked = vec![(1, Way::WithCache)];
        for &generate in &self.generate {
            asked.extend([(generate, Way::WithCache), (generate, Way::WithoutCache)]);
        }
        asked
    }

    /// The same random prompts for the same seed.
    pub fn drawn(&self, spec: &ModelSpec, seed: u64) -> DrawnPrompts {
        // Any prompt will do.
        let drawn = self.drawn_where(spec, seed, &mut |_, _| Ok(true));
        DrawnPrompts { seed, drawn: drawn.unwrap_or_default() }
    }

    /// Random prompts that `tells` accepts, which is also told how many tokens are asked for behind one.
    ///
    /// # Errors
    /// No such prompt among many; those of `tells`.
    pub fn drawn_telling(
        &self,
        spec: &ModelSpec,
        seed: u64,
        tells: &mut dyn FnMut(&Array2<i64>, usize) -> Result<bool>,
    ) -> Result<DrawnPrompts> {
        Ok(DrawnPrompts { seed, drawn: self.drawn_where(spec, seed, tells)? })
    }

    fn drawn_where(
        &self,
        spec: &ModelSpec,
        seed: u64,
        tells: &mut dyn FnMut(&Array2<i64>, usize) -> Result<bool>,
    ) -> Result<Vec<Vec<Vec<Array2<i64>>>>> {
        let mut all = Vec::with_capacity(self.prompts.len());
        for (row, &len) in self.prompts.iter().enumerate() {
            let mut runs = Vec::with_capacity(self.warmup + self.repeats);
            for run in 0..self.warmup + self.repeats {
                let mut questions = Vec::new();
                for (question, (generate, _)) in self.asked_a_run().into_iter().enumerate() {
                    let place = PromptPlace { row, len, run, question, attempt: 0 };
                    questions.push(one_prompt(spec, seed, place, &mut |ids| tells(ids, generate))?);
                }
                runs.push(questions);
            }
            all.push(runs);
        }
        Ok(all)
    }
}

/// Prompts that are tried in one place.
const ATTEMPTS: usize = 100;

fn one_prompt(
    spec: &ModelSpec,
    seed: u64,
    place: PromptPlace,
    tells: &mut dyn FnMut(&Array2<i64>) -> Result<bool>,
) -> Result<Array2<i64>> {
    for attempt in 0..ATTEMPTS {
        let ids = drawn_prompt(seed, spec, PromptPlace { attempt, ..place });
        if tells(&ids)? {
            return Ok(ids);
        }
    }
    Err(Error::ask(format!(
        "behind each of {ATTEMPTS} random prompts of {} tokens the model repeats itself, so that its tokens tell nothing; name another model, \
         or ask for more tokens",
        place.len
    )))
}

fn row(
    spec: &ModelSpec,
    question: &LatencyQuestion,
    [prompt, generate]: [usize; 2],
    roofline: &Roofline,
    [prefills, cached, recomputed]: [&Vec<f64>; 3],
) -> LatencyRow {
    let prefill = Spread::of(prefills.clone());
    let (with_cache, without_cache) = (Spread::of(cached.clone()), Spread::of(recomputed.clone()).median);
    // Less than nothing is what a busy machine adds to one of the two; the question behind the prefill saw the same phase of it.
    let a_token =
        |(all, prefill): (&f64, &f64)| if all > prefill { (all - prefill) / (generate - 1) as f64 } else { 0.0 };
    let tokens = || cached.iter().zip(prefills).map(a_token).collect();
    LatencyRow {
        prompt,
        generate,
        with_cache,
        without_cache,
        recomputed: generate,
        speed_up: without_cache / with_cache.median,
        prefill,
        decode: (generate > 1).then(|| Spread::of(tokens())),
        predicted_prefill: question.predicted(spec, Bytes { weight: 4, number: 4 }, roofline, prompt, 0),
        predicted_decode: question.predicted(
            spec,
            Bytes { weight: 4, number: 4 },
            roofline,
            1,
            prompt + (generate - 1) / 2,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::unpredictable_seed;
    use crate::cost::Preset;
    use crate::eval::Numerics;
    use crate::model::kv_cache::CacheKind;
    use crate::num::Dtype;

    fn question() -> LatencyQuestion {
        LatencyQuestion {
            prompts: vec![12, 30],
            generate: vec![2, 5],
            numerics: Numerics::plain(Dtype::F32),
            cache: CacheKind::Contiguous,
            warmup: 1,
            repeats: 2,
            recomputed: 1,
        }
    }

    #[test]
    fn no_two_questions_of_a_measurement_have_the_same_prompt() {
        let spec = Preset::find("llama-3-8b").unwrap().spec().unwrap();
        let prompts = question().drawn(&spec, unpredictable_seed());
        let mut all: Vec<&Array2<i64>> = prompts.drawn.iter().flatten().flatten().collect();
        assert_eq!(all.len(), question().program_steps());
        all.sort_by_key(|ids| ids.iter().copied().collect::<Vec<_>>());
        all.dedup();
        assert_eq!(all.len(), question().program_steps());
    }

    #[test]
    fn a_prompt_is_drawn_again_until_it_tells_something() {
        let spec = Preset::find("llama-3-8b").unwrap().spec().unwrap();
        let odd = |ids: &Array2<i64>, _: usize| Ok(ids[[0, 0]] % 2 == 1);
        let prompts = question().drawn_telling(&spec, 3, &mut odd.clone()).unwrap();
        assert!(prompts.drawn.iter().flatten().flatten().all(|ids| ids[[0, 0]] % 2 == 1));
        let said = question().drawn_telling(&spec, 3, &mut |_, _| Ok(false)).unwrap_err().to_string();
        assert!(said.contains("100 random prompts of 12 tokens the model repeats itself"), "{said}");
    }
}
