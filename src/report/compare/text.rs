//! The comparison for people: an array a paragraph, the answer first, then the evidence.

use super::CompareReport;
use crate::check::{
    Argmax, ArrayComparison, ArrayOutcome, Census, ComparedArray, Comparison, Disagreement, Histogram, Ladder,
};
use crate::report::words::name;
use std::fmt::Write;

/// One paragraph an array and a last line that says whether all agree. Plain text, no colour.
pub fn text(report: &CompareReport) -> String {
    let mut out = String::new();
    for array in &report.set.arrays {
        let called = name(&array.name);
        // Writing to a String cannot fail.
        let _ = match &array.outcome {
            ArrayOutcome::Missing => writeln!(out, " {called}  missing: expected, and not in {}", name(&report.actual)),
            ArrayOutcome::Surplus => writeln!(out, " {called}  surplus: not expected, and in {}", name(&report.actual)),
            ArrayOutcome::WrongShape(shapes) => {
                writeln!(out, " {called}  wrong shape: actual {:?}, expected {:?}", shapes.actual, shapes.expected)
            }
            ArrayOutcome::Compared(of) => writeln!(out, "{}", paragraph(array, of, &report.set.ladder)),
        };
    }
    let _ = writeln!(out, "\n{}", conclusion(report));
    out
}

fn paragraph(array: &ArrayComparison, of: &ComparedArray, ladder: &Ladder) -> String {
    let facts = &of.facts;
    let mut lines = vec![headline(array, of, ladder)];
    if facts.compared == 0 {
        return lines.concat();
    }
    if let Some(worst) = &facts.worst_abs {
        lines.push(format!("   worst   |err| {}{}", number(worst.err), element(worst)));
        lines.push(format!("           {}", other_worsts(worst, facts)));
    }
    if let Some(rung) = facts.tightest_missed() {
        let count = facts.mismatches[rung];
        let label = ladder.0[rung].label();
        let words: Vec<&str> = facts.location.iter().map(|said| said.words.as_str()).collect();
        let said = if words.is_empty() { "nothing stands out".to_string() } else { words.join("; ") };
        lines.push(format!("   where   {} beyond {label}: {said}", plural(count, "element")));
        for failure in &of.first_failures {
            lines.push(format!("           {}", first(failure)));
        }
    }
    lines.push(format!("   scale   {}", scale(facts)));
    lines.push(format!("           {}", censuses(facts)));
    lines.push(format!("   errors  {}", drawn(&facts.histogram, facts.compared)));
    if let Some(argmax) = &of.argmax {
        lines.push(format!("   argmax  {}", likeliest(argmax)));
    }
    lines.join("\n")
}

fn headline(array: &ArrayComparison, of: &ComparedArray, ladder: &Ladder) -> String {
    let facts = &of.facts;
    let dtypes = match (array.actual_dtype.as_deref(), array.expected_dtype.as_deref()) {
        (Some(actual), Some(expected)) if actual != expected => format!("actual {actual}, expected {expected}"),
        (_, expected) => expected.unwrap_or("—").to_string(),
    };
    let mut line = format!(" {}  {:?} {dtypes}", name(&array.name), of.shape);
    if facts.compared == 0 {
        line.push_str("    no element to compare");
        return line;
    }
    for (rung, &misses) in ladder.0.iter().zip(&facts.mismatches) {
        let _ = write!(line, "   {}  {}", rung.label(), percent(facts.compared - misses, facts.compared));
    }
    let verdict = match (facts.tightest_missed(), of.agrees) {
        (None, _) if facts.worst_abs.is_none() => "equal".to_string(),
        (None, _) => "all agree".to_string(),
        (Some(rung), true) => format!("not all agree at {}", ladder.0[rung].label()),
        (Some(_), false) => {
            let last = ladder.0.len() - 1;
            format!("DISAGREES: {} of {} beyond {}", facts.mismatches[last], facts.compared, ladder.0[last].label())
        }
    };
    let _ = write!(line, "    {verdict}");
    line
}

