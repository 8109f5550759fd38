//! Site by site: what was inherited, what was introduced.

use crate::diagnose::{Divergence, SiteError};
use crate::io::json;
use crate::report::units::{self, plain_table};
use crate::report::words::{list, name, sentence};
use std::fmt::Write;

/// Everything, for programs.
pub fn trace_json(found: &Divergence) -> String {
    // Plain data without maps of odd keys always serialises.
    let json = json::pretty(found).unwrap_or_default();
    format!("{json}\n")
}

/// Rows around the first site that diverges are shown, and those that diverge.
const AROUND: usize = 3;
/// Whole traces of this many sites are shown.
const SHORT: usize = 40;

/// The first site that introduces more than rounding, then the sites; long traces are cut to those that tell something. `--format json` has all.
pub fn trace_text(candidate: &str, found: &Divergence) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{} · stored in {} · {} sites", name(candidate), found.stored, found.sites.len());
    match &found.first {
        None => {
            let _ = writeln!(out, "rounding: no site introduces more than a right program may\n");
        }
        Some(first) => {
            let request = request_words(&first.request);
            let _ =
                writeln!(out, "not rounding: the first site that introduces more is {}{request}\n", name(&first.site));
            if !first.carried_by.is_empty() {
                let _ = writeln!(out, "  in {}", sentence(&first.carried_by.join("; ")));
            }
            for remark in &first.remarks {
                let _ = writeln!(out, "  {}", sentence(remark));
            }
            if !first.or_before.is_empty() {
                let _ = writeln!(out, "  or in {}, which the candidate did not give", list(&first.or_before));
            }
            out.push('\n');
        }
    }
    let _ = writeln!(out, "{}", table(found));
    let hidden = found.sites.len() - shown(found).len();
    if hidden > 0 {
        let _ = writeln!(out, "{hidden} more sites are as they must be or come later.");
    }
    for left_out in found.left_out.iter().take(5) {
        let _ = writeln!(out, "left out: {}: {}", name(&left_out.name), name(&left_out.reason));
    }
    if found.left_out.len() > 5 {
        let _ = writeln!(out, "left out: {} more", found.left_out.len() - 5);
    }
    if !found.absent.is_empty() {
        let some: Vec<&str> = found.absent.iter().take(4).map(String::as_str).collect();
        let more = if found.absent.len() > some.len() { " …" } else { "" };
        let _ = writeln!(out, "not given: {} of the model's sites: {}{more}", found.absent.len(), list(&some));
    }
    out
}

fn request_words(suffix: &str) -> String {
    suffix.strip_prefix('.').map_or_else(String::new, |number| format!(" of request {number}"))
}

/// The sites that a table shows.
fn shown(found: &Divergence) -> Vec<&SiteError> {
    let first = found.sites.iter().position(|site| site.diverges).unwrap_or(0);
    let near = |at: usize| at + AROUND >= first && at <= first + AROUND;
    let all = found.sites.len() <= SHORT;
    let last = found.sites.len().saturating_sub(1);
    let mut shown = Vec::new();
    for (at, site) in found.sites.iter().enumerate() {
        if all || near(at) || site.diverges || at == last {
            shown.push(site);
        }
    }
    shown
}

fn table(found: &Divergence) -> String {
    let mut table = plain_table(&["site", "total", "inherited", "introduced", "of allowed", ""]);
    for site in shown(found) {
        let error = |error: Option<f64>| match error {
            None => "not finite".to_string(),
            Some(0.0) => "0".to_string(),
            Some(error) => format!("{error:.1e}"),
        };
        let times = match site.times_allowed {
            None => "–".to_string(),
            Some(times) if times < 1000.0 => format!("{times:.2}"),
            Some(times) => format!("{times:.0e}"),
        };
        let mark = if site.diverges { "more than rounding" } else { "" };
        table.add_row([
            format!("{}{}", name(&site.site), request_words(&site.request)),
            error(site.total),
            error(site.inherited),
            error(site.introduced),
            times,
            mark.to_string(),
        ]);
    }
    units::shown(table, 1)
}
