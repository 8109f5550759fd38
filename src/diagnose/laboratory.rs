//! Questions, and what each fault would answer.

use super::power::largest_gap;
use crate::cost::parameters;
use crate::error::{Error, Result};
use crate::eval::Numerics;
use crate::fault::{self, Fault, FaultAnswer, run};
use crate::io::Checkpoint;
use crate::model::kv_cache::CacheKind;
use crate::model::{Model, Unwatched};
use crate::num::{Dtype, parallel, sort};
use crate::suite::{Case, ModelQuestion, Selected, Store, selected_cases};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// A format of storage as faults are predicted in it: everything stored in `dtype`, computed in f64 in between.
///
/// f32 and f64 are not rounded at all: what they round is far below what a fault does.
fn storage(dtype: Dtype) -> Numerics {
    let plain = Numerics::plain(Dtype::F64);
    match dtype {
        Dtype::F32 | Dtype::F64 => plain,
        _ => Numerics { weights: dtype, activations: dtype, probs: dtype, rope_tables: dtype, logits: dtype, ..plain },
    }
}

/// The compared logits of a question; `None` where a fault has no place.
pub(super) type Prediction = Option<Arc<Vec<f64>>>;

/// Questions about models, with their models in one format of storage.
#[derive(Debug)]
pub struct Laboratory {
    /// The questions, in the order of their suites.
    pub questions: Vec<ModelQuestion>,
    /// The format.
    pub stored: Dtype,
    /// By the folder of the checkpoint, which ascend.
    models: Vec<(PathBuf, Model<f64>)>,
    /// What each fault answers to each question, computed when it is first asked for.
    catalogue: Vec<OnceLock<Vec<Prediction>>>,
}

/// What goldref in a format is off by; f64 is as far below f32 as its gaps are.
fn own_error(question: &ModelQuestion, dtype: Dtype) -> Result<f64> {
    let narrow = if dtype == Dtype::F64 { Dtype::F32 } else { dtype };
    let model: Model<f32> = Model::load(&Checkpoint::open(&question.checkpoint)?, narrow)?;
    let logits = question.plan.run(&model, Numerics::in_format(narrow), CacheKind::Contiguous, &mut Unwatched)?;
    let mut wide = BTreeMap::new();
    for (suffix, x) in logits {
        wide.insert(suffix, x.mapv(f64::from));
    }
    let gap = question.compared(&wide).map_or(0.0, |own| largest_gap(&own, &question.expected));
    Ok(if gap.is_finite() { gap * dtype.eps() / narrow.eps() } else { 0.0 })
}

impl Laboratory {
    /// The selected cases about models; `stored` is the candidate's format.
    ///
    /// # Errors
    /// A selection that names nothing; files that cannot be read.
    pub fn open(store: &Store, selected: &Selected, stored: Dtype) -> Result<Self> {
        Self::of(&selected_cases(store, selected)?, stored)
    }