/// A share that reads as 100 % only when it is, and as 0 % only when it is.
fn percent(part: usize, all: usize) -> String {
    if part == all {
        return "100 %".to_string();
    }
    let share = 100.0 * part as f64 / all as f64;
    if part > 0 && share < 0.1 { "< 0.1 %".to_string() } else { format!("{:.1} %", (share * 10.0).floor() / 10.0) }
}

fn element(at: &Disagreement) -> String {
    format!(
        " at {:?}   actual {:?} ({})   expected {:?} ({})",
        at.index, at.actual, at.actual_bits, at.expected, at.expected_bits
    )
}

/// The other two measures, with their place where it is another one.
fn other_worsts(worst: &Disagreement, facts: &Comparison) -> String {
    let measure = |name: &str, other: &Option<Disagreement>| {
        other.as_ref().map(|other| {
            let place = if other.index == worst.index { String::new() } else { format!(" at {:?}", other.index) };
            format!("{name} {}{place}", number(other.err))
        })
    };
    [measure("relative", &facts.worst_rel), measure("ulps", &facts.worst_ulps)]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("   ")
}

fn first(failure: &Disagreement) -> String {
    format!(
        "{:?}  actual {:?}  expected {:?}  |err| {}",
        failure.index,
        failure.actual,
        failure.expected,
        number(failure.err)
    )
}

fn scale(facts: &Comparison) -> String {
    let maybe = |x: Option<f64>| x.map_or_else(|| "—".to_string(), number);
    format!(
        "largest |expected| {}   rmse {}   nmse {}   1 - cosine {}   mean signed error {}",
        number(facts.scale),
        number(facts.rmse),
        maybe(facts.nmse),
        maybe(facts.cosine.map(|cosine| 1.0 - cosine)),
        if facts.mean_signed_err > 0.0 {
            format!("+{}", number(facts.mean_signed_err))
        } else {
            number(facts.mean_signed_err)
        }
    )
}

fn censuses(facts: &Comparison) -> String {
    let words = |census: &Census| {
        format!(
            "{} NaN, {} inf, {} -inf, {} zero ({} of them -0)",
            census.nan, census.positive_infinity, census.negative_infinity, census.zero, census.negative_zero
        )
    };
    let (actual, expected) = (words(&facts.actual_census), words(&facts.expected_census));
    if actual == expected { format!("{actual} on both sides") } else { format!("actual {actual}; expected {expected}") }
}

/// One block a decade, from the smallest to the largest error, and the quantiles.
fn drawn(histogram: &Histogram, compared: usize) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    /// Wider pictures than this are cut to their ends.
    const WIDEST: i32 = 40;
    let mut parts = vec![format!("equal {}", percent(histogram.equal, compared))];
    if let (Some(lowest), Some(highest)) = (histogram.decades.first(), histogram.decades.last()) {
        let most = histogram.decades.iter().map(|decade| decade.count).max().unwrap_or(1);
        let from = lowest.exponent.max(highest.exponent - WIDEST);
        let picture: String = (from..=highest.exponent)
            .map(|exponent| {
                let found = histogram.decades.iter().find(|decade| decade.exponent == exponent);
                found.map_or(' ', |decade| BLOCKS[(decade.count * 8).div_ceil(most).clamp(1, 8) - 1])
            })
            .collect();
        let cut = if from > lowest.exponent { "…" } else { "" };
        parts.push(format!("1e{from} {cut}{picture} 1e{}", highest.exponent + 1));
    }
    if let Some(quantiles) = &histogram.quantiles {
        parts.push(format!(
            "p50 {}   p90 {}   p99 {}   p99.9 {}   max {}",
            number(quantiles.p50),
            number(quantiles.p90),
            number(quantiles.p99),
            number(quantiles.p99_9),
            number(quantiles.max)
        ));
    }
    if histogram.non_finite > 0 {
        parts.push(format!("{} not finite", histogram.non_finite));
    }
    parts.join("   ")
}

