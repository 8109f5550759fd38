//! `goldref check --properties`.

use super::cases::Cases;
use super::choice::choice;
use super::format::Format;
use super::program::{ToAsk, shown};
use super::report::say;
use super::stored::Stored;
use super::{exit_code, progress};
use crate::candidate::{Candidate, Restarted};
use crate::error::{Error, Result};
use crate::eval::matches_pattern;
use crate::num::Dtype;
use crate::property::{self, Kind, Lives, Property, SavedFailure, Search, Subject, Verdict};
use crate::report::{PropertiesReport, properties_json, properties_text};
use crate::suite::{ModelQuestion, VariantCandidate, selected_cases};
use crate::variant::{self, Variant};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Arguments that go with `--properties`.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// Try properties that every right implementation has, in place of fixtures: causality, cache = whole, batch = alone, exact cases …
    #[arg(long, conflicts_with_all = ["answers", "bits", "atol", "rtol", "max_ulps", "output"])]
    pub(super) properties: bool,
    /// Only these properties (`*` matches any characters)
    #[arg(long, value_name = "NAME", value_delimiter = ',', requires = "properties")]
    property: Vec<String>,
    /// Samples of each property; a quarter of them on each model
    #[arg(long, value_name = "N", default_value = "32", requires = "properties", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    samples: u32,
    /// Where samples begin; the same seed gives the same ones
    #[arg(long, value_name = "SEED", default_value = "1", requires = "properties")]
    seed: u64,
    /// Save each counterexample in a folder of its own in DIR
    #[arg(long, value_name = "DIR", requires = "properties")]
    save: Option<PathBuf>,
    /// Ask a saved counterexample again
    #[arg(long, value_name = "DIR", requires = "properties", conflicts_with_all = ["property", "save", "samples", "seed", "stored"])]
    replay: Option<PathBuf>,
    /// The format in which the candidate stores [default: f32, or the variant's]
    #[arg(long, value_parser = choice::<Stored>(), requires = "properties")]
    stored: Option<Stored>,
}

/// Runs the command.
pub(super) fn main(args: &Args, program: &ToAsk, cases: &Cases, variants: &[String], format: Format) -> Result<u8> {
    let variant = match variants {
        [] => None,
        [name] => Some(variant::named(name)?),
        _ => return Err(Error::ask("properties are tried on one variant; name it with --variant")),
    };
    let (name, own, mut candidate) = candidate(program, variant)?;
    let stored = args.stored.map_or(own, Dtype::from);
    let report = PropertiesReport {
        candidate: name,
        stored: stored.name(),
        seed: args.seed,
        results: Vec::new(),
        saved: Vec::new(),
    };
    let report = match &args.replay {
        Some(folder) => replayed(report, folder, candidate.as_mut())?,
        None => searched(report, args, cases, stored, candidate.as_mut())?,
    };
    say(&match format {
        Format::Text => properties_text(&report),
        Format::Json => properties_json(&report),
    });
    let asked =
        |verdict: &Verdict| matches!(verdict, Verdict::Holds { .. } | Verdict::Broken(_) | Verdict::NotAlive { .. });
    if !report.results.iter().any(|result| asked(&result.verdict)) {
        let why = report.results.iter().find_map(|result| match &result.verdict {
            Verdict::Unsupported { why } => Some(format!("; it says: {why}")),
            _ => None,
        });
        return Err(Error::ask(format!("no property was tried{}", why.unwrap_or_default())));
    }
    let failed = |kind: Kind, verdict: &Verdict| match verdict {
        Verdict::Broken(_) => kind != Kind::Hygiene,
        Verdict::NotAlive { .. } => true,
        _ => false,
    };
    let any = report.results.iter().any(|result| failed(result.kind, &result.verdict));
    Ok(if any { exit_code::DISAGREED } else { exit_code::AGREED })
}

