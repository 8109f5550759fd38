//! A part of an assignment.

use super::super::points::Points;
use super::super::quantity::Unit;
use crate::cost::{AttentionTraffic, KvWidth};
use crate::num::Dtype;
use std::path::PathBuf;

/// One part.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Its short name.
    pub id: String,
    /// Its title.
    pub title: String,
    /// What it is worth.
    pub points: Points,
    /// Parts that must be passed before it is judged.
    pub requires: Vec<String>,
    /// The share of its points from which on it is passed.
    pub passed_at: Points,
    /// What is asked.
    pub kind: Kind,
}

/// What a part asks.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Cases and properties.
    Cases {
        /// Cases that students have.
        visible: Vec<CaseSet>,
        /// Cases that they do not have.
        hidden: Vec<CaseSet>,
        /// Names of properties, each worth as much as a case.
        properties: Vec<String>,
        /// Tolerances and what an answer within them earns, tightest first.
        ladder: Vec<Rung>,
        /// How the cases make the points.
        scoring: Scoring,
    },
    /// Numbers in a file.
    Answers(Answers),
    /// Latency with the cache and without.
    SpeedUp(SpeedUp),
}

/// Some cases of a suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseSet {
    /// The suite's folder, absolute.
    pub suite: PathBuf,
    /// Patterns of cases; none: all.
    pub cases: Vec<String>,
}

/// A tolerance and what it earns.
#[derive(Debug, Clone, PartialEq)]
pub struct Rung {
    /// Largest absolute error of any element.
    pub atol: f64,
    /// Share of the points of a case.
    pub share: Points,
}

/// How cases make points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scoring {
    /// Each is worth the same.
    #[default]
    EachCase,
    /// All or nothing: the least share of any.
    WorstCase,
}

/// Numbers worked out on paper.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    /// The file of a submission that has them.
    pub file: PathBuf,
    /// The questions.
    pub questions: Vec<Question>,
}

/// One number.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Its name in the file.
    pub id: String,
    /// What is right.
    pub worked: Worked,
    /// What it counts.
    pub unit: Unit,
    /// How far off it may be, of what is right.
    pub rtol: f64,
    /// What it is worth, in proportion to the others of its part.
    pub weight: Points,
}

/// How a right number is found.
#[derive(Debug, Clone, PartialEq)]
pub enum Worked {
    /// The assignment says it.
    Given(f64),
    /// The cost model works it out.
    Cost {
        /// A path into the report of `goldref cost --format json`: `kv_cache.bytes_a_token`.
        value: String,
        /// The model, a folder or a public one.
        model: String,
        /// The device by name.
        device: Option<String>,
        /// Devices that share the model.
        devices: usize,
        /// Tokens of a request.
        context: usize,
        /// Requests side by side.
        batch: usize,
        /// Format of weights, activations and cache.
        stored: Dtype,
        /// How wide keys and values are taken to be.
        kv_width: KvWidth,
        /// Whether scores go through memory.
        traffic: AttentionTraffic,
    },
}

/// A speed-up that is measured.
#[derive(Debug, Clone, PartialEq)]
pub struct SpeedUp {
    /// The checkpoint, absolute.
    pub model: PathBuf,
    /// Lengths of prompts.
    pub prompts: Vec<usize>,
    /// Tokens generated after each.
    pub generate: usize,
    /// Runs of each; the median counts.
    pub repeats: usize,
    /// The prompt whose speed-up counts.
    pub at: usize,
    /// How many times as long as goldref a program is believed to take for a pass over a prompt.
    pub slow_factor: f64,
    /// Speed-ups and the share of the points that they earn, largest first.
    pub ladder: Vec<(f64, Points)>,
}
