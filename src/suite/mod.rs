//! Suites: cases as files, and running variants over them.
//!
//! A case is read ([`Store`]), asked of a variant ([`answer()`]), compared and gathered ([`run`]) into a
//! [`RunReport`], which is plain data, saved and read back, and compared with that of another run ([`RunDiff`]). Knows everything above it; does not know how a report looks.

mod answer;
mod asked;
mod bits;
#[cfg(feature = "fixtures")]
mod bundled;
mod case;
mod diff;
mod exam;
mod expectation;
mod files;
mod generation_case;
mod judging;
mod model_question;
mod object;
mod operation_case;
mod outputs;
mod report_data;
mod runner;
mod saved;
mod selection;
mod standing;
mod store;
mod variant_candidate;
mod written;

pub use answer::{Asked, Prepared, answer, planned};
pub use asked::run_candidate;
pub use bits::{BitsOutcome, BitsReport, CaseBits, Hash, VariantBits, bits};
pub use case::{Case, Oracle, Suite, Tolerance};
pub use diff::{Change, Difference, Direction, FORMAT as DIFF_FORMAT, RunDiff};
pub use exam::{Compared, Exam};
pub use files::{run_files, widened};
pub use judging::EVALUATIONS;
pub use model_question::ModelQuestion;
pub use operation_case::{OperationCase, operation_cases};
pub use report_data::{
    ArrayResult, Beside, CaseResult, ErrorRatios, FORMAT as RUN_FORMAT, Outcome, RunReport, SuiteCount, Unfit,
    VariantAbout,
};
pub use runner::run;
pub use selection::{Selected, count_cases, selected_cases};
pub use standing::Standing;
pub use store::Store;
pub use variant_candidate::VariantCandidate;
pub use written::{NewCase, write_suite, written_checkpoint};
