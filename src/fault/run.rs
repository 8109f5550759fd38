//! A model with faults, asked.

use super::plan::Plan;
use super::sites::{Deviation, Sites};
use super::{Edit, Fault};
use crate::error::Result;
use crate::eval::{Evaluator, Numerics};
use crate::model::kv_cache::CacheKind;
use crate::model::{Call, Model, Session};
use ndarray::{Array3, Axis, concatenate};
use std::collections::{BTreeMap, BTreeSet};

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
    let (mut edited, mut plan, mut numerics) = (None, plan.clone(), *numerics);
    let mut deviations = BTreeSet::new();
    for fault in faults {
        let applies = match fault.edit {
            Edit::Model(edit) => edit(edited.get_or_insert_with(|| model.clone())),
            Edit::Plan(edit) => edit(&mut plan, model),
            Edit::Numerics(edit) => edit(&mut numerics, model),
            Edit::Sites(deviation) => deviation.has_place(model, &plan) && deviations.insert(deviation),
        };
        if !applies {
            return Ok(FaultAnswer::NoPlace);
        }
    }
    logits(edited.as_ref().unwrap_or(model), &plan, &numerics, &deviations).map(FaultAnswer::Logits)
}

fn logits(
    model: &Model<f64>,
    plan: &Plan,
    numerics: &Numerics,
    deviations: &BTreeSet<Deviation>,
) -> Result<BTreeMap<String, Array3<f64>>> {
    let mut answer = BTreeMap::new();
    let mut session: Option<Session<f64>> = None;
    let mut sites = Sites::new(model, deviations);
    for request in &plan.requests {
        let batch = request.batch();
        let mut of_request = match session.take().filter(|session| session.batch() == batch) {
            Some(mut used) => {
                if plan.clears {
                    used.clear();
                }
                used
            }
            None => Session::new(&model.spec, batch, CacheKind::Contiguous, numerics.cache),
        };
        sites.request(request);
        let mut pieces = Vec::with_capacity(request.calls.len());
        for call in &request.calls {
            let mut eval = Evaluator::new(*numerics);
            if !deviations.is_empty() {
                sites.begin(call);
                eval = eval.changed_by(&mut sites);
            }
            let call = Call {
                input_ids: &call.input_ids,
                attention_mask: Some(&call.real),
                position_ids: Some(&call.positions),
            };
            pieces.push(model.forward(&call, &mut of_request, &mut eval)?);
        }
        session = Some(of_request);
        let views: Vec<_> = pieces.iter().map(|piece| piece.view()).collect();
        let logits = concatenate(Axis(1), &views).map_err(crate::error::Error::ask)?;
        answer.insert(request.suffix.clone(), logits.as_standard_layout().into_owned());
    }
    Ok(answer)
}