fn likeliest(argmax: &Argmax) -> String {
    let mut words = if argmax.flips == 0 {
        format!("equal in {} of {} rows", argmax.equal, argmax.rows)
    } else {
        format!("flips in {} of {} rows", argmax.flips, argmax.rows)
    };
    match argmax.closest_margin_ratio {
        None => words.push_str("; no row has an error"),
        Some(ratio) => {
            let _ = write!(words, "; the closest margin is {} × the error of its row", number(ratio));
            let _ = write!(words, ", {} can flip (margin ≤ 2 × the error)", plural(argmax.can_flip, "row"));
        }
    }
    words
}

fn conclusion(report: &CompareReport) -> String {
    let set = &report.set;
    let mut said = Vec::new();
    let count = |kind: fn(&ArrayOutcome) -> bool| set.arrays.iter().filter(|array| kind(&array.outcome)).count();
    let compared = count(|outcome| matches!(outcome, ArrayOutcome::Compared(_)));
    let agreeing = count(|outcome| matches!(outcome, ArrayOutcome::Compared(of) if of.agrees));
    let within = set.ladder.0.last().map_or_else(String::new, |rung| format!(" within {}", rung.label()));
    let verb = if compared == 1 { "agrees" } else { "agree" };
    said.push(format!("{agreeing} of {} {verb}{within}", plural(compared, "array")));
    for (words, number) in [
        ("missing", count(|outcome| matches!(outcome, ArrayOutcome::Missing))),
        ("surplus", count(|outcome| matches!(outcome, ArrayOutcome::Surplus))),
        ("of the wrong shape", count(|outcome| matches!(outcome, ArrayOutcome::WrongShape(_)))),
    ] {
        if number > 0 {
            said.push(format!("{number} {words}"));
        }
    }
    let [actual, expected] = report.ignored_files;
    if actual + expected > 0 {
        said.push(format!("{} of other kinds not looked at", plural(actual + expected, "file")));
    }
    if set.compared() == 0 {
        said.push("no element was compared, and nothing compared is not a success".to_string());
    }
    format!("{}: {}.", if report.agrees { "agrees" } else { "DISAGREES" }, said.join("; "))
}

fn plural(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Three significant digits, as short as they can be written.
fn number(x: f64) -> String {
    if x == 0.0 {
        return "0".to_string();
    }
    if !x.is_finite() {
        return x.to_string();
    }
    if (0.01..1000.0).contains(&x.abs()) {
        let digits = (2 - x.abs().log10().floor() as i32).clamp(0, 4) as usize;
        let fixed = format!("{x:.digits$}");
        return if fixed.contains('.') { fixed.trim_end_matches('0').trim_end_matches('.').to_string() } else { fixed };
    }
    format!("{x:.2e}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Decade;

    #[test]
    fn a_share_is_never_rounded_up_to_all() {
        assert_eq!(percent(99_999, 100_000), "99.9 %");
        assert_eq!(percent(100_000, 100_000), "100 %");
        assert_eq!(percent(1, 100_000), "< 0.1 %");
        assert_eq!(percent(0, 3), "0.0 %");
    }

    #[test]
    fn numbers_are_short() {
        for (x, words) in
            [(0.0, "0"), (1.0, "1"), (160.0, "160"), (3.05e-4, "3.05e-4"), (0.0125, "0.0125"), (1234.5, "1.23e3")]
        {
            assert_eq!(number(x), words);
        }
        assert_eq!(number(f64::INFINITY), "inf");
    }

    #[test]
    fn decades_without_errors_are_gaps() {
        let decades = vec![Decade { exponent: -7, count: 1 }, Decade { exponent: -5, count: 16 }];
        let histogram = Histogram { equal: 3, non_finite: 0, decades, quantiles: None };
        assert_eq!(drawn(&histogram, 20), "equal 15.0 %   1e-7 ▁ █ 1e-4");
    }
}
