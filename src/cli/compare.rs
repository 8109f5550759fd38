//! `goldref compare`.

use super::choice::choice;
use super::exit_code;
use super::format::Format;
use super::ladder::Tolerances;
use super::report::show;
use crate::check::{SetQuestion, compare_sets};
use crate::error::{Error, Result};
use crate::harmless::page;
use crate::io::mapped::{self, Folder, MappedArray};
use crate::num::Dtype;
use crate::num::sort::sort_by;
use crate::report::{CompareReport, compare_json, compare_text};
use anstyle::{AnsiColor, Style};
use std::path::{Path, PathBuf};

/// Arguments of `goldref compare`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Arrays are matched by name; a missing, a surplus and a wrongly shaped one is a disagreement. Two .npy files are held
against each other whatever their names. In a folder a name is the path without its extension, and behind a slash the
name in the file if that holds several.

An array agrees when each element is within the LAST tolerance: the loosest, 1e-3, of the default ladder; the last of
--atol; --max-ulps if it is given. The text says which tighter ones not all elements meet.
NaN agrees with NaN only, an infinity with itself only, -0 with 0.

Examples:
  goldref compare mine.npz theirs.npz
  goldref compare mine.npy theirs.npy --atol 1e-5 --rtol 1.3e-6
  goldref compare out/ expected/ --map run/logits=logits --format json
  goldref compare mine.npz theirs.npz --as bf16 --max-ulps 2")]
pub(crate) struct Args {
    /// What was answered: a .npy, .npz or .safetensors file, or a folder of them
    actual: PathBuf,
    /// What is right: a file, or a folder if ACTUAL is one
    expected: PathBuf,
    #[command(flatten)]
    tolerances: Tolerances,
    /// Count last places in this format where it is coarser than the expected array's
    #[arg(long, value_name = "DTYPE", value_parser = dtype)]
    dtype: Option<Dtype>,
    /// Show the first N elements that miss the tightest tolerance missed
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u16).range(..=1000))]
    show: u16,
    /// Call ACTUAL's array A by the expected name B
    #[arg(long, value_name = "A=B", value_delimiter = ',')]
    map: Vec<String>,
    /// Read 16-bit words (uint16) as bf16 or bytes (uint8) as f8_e4m3: in all arrays, or in the one named
    #[arg(long = "as", value_name = "[NAME=]DTYPE", value_delimiter = ',')]
    reinterpret: Vec<String>,
    /// Treat this array as logits too: does the argmax over the last axis flip?
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    logits: Vec<String>,
    /// How to print
    #[arg(long, value_parser = choice::<Format>(), default_value = "text")]
    format: Format,
}

fn dtype(name: &str) -> std::result::Result<Dtype, String> {
    let known = || Dtype::ALL.map(Dtype::name).join(", ");
    Dtype::ALL.into_iter().find(|dtype| dtype.name() == name).ok_or_else(|| format!("there are {}", known()))
}

/// Runs the command.
pub(crate) fn main(args: &Args) -> Result<u8> {
    let ladder = args.tolerances.ladder()?;
    let folders = (args.actual.is_dir(), args.expected.is_dir());
    if folders.0 != folders.1 {
        let (folder, file) = if folders.0 { (&args.actual, &args.expected) } else { (&args.expected, &args.actual) };
        // A path that is not there at all is the better thing to say.
        std::fs::metadata(file).map_err(|_| Error::read(file, "no such file or directory"))?;
        return Err(Error::ask(format!(
            "{} is a folder and {} is a file; compare two files or two folders",
            folder.display(),
            file.display()
        )));
    }
    let (actual, expected) = (open(&args.actual)?, open(&args.expected)?);
    let ignored_files = [actual.ignored, expected.ignored];
    let (mut actual, mut expected) = (actual.arrays, expected.arrays);
    if is_npy(&args.actual) && is_npy(&args.expected) && args.map.is_empty() && !folders.0 {
        let names: Vec<String> = expected.iter().map(|array| array.name().to_string()).collect();
        for (array, name) in actual.iter_mut().zip(names) {
            array.rename(name);
        }
    }
    actual = mapped_names(actual, &args.map, &args.actual)?;
    for asked in &args.reinterpret {
        reinterpret(asked, &mut actual, &mut expected)?;
    }
    let question = SetQuestion { ladder, dtype: args.dtype, show: usize::from(args.show), logits: args.logits.clone() };
    let set = compare_sets(&actual, &expected, &question)?;
    let report = CompareReport {
        goldref: env!("CARGO_PKG_VERSION").to_string(),
        actual: args.actual.display().to_string(),
        expected: args.expected.display().to_string(),
        ignored_files,
        agrees: set.agrees(),
        set,
    };
    let printed = match args.format {
        Format::Text => painted(&page(&compare_text(&report))),
        Format::Json => compare_json(&report),
    };
    show(&printed);
    Ok(if report.agrees { exit_code::AGREED } else { exit_code::DISAGREED })
}