/// Its name, its format and itself.
fn candidate(asked: &ToAsk, variant: Option<&'static Variant>) -> Result<(String, Dtype, Box<dyn Candidate>)> {
    match (asked.program.as_slice(), variant) {
        ([], None) => Err(Error::ask("name a program behind --, or a variant with --variant")),
        ([], Some(variant)) => {
            Ok((variant.name.to_string(), variant.coarsest, Box::new(VariantCandidate::new(variant))))
        }
        (program, None) => Ok((shown(program), Dtype::F32, Box::new(Restarted::start(program, asked.limit)?))),
        (_, Some(_)) => Err(Error::ask("a program and a variant are named; properties are tried on one of them")),
    }
}

fn replayed(
    mut report: PropertiesReport,
    folder: &std::path::Path,
    candidate: &mut dyn Candidate,
) -> Result<PropertiesReport> {
    let (saved, property, subject) = SavedFailure::open(folder)?;
    report.stored = saved.stored.name();
    report.results.push(property::check_again(property, &saved.sample, &subject, candidate, saved.stored)?);
    Ok(report)
}

fn searched(
    mut report: PropertiesReport,
    args: &Args,
    cases: &Cases,
    stored: Dtype,
    candidate: &mut dyn Candidate,
) -> Result<PropertiesReport> {
    let (of_models, of_operations): (Vec<&Property>, Vec<&Property>) =
        selected(&args.property)?.into_iter().partition(|property| property.is_about_models());
    let models = if of_models.is_empty() { BTreeMap::new() } else { checkpoints(cases)? };
    if let Some(folder) = &args.save {
        // What is found must not be lost at a folder that is there already.
        let names = std::iter::once(None).chain(models.values().map(|name| Some(name.as_str())));
        for (property, name) in names.flat_map(|name| of_models.iter().chain(&of_operations).map(move |p| (p, name))) {
            let suite = property::saved_as(folder, property, name);
            if suite.exists() {
                return Err(Error::write(suite, "it is there already; save in another folder"));
            }
        }
    }
    let bar = progress::bar(of_operations.len() + of_models.len() * models.len(), "properties");
    let mut lives = Lives::default();
    let mut try_all = |subject: &Subject, properties: &[&Property], samples: u32| -> Result<()> {
        let search = Search { samples, seed: args.seed, stored };
        for property in properties {
            let result = property::check(property, subject, candidate, &search, &mut lives)?;
            if let (Verdict::Broken(failure), Some(folder)) = (&result.verdict, &args.save) {
                let saved = property::save(folder, property, failure, subject, stored)?;
                report.saved.push(saved.display().to_string());
            }
            report.results.push(result);
            bar.inc(1);
        }
        Ok(())
    };
    try_all(&Subject::Operations, &of_operations, args.samples)?;
    for (folder, name) in models {
        try_all(&Subject::load(&folder, &name, stored)?, &of_models, args.samples.div_ceil(4))?;
    }
    bar.finish_and_clear();
    Ok(report)
}

fn selected(patterns: &[String]) -> Result<Vec<&'static Property>> {
    let fits = |pattern: &String, property: &Property| matches_pattern(pattern, property.name);
    if let Some(unknown) = patterns.iter().find(|pattern| !property::ALL.iter().any(|row| fits(pattern, row))) {
        let known: Vec<&str> = property::ALL.iter().map(|property| property.name).collect();
        return Err(Error::ask(format!("no property is called \"{unknown}\"; there are: {}", known.join(", "))));
    }
    let chosen = |row: &&Property| patterns.is_empty() || patterns.iter().any(|pattern| fits(pattern, row));
    Ok(property::ALL.iter().filter(chosen).collect())
}

/// The checkpoints of the selected cases, and their names.
fn checkpoints(cases: &Cases) -> Result<BTreeMap<PathBuf, String>> {
    let store = cases.store()?;
    let mut found = BTreeMap::new();
    for case in selected_cases(&store, &cases.selected(&[]))? {
        if let Some(question) = ModelQuestion::of(case)? {
            let name = question.checkpoint.file_name().map_or_else(String::new, |name| name.to_string_lossy().into());
            found.insert(question.checkpoint, format!("{}-{name}", case.name.split('/').next().unwrap_or_default()));
        }
    }
    Ok(found)
}
