//! Reports of how long a model takes.

#[cfg(feature = "plots")]
mod plot;
mod text;

#[cfg(feature = "plots")]
pub use plot::bench_plot;
pub use text::bench_text;

use crate::bench::{LatencyReport, Limits, ProgramFindings};
use crate::io::json;
use serde::Serialize;

/// What was measured, on what, and of which model.
#[derive(Debug, Clone, Serialize)]
pub struct BenchReport {
    /// The model.
    pub model: String,
    /// The variant, or the command of a program.
    pub variant: String,
    /// Limits of the machine, measured in the same run.
    pub limits: Limits,
    /// The rows.
    pub latency: LatencyReport,
    /// What was found besides, of a program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<ProgramFindings>,
}

/// Everything, for programs.
pub fn bench_json(report: &BenchReport) -> String {
    // Plain data without maps of odd keys always serialises.
    let json = json::pretty(report).unwrap_or_default();
    format!("{json}\n")
}
