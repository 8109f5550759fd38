//! `goldref bench`.

use super::choice::choice;
use super::exit_code;
use super::format::Format;
use super::named_model::has_weights;
use super::program::{seconds, shown};
use super::progress;
use super::report::{note, plottable, say};
use super::this_machine::available_memory;
use crate::bench::{
    CacheWork, LatencyQuestion, Limits, Measured, ProgramFindings, latency, program_latency, unpredictable_seed,
};
use crate::candidate::Program;
use crate::cost::{Roofline, parameters, spec_of};
use crate::error::{Error, Result};
use crate::eval::Numerics;
use crate::generation::TokenJudge;
use crate::io::{self, Checkpoint};
use crate::model::{AnyModel, ModelSpec};
use crate::report::{BenchReport, bench_json, bench_plot, bench_text};
use crate::variant::{self, Variant};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `goldref bench`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With a cache: the prompt in one call, then a call a token. Without: for each token a call with everything before it, through
the same model, which gives the same logits to the bit. A model without weights on disk gets random ones, which changes no time.
A program behind -- is asked instead, in the protocol of docs/candidates.md, each question with a random prompt of its own. Every token is held against
the reference. The exit code is 1 if the cache saves no work, or a token is wrong.

Examples:
  goldref bench --model Llama
  goldref bench --model gpt2 --prompt 10,100,1000 --generate 20,100 --plot latency.svg
  goldref bench --model qwen3-0.6b --variant bf16-paged --repeats 5 --format json > bench.json
  goldref bench --model Llama --prompt 10,100,1000 -- python student.py
  goldref bench --model Llama --variant bf16 --seed 7 -- ./decoder")]
pub(crate) struct Args {
    /// A checkpoint's folder, or a config.json or the name of a public model (`goldref cost --list`) for random weights
    #[arg(long, value_name = "MODEL")]
    model: String,
    /// How to compute, and through which cache; of a program, the formats that its tokens are judged as. `goldref check` lists the variants
    #[arg(long, value_name = "NAME", default_value = "f32")]
    variant: String,
    /// Tokens of the prompts
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "10,50,100,500,1000,10000")]
    prompt: Vec<usize>,
    /// Tokens to generate after each
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "20")]
    generate: Vec<usize>,
    /// Runs that do not count before those that do
    #[arg(long, value_name = "N", default_value = "1")]
    warmup: usize,
    /// Runs of each measurement; the median counts
    #[arg(long, value_name = "N", default_value = "3")]
    repeats: usize,
    /// Lengths measured without a cache for each number of tokens; the others lie on lines between them
    #[arg(long, value_name = "N", default_value = "3", conflicts_with = "program")]
    recomputed: usize,
    /// How to print
    #[arg(long, value_parser = choice::<Format>(), default_value = "text")]
    format: Format,
    /// Draw latency over the length of the prompt
    #[arg(long, value_name = "FILE.svg|FILE.png")]
    plot: Option<PathBuf>,
    /// Seconds that a program may take for one question
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "600")]
    limit: Duration,
    /// What the prompts of a program are drawn from, as a report names it; otherwise nobody can predict them
    #[arg(long, value_name = "N", requires = "program", value_parser = clap::value_parser!(u64).range(..1 << 53))]
    seed: Option<u64>,
    /// Do not hold the tokens of a program against the reference, which passes over every prompt in f64
    #[arg(long, requires = "program")]
    unjudged: bool,
    /// A program to measure instead of goldref's own variants
    #[arg(last = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

