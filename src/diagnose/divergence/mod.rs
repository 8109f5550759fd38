//! Where two executions part: error that a site inherits against error that it introduces.
//!
//! ```text
//! total      = candidate - right                  the site's error
//! inherited  = site(candidate's inputs) - right   what came in from the sites before
//! introduced = candidate - site(candidate's inputs)
//! ```
//! `site(candidate's inputs)` is what the oracle computes at a site when the candidate's values stand at all sites before it, so one run of the oracle gives
//! it for every site. A second run in the candidate's own format tells how much a right program introduces by rounding; the first site that introduces
//! more is where to look. Norms are taken over rows, the last axis of a site: one head of one token.

mod fit;
mod follow;
mod measure;
mod names;
mod place;
mod two_files;

pub use names::SiteMap;
pub use two_files::compare_sites;

use crate::error::{Error, Result};
use crate::eval::Numerics;
use crate::io::Checkpoint;
use crate::model::kv_cache::CacheKind;
use crate::model::{Model, Plan, Recorder};
use crate::num::Dtype;
use fit::fitted;
use follow::{Followed, Follower};
use measure::{Measured, Rounds, measure};
use ndarray::ArrayD;
use serde::Serialize;
use std::collections::BTreeMap;

/// Roundings within one site of a right program, in gaps of the format: up to three times one rounding.
const GAPS: f64 = 1.0;

/// One site of one request. Errors are relative: root mean square of the error over that of the values; `None` where one side is not
/// finite and the other is, or is so otherwise.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SiteError {
    /// `layers.3.attn.scores`.
    pub site: String,
    /// `""`, or `".0"`, `".1"` where there are several requests.
    pub request: String,
    /// Candidate beside the right value.
    pub total: Option<f64>,
    /// What came in.
    pub inherited: Option<f64>,
    /// What was added here.
    pub introduced: Option<f64>,
    /// What was added over what a right program may add, in the worst row.
    pub times_allowed: Option<f64>,
    /// Whether it is more than a right program may add.
    pub diverges: bool,
}

/// The first site that introduces more than rounding.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FirstDivergence {
    /// `layers.3.attn.scores`.
    pub site: String,
    /// The suffix of its request.
    pub request: String,
    /// Heads, tokens and features that carry it: "head 2 of 4", "tokens 5 to 11 of 12".
    pub carried_by: Vec<String>,
    /// What else can be said: a factor, a format.
    pub remarks: Vec<String>,
    /// Sites just before it that the candidate did not give: the error may come from there as well.
    pub or_before: Vec<String>,
}

/// An array that was given and not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// What is found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Divergence {
    /// The candidate's format of storage.
    pub stored: &'static str,
    /// Sites that the candidate gave, in the order of the forward pass.
    pub sites: Vec<SiteError>,
    /// The first that diverges.
    pub first: Option<FirstDivergence>,
    /// Arrays that fit no site.
    pub left_out: Vec<LeftOut>,
    /// Sites of the model that the candidate did not give.
    pub absent: Vec<String>,
}

/// A model in two scalars with its weights as the candidate stores them: one knows the right values, the other what rounding does.
#[derive(Debug)]
pub struct Oracles {
    /// Computes in f64.
    pub wide: Model<f64>,
    /// Computes in f32.
    pub narrow: Model<f32>,
    /// The candidate's format of storage.
    pub stored: Dtype,
}

impl Oracles {
    /// The models of a checkpoint, asked of a candidate that stores in `stored`.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn load(checkpoint: &Checkpoint, stored: Dtype) -> Result<Self> {
        // f64 and f32 round no weight that a checkpoint holds by much; what is narrower rounds all of them first.
        let [wide, narrow] = match stored {
            Dtype::F64 | Dtype::F32 => [Dtype::F64, Dtype::F32],
            _ => [stored, stored],
        };
        Ok(Self { wide: Model::load(checkpoint, wide)?, narrow: Model::load(checkpoint, narrow)?, stored })
    }
}

