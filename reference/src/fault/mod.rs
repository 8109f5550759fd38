//! Faults: real bugs of attention, transformers and KV caches, as edits.
//!
//! The reference has no branch for any of them. A fault edits the model (its spec and its weights), the numerics, the calls, or, by an
//! [`Intervention`](crate::eval::Intervention), what passes a site: the wrong formula stands beside the right one, in `sites`, and takes the
//! site's inputs from the sites before it. Edits add up, so that several faults at once are several edits.
//!
//! Every row of the [catalogue](all) has a name, what it looks like to its author, when it is invisible and who has met it. A few are
//! equivalent to the right formula and say so. Knows models; knows nothing of suites or verdicts.

mod catalogue;
mod edits;
mod operations;
mod run;
mod sites;

pub use catalogue::{all, find};
pub use operations::{OperationQuestion, has_operation_form, run_operation};
pub use run::{FaultAnswer, run, run_watched};

use crate::eval::Numerics;
use crate::model::{Model, Plan};
use sites::Deviation;

/// One fault.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// Its name, as in `catches` of a suite.
    pub name: &'static str,
    /// Where in the model it is.
    pub group: Group,
    /// What to look at, in the words of whoever wrote it.
    pub look_at: &'static str,
    /// The line of the formula that it breaks.
    pub formula: &'static str,
    /// When no test can see it.
    pub invisible: &'static str,
    /// Public report, as `owner/repository#number`; empty for a fault that is easily made and has none.
    pub reported: &'static str,
    /// Right, wrong in the last places only, or wrong.
    pub kind: Kind,
    edit: Edit,
}

/// What sort of a fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Another function.
    Wrong,
    /// The same function, rounded where it should not be.
    Precision,
    /// The same function: only rounding differs, or only what nobody reads.
    Equivalent,
}

/// Where in a model a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Group {
    /// Scores, their scale and softmax.
    Scores,
    /// Masks.
    Masks,
    /// Positions.
    Positions,
    /// Heads, layout and projections.
    Heads,
    /// Norms, residual stream and MLP.
    Norms,
    /// Cache and batch.
    Cache,
    /// Formats.
    Precision,
}

impl Group {
    /// For people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Scores => "scores, scale, softmax",
            Self::Masks => "masks",
            Self::Positions => "positions",
            Self::Heads => "heads, layout, projections",
            Self::Norms => "norms, residual, MLP",
            Self::Cache => "cache and batch",
            Self::Precision => "formats",
        }
    }
}

/// What a fault edits. Each says whether the model has a place for it.
#[derive(Debug, Clone, Copy)]
enum Edit {
    /// Spec and weights.
    Model(fn(&mut Model<f64>) -> bool),
    /// What the calls say of their tokens, and whether a session ends.
    Plan(fn(&mut Plan, &Model<f64>) -> bool),
    /// Where values are rounded.
    Numerics(fn(&mut Numerics, &Model<f64>) -> bool),
    /// What passes the sites.
    Sites(Deviation),
}
