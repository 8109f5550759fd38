//! `goldref bench`.

use super::exit_code;
use super::named_model::{has_weights, spec_of};
use super::progress;
use super::report::{note, say};
use super::run::writable;
use super::this_machine::available_memory;
use clap::ValueEnum;
use goldref::bench::{LatencyQuestion, LatencyReport, Limits, latency};
use goldref::cost::{Roofline, parameters};
use goldref::error::{Error, Result};
use goldref::io::{self, Checkpoint};
use goldref::model::{Model, ModelSpec};
use goldref::num::{Dtype, Real};
use goldref::report::{BenchReport, bench_json, bench_svg, bench_text};
use goldref::variant::{self, Variant};
use std::path::PathBuf;

/// Arguments of `goldref bench`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With a cache: the prompt in one call, then a call a token. Without: for each token a call with everything before it, through
the same model, which gives the same logits to the bit. A model without weights on disk gets random ones, which changes no time.

Examples:
  goldref bench --model Llama
  goldref bench --model gpt2 --prompt 10,100,1000 --generate 20,100 --plot latency.svg
  goldref bench --model qwen3-0.6b --variant bf16-paged --repeats 5 --format json > bench.json")]
pub(crate) struct Args {
    /// A checkpoint's folder, or a config.json or the name of a public model (`goldref cost --list`) for random weights
    #[arg(long, value_name = "MODEL")]
    model: String,
    /// How to compute, and through which cache; `goldref check` lists the variants
    #[arg(long, value_name = "NAME", default_value = "f32")]
    variant: String,
    /// Tokens of the prompts
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "10,50,100,500,1000,10000")]
    prompt: Vec<usize>,
    /// Tokens to generate after each
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "20")]
    generate: Vec<usize>,
    /// Runs that do not count before those that do
    #[arg(long, value_name = "N", default_value_t = 1)]
    warmup: usize,
    /// Runs of each measurement; the median counts
    #[arg(long, value_name = "N", default_value_t = 3)]
    repeats: usize,
    /// Lengths measured without a cache for each number of tokens; the others lie on lines between them
    #[arg(long, value_name = "N", default_value_t = 3)]
    recomputed: usize,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Draw latency over the length of the prompt
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// A table for people
    Text,
    /// Everything, for programs
    Json,
}

/// Runs the command.
pub(crate) fn main(args: &Args) -> Result<u8> {
    let variant = variant::find(&args.variant).ok_or_else(|| {
        Error::ask(format!("no variant is called \"{}\"; there are: {}", args.variant, variant::names().join(", ")))
    })?;
    args.plot.as_deref().map_or(Ok(()), writable)?;
    let spec = spec_of(&args.model)?;
    let (limits, latency) = match variant.numerics.arithmetic {
        Dtype::F64 => measured::<f64>(args, variant, spec, |limits| limits.f64_peak)?,
        _ => measured::<f32>(args, variant, spec, |limits| limits.f32_peak)?,
    };
    let report = BenchReport { model: args.model.clone(), variant: variant.name.to_string(), limits, latency };
    if let Some(path) = &args.plot {
        io::write_text(path, &bench_svg(&report))?;
    }
    say(&match args.format {
        Format::Text => bench_text(&report),
        Format::Json => bench_json(&report),
    });
    Ok(exit_code::AGREED)
}

fn measured<T: Real>(
    args: &Args,
    variant: &Variant,
    spec: ModelSpec,
    peak: fn(&Limits) -> f64,
) -> Result<(Limits, LatencyReport)> {
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
    let model = load::<T>(&args.model, spec, variant.numerics.weights)?;
    let limits = Limits::measure();
    let bar = progress::bar(question.steps(), "runs");
    let roofline = Roofline { peak: peak(&limits), bandwidth: limits.bandwidth };
    let report = latency(&model, &question, &roofline, &|| bar.inc(1));
    bar.finish_and_clear();
    Ok((limits, report?))
}

/// The checkpoint, or random weights.
fn load<T: Real>(name: &str, spec: ModelSpec, stored: Dtype) -> Result<Model<T>> {
    if has_weights(name) {
        return Model::load(&Checkpoint::open(name)?, stored);
    }
    let bytes = parameters(&spec).total() * size_of::<T>() as u128;
    if let Some(available) = available_memory().filter(|&available| bytes > available) {
        return Err(Error::ask(format!(
            "random weights of {name} take {:.1} GB and {:.1} GB of memory are free; name a checkpoint, whose files are mapped, or a smaller model",
            bytes as f64 / 1e9,
            available as f64 / 1e9
        )));
    }
    note(&format!("{name} has no weights here; they are random"));
    Model::random(spec, 1)
}
