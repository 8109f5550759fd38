//! The speed-up of a submission over the length of the prompt.

use crate::grade::GradeReport;
use crate::report::plot::{Axes, Corner, Curve, Mark, Panel, Picture, picture};
use crate::report::words::name;

/// Latency with the cache and without, and the speed-up beside what is needed; `None` where nothing was measured.
pub fn speed_up_plot(report: &GradeReport, format: Picture) -> Option<Vec<u8>> {
    let measured = report.parts.iter().find_map(|part| part.speed_up.as_ref())?;
    let curve = |name: &str, of: &dyn Fn(&crate::grade::SpeedUpRow) -> f64| Curve {
        name: name.to_string(),
        mark: Mark::Line,
        points: measured.rows.iter().map(|row| (row.prompt as f64, of(row))).collect(),
    };
    let latency = Panel {
        title: format!("{}: latency", name(&report.submission)),
        x: "tokens of the prompt".to_string(),
        y: "seconds".to_string(),
        axes: Axes::Log,
        names: Corner::UpperLeft,
        curves: vec![curve("without cache", &|row| row.without_cache), curve("with cache", &|row| row.with_cache)],
    };
    let speed_up = Panel {
        title: "speed-up".to_string(),
        y: "without cache / with cache".to_string(),
        curves: vec![curve("measured", &|row| row.speed_up()), curve("needed", &|_| measured.needed)],
        ..latency.clone()
    };
    Some(picture(&[latency, speed_up], format))
}
