//! Grading: an assignment, a submission, points and the reason for each that is lost.
//!
//! ```text
//! assignment.toml ─► Assignment ─► Course (cases read, numbers worked out) ─┐
//! a folder of a student ─► Submission ─► confined program ─────────────────┴─► grade() ─► GradeReport ─► faces in `report`
//! ```
//! A part is cases and properties, numbers worked out on paper, or a measured speed-up. Points are exact fractions. No code of a student runs in this process, and no
//! expected value is in reach of it: see [`Sandbox`](crate::candidate::Sandbox). Many submissions are graded side by side, each result written when it is
//! done, so that an interrupted class goes on where it was ([`class`]). Knows everything above it; does not know how a report looks.

mod answers;
mod assignment;
mod cases;
pub mod class;
mod composition;
mod course;
mod files;
mod grading;
mod naming;
mod patterns;
mod points;
mod quantity;
mod report_data;
mod respondent;
mod speed_up;
mod stage;
mod standing;
mod starter;
mod submission;

pub use assignment::{
    Answers, Asked, Assignment, CaseSet, Hints, Kind, Limits, Part, Question, Rung, Scoring, SpeedUp, Worked,
};
pub use course::Course;
pub use grading::{Grading, grade};
pub use points::Points;
pub use quantity::Unit;
pub use report_data::{
    Audience, Evaluation, FORMAT as GRADE_FORMAT, Findings, GradeReport, Isolation, Item, ItemKind, PartReport, Reason,
    SpeedUpReport, SpeedUpRow,
};
pub use standing::Standing;
pub use starter::{Starter, write_starter};
pub use submission::{Demand, Guard, Source, Submission};
