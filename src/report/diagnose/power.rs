//! The power of suites: which faults they show.

use crate::diagnose::{FaultPower, PowerReport};
use crate::io::json;
use crate::report::units::{plain_table, shown};
use crate::report::words::name;
use std::fmt::Write;

/// Everything, for programs.
pub fn power_json(report: &PowerReport) -> String {
    // Plain data without maps of odd keys always serialises.
    let json = json::pretty(report).unwrap_or_default();
    format!("{json}\n")
}

/// Rungs first, then what survives and when it could be seen, then fault by fault; with few cases that do as much, if asked.
pub fn power_text(report: &PowerReport, minimal: Option<&[String]>) -> String {
    let mut out = String::new();
    let wrong = report.wrong().count();
    let equivalent = report.faults.iter().filter(|fault| fault.equivalent).count();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{wrong} faults and {equivalent} equivalent edits against {} cases", report.cases.len());
    if report.operations > 0 {
        let forms = report.wrong().filter(|fault| fault.has_operation_form).count();
        let _ = writeln!(out, "{} of them ask operations, for which {forms} faults have a form", report.operations);
    }
    let _ = writeln!(out);
    let mut table = plain_table(&["atol", "shown", "surviving"]);
    for (at, tolerance) in report.tolerances.iter().enumerate() {
        let survivors: Vec<&str> = report.survivors(at).map(|fault| fault.name).collect();
        let named =
            if survivors.len() > 6 { format!("{} …", survivors[..6].join(", ")) } else { survivors.join(", ") };
        table.add_row([format!("{tolerance:.0e}"), format!("{} of {wrong}", wrong - survivors.len()), named]);
    }
    let _ = writeln!(out, "{}", shown(table, 0));
    let blind: Vec<&FaultPower> = report.survivors(0).collect();
    if !blind.is_empty() {
        let _ = writeln!(out, "\nNo case shows these; what hides each is the situation of all cases here:");
        for fault in blind {
            let _ = writeln!(out, "  {}: {}", fault.name, fault.invisible);
        }
    }
    if let Some(minimal) = minimal {
        let _ = writeln!(out, "\n{} cases show as much as all {}:", minimal.len(), report.cases.len());
        for case in minimal {
            let _ = writeln!(out, "  {}", name(case));
        }
    }
    let _ = writeln!(out);
    let _ = writeln!(out, "{}", faults(report));
    out
}

fn faults(report: &PowerReport) -> String {
    let mut header = vec!["fault".to_string()];
    header.extend(report.tolerances.iter().map(|tolerance| format!("{tolerance:.0e}")));
    header.extend(["most", "cheapest case that shows it"].map(String::from));
    let mut table = plain_table(&header.iter().map(String::as_str).collect::<Vec<_>>());
    let wanted: Vec<&str> = report.wrong().map(|fault| fault.name).collect();
    for fault in report.faults.iter().filter(|fault| fault.equivalent || wanted.contains(&fault.name)) {
        let mut row = vec![fault.name.to_string()];
        row.extend(fault.shown_by.iter().map(|count| if *count == 0 { "–".to_string() } else { count.to_string() }));
        row.push(match &fault.most {
            None => "–".to_string(),
            Some((_, None)) => "not finite".to_string(),
            Some((_, Some(gap))) => format!("{gap:.1e}"),
        });
        row.push(match (&fault.cheapest, fault.equivalent) {
            (Some(case), _) => name(case).to_string(),
            (None, true) => "equivalent".to_string(),
            (None, false) => "none".to_string(),
        });
        table.add_row(row);
    }
    shown(table, 0)
}
