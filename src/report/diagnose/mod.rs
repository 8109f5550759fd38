//! Reports of diagnoses, of the power of suites, and of the catalogue of faults.

mod catalogue;
mod power;
mod text;
mod trace;
#[cfg(feature = "plots")]
mod trace_plot;

pub use catalogue::catalogue_text;
pub use power::{power_json, power_text};
pub use text::diagnosis_text;
pub use trace::{trace_json, trace_text};
#[cfg(feature = "plots")]
pub use trace_plot::trace_plot;

use crate::diagnose::Diagnosis;
use crate::io::json;
use serde::Serialize;

/// One candidate and what is found of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DiagnosisReport {
    /// Its folder or command.
    pub candidate: String,
    /// One sentence for each case that it did not answer.
    pub refusals: Vec<String>,
    /// What is found.
    #[serde(flatten)]
    pub diagnosis: Diagnosis,
}

/// Everything, for programs.
pub fn diagnosis_json(reports: &[DiagnosisReport]) -> String {
    // Plain data without maps of odd keys always serialises.
    let json = json::pretty(reports).unwrap_or_default();
    format!("{json}\n")
}
