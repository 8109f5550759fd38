//! A model with faults, asked.

use super::sites::Sites;
use super::{Edit, Fault};
use crate::error::Result;
use crate::eval::{Evaluator, Numerics};
use crate::model::kv_cache::CacheKind;
use crate::model::{Model, Plan, PlannedCall, PlannedRequest, Unwatched, Watcher};
use ndarray::Array3;
use std::collections::BTreeMap;

/// What came of asking.
#[derive(Debug, Clone, PartialEq)]
pub enum FaultAnswer {
    /// The model, the plan or the numerics has no place for one of the faults: it is right.
    NoPlace,
    /// Logits `[batch, len, vocab_size]` of each request, by its suffix.
    Logits(BTreeMap<String, Array3<f64>>),
}

/// The logits of `model` with all of `faults` at once, for each request of `plan`; without faults the right ones.
///
/// `numerics` must compute in f64: faults are predicted, and the roundings of the scalar that computes are left out.
///
/// # Errors
/// What [`Model::forward`] refuses.
pub fn run(model: &Model<f64>, plan: &Plan, numerics: &Numerics, faults: &[&Fault]) -> Result<FaultAnswer> {
    run_watched(model, plan, numerics, faults, &mut Unwatched)
}

/// The same, with somebody who watches: what passes the sites, faults and all.
///
/// # Errors
/// As [`run`].
pub fn run_watched(
    model: &Model<f64>,
    plan: &Plan,
    numerics: &Numerics,
    faults: &[&Fault],
    watcher: &mut dyn Watcher,
) -> Result<FaultAnswer> {
    let (mut edited, mut plan, mut numerics) = (None, plan.clone(), *numerics);
    let mut deviations = Vec::new();
    for fault in faults {
        let applies = match fault.edit {
            Edit::Model(edit) => edit(edited.get_or_insert_with(|| model.clone())),
            Edit::Plan(edit) => edit(&mut plan, model),
            Edit::Numerics(edit) => edit(&mut numerics, model),
            Edit::Sites(deviation) => {
                let applies = deviation.has_place(model, &plan) && !deviations.contains(&deviation);
                deviations.push(deviation);
                applies
            }
        };
        if !applies {
            return Ok(FaultAnswer::NoPlace);
        }
    }
    let model = edited.as_ref().unwrap_or(model);
    let mut faulty = Faulty { sites: Sites::new(model, &deviations), idle: deviations.is_empty(), watcher };
    plan.run(model, numerics, CacheKind::Contiguous, &mut faulty).map(FaultAnswer::Logits)
}

/// Puts wrong values at the sites, and lets somebody else watch.
struct Faulty<'m, 'o> {
    sites: Sites<'m>,
    /// Nothing is wrong at any site.
    idle: bool,
    watcher: &'o mut dyn Watcher,
}

impl Watcher for Faulty<'_, '_> {
    fn request(&mut self, request: &PlannedRequest) {
        self.sites.request(request);
        self.watcher.request(request);
    }

    fn call<'w>(&'w mut self, call: &PlannedCall, eval: Evaluator<'w>) -> Evaluator<'w> {
        let eval = self.watcher.call(call, eval);
        if self.idle {
            return eval;
        }
        self.sites.begin(call);
        eval.changed_by(&mut self.sites)
    }
}
