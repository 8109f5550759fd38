//! Grades one submission: part after part, asking one program.

use super::assignment::{Kind, Part};
use super::cases::{Graded, PartCases};
use super::composition::Seen;
use super::course::{Course, Ready};
use super::points::Points;
use super::report_data::{FORMAT, GradeReport, Isolation, PartReport};
use super::respondent::{Asking, Respondent};
use super::submission::{Guard, Source, Submission};
use super::{answers, speed_up};
use crate::error::Result;
use crate::num::sort::sort_by;

/// How submissions of one course are graded.
#[derive(Debug)]
pub struct Grading<'c> {
    /// What is asked.
    pub course: &'c Course,
    /// What confines them.
    pub guard: &'c Guard,
    /// How [`Guard::tried`] said that it does.
    pub isolation: Isolation,
}

/// Grades a submission. `progress` is called once a case, property or other part.
///
/// # Errors
/// What is no fault of the submission: fixtures that cannot be read, a sandbox that would let it read them.
pub fn grade(grading: &Grading, submission: &Submission, progress: &dyn Fn()) -> Result<GradeReport> {
    let Grading { course, isolation, .. } = grading;
    let assignment = &course.assignment;
    let mut report = GradeReport {
        format: FORMAT.to_string(),
        goldref: env!("CARGO_PKG_VERSION").to_string(),
        title: assignment.title.clone(),
        assignment: course.sha256.clone(),
        submission: submission.name.clone(),
        submission_sha256: String::new(),
        hints: assignment.hints,
        isolation: isolation.clone(),
        refused: None,
        parts: Vec::new(),
        points: Points::zero(),
        out_of: assignment.points(),
    };
    let mut respondent = match respondent(grading, submission, &mut report)? {
        Ok(respondent) => respondent,
        Err(why) => {
            if assignment.asked.build.is_empty() || submission.source != Source::Command {
                report.isolation = Isolation::NothingRan;
            }
            report.refused = Some(why.clone());
            Respondent::Nobody(why)
        }
    };
    let mut seen = Seen::default();
    for (part, ready) in assignment.parts.iter().zip(&course.ready) {
        let needs: Vec<String> = part
            .requires
            .iter()
            .filter(|id| !passed(assignment.parts.as_slice(), &report.parts, id))
            .cloned()
            .collect();
        let graded = if needs.is_empty() {
            graded(grading, submission, (part, ready), &mut respondent, &mut seen, progress)?
        } else {
            progress();
            not_judged((part, ready), needs)
        };
        report.points = &report.points + &graded.points;
        report.parts.push(graded);
    }
    Ok(report)
}

/// Who answers; `Ok(Err(..))`: why nobody can be asked.
fn respondent(
    grading: &Grading,
    submission: &Submission,
    report: &mut GradeReport,
) -> Result<std::result::Result<Respondent, String>> {
    if !matches!(submission.source, Source::Program(_)) {
        match submission.sha256() {
            Ok(hash) => report.submission_sha256 = hash,
            Err(e) => return Ok(Err(e.to_string())),
        }
    }
    if submission.source == Source::Outputs {
        report.isolation = Isolation::NothingRan;
        return Ok(Ok(Respondent::Files(submission.folder.clone())));
    }
    let limits = &grading.course.assignment.limits;
    Ok(submission.startable(grading.course, grading.guard)?.map(|startable| {
        let lifetime = grading.course.assignment.asked.lifetime;
        Respondent::Program(Box::new(Asking::new(startable, lifetime, limits.seconds)))
    }))
}

/// Whether a part that was graded is passed.
fn passed(parts: &[Part], graded: &[PartReport], id: &str) -> bool {
    let (Some(part), Some(report)) =
        (parts.iter().find(|part| part.id == id), graded.iter().find(|part| part.id == id))
    else {
        return false;
    };
    report.needs.is_empty() && report.points >= &part.passed_at * &report.out_of
}

fn not_judged((part, ready): (&Part, &Ready), needs: Vec<String>) -> PartReport {
    let in_short = format!("not judged: it needs {}", needs.join(", "));
    empty((part, ready), needs, in_short)
}

fn empty((part, ready): (&Part, &Ready), needs: Vec<String>, in_short: String) -> PartReport {
    PartReport {
        id: part.id.clone(),
        title: part.title.clone(),
        points: Points::zero(),
        out_of: part.points.clone(),
        needs,
        asks: ready.asks(part),
        in_short,
        findings: Vec::new(),
        items: Vec::new(),
        speed_up: None,
    }
}

/// What the items of a part earned together.
fn earned(report: &PartReport) -> Points {
    report.items.iter().map(|item| &item.points).sum()
}

fn graded(
    grading: &Grading,
    submission: &Submission,
    (part, ready): (&Part, &Ready),
    respondent: &mut Respondent,
    seen: &mut Seen,
    progress: &dyn Fn(),
) -> Result<PartReport> {
    let course = grading.course;
    let mut report = empty((part, ready), Vec::new(), String::new());
    match (&part.kind, ready) {
        (Kind::Cases { properties, ladder, scoring, .. }, Ready::Cases(ready)) => {
            let cases = PartCases {
                ready,
                properties,
                ladder,
                scoring: *scoring,
                points: &part.points,
                variant: course.variant,
            };
            let Graded { items, findings, asked } = cases.graded(respondent, progress)?;
            seen.add(&asked, &items);
            report.items = items;
            report.findings = findings;
            report.findings.append(&mut seen.findings(&asked));
            report.points = earned(&report);
            report.in_short = counted(&report);
        }
        (Kind::Answers(answers), Ready::Answers(right)) => {
            report.items = answers::graded(answers, right, &submission.folder, &part.points);
            report.points = earned(&report);
            report.in_short = counted(&report);
            progress();
        }
        (Kind::SpeedUp(speed_up), Ready::SpeedUp(ready)) => {
            (report.points, report.in_short, report.findings, report.speed_up) =
                speed_up::measured(speed_up, ready, course, respondent, &part.points)?;
            progress();
        }
        // Every part was made ready as what it is.
        _ => report.in_short = "it was not made ready".to_string(),
    }
    Ok(report)
}

/// How many items pass, and at which tolerance.
fn counted(report: &PartReport) -> String {
    let passed = report.items.iter().filter(|item| item.passed()).count();
    let mut rungs: Vec<(f64, usize)> = Vec::new();
    for item in &report.items {
        let Some(Ok(met)) = item.met.as_deref().map(str::parse::<f64>) else { continue };
        match rungs.iter_mut().find(|(rung, _)| *rung == met) {
            Some((_, count)) => *count += 1,
            None => rungs.push((met, 1)),
        }
    }
    sort_by(&mut rungs, &|a, b| a.0.total_cmp(&b.0));
    let all = report.items.len();
    let mut at = Vec::with_capacity(rungs.len());
    for (rung, count) in &rungs {
        at.push(format!("{count} at {rung:e}"));
    }
    match at.as_slice() {
        [] => format!("{passed} of {all}"),
        [_] if passed == all => format!("{passed} of {all} at {:e}", rungs[0].0),
        _ => format!("{passed} of {all} ({})", at.join(", ")),
    }
}
