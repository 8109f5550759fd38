//! A class.

use super::args::Args;
use crate::cli::report::say;
use crate::cli::{exit_code, progress};
use crate::error::{Error, Result};
use crate::grade;
use crate::grade::class::{ClassRun, Resume, submissions_in};
use crate::grade::{GradeReport, Grading, Source};
use crate::io;
use crate::report::{Picture, class_csv, grade_markdown, speed_up_plot};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The file about all of a class.
pub(super) const CLASS: &str = "class.csv";

pub(super) fn main(args: &Args, grading: Grading, folder: &Path) -> Result<u8> {
    let mut submissions = submissions_in(folder, &Source::Command)?;
    let all = submissions.len();
    if let Some(partition) = args.partition {
        submissions = partition.of(submissions);
    }
    let output = args.output.clone().ok_or_else(|| Error::ask("name the folder of results with --output"))?;
    let bar = progress::bar(submissions.len(), "submissions");
    let resume = if args.resume { Resume::Yes } else { Resume::No };
    let run = ClassRun { grading, submissions, output: output.clone(), jobs: args.jobs, resume, faces: &faces };
    let kept = AtomicUsize::new(0);
    let graded = run.run(&|before| {
        kept.fetch_add(usize::from(before), Ordering::Relaxed);
        bar.inc(1);
    });
    bar.finish_and_clear();
    let reports = graded?;
    io::write_text(output.join(CLASS), &class_csv(&reports))?;
    let kept = match kept.into_inner() {
        0 => String::new(),
        kept => format!(", {kept} of them before"),
    };
    say(&format!("{} of {all} submissions graded{kept}\n{}", reports.len(), summary(&reports, &output)));
    Ok(exit_code::AGREED)
}

/// What is written beside the result for programs.
fn faces(report: &GradeReport) -> Vec<(&'static str, Vec<u8>)> {
    let mut faces = vec![(".md", grade_markdown(report).into_bytes())];
    faces.extend(speed_up_plot(report, Picture::Svg).map(|bytes| (".svg", bytes)));
    faces
}

/// Points of a class in a few lines.
pub(super) fn summary(reports: &[GradeReport], output: &Path) -> String {
    let mut points: Vec<&grade::Points> = reports.iter().map(|report| &report.points).collect();
    points.sort();
    let (Some(least), Some(most)) = (points.first(), points.last()) else { return String::new() };
    let median = points[points.len() / 2];
    let out_of = reports.first().map(|report| report.out_of.to_string()).unwrap_or_default();
    let refused = reports.iter().filter(|report| report.refused.is_some()).count();
    let refused = if refused == 0 { String::new() } else { format!("; {refused} could not be asked") };
    format!("points of {out_of}: {least} to {most}, median {median}{refused}\nresults: {}\n", output.display())
}
