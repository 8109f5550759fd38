//! What may be said of the points that are lost.

use crate::grade::{GradeReport, Hints, Item, ItemKind, PartReport};
use crate::report::words::{name, sentence};

/// What students read of an item: its name and why it lost points.
pub(super) struct Said {
    pub(super) name: String,
    pub(super) why: String,
}

/// What is said of an item, the `number`th of its part.
pub(super) fn said(report: &GradeReport, item: &Item, number: usize) -> Said {
    // The name of a number on paper is that of the student's own file.
    let named = !item.hidden || report.hints == Hints::Full || item.kind == ItemKind::Answer;
    let shown = if named { name(&item.name) } else { format!("hidden case {number}") };
    let why = match item.reason.as_ref().map(|reason| reason.to_student(report.hints)) {
        None => String::new(),
        Some(Some(words)) => sentence(words),
        Some(None) if report.hints == Hints::None => "points are lost here".to_string(),
        Some(None) => item.standing.to_string(),
    };
    Said { name: shown, why }
}

/// Items that lost points, with their number among all of the part.
pub(super) fn lost(part: &PartReport) -> impl Iterator<Item = (usize, &Item)> {
    part.items.iter().enumerate().filter(|(_, item)| !item.passed()).map(|(at, item)| (at + 1, item))
}

/// Findings about a part, as far as they may be told: where only hidden cases lost points, they are hints as well.
pub(super) fn findings<'p>(report: &GradeReport, part: &'p PartReport) -> &'p [String] {
    let told = report.hints != Hints::None || lost(part).all(|(_, item)| !item.hidden);
    if told { part.findings.to_student(report.hints) } else { &[] }
}

/// A part in a line: what is counted, and the first thing to know.
pub(super) fn in_short(report: &GradeReport, part: &PartReport) -> String {
    let counted = sentence(&part.in_short);
    let first = findings(report, part).first().map(|finding| sentence(finding));
    let why = first.or_else(|| lost(part).next().map(|(number, item)| said(report, item, number).why));
    match why {
        Some(why) if !why.is_empty() => format!("{counted}: {why}"),
        _ => counted,
    }
}
