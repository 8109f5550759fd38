//! A class.

use super::args::Args;
use crate::cli::report::{note, say};
use crate::cli::{exit_code, progress};
use crate::error::{Error, Result};
use crate::grade;
use crate::grade::class::{ClassRun, Jobs, Listed, Page, Resume, SKIPPED, free_memory, jobs_that_fit, submissions_in};
use crate::grade::{GradeReport, Grading, Guard, Source};
use crate::io;
use crate::report::{Picture, class_csv, grade_markdown, skipped_csv, skipped_row, speed_up_plot};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The file about all of a class.
const CLASS: &str = "class.csv";

pub(super) fn main(args: &Args, grading: Grading, folder: &Path) -> Result<u8> {
    let Listed { mut submissions, skipped } = submissions_in(folder, &Source::Command)?;
    for skipped in &skipped {
        note(&format!("{} is skipped: {}", shown(&skipped.name), skipped.why));
    }
    let all = submissions.len();
    if let Some(partition) = args.partition {
        submissions = partition.of(submissions);
    }
    let output = args.output.clone().ok_or_else(|| Error::ask("name the folder of results with --output"))?;
    let jobs = jobs(args, &grading);
    let bar = progress::bar(submissions.len(), "submissions");
    let resume = if args.resume { Resume::Yes } else { Resume::No };
    let run = ClassRun { grading, submissions, output: output.clone(), jobs, resume, faces: &faces };
    let kept = AtomicUsize::new(0);
    let graded = run.run(&|before| {
        kept.fetch_add(usize::from(before), Ordering::Relaxed);
        bar.inc(1);
    });
    bar.finish_and_clear();
    let graded = graded?;
    let rows: Vec<String> = skipped.iter().map(|skipped| skipped_row(&skipped.name, &skipped.why)).collect();
    tables(&output, &graded.reports, &rows)?;
    let (reports, notes) = (graded.reports, graded.notes);
    let kept = match kept.into_inner() {
        0 => String::new(),
        kept => format!(", {kept} of them before"),
    };
    let skipped = if skipped.is_empty() { String::new() } else { format!("; {} skipped", skipped.len()) };
    let failed = reports.iter().filter(|report| report.failed.is_some()).count();
    let done = reports.len() - failed;
    say(&format!("{done} of {all} submissions graded{kept}{skipped}\n{}", summary(&reports, &output)));
    for text in &notes {
        note(text);
    }
    for report in &reports {
        if let Some(why) = &report.failed {
            note(&format!("{} was not graded: {why}; --resume grades it", shown(&report.submission)));
        }
    }
    Ok(match failed {
        0 => exit_code::AGREED,
        failed if failed == reports.len() => exit_code::COULD_NOT_ASK,
        _ => exit_code::DISAGREED,
    })
}

/// As many jobs as were asked for and as fit into the machine.
fn jobs(args: &Args, grading: &Grading) -> usize {
    let Guard::Sandbox { tried, .. } = grading.guard else { return args.jobs };
    let Some(free) = free_memory() else { return args.jobs };
    let limits = &grading.course.assignment.limits.sandbox;
    let Jobs { jobs, each, free } = jobs_that_fit(args.jobs, limits, &tried.standing, free);
    if jobs < args.jobs || each > free {
        let [each, free] = [each, free].map(|bytes| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)));
        let jobs = if jobs < args.jobs {
            format!("--jobs is {jobs} in place of {}", args.jobs)
        } else {
            "it may not be enough".to_string()
        };
        note(&format!("{jobs}: each submission may take {each} of memory and disk, and {free} are free"));
    }
    jobs
}

/// Writes the tables of a class; that of what was skipped where something was.
pub(super) fn tables(output: &Path, reports: &[GradeReport], skipped: &[String]) -> Result<()> {
    io::write_text(output.join(CLASS), &class_csv(reports))?;
    let path = output.join(SKIPPED);
    if !skipped.is_empty() {
        return io::write_text(&path, &skipped_csv(skipped));
    }
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::write(&path, e)),
        _ => Ok(()),
    }
}

/// A name that may be anything, for a line on a terminal.
fn shown(name: &str) -> String {
    Error::ask(name).to_string()
}

/// What is written beside the result for programs.
pub(super) fn faces(report: &GradeReport) -> Vec<Page> {
    let plot = speed_up_plot(report, Picture::Svg);
    vec![(".md", Some(grade_markdown(report).into_bytes())), (".svg", plot)]
}

/// Points of a class in a few lines.
pub(super) fn summary(reports: &[GradeReport], output: &Path) -> String {
    let graded = || reports.iter().filter(|report| report.failed.is_none());
    let mut points: Vec<&grade::Points> = graded().map(|report| &report.points).collect();
    points.sort();
    let place = format!("results: {}\n", output.display());
    let (Some(least), Some(most)) = (points.first(), points.last()) else { return place };
    let median = points[points.len() / 2];
    let out_of = reports.first().map(|report| report.out_of.to_string()).unwrap_or_default();
    let refused = graded().filter(|report| report.refused.is_some()).count();
    let refused = if refused == 0 { String::new() } else { format!("; {refused} could not be asked") };
    format!("points of {out_of}: {least} to {most}, median {median}{refused}\n{place}")
}