    /// Those of `cases` that are about models.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub fn of(cases: &[&Case], stored: Dtype) -> Result<Self> {
        let asked = parallel::try_map(cases.len(), &|at| ModelQuestion::of(cases[at]))?;
        let mut questions = Vec::new();
        for question in asked {
            questions.extend(question);
        }
        let weights = if matches!(stored, Dtype::F32 | Dtype::F64) { Dtype::F64 } else { stored };
        let (mut folders, mut catalogue) = (Vec::new(), Vec::new());
        for question in &questions {
            folders.push(question.checkpoint.clone());
            catalogue.push(OnceLock::new());
        }
        sort::sort_by(&mut folders, &PathBuf::cmp);
        folders.dedup();
        let models = parallel::try_map(folders.len(), &|at| {
            Ok((folders[at].clone(), Model::load(&Checkpoint::open(&folders[at])?, weights)?))
        })?;
        Ok(Self { questions, stored, models, catalogue })
    }

    /// The checkpoints, by their folders.
    pub(super) fn models(&self) -> &[(PathBuf, Model<f64>)] {
        &self.models
    }

    /// The checkpoint of a question.
    fn model(&self, question: &ModelQuestion) -> Option<&Model<f64>> {
        self.models.iter().find(|(folder, _)| *folder == question.checkpoint).map(|(_, model)| model)
    }

    /// What is rounded where faults are predicted.
    pub(super) fn numerics(&self) -> Numerics {
        storage(self.stored)
    }

    /// What a model with these faults answers to one question.
    pub(super) fn predict(&self, question: &ModelQuestion, faults: &[&Fault]) -> Result<Prediction> {
        self.predict_in(question, &storage(self.stored), faults)
    }

    /// The same in other numerics.
    pub(super) fn predict_in(
        &self,
        question: &ModelQuestion,
        numerics: &Numerics,
        faults: &[&Fault],
    ) -> Result<Prediction> {
        let model = self.model(question).ok_or_else(|| Error::ask("a model was not loaded"))?;
        Ok(match run(model, &question.plan, numerics, faults)? {
            FaultAnswer::NoPlace => None,
            FaultAnswer::Logits(logits) => question.compared(&logits).map(Arc::new),
        })
    }

    /// What a model without faults answers to these questions.
    pub(super) fn right(&self, cases: &[usize]) -> Result<Vec<Vec<f64>>> {
        parallel::try_map(cases.len(), &|at| {
            let question = &self.questions[cases[at]];
            Ok(self.predict(question, &[])?.map_or_else(|| question.expected.clone(), |right| right.to_vec()))
        })
    }

    /// The catalogue without any rounding, on the weights as they are stored; in f32 it is the one that is kept.
    pub(super) fn exact_catalogue(
        &self,
        cases: &[usize],
        progress: &(dyn Fn() + Sync),
    ) -> Result<Vec<(&'static Fault, Vec<Prediction>)>> {
        let exact = Numerics::plain(Dtype::F64);
        if storage(self.stored) == exact {
            return self.catalogue(cases, progress);
        }
        let faults: Vec<&'static Fault> = fault::all().collect();
        parallel::try_map(faults.len(), &|at| {
            let mut answers = Vec::with_capacity(cases.len());
            for &case in cases {
                answers.push(self.predict_in(&self.questions[case], &exact, &[faults[at]])?);
            }
            Ok((faults[at], answers))
        })
    }

    /// What each fault of the catalogue answers to one question.
    fn answers(&self, case: usize) -> Result<&[Prediction]> {
        if let Some(known) = self.catalogue[case].get() {
            return Ok(known);
        }
        let mut computed = Vec::new();
        for fault in fault::all() {
            computed.push(self.predict(&self.questions[case], &[fault])?);
        }
        Ok(self.catalogue[case].get_or_init(|| computed))
    }

    /// What each fault answers to these questions, fault by fault. `progress` is called once a question, from any thread.
    pub(super) fn catalogue(
        &self,
        cases: &[usize],
        progress: &(dyn Fn() + Sync),
    ) -> Result<Vec<(&'static Fault, Vec<Prediction>)>> {
        let each = parallel::try_map(cases.len(), &|at| self.answers(cases[at]).inspect(|_| progress()))?;
        let mut catalogue = Vec::new();
        for (at, fault) in fault::all().enumerate() {
            let mut of_fault = Vec::with_capacity(each.len());
            for answers in &each {
                of_fault.push(answers[at].clone());
            }
            catalogue.push((fault, of_fault));
        }
        Ok(catalogue)
    }

    /// What a right program in `dtype` may be off by: four times what PyTorch is, and where a suite does not say so, eight times what goldref in
    /// that format is, which adds in one order only.
    ///
    /// # Errors
    /// A checkpoint that cannot be read.
    pub(super) fn floor(&self, question: &ModelQuestion, dtype: Dtype) -> Result<f64> {
        match question.baseline.get(&dtype) {
            Some(baseline) => Ok(4.0 * baseline),
            None => Ok(8.0 * own_error(question, dtype)?),
        }
    }

    /// How long a question takes, in some unit: tokens times weights.
    pub(super) fn cost(&self, question: &ModelQuestion) -> u128 {
        let mut tokens = 0;
        for request in &question.plan.requests {
            tokens += request.calls.iter().map(|call| call.input_ids.len()).sum::<usize>();
        }
        let weights = self.model(question).map_or(0, |model| parameters(&model.spec).total());
        tokens as u128 * weights
    }
}
