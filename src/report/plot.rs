//! Curves as SVG or PNG, on even axes or on axes that grow by powers.

mod paper;

use crate::error::{Error, Result};
use paper::Paper;
use plotters::coord::Shift;
use plotters::coord::combinators::{IntoLogRange, LogCoord};
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::{
    BitMapBackend, Cartesian2d, ChartBuilder, ChartContext, Circle, Color, DrawingArea, IntoDrawingArea, LineSeries,
    PathElement, RGBColor, SVGBackend, SeriesLabelPosition, WHITE,
};
use plotters::style::{BLACK, FontStyle, register_font};
use std::ops::Range;
use std::path::Path;

/// The format of a plot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Picture {
    /// Scalable Vector Graphics (W3C): text, sharp at any size.
    Svg,
    /// Portable Network Graphics (W3C, ISO/IEC 15948): pixels, two for each unit of the SVG.
    Png,
}

impl Picture {
    /// The format that the name of a file asks for.
    ///
    /// # Errors
    /// An ending that is neither `.svg` nor `.png`.
    pub fn of(path: &Path) -> Result<Self> {
        match path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase).as_deref() {
            Some("svg") => Ok(Self::Svg),
            Some("png") => Ok(Self::Png),
            _ => Err(Error::write(path, "plots are written as .svg or .png; name the file so")),
        }
    }
}

/// How the numbers of an axis lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Axes {
    /// By their differences, from zero on.
    Linear,
    /// By their ratios.
    Log,
    /// By their differences from left to right, by their ratios upwards.
    LogUpwards,
}

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
    pub(super) axes: Axes,
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

/// Pixels of a PNG for each unit of length.
const PIXELS: u32 = 2;

/// Panels side by side. Points that are not positive and finite are left out: a logarithm has no place for them.
pub(super) fn picture(panels: &[Panel], format: Picture) -> Vec<u8> {
    // A PNG must bring its letters along; the same ones tell how much room a word takes in an SVG. Known already: nothing to do.
    let _ = register_font("sans-serif", FontStyle::Normal, dejavu::sans::regular());
    match format {
        Picture::Svg => svg(panels).into_bytes(),
        Picture::Png => png(panels),
    }
}

fn svg(panels: &[Panel]) -> String {
    let mut out = String::new();
    let size = (WIDTH * panels.len() as u32, HEIGHT);
    // Writing to a String cannot fail, and nothing else can here.
    let _ = draw_all(panels, &Paper::Svg(SVGBackend::with_string(&mut out, size)).into_drawing_area(), 1);
    out
}

fn png(panels: &[Panel]) -> Vec<u8> {
    let (width, height) = (PIXELS * WIDTH * panels.len().max(1) as u32, PIXELS * HEIGHT);
    let mut pixels = vec![0; 3 * width as usize * height as usize];
    let area = Paper::Png(BitMapBackend::with_buffer(&mut pixels, (width, height))).into_drawing_area();
    let _ = draw_all(panels, &area, PIXELS);
    drop(area);
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(png::ColorType::Rgb);
    // As above.
    let _ = encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels));
    out
}

type Drawn = std::result::Result<(), plotters::drawing::DrawingAreaErrorKind<std::io::Error>>;

fn draw_all(panels: &[Panel], area: &DrawingArea<Paper<'_>, Shift>, unit: u32) -> Drawn {
    area.fill(&WHITE)?;
    let (width, height) = ((unit * WIDTH) as i32, (unit * HEIGHT) as i32);
    for (panel, left) in panels.iter().zip((0..).step_by(width as usize)) {
        draw(panel, &area.clone().shrink((left, 0), (width, height)), unit)?;
    }
    area.present()
}

fn draw(panel: &Panel, area: &DrawingArea<Paper<'_>, Shift>, unit: u32) -> Drawn {
    let Some((xs, ys)) = panel.ranges() else { return Ok(()) };
    let mut builder = ChartBuilder::on(area);
    builder
        .caption(&panel.title, ("sans-serif", 15 * unit))
        .margin(12 * unit)
        .x_label_area_size(42 * unit)
        .y_label_area_size(70 * unit);
    // From zero, or from a little below the least, to a little above the most.
    let (x, y) = match panel.axes {
        Axes::Log => (Scale::log(xs.0 / 1.3..xs.1 * 1.3), Scale::log(ys.0 / 1.3..ys.1 * 1.3)),
        Axes::LogUpwards => (Scale::linear(0.0..xs.1 * 1.05), Scale::log(ys.0 / 1.3..ys.1 * 1.3)),
        Axes::Linear => (Scale::linear(0.0..xs.1 * 1.05), Scale::linear(0.0..ys.1 * 1.1)),
    };
    fill(panel, builder.build_cartesian_2d(x, y)?, unit)
}

/// How an axis lies: one type, because the chart is compiled for each pair of them.
enum Scale {
    Linear(RangedCoordf64),
    Log(LogCoord<f64>),
}

impl Scale {
    fn linear(range: Range<f64>) -> Self {
        Self::Linear(range.into())
    }

    fn log(range: Range<f64>) -> Self {
        Self::Log(range.log_scale().into())
    }
}

