//! One submission.

use super::args::{Args, Face};
use super::exit_code_of;
use crate::cli::progress;
use crate::cli::report::{note, plottable, say};
use crate::cli::run::writable;
use crate::error::{Error, Result};
use crate::grade::{GradeReport, Grading, Source, Submission, class, grade};
use crate::io;
use crate::report;
use std::path::Path;

pub(super) fn main(args: &Args, grading: &Grading) -> Result<u8> {
    let picture = args.plot.as_deref().map(plottable).transpose()?;
    if let Some(output) = &args.output {
        writable(output)?;
    }
    let submission = match (&args.submission, &args.outputs) {
        (Some(folder), _) => Submission::folder(folder, Source::Command)?,
        (None, Some(folder)) => Submission::folder(folder, Source::Outputs)?,
        (None, None) => Submission::folder(Path::new("."), Source::Program(args.program.clone()))?,
    };
    let bar = progress::bar(grading.course.steps(), "cases");
    let graded = grade(grading, &submission, &|| bar.inc(1));
    bar.finish_and_clear();
    let graded = graded?;
    if let (Some(path), Some(picture)) = (&args.plot, picture) {
        match report::speed_up_plot(&graded, picture) {
            Some(bytes) => io::write_bytes(path, &bytes)?,
            None => note("no speed-up was measured, so there is no plot"),
        }
    }
    match &args.output {
        Some(path) => {
            io::write_text(path, &shown(args.format, &graded)?)?;
            say(&report::grade_text(&graded));
        }
        None => say(&shown(args.format, &graded)?),
    }
    Ok(exit_code_of(graded.points >= graded.out_of))
}

fn shown(face: Face, graded: &GradeReport) -> Result<String> {
    Ok(match face {
        Face::Text => report::grade_text(graded),
        Face::Json => String::from_utf8(class::json(graded)?).map_err(Error::ask)?,
        Face::Markdown => report::grade_markdown(graded),
        Face::Gradescope => report::gradescope(graded),
        Face::Prairielearn => report::prairielearn(graded),
    })
}
