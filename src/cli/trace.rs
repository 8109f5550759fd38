//! `goldref trace`.

use super::cases::Cases;
use super::choice::choice;
use super::exit_code;
use super::format::Format;
use super::program::{ToAsk, shown};
use super::report::{plottable, say};
use super::stored::Stored;
use super::tokens::Tokens;
use crate::candidate::{Outcome, Restarted};
use crate::diagnose::{Divergence, Oracles, SiteMap, compare_sites, divergence};
use crate::error::{Error, Result};
use crate::eval::Numerics;
use crate::fault::{self, FaultAnswer};
use crate::io::{self, Checkpoint, npz};
use crate::model::{AnyModel, Model, Plan, Recorder};
use crate::num::Dtype;
use crate::report::{trace_json, trace_plot, trace_text};
use crate::suite::{ModelQuestion, selected_cases, widened};
use crate::variant::{self, Schedule, Variant};
use ndarray::ArrayD;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Arguments of `goldref trace`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The question is one case about a model, or a checkpoint and tokens. The candidate is a file of sites, a variant, a fault of the catalogue, or
a program in the protocol of docs/candidates.md that writes sites beside its logits. Each site is computed once more from the candidate's own
values at the sites before it: what still differs was introduced there, the rest was inherited. Errors are relative.

Examples:
  goldref trace --case decode/single_tokens --fault v-cache-stale
  goldref trace --case model/gemma2 --variant bf16 --plot errors.svg
  goldref trace --model Llama --tokens ids.npy --sites theirs.npz --map names.json --stored bf16
  goldref trace --case model/llama --sites theirs.npz
  goldref trace --case model/llama -- python student.py
  goldref trace --sites theirs.npz --against ours.npz")]
pub(crate) struct Args {
    #[command(flatten)]
    cases: Cases,
    /// Folder with config.json and weights, instead of a case
    #[arg(long, value_name = "DIR", requires = "tokens", conflicts_with_all = ["suite", "case"])]
    model: Option<PathBuf>,
    #[command(flatten)]
    tokens: Tokens,
    /// The candidate's sites, under the names that `goldref run --trace` writes
    #[arg(long, value_name = "FILE.npz", group = "candidate", conflicts_with = "program")]
    sites: Option<PathBuf>,
    /// What the arrays are called here: a JSON object {"model.layers.*.self_attn.q_proj": "layers.*.attn.q"}
    #[arg(long, value_name = "FILE.json", requires = "sites")]
    map: Option<PathBuf>,
    /// Only compare two files of sites, without a model
    #[arg(long, value_name = "FILE.npz", requires = "sites", conflicts_with_all = ["suite", "case", "model"])]
    against: Option<PathBuf>,
    /// A variant as the candidate; `goldref check` lists them
    #[arg(long, value_name = "NAME", group = "candidate", conflicts_with = "program")]
    variant: Option<String>,
    /// A fault as the candidate; `goldref diagnose --list` has them
    #[arg(long, value_name = "NAME", group = "candidate", conflicts_with = "program")]
    fault: Option<String>,
    /// The format in which the candidate stores weights and activations [default: f32, or the variant's]
    #[arg(long, value_parser = choice::<Stored>())]
    stored: Option<Stored>,
    /// How to print
    #[arg(long, value_parser = choice::<Format>(), default_value = "text")]
    format: Format,
    /// Write the errors over the sites as a picture
    #[arg(long, value_name = "FILE.svg|FILE.png")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    asked: ToAsk,
}

/// Runs the command.
pub(crate) fn main(args: &Args) -> Result<u8> {
    let picture = args.plot.as_deref().map(plottable).transpose()?;
    let variant = args.variant.as_deref().map(variant::named).transpose()?;
    let own = variant.map_or(Dtype::F32, |variant| variant.coarsest);
    let stored = args.stored.map_or(own, Dtype::from);
    let (candidate, found) = match &args.against {
        Some(against) => {
            let sites = args.sites.as_deref().ok_or_else(|| Error::ask("name the file to compare with --sites"))?;
            let (actual, expected) = (named_sites(sites, args, stored)?, named_sites(against, args, stored)?);
            (sites.display().to_string(), compare_sites(actual, expected, stored)?)
        }
        None => traced(args, variant, stored)?,
    };
    if let (Some(path), Some(picture)) = (&args.plot, picture) {
        io::write_bytes(path, &trace_plot(&candidate, &found, picture))?;
    }
    say(&match args.format {
        Format::Text => trace_text(&candidate, &found),
        Format::Json => trace_json(&found),
    });
    Ok(if found.first.is_none() { exit_code::AGREED } else { exit_code::DISAGREED })
}