impl Ranged for Scale {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        match self {
            Self::Linear(scale) => scale.map(value, limit),
            Self::Log(scale) => scale.map(value, limit),
        }
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        match self {
            Self::Linear(scale) => scale.key_points(hint),
            Self::Log(scale) => scale.key_points(hint),
        }
    }

    fn range(&self) -> Range<f64> {
        match self {
            Self::Linear(scale) => scale.range(),
            Self::Log(scale) => scale.range(),
        }
    }
}

type Chart<'a, 'p> = ChartContext<'a, Paper<'p>, Cartesian2d<Scale, Scale>>;

fn fill<'a, 'p: 'a>(panel: &'a Panel, mut chart: Chart<'a, 'p>, unit: u32) -> Drawn {
    let font = ("sans-serif", 11 * unit);
    chart
        .configure_mesh()
        .x_desc(&panel.x)
        .y_desc(&panel.y)
        .x_labels(8)
        .y_labels(8)
        .x_label_formatter(&|x| label(*x))
        .y_label_formatter(&|y| label(*y))
        .label_style(font)
        .axis_desc_style(("sans-serif", 12 * unit))
        .light_line_style(BLACK.mix(0.04))
        .draw()?;
    let half = 8 * unit as i32;
    for (curve, colour) in panel.curves.iter().zip(COLOURS.iter().cycle()) {
        let points = curve.usable();
        let line = if curve.mark == Mark::Line { points.as_slice() } else { &[] };
        chart
            .draw_series(LineSeries::new(line.iter().copied(), colour.stroke_width(2 * unit)))?
            .label(&curve.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 2 * half, y)], colour.stroke_width(2 * unit)));
        // Measured points are few, and shown; curves of many points are lines.
        if points.len() <= 12 || curve.mark == Mark::Points {
            chart.draw_series(points.iter().map(|&point| Circle::new(point, 3 * unit, colour.filled())))?;
        }
    }
    chart
        .configure_series_labels()
        .position(match panel.names {
            Corner::UpperLeft => SeriesLabelPosition::UpperLeft,
            Corner::LowerRight => SeriesLabelPosition::LowerRight,
        })
        .label_font(font)
        .legend_area_size(20 * unit)
        .margin(5 * unit)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.2))
        .draw()
}

impl Curve {
    /// The points that have a place.
    fn usable(&self) -> Vec<(f64, f64)> {
        let usable = |&(x, y): &(f64, f64)| x.is_finite() && y.is_finite() && x > 0.0 && y > 0.0;
        self.points.iter().copied().filter(usable).collect()
    }
}

/// The least and the most.
type Span = (f64, f64);

impl Panel {
    /// How far the points reach to the right and upwards; `None` where none has a place.
    fn ranges(&self) -> Option<(Span, Span)> {
        let mut ranges: Option<(Span, Span)> = None;
        for (x, y) in self.curves.iter().flat_map(Curve::usable) {
            let (xs, ys) = ranges.unwrap_or(((x, x), (y, y)));
            ranges = Some((extended(xs, x), extended(ys, y)));
        }
        ranges
    }
}

fn extended((least, most): Span, x: f64) -> Span {
    (if x < least { x } else { least }, if x > most { x } else { most })
}

/// `0`, `1000`, `0.01`, `1e6`.
fn label(value: f64) -> String {
    if value == 0.0 || (1e-3..1e5).contains(&value) {
        format!("{}", (value * 1e6).round() / 1e6)
    } else {
        format!("{value:.0e}")
    }
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
            axes: Axes::Log,
            names: Corner::UpperLeft,
            curves: vec![
                curve("with <cache>", &[(10.0, 0.1), (100.0, 0.2), (0.0, 1.0)]),
                curve("without", &[(10.0, 0.5), (100.0, f64::NAN)]),
            ],
        };
        for axes in [Axes::Log, Axes::LogUpwards, Axes::Linear] {
            let panel = Panel { axes, ..panel.clone() };
            let text = String::from_utf8(picture(&[panel.clone(), panel], Picture::Svg)).unwrap();
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
        }
        assert!(svg(&[]).contains("<svg"));
    }

    #[test]
    fn a_png_has_the_curve_in_its_colour_and_letters_in_black() {
        let curve = Curve { name: "one".into(), mark: Mark::Line, points: vec![(1.0, 1.0), (10.0, 3.0)] };
        let words = ["title", "x", "y"].map(String::from);
        let [title, x, y] = words;
        let panel = Panel { title, x, y, axes: Axes::Linear, names: Corner::LowerRight, curves: vec![curve] };
        let bytes = picture(&[panel], Picture::Png);
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (PIXELS * WIDTH, PIXELS * HEIGHT));
        let pixel = |colour: [u8; 3]| pixels.chunks(3).filter(|pixel| **pixel == colour).count();
        assert!(pixel([0, 114, 178]) > 500, "{}", pixel([0, 114, 178]));
        // Above the axes there is the title and nothing else.
        let top = &pixels[..3 * info.width as usize * 48];
        assert!(top.chunks(3).filter(|pixel| pixel.iter().all(|&part| part < 64)).count() > 50);
    }

    #[test]
    fn the_name_of_a_file_says_its_format() {
        assert_eq!(Picture::of(Path::new("a/b.SVG")).unwrap(), Picture::Svg);
        assert_eq!(Picture::of(Path::new("b.png")).unwrap(), Picture::Png);
        for wrong in ["b", "b.pdf", "png"] {
            let refused = Picture::of(Path::new(wrong)).unwrap_err().to_string();
            assert!(refused.contains(".svg or .png"), "{refused}");
        }
    }
}
