//! A diagnosis for people.

use super::DiagnosisReport;
use crate::diagnose::Suspect;
use crate::num::sort::sort_by;
use crate::report::words::name;
use std::fmt::Write;

/// The verdict first, then the name, then what it rests on.
pub fn diagnosis_text(report: &DiagnosisReport) -> String {
    let mut out = String::new();
    let found = &report.diagnosis;
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{} · stored in {} · {} cases", name(&report.candidate), found.stored, found.answered);
    for refusal in &report.refusals {
        let _ = writeln!(out, "  {}", name(refusal));
    }
    if found.deviating == 0 {
        let _ = writeln!(out, "rounding: no case deviates by more than a right program may");
        for hint in &found.hints {
            let _ = writeln!(
                out,
                "  yet the errors have the pattern of {} (coefficient {:.2}, {:.0} times its uncertainty): {}",
                hint.fault, hint.coefficient, hint.significance, hint.look_at
            );
        }
        return out;
    }
    let _ = writeln!(
        out,
        "not rounding: {} of {} cases deviate by more than a right program may\n",
        found.deviating, found.answered
    );
    let tied = found.tied.max(1);
    match (found.named, tied) {
        (true, 1) => {
            let _ = writeln!(out, "It is {}.", title(&found.suspects[0]));
        }
        (true, tied) => {
            let names: Vec<String> = found.suspects.iter().take(tied).map(title).collect();
            let _ = writeln!(out, "It is one of {} that explain it equally well: {}.", tied, names.join("; "));
            let _ = match &found.telling {
                Some(case) => writeln!(out, "The case that sets the first two apart most is {}.", name(case)),
                None => {
                    writeln!(out, "No case here tells the first two apart: they are the same function on all of them.")
                }
            };
        }
        (false, _) => {
            let _ = writeln!(out, "No known fault explains it, nor do two. The nearest:");
        }
    }
    for suspect in found.suspects.iter().take(if found.named { tied } else { 3 }) {
        out.push_str(&evidence(suspect, found.deviating));
    }
    let mut worst: Vec<_> = found.cases.iter().filter(|case| case.deviates).collect();
    sort_by(&mut worst, &|a, b| {
        (b.error.unwrap_or(f64::INFINITY) / b.allowed).total_cmp(&(a.error.unwrap_or(f64::INFINITY) / a.allowed))
    });
    let _ = writeln!(out, "\nCases, the worst first:");
    for case in worst.iter().take(5) {
        let error = case.error.map_or_else(|| "not finite".to_string(), |error| format!("off by {error:.1e}"));
        let left =
            case.unexplained.map_or_else(String::new, |left| format!(", {} of it explained", percent(1.0 - left)));
        let _ = writeln!(out, "  {}: {error}, {:.1e} allowed{left}", name(&case.case), case.allowed);
    }
    if worst.len() > 5 {
        let _ = writeln!(out, "  and {} more", worst.len() - 5);
    }
    out
}

fn title(suspect: &Suspect) -> String {
    suspect.faults.join(" and ")
}

fn evidence(suspect: &Suspect, deviating: usize) -> String {
    let mut out = String::new();
    for ((fault, look_at), formula) in suspect.faults.iter().zip(&suspect.look_at).zip(&suspect.formula) {
        let _ = writeln!(out, "  {fault}: {look_at}");
        let _ = writeln!(out, "      {formula}");
    }
    let coefficient = suspect.coefficient.map_or_else(String::new, |share| format!(", coefficient {share:.2}"));
    let _ = writeln!(out, "      explains {} of {deviating} deviating cases{coefficient}", suspect.explained);
    out
}

fn percent(share: f64) -> String {
    if share > 0.999 { "all".to_string() } else { format!("{:.0} %", 100.0 * share) }
}
