//! A chart of the errors of each site.

use crate::diagnose::{Divergence, SiteError};
use crate::report::plot::{Axes, Corner, Curve, Mark, Panel, Picture, picture};
use crate::report::words::name;

/// Errors over the sites, in the order of the forward pass.
pub fn trace_plot(candidate: &str, found: &Divergence, format: Picture) -> Vec<u8> {
    let curve = |title: &str, error: fn(&SiteError) -> Option<f64>| Curve {
        name: title.to_string(),
        mark: Mark::Line,
        points: found
            .sites
            .iter()
            .enumerate()
            .filter_map(|(at, site)| Some(((at + 1) as f64, error(site).filter(|error| *error > 0.0)?)))
            .collect(),
    };
    let first = found.first.as_ref().map_or_else(String::new, |first| format!(", first {}", name(&first.site)));
    let panel = Panel {
        title: format!("{}{first}", name(candidate)),
        x: "site, in the order of the forward pass".to_string(),
        y: "relative error".to_string(),
        axes: Axes::LogUpwards,
        names: Corner::LowerRight,
        curves: vec![
            curve("total", |site| site.total),
            curve("inherited", |site| site.inherited),
            curve("introduced", |site| site.introduced),
        ],
    };
    picture(&[panel], format)
}