fn open(path: &Path) -> Result<Folder> {
    if path.is_dir() { mapped::open_folder(path) } else { Ok(Folder { arrays: mapped::open(path)?, ignored: 0 }) }
}

fn is_npy(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "npy")
}

/// The answer's arrays under the names that `--map a=b` gives them.
fn mapped_names(mut arrays: Vec<MappedArray>, maps: &[String], path: &Path) -> Result<Vec<MappedArray>> {
    // All at once, so that two names can be exchanged.
    let mut renamed: Vec<Option<&str>> = vec![None; arrays.len()];
    for map in maps {
        let Some((from, to)) = map.split_once('=').filter(|(from, to)| !from.is_empty() && !to.is_empty()) else {
            return Err(Error::ask(format!("--map {map:?} is not of the form A=B")));
        };
        let Some(at) = arrays.iter().position(|array| array.name() == from) else {
            let there: Vec<String> = arrays.iter().take(5).map(|array| format!("{:?}", array.name())).collect();
            return Err(Error::ask(format!(
                "--map names {from:?}, which is not in {}; there is {}",
                path.display(),
                there.join(", ")
            )));
        };
        if renamed[at].replace(to).is_some() {
            return Err(Error::ask(format!("--map names {from:?} twice")));
        }
    }
    for (array, to) in arrays.iter_mut().zip(renamed) {
        if let Some(to) = to {
            array.rename(to.to_string());
        }
    }
    sort_by(&mut arrays, &|a, b| a.name().cmp(b.name()));
    if let Some(pair) = arrays.windows(2).find(|pair| pair[0].name() == pair[1].name()) {
        return Err(Error::ask(format!(
            "after --map, two arrays of {} are called {:?}",
            path.display(),
            pair[0].name()
        )));
    }
    Ok(arrays)
}

/// `--as bf16` or `--as NAME=bf16`, on both sides. Sides that are no words or bytes stay as they are, but one must be.
fn reinterpret(asked: &str, actual: &mut Vec<MappedArray>, expected: &mut Vec<MappedArray>) -> Result<()> {
    // A name may have an equals sign in it, an element type has none.
    let (name, dtype) = asked.rsplit_once('=').map_or((None, asked), |(name, dtype)| (Some(name), dtype));
    let stored = match dtype {
        "bf16" => "u16",
        "f8_e4m3" => "u8",
        _ => {
            return Err(Error::ask(format!(
                "--as {asked:?} is neither bf16 nor f8_e4m3, with or without NAME= before it"
            )));
        }
    };
    let chosen = |array: &MappedArray| name.is_none_or(|name| array.name() == name);
    let fits = |array: &MappedArray| chosen(array) && array.dtype_name() == stored;
    if !actual.iter().chain(expected.iter()).any(fits) {
        let what = name.map_or_else(|| "no array".to_string(), |name| format!("no array {name:?}"));
        let kind = if stored == "u16" { "16-bit words (uint16)" } else { "bytes (uint8)" };
        return Err(Error::ask(format!("--as {asked}: {what} of {kind} is there")));
    }
    for side in [actual, expected] {
        for array in std::mem::take(side) {
            side.push(if fits(&array) { array.reinterpret(dtype)? } else { array });
        }
    }
    Ok(())
}

/// The answer of each line in colour. The stream drops the colour where it is not a terminal or NO_COLOR is set.
fn painted(text: &str) -> String {
    let paint = |line: &str| -> String {
        let wrong = ["DISAGREES", "missing: expected", "surplus: not expected", "wrong shape: "];
        let right = ["agrees: ", "    all agree", "    equal", "    not all agree"];
        let found = |words: &[&str]| words.iter().filter_map(|words| line.find(words)).min();
        let (at, colour) = match (found(&wrong), found(&right)) {
            (Some(at), _) => (at, AnsiColor::Red),
            (None, Some(at)) if !line.starts_with("   ") => (at, AnsiColor::Green),
            _ => return line.to_string(),
        };
        let style = Style::new().fg_color(Some(colour.into()));
        format!("{}{style}{}{style:#}", &line[..at], &line[at..])
    };
    text.lines().map(|line| paint(line) + "\n").collect()
}
