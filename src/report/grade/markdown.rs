//! A graded submission for its student, as a page.

use super::lost::{findings, in_short, lost, said};
use super::{isolation, why_not};
use crate::grade::GradeReport;
use crate::report::markdown::{code, escaped};
use crate::report::words::{name, sentence};

/// Characters of a page; the rest of the reasons is left out.
const CHARACTERS: usize = 60_000;

/// The page.
pub fn grade_markdown(report: &GradeReport) -> String {
    let mut out = format!("## {}: {} of {}\n\n", escaped(&name(&report.title)), report.points, report.out_of);
    out += &format!("{}\n\n", escaped(&name(&report.submission)));
    if let Some(why) = why_not(report) {
        out += &format!("**{}.**\n\n", escaped(&why));
    }
    out += "| part | | points | |\n| --- | --- | ---: | --- |\n";
    for part in &report.parts {
        let (title, short) = (escaped(&name(&part.title)), escaped(&in_short(report, part)));
        out += &format!("| {} | {title} | {} of {} | {short} |\n", part.id, part.points, part.out_of);
    }
    for part in &report.parts {
        let told = findings(report, part);
        if told.is_empty() && part.items.iter().all(|item| item.passed()) {
            continue;
        }
        out += &format!("\n### {} · {}\n\n", part.id, escaped(&name(&part.title)));
        for finding in told {
            out += &format!("* **{}**\n", escaped(&sentence(finding)));
        }
        for (number, item) in lost(part) {
            if out.len() > CHARACTERS {
                out += "* and more\n";
                break;
            }
            let told = said(report, item, number);
            let points = &item.points - &item.out_of;
            out += &format!("* {points}: {} {}\n", code(&told.name), escaped(&told.why));
        }
    }
    let count = report.evaluation();
    out += &format!("\n{} of {} cases pass; {}.\n", count.passed, count.all, escaped(&sentence(&isolation(report))));
    out
}
