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

pub use class::{class_csv, skipped_csv, skipped_row};
pub use gradescope::gradescope;
pub use markdown::grade_markdown;
#[cfg(feature = "plots")]
pub use plot::speed_up_plot;
pub use prairielearn::prairielearn;
pub use text::grade_text;
pub use trial::{trial_json, trial_text};

use crate::candidate::Wall;
use crate::grade::{GradeReport, Hints, Isolation};
use crate::report::words::sentence;

/// Why there is nothing to read of a submission, in a sentence without its end.
fn why_not(report: &GradeReport) -> Option<String> {
    if let Some(why) = &report.failed {
        // It happened while hidden cases were asked, perhaps, and may name them.
        let told = if report.hints == Hints::Full { sentence(why) } else { "goldref could not do so".to_string() };
        return Some(format!("It was not graded: {told}"));
    }
    report.refused.as_ref().map(|why| format!("It could not be asked: {}", sentence(why)))
}

/// How the submission was confined, in a sentence for everybody.
fn isolation(report: &GradeReport) -> String {
    match &report.isolation {
        Isolation::Sandbox => {
            let missing: Vec<&str> =
                Wall::ALL.iter().filter(|wall| !report.walls.contains(wall)).map(|wall| wall.name()).collect();
            match missing.as_slice() {
                [] => "asked in the sandbox".to_string(),
                missing => format!("asked in the sandbox, without its {}", missing.join(" and its ")),
            }
        }
        Isolation::PartOfTheSandbox(lacks) => format!("asked in a part of the sandbox: {lacks}"),
        Isolation::NoSandbox => "asked without a sandbox, with the rights of whoever graded it".to_string(),
        Isolation::NothingRan => "none of its code ran".to_string(),
    }
}
