//! Latency over the length of the prompt.

use super::BenchReport;
use crate::bench::LatencyRow;
use crate::report::plot::{Axes, Corner, Curve, Mark, Panel, Picture, picture};
use crate::report::words::name;

/// Three panels: all tokens with the cache and without, for each number of generated tokens, on even axes and on axes that grow by
/// powers; one token, measured and predicted.
pub fn bench_plot(report: &BenchReport, format: Picture) -> Vec<u8> {
    let rows = &report.latency.rows;
    let mut counts: Vec<usize> = rows.iter().map(|row| row.generate).collect();
    counts.sort_unstable();
    counts.dedup();
    let points = |count: usize, seconds: fn(&LatencyRow) -> Option<f64>| {
        let mut points = Vec::new();
        for row in rows {
            if let (true, Some(seconds)) = (row.generate == count, seconds(row)) {
                points.push((row.prompt as f64, seconds));
            }
        }
        points
    };
    let mut curves = Vec::new();
    for &count in &counts {
        curves.push(Curve {
            name: format!("{count} tokens without cache"),
            mark: Mark::Line,
            points: points(count, |row| Some(row.without_cache)),
        });
        curves.push(Curve {
            name: format!("{count} tokens with cache"),
            mark: Mark::Line,
            points: points(count, |row| Some(row.with_cache.median)),
        });
    }
    let latency = Panel {
        title: format!("{}, {}", name(&report.model), name(&report.variant)),
        x: "tokens of the prompt".to_string(),
        y: "seconds".to_string(),
        axes: Axes::Log,
        names: Corner::UpperLeft,
        curves,
    };
    let most = counts.last().copied().unwrap_or(1);
    let one = |name: &str, seconds: fn(&LatencyRow) -> Option<f64>| Curve {
        name: name.to_string(),
        mark: Mark::Line,
        points: points(most, seconds),
    };
    let parts = Panel {
        title: "prefill, and one token behind it".to_string(),
        x: "tokens of the prompt".to_string(),
        y: "seconds".to_string(),
        axes: Axes::Log,
        names: Corner::UpperLeft,
        curves: vec![
            one("prefill", |row| Some(row.prefill.median)),
            one("prefill, predicted", |row| Some(row.predicted_prefill)),
            one("a token", |row| row.decode.map(|decode| decode.median)),
            one("a token, predicted", |row| Some(row.predicted_decode)),
        ],
    };
    let even = Panel { axes: Axes::Linear, ..latency.clone() };
    picture(&[even, latency, parts], format)
}
