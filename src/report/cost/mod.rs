//! Reports of what a model costs.

#[cfg(feature = "plots")]
mod plot;
mod text;

#[cfg(feature = "plots")]
pub use plot::cost_plot;
pub use text::cost_text;

use crate::cost::CostReport;
use crate::io::json;

/// Everything, for programs.
pub fn cost_json(report: &CostReport) -> String {
    // Plain data without maps of odd keys always serialises.
    let json = json::pretty(report).unwrap_or_default();
    format!("{json}\n")
}