/// The question: a case, or a checkpoint and tokens.
enum Asked {
    Case(Box<ModelQuestion>),
    Tokens { checkpoint: PathBuf, plan: Plan },
}

impl Asked {
    fn of(args: &Args) -> Result<Self> {
        if let Some(model) = &args.model {
            let plan = Plan { requests: vec![args.tokens.request(Schedule::AsAsked)?], clears: true };
            return Ok(Self::Tokens { checkpoint: model.clone(), plan });
        }
        if !args.cases.are_named() {
            return Err(Error::ask("name one case with --case, or a checkpoint with --model and --tokens"));
        }
        let store = args.cases.store()?;
        let selected = args.cases.selected(&[]);
        let [case] = selected_cases(&store, &selected)?[..] else {
            return Err(Error::ask("several cases are selected; a trace is of one"));
        };
        let question = ModelQuestion::of(case)?
            .ok_or_else(|| Error::ask(format!("{} asks an operation; sites are those of models", case.name)))?;
        Ok(Self::Case(Box::new(question)))
    }

    fn checkpoint(&self) -> &Path {
        match self {
            Self::Case(question) => &question.checkpoint,
            Self::Tokens { checkpoint, .. } => checkpoint,
        }
    }

    fn plan(&self) -> &Plan {
        match self {
            Self::Case(question) => &question.plan,
            Self::Tokens { plan, .. } => plan,
        }
    }
}

fn traced(args: &Args, variant: Option<&'static Variant>, stored: Dtype) -> Result<(String, Divergence)> {
    if args.sites.is_none() && variant.is_none() && args.fault.is_none() && args.asked.program.is_empty() {
        return Err(Error::ask("name a candidate: --sites, --variant, --fault, or a program behind --"));
    }
    let asked = Asked::of(args)?;
    let checkpoint = Checkpoint::open(asked.checkpoint())?;
    let oracles = Oracles::load(&checkpoint, stored)?;
    let (candidate, sites) = if let Some(path) = &args.sites {
        (path.display().to_string(), named_sites(path, args, stored)?)
    } else if let Some(variant) = variant {
        (variant.name.to_string(), of_variant(asked.plan(), &checkpoint, variant)?)
    } else if let Some(name) = &args.fault {
        (name.clone(), of_fault(asked.plan(), &oracles.wide, name)?)
    } else {
        (shown(&args.asked.program), of_program(&asked, &args.asked, stored)?)
    };
    Ok((candidate, divergence(&oracles, asked.plan(), sites)?))
}

/// The arrays of a file under our names.
fn named_sites(path: &Path, args: &Args, stored: Dtype) -> Result<BTreeMap<String, ArrayD<f64>>> {
    let map = args.map.as_deref().map(SiteMap::read).transpose()?.unwrap_or_default();
    let arrays = widened(npz::read(path)?, stored).map_err(|e| e.at(path))?;
    let mut named = BTreeMap::new();
    for (name, array) in arrays {
        named.insert(map.own_name(&name), array);
    }
    Ok(named)
}

fn of_variant(plan: &Plan, checkpoint: &Checkpoint, variant: &Variant) -> Result<BTreeMap<String, ArrayD<f64>>> {
    let mut recorder = Recorder::of(["*"]);
    let model = AnyModel::load(checkpoint, &variant.numerics)?;
    model.run(plan, variant.numerics, variant.cache, &mut recorder)?;
    Ok(recorder.into_arrays())
}

fn of_fault(plan: &Plan, model: &Model<f64>, name: &str) -> Result<BTreeMap<String, ArrayD<f64>>> {
    let fault = fault::find(name)
        .ok_or_else(|| Error::ask(format!("no fault is called \"{name}\"; `goldref diagnose --list` has them")))?;
    let mut recorder = Recorder::of(["*"]);
    match fault::run_watched(model, plan, &Numerics::plain(Dtype::F64), &[fault], &mut recorder)? {
        FaultAnswer::Logits(_) => Ok(recorder.into_arrays()),
        FaultAnswer::NoPlace => Err(Error::ask(format!("this question has no place for {name}; {}", fault.invisible))),
    }
}

fn of_program(asked: &Asked, program: &ToAsk, stored: Dtype) -> Result<BTreeMap<String, ArrayD<f64>>> {
    let Asked::Case(question) = asked else {
        return Err(Error::ask("a program is asked a case; name one with --case"));
    };
    match question.ask(&mut Restarted::start(&program.program, program.limit)?)? {
        Outcome::Answered { arrays, .. } => widened(arrays, stored),
        outcome => Err(Error::ask(format!("the program {}", outcome.in_words()))),
    }
}
