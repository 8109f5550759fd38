//! Grades one submission: what students have first, then the rest part after part.
//!
//! What students read is a function of what the program said before it saw anything hidden, and of points and standings: see [`Stage`].

use super::assignment::{Kind, Part};
use super::cases::{Answered, PartCases};
use super::composition::Seen;
use super::course::{Course, Ready};
use super::points::Points;
use super::report_data::{FORMAT, Findings, GradeReport, Isolation, PartReport};
use super::respondent::Answering;
use super::stage::Stage;
use super::submission::{Guard, Source, Submission};
use super::{answers, speed_up};
use crate::candidate::Ended;
use crate::error::Result;
use hmac_sha256::Hash as Sha256;
use std::path::Path;
use std::time::Duration;

/// How submissions of one course are graded.
#[derive(Debug)]
pub struct Grading<'c> {
    /// What is asked.
    pub course: &'c Course,
    /// What confines them.
    pub guard: &'c Guard,
    /// How [`Guard::isolation`] says that it does.
    pub isolation: Isolation,
}

/// How many times its CPU time a program may take of the clock: others compute beside it.
const PATIENCE: u64 = 4;

/// Grades a submission. `progress` is called once a case, property or other part.
///
/// # Errors
/// What is no fault of the submission: fixtures that cannot be read, a sandbox that would let it read them.
pub fn grade(grading: &Grading, submission: &Submission, progress: &dyn Fn()) -> Result<GradeReport> {
    let course = grading.course;
    let assignment = &course.assignment;
    let mut report = begun(grading, submission);
    let answering = match answering(grading, submission, &mut report)? {
        Ok(answering) => answering,
        Err(why) => {
            if assignment.asked.build.is_empty() || submission.source != Source::Command {
                report.isolation = Isolation::NothingRan;
            }
            report.refused = Some(why.clone());
            Answering::Nobody(why)
        }
    };
    let open_models = course.models(Stage::Visible);
    let seed = seed(&report.submission_sha256);
    let parts: Vec<ReadyPart> = assignment
        .parts
        .iter()
        .zip(&course.ready)
        .map(|(part, ready)| ReadyPart { part, ready, cases: cases_of(course, part, ready, &open_models, seed) })
        .collect();
    // What students have, of all parts. Whether a part is judged is found out later.
    let mut visible = Vec::with_capacity(parts.len());
    let mut respondent = answering.respondent(Stage::Visible, &Ended::default());
    for part in &parts {
        visible.push(match &part.cases {
            Some(cases) => cases.ask(&mut respondent, 0, progress)?,
            None => Answered::default(),
        });
    }
    let ended = respondent.finish();
    // Whatever sees something hidden speaks to staff alone.
    let mut hidden = answering.respondent(Stage::Hidden, &ended);
    let mut refused = ended.refused.clone();
    let mut seen = Seen::default();
    for (ready, visible) in parts.iter().zip(visible) {
        let part = ready.part;
        let needs = needs(&assignment.parts, part, &report.parts);
        let graded = if !needs.is_empty() {
            progress();
            not_judged((part, ready.ready), needs)
        } else {
            let mut graded = empty((part, ready.ready), Vec::new(), String::new());
            match (&part.kind, ready.ready, &ready.cases) {
                (Kind::Cases { .. }, _, Some(cases)) => {
                    let ended = visible.ended;
                    let of_hidden = cases.ask(&mut hidden, ended, progress)?;
                    let found = cases.graded(visible, of_hidden)?;
                    seen.add(&found.asked, &found.items);
                    graded.in_short = cases.counted(&found.items);
                    graded.items = found.items;
                    graded.findings = found.findings.and(seen.findings(&found.asked));
                    graded.points = earned(&graded);
                }
                (Kind::Answers(answers), Ready::Answers(right), _) => {
                    graded.items = answers::graded(answers, right, &submission.folder, &part.points)?;
                    graded.points = earned(&graded);
                    let passed = graded.items.iter().filter(|item| item.passed()).count();
                    graded.in_short = format!("{passed} of {}", graded.items.len());
                    progress();
                }
                (Kind::SpeedUp(speed_up), Ready::SpeedUp(ready), _) => {
                    // Nobody who knows something hidden runs beside it.
                    hidden.give_up();
                    // What those have used is nothing that it may find out by what is left to it.
                    let mut alone = answering.respondent(Stage::SpeedUp, &ended);
                    (graded.points, graded.in_short, graded.findings, graded.speed_up) =
                        speed_up::measured(speed_up, ready, course, &mut alone, &part.points)?;
                    refused = refused.or(alone.finish().refused);
                    progress();
                }
                // Every part was made ready as what it is.
                _ => graded.in_short = "it was not made ready".to_string(),
            }
            graded
        };
        report.points = &report.points + &graded.points;
        report.parts.push(graded);
    }
    report.refused_call = refused.or(hidden.finish().refused);
    if report.isolation == Isolation::NothingRan {
        report.walls = Vec::new();
    }
    Ok(report)
}

