//! Curves as SVG, on axes that grow by powers.

use plotters::coord::Shift;
use plotters::coord::combinators::IntoLogRange;
use plotters::prelude::{
    ChartBuilder, Circle, Color, DrawingArea, IntoDrawingArea, LineSeries, PathElement, RGBColor, SVGBackend,
    SeriesLabelPosition, WHITE,
};
use plotters::style::BLACK;

/// How points are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// Joined by a line.
    Line,
    /// Each for itself.
    Points,
}

/// Where the names of the curves stand.
#[derive(Debug, Clone, Copy)]
pub(super) enum Corner {
    UpperLeft,
    LowerRight,
}

/// One curve: its name and its points `(x, y)`, both positive.
#[derive(Debug, Clone)]
pub(super) struct Curve {
    pub(super) name: String,
    pub(super) mark: Mark,
    pub(super) points: Vec<(f64, f64)>,
}

/// Curves on common axes.
#[derive(Debug, Clone)]
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) x: String,
    pub(super) y: String,
    pub(super) names: Corner,
    pub(super) curves: Vec<Curve>,
}

/// Colours that also those who see fewer colours tell apart (Okabe & Ito, *Color universal design*, 2008).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];

const WIDTH: u32 = 560;
const HEIGHT: u32 = 400;

/// Panels side by side. Points that are not positive and finite are left out: a logarithm has no place for them.
pub(super) fn svg(panels: &[Panel]) -> String {
    let mut out = String::new();
    {
        let size = (WIDTH * panels.len() as u32, HEIGHT);
        let area = SVGBackend::with_string(&mut out, size).into_drawing_area();
        // Writing to a String cannot fail, and nothing else can here.
        let _ = area.fill(&WHITE);
        for (panel, area) in panels.iter().zip(area.split_evenly((1, panels.len().max(1)))) {
            let _ = draw(panel, &area);
        }
        let _ = area.present();
    }
    out
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw(panel: &Panel, area: &DrawingArea<SVGBackend, Shift>) -> Drawn {
    let usable = |&(x, y): &(f64, f64)| x.is_finite() && y.is_finite() && x > 0.0 && y > 0.0;
    let points = || panel.curves.iter().flat_map(|curve| curve.points.iter().copied().filter(|p| usable(p)));
    let (Some(xs), Some(ys)) = (range(points().map(|p| p.0)), range(points().map(|p| p.1))) else { return Ok(()) };
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, ("sans-serif", 17))
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(70)
        .build_cartesian_2d((xs.0..xs.1).log_scale(), (ys.0..ys.1).log_scale())?;
    chart
        .configure_mesh()
        .x_desc(&panel.x)
        .y_desc(&panel.y)
        .x_label_formatter(&|x| label(*x))
        .y_label_formatter(&|y| label(*y))
        .light_line_style(BLACK.mix(0.04))
        .draw()?;
    for (curve, colour) in panel.curves.iter().zip(COLOURS.iter().cycle()) {
        let points: Vec<(f64, f64)> = curve.points.iter().copied().filter(|p| usable(p)).collect();
        let line = if curve.mark == Mark::Line { points.as_slice() } else { &[] };
        chart
            .draw_series(LineSeries::new(line.iter().copied(), colour.stroke_width(2)))?
            .label(&curve.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
        // Measured points are few, and shown; curves of many points are lines.
        if points.len() <= 12 || curve.mark == Mark::Points {
            chart.draw_series(points.iter().map(|&point| Circle::new(point, 3, colour.filled())))?;
        }
    }
    chart
        .configure_series_labels()
        .position(match panel.names {
            Corner::UpperLeft => SeriesLabelPosition::UpperLeft,
            Corner::LowerRight => SeriesLabelPosition::LowerRight,
        })
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.2))
        .draw()?;
    Ok(())
}

/// From a little below the least to a little above the most.
fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let (least, most) = values.fold(None, |range: Option<(f64, f64)>, x| {
        let (least, most) = range.unwrap_or((x, x));
        Some((least.min(x), most.max(x)))
    })?;
    Some((least / 1.3, most * 1.3))
}

/// `1000`, `0.01`, `1e6`.
fn label(value: f64) -> String {
    if (1e-3..1e5).contains(&value) { format!("{}", (value * 1e6).round() / 1e6) } else { format!("{value:.0e}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_has_its_words_its_curves_and_no_place_for_what_is_not_positive() {
        let curve =
            |name: &str, points: &[(f64, f64)]| Curve { name: name.into(), mark: Mark::Line, points: points.to_vec() };
        let panel = Panel {
            title: "latency".into(),
            x: "tokens".into(),
            y: "seconds".into(),
            names: Corner::UpperLeft,
            curves: vec![
                curve("with <cache>", &[(10.0, 0.1), (100.0, 0.2), (0.0, 1.0)]),
                curve("without", &[(10.0, 0.5), (100.0, f64::NAN)]),
            ],
        };
        let text = svg(&[panel.clone(), panel]);
        let document = roxmltree::Document::parse(&text).unwrap();
        let words: Vec<&str> = document
            .descendants()
            .filter(|node| node.is_text())
            .filter_map(|node| node.text())
            .map(str::trim)
            .collect();
        for word in ["latency", "tokens", "seconds", "with <cache>", "without"] {
            assert_eq!(words.iter().filter(|shown| **shown == word).count(), 2, "{word}: {words:?}");
        }
        let circles = document.descendants().filter(|node| node.has_tag_name("circle")).count();
        assert_eq!(circles, 2 * 3);
        assert!(!text.contains("NaN") && !text.contains("inf"));
        assert!(svg(&[]).contains("<svg"));
    }
}
