//! Faces of a graded submission, and of a class.
//!
//! What is said of hidden cases goes by the report's hints in every face but the class's: it is made for students.

mod class;
mod gradescope;
mod lost;
mod markdown;
#[cfg(feature = "plots")]
mod plot;
mod prairielearn;
mod text;
mod trial;

pub use class::class_csv;
pub use gradescope::gradescope;
pub use markdown::grade_markdown;
#[cfg(feature = "plots")]
pub use plot::speed_up_plot;
pub use prairielearn::prairielearn;
pub use text::grade_text;
pub use trial::{trial_json, trial_text};

use crate::grade::{GradeReport, Isolation};

/// How the submission was confined, in a sentence for everybody.
fn isolation(report: &GradeReport) -> String {
    match &report.isolation {
        Isolation::Sandbox => "asked in the sandbox".to_string(),
        Isolation::PartOfTheSandbox(lacks) => format!("asked in a part of the sandbox: {lacks}"),
        Isolation::NoSandbox => "asked without a sandbox, with the rights of whoever graded it".to_string(),
        Isolation::NothingRan => "none of its code ran".to_string(),
    }
}
