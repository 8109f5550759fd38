//! Curves over the length of a request, and the roofline.

use crate::cost::{CostReport, CurvePoint, PhaseCost, Roofline};
use crate::report::plot::{Axes, Corner, Curve, Mark, Panel, Picture, picture};
use crate::report::words::name;

/// Intensity of attention, memory of keys and values, and, where a peak is known, the roofline with the parts of both phases.
pub fn cost_plot(report: &CostReport, format: Picture) -> Vec<u8> {
    let machine = report.capacity.as_ref().map(|capacity| &capacity.machine);
    let roofline = machine.and_then(|machine| machine.roofline);
    let mut panels = vec![intensity(report, roofline.as_ref()), memory(report)];
    panels.extend(roofline.map(|roofline| roofs(report, &roofline)));
    picture(&panels, format)
}

fn over(report: &CostReport, name: &str, value: fn(&CurvePoint) -> f64) -> Curve {
    let points = report.curve.iter().map(|point| (point.context as f64, value(point))).collect();
    Curve { name: name.to_string(), mark: Mark::Line, points }
}

fn intensity(report: &CostReport, roofline: Option<&Roofline>) -> Panel {
    let mut curves = vec![
        over(report, "prefill", |point| point.prefill),
        over(report, "prefill, fused", |point| point.fused_prefill),
        over(report, "decode", |point| point.decode),
        over(report, "decode, fused", |point| point.fused_decode),
    ];
    if let (Some(roofline), Some(first), Some(last)) = (roofline, report.curve.first(), report.curve.last()) {
        let ridge = roofline.ridge();
        let points = vec![(first.context as f64, ridge), (last.context as f64, ridge)];
        curves.push(Curve { name: "ridge point".to_string(), mark: Mark::Line, points });
    }
    Panel {
        title: format!("{}: attention, head width {}", name(&report.model.name), report.model.head_dim),
        x: "keys".to_string(),
        y: "FLOPs a byte".to_string(),
        axes: Axes::Log,
        names: Corner::UpperLeft,
        curves,
    }
}

fn memory(report: &CostReport) -> Panel {
    let mut curves = vec![over(report, "KV cache of a request", |point| point.kv_bytes as f64 / 1e9)];
    if let (Some(first), Some(last)) = (report.curve.first(), report.curve.last()) {
        let mut level = |name: &str, bytes: u128| {
            let gb = bytes as f64 / 1e9;
            let points = vec![(first.context as f64, gb), (last.context as f64, gb)];
            curves.push(Curve { name: name.to_string(), mark: Mark::Line, points });
        };
        level("weights", report.weights_bytes);
        if let Some(capacity) = &report.capacity {
            level("memory of a device", capacity.machine.memory);
        }
    }
    Panel {
        title: "memory".to_string(),
        x: "tokens of a request".to_string(),
        y: "GB".to_string(),
        axes: Axes::Log,
        names: Corner::LowerRight,
        curves,
    }
}

fn roofs(report: &CostReport, roofline: &Roofline) -> Panel {
    let roof = |x: f64| (x, roofline.peak.min(x * roofline.bandwidth) / 1e12);
    let (mut least, mut most) = (0.1, 10.0 * roofline.ridge());
    let mut parts = |phase: &PhaseCost| {
        let mut points = Vec::new();
        for intensity in phase.parts.iter().filter_map(|part| part.intensity).filter(|&x| x > 0.0) {
            (least, most) = (intensity.min(least), intensity.max(most));
            points.push(roof(intensity));
        }
        points
    };
    let (prefill, decode) = (parts(&report.prefill), parts(&report.decode));
    Panel {
        title: "roofline".to_string(),
        x: "FLOPs a byte".to_string(),
        y: "TFLOP/s".to_string(),
        axes: Axes::Log,
        names: Corner::LowerRight,
        curves: vec![
            Curve {
                name: "roof".to_string(),
                mark: Mark::Line,
                points: vec![roof(least), roof(roofline.ridge()), roof(most)],
            },
            Curve { name: "parts of prefill".to_string(), mark: Mark::Points, points: prefill },
            Curve { name: "parts of decode".to_string(), mark: Mark::Points, points: decode },
        ],
    }
}