/// Where a candidate's sites part from the oracle's. `candidate` has arrays by the names of sites, each with the suffix of its request; they may have
/// their heads merged, behind the tokens or repeated.
///
/// # Errors
/// No array that is a site of this model; what the model refuses.
pub fn divergence(oracles: &Oracles, plan: &Plan, candidate: BTreeMap<String, ArrayD<f64>>) -> Result<Divergence> {
    let stored = oracles.stored;
    let exact = Numerics::plain(Dtype::F64);
    let mut recorder = Recorder::of(["*"]);
    plan.run(&oracles.wide, exact, CacheKind::Contiguous, &mut recorder)?;
    let right = recorder.into_arrays();

    let (mut given, mut left_out) = (BTreeMap::new(), Vec::new());
    for (name, array) in candidate {
        let shape = array.shape().to_vec();
        match right.get(&name).map(|right| (right.shape(), fitted(array, right.shape()))) {
            Some((_, Some(array))) => _ = given.insert(name, array),
            Some((wanted, None)) => {
                left_out.push(LeftOut { name, reason: format!("its shape is {shape:?}; the site's is {wanted:?}") });
            }
            None => left_out.push(LeftOut { name, reason: "this model has no such site".to_string() }),
        }
    }
    if given.is_empty() {
        let some: Vec<&str> = right.keys().take(6).map(String::as_str).collect();
        let why = left_out.first().map_or_else(String::new, |out| format!("; {}: {}", out.name, out.reason));
        return Err(Error::ask(format!("no array is a site of this model, such as {}{why}", some.join(", "))));
    }

    // With the candidate's values at every site before a site, what the oracle has there is right for those inputs.
    let mut wide = Follower::new(&given);
    plan.run(&oracles.wide, exact, CacheKind::Contiguous, &mut wide)?;
    let mut narrow = Follower::new(&given);
    // f64 is measured in f32, whose rounding can be seen beside f64's.
    let rounded = Numerics::in_format(if stored == Dtype::F64 { Dtype::F32 } else { stored });
    plan.run(&oracles.narrow, rounded, CacheKind::Contiguous, &mut narrow)?;
    Ok(judged(&wide.into_followed(), &narrow.into_followed(), &given, &right, plan, stored, left_out))
}

fn judged(
    wide: &[Followed],
    narrow: &[Followed],
    given: &BTreeMap<String, ArrayD<f64>>,
    right: &BTreeMap<String, ArrayD<f64>>,
    plan: &Plan,
    stored: Dtype,
    left_out: Vec<LeftOut>,
) -> Divergence {
    let (mut sites, mut absent, mut first) = (Vec::new(), Vec::new(), None);
    let mut skipped: Vec<String> = Vec::new();
    for (followed, beside) in wide.iter().zip(narrow) {
        let name = followed.name();
        let (Some(candidate), Some(right)) = (given.get(&name), right.get(&name)) else {
            skipped.push(name.clone());
            absent.push(name);
            continue;
        };
        let rounds = Rounds { stored, largest_position: largest_position(plan, &followed.request), gaps: GAPS };
        let measured = measure(followed, beside, candidate, right, &rounds);
        sites.push(measured.site_error(followed));
        if measured.diverges() && first.is_none() {
            first = Some(first_divergence(followed, &measured, stored, std::mem::take(&mut skipped)));
        }
        skipped.clear();
    }
    Divergence { stored: stored.name(), sites, first, left_out, absent }
}

fn first_divergence(
    followed: &Followed,
    measured: &Measured,
    stored: Dtype,
    or_before: Vec<String>,
) -> FirstDivergence {
    FirstDivergence {
        site: followed.site.clone(),
        request: followed.request.clone(),
        carried_by: measured.place.words(&followed.site),
        remarks: measured.remarks(stored),
        or_before,
    }
}

/// The largest position of a request: what rotary angles are rounded by.
fn largest_position(plan: &Plan, request: &str) -> f64 {
    let mut largest = None;
    for planned in plan.requests.iter().filter(|planned| planned.suffix == request) {
        for call in &planned.calls {
            largest = largest.max(call.positions.iter().max());
        }
    }
    largest.map_or(0.0, |&position| position as f64)
}