/// Runs the command.
pub(crate) fn main(args: &Args) -> Result<u8> {
    let variant = variant::named(&args.variant)?;
    let picture = args.plot.as_deref().map(plottable).transpose()?;
    let spec = spec_of(&args.model)?;
    let report =
        if args.program.is_empty() { measured(args, variant, spec)? } else { of_program(args, variant, &spec)? };
    if let (Some(path), Some(picture)) = (&args.plot, picture) {
        io::write_bytes(path, &bench_plot(&report, picture))?;
    }
    say(&match args.format {
        Format::Text => bench_text(&report),
        Format::Json => bench_json(&report),
    });
    let disagrees = |found: &ProgramFindings| {
        matches!(found.cache, CacheWork::Recomputes { .. })
            || found.tokens.as_ref().is_some_and(|tokens| !tokens.wrong.is_empty())
    };
    Ok(if report.program.as_ref().is_some_and(disagrees) { exit_code::DISAGREED } else { exit_code::AGREED })
}

fn question(args: &Args, variant: &Variant) -> Result<LatencyQuestion> {
    let question = LatencyQuestion {
        prompts: args.prompt.clone(),
        generate: args.generate.clone(),
        numerics: variant.numerics,
        cache: variant.cache,
        warmup: args.warmup,
        repeats: args.repeats,
        recomputed: args.recomputed,
    };
    question.refuse()?;
    Ok(question)
}

/// Measures a program.
fn of_program(args: &Args, variant: &'static Variant, spec: &ModelSpec) -> Result<BenchReport> {
    let question = question(args, variant)?;
    if !has_weights(&args.model) {
        return Err(Error::ask(format!(
            "{} has no weights here; a program is asked about a checkpoint's folder",
            args.model
        )));
    }
    let folder = std::path::absolute(&args.model).map_err(|e| Error::read(&args.model, e))?;
    let limits = Limits::measure();
    let roofline = Roofline { peak: limits.f32_peak, bandwidth: limits.bandwidth };
    let mut judge = match args.unjudged {
        true => None,
        false => Some(TokenJudge::open(Checkpoint::open(&folder)?, variant)?),
    };
    let prompts = question.drawn(spec, args.seed.unwrap_or_else(unpredictable_seed));
    let mut program = Program::start(&args.program)?;
    let bar = progress::bar(question.program_steps(), "questions");
    let asked = Measured { program: &mut program, folder: &folder, spec, limit: args.limit, judge: judge.as_mut() };
    let measured = program_latency(asked, &question, &prompts, &roofline, &|| bar.inc(1));
    bar.finish_and_clear();
    let (latency, found) = measured?;
    Ok(BenchReport { model: args.model.clone(), variant: shown(&args.program), limits, latency, program: Some(found) })
}

fn measured(args: &Args, variant: &Variant, spec: ModelSpec) -> Result<BenchReport> {
    let question = question(args, variant)?;
    let model = load(&args.model, spec, &variant.numerics)?;
    let limits = Limits::measure();
    let bar = progress::bar(question.steps(), "runs");
    let peak = match model {
        AnyModel::F64(_) => limits.f64_peak,
        AnyModel::F32(_) => limits.f32_peak,
    };
    let roofline = Roofline { peak, bandwidth: limits.bandwidth };
    let latency = latency(&model, &question, &roofline, &|| bar.inc(1));
    bar.finish_and_clear();
    let (model, variant) = (args.model.clone(), variant.name.to_string());
    Ok(BenchReport { model, variant, limits, latency: latency?, program: None })
}

/// The checkpoint, or random weights.
fn load(name: &str, spec: ModelSpec, numerics: &Numerics) -> Result<AnyModel> {
    if has_weights(name) {
        return AnyModel::load(&Checkpoint::open(name)?, numerics);
    }
    let bytes = parameters(&spec).total() * numerics.arithmetic.bytes() as u128;
    if let Some(available) = available_memory().filter(|&available| bytes > available) {
        return Err(Error::ask(format!(
            "random weights of {name} take {:.1} GB and {:.1} GB of memory are free; name a checkpoint, whose files are mapped, or a smaller model",
            bytes as f64 / 1e9,
            available as f64 / 1e9
        )));
    }
    note(&format!("{name} has no weights here; they are random"));
    AnyModel::random(spec, 1, numerics)
}