/// The report of a submission before anything was asked.
fn begun(grading: &Grading, submission: &Submission) -> GradeReport {
    let Grading { course, guard, isolation } = grading;
    GradeReport {
        format: FORMAT.to_string(),
        goldref: env!("CARGO_PKG_VERSION").to_string(),
        title: course.assignment.title.clone(),
        assignment: course.sha256.clone(),
        submission: submission.name.clone(),
        submission_sha256: String::new(),
        hints: course.assignment.hints,
        isolation: isolation.clone(),
        walls: guard.walls(),
        refused_call: None,
        refused: None,
        failed: None,
        parts: Vec::new(),
        points: Points::zero(),
        out_of: course.assignment.points(),
    }
}

/// The report of a submission that could not be graded to the end.
pub(super) fn not_graded(grading: &Grading, submission: &Submission, why: &str) -> GradeReport {
    let mut report = begun(grading, submission);
    report.failed = Some(why.to_string());
    let course = grading.course;
    for (part, ready) in course.assignment.parts.iter().zip(&course.ready) {
        report.parts.push(empty((part, ready), Vec::new(), "not graded".to_string()));
    }
    report
}

/// Whether a report has the parts of the course, and judged those whose requirements were passed.
pub(super) fn is_of(course: &Course, report: &GradeReport) -> bool {
    let parts = &course.assignment.parts;
    let alike = |(at, (part, ready)): (usize, (&Part, &Ready))| {
        let Some(found) = report.parts.get(at) else { return false };
        (&found.id, &found.out_of, found.asks) == (&part.id, &part.points, ready.asks(part))
            && found.needs == needs(parts, part, &report.parts[..at])
    };
    report.parts.len() == parts.len() && parts.iter().zip(&course.ready).enumerate().all(alike)
}

/// What a part requires that was not passed.
fn needs(parts: &[Part], part: &Part, graded: &[PartReport]) -> Vec<String> {
    let mut needs = part.requires.clone();
    needs.retain(|id| !passed(parts, graded, id));
    needs
}

/// A part with what is ready of it.
struct ReadyPart<'c> {
    part: &'c Part,
    ready: &'c Ready,
    /// Where it has cases and properties.
    cases: Option<PartCases<'c>>,
}

fn cases_of<'c>(
    course: &Course,
    part: &'c Part,
    ready: &'c Ready,
    open_models: &'c [&'c Path],
    seed: u64,
) -> Option<PartCases<'c>> {
    let (Kind::Cases { properties, ladder, scoring, .. }, Ready::Cases(ready)) = (&part.kind, ready) else {
        return None;
    };
    let (scoring, points, variant) = (*scoring, &part.points, course.variant);
    Some(PartCases { ready, properties, ladder, scoring, points, variant, open_models, seed })
}

/// The seed of a submission's samples: the same each time, and nothing that answers learnt by heart could be for, since they would be a part of what is
/// hashed. It does not hang on hidden cases: counterexamples are shown.
fn seed(submission: &str) -> u64 {
    let hash = Sha256::hash(submission.as_bytes());
    hash.iter().take(8).fold(0, |seed, &byte| seed << 8 | u64::from(byte))
}

/// What answers; `Ok(Err(..))`: why nobody can be asked.
fn answering(
    grading: &Grading,
    submission: &Submission,
    report: &mut GradeReport,
) -> Result<std::result::Result<Answering, String>> {
    if !matches!(submission.source, Source::Program(_)) {
        match submission.sha256() {
            Ok(hash) => report.submission_sha256 = hash,
            Err(e) => return Ok(Err(e.to_string())),
        }
    }
    if submission.source == Source::Outputs {
        report.isolation = Isolation::NothingRan;
        return Ok(Ok(Answering::Files(submission.folder.clone())));
    }
    let limits = &grading.course.assignment.limits;
    // Who neither answers nor computes must not keep a class waiting for hours.
    let patience = Duration::from_secs(limits.sandbox.cpu_seconds.saturating_mul(PATIENCE)).max(limits.seconds);
    let limit = [limits.seconds, patience];
    let lifetime = grading.course.assignment.asked.lifetime;
    let startable = submission.startable(grading.course, grading.guard)?;
    Ok(startable.map(|startable| Answering::Program(Box::new(startable), lifetime, limit)))
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
        findings: Findings::default(),
        items: Vec::new(),
        speed_up: None,
    }
}

/// What the items of a part earned together.
fn earned(report: &PartReport) -> Points {
    report.items.iter().map(|item| &item.points).sum()
}
