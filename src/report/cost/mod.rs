//! Reports of what a model costs.

mod plot;
mod text;

pub use plot::cost_plot;
pub use text::cost_text;

use crate::cost::CostReport;

/// Everything, for programs.
pub fn cost_json(report: &CostReport) -> String {
    // Plain data without maps of odd keys always serialises.
    let json = serde_json::to_string_pretty(report).unwrap_or_default();
    format!("{json}\n")
}
