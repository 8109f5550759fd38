//! Reports: one file a format, each a pure function of a [`RunReport`](crate::suite::RunReport).
//!
//! Nothing here measures, decides or prints.

mod compare;
mod json;
mod summary;
mod text;

pub use compare::{CompareReport, compare_json, compare_text};
pub use json::json;
pub use summary::summary;
pub use text::text;
