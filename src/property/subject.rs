//! What a property is tried on: operations, or one checkpoint; and goldref's own answers.

use super::trial::{Arrays, Posed};
use crate::error::{Error, Result};
use crate::eval::{Evaluator, Numerics};
use crate::io::Checkpoint;
use crate::linalg::convert::to_f64;
use crate::model::kv_cache::CacheKind;
use crate::model::{Model, ModelSpec, Unwatched};
use crate::num::{Dtype, Real};
use crate::ops::{self, Question};
use crate::suite::planned;
use crate::variant::Schedule;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What is asked about.
#[derive(Debug)]
pub enum Subject {
    /// Operations.
    Operations,
    /// A checkpoint.
    Checkpoint(Box<Loaded>),
}

/// A checkpoint in the formats that are needed.
#[derive(Debug)]
pub struct Loaded {
    /// Its folder, an absolute path.
    pub folder: PathBuf,
    /// Its name, for people.
    pub name: String,
    /// What its config.json says of positions, where it says something.
    pub max_positions: Option<usize>,
    wide: Model<f64>,
    /// With weights of the candidate's format.
    narrow: Model<f32>,
}

impl Loaded {
    pub(super) fn spec(&self) -> &ModelSpec {
        &self.wide.spec
    }
}

impl Subject {
    /// The checkpoint in `folder`, asked of candidates that store in `stored`.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn load(folder: &Path, name: &str, stored: Dtype) -> Result<Self> {
        let folder = std::path::absolute(folder).map_err(|e| Error::read(folder, e))?;
        let checkpoint = Checkpoint::open(&folder)?;
        let max_positions = checkpoint.config().get("max_position_embeddings").and_then(|max| max.as_u64());
        let max_positions = max_positions.and_then(|max| usize::try_from(max).ok());
        let weights = if stored == Dtype::F64 { Dtype::F32 } else { stored };
        let wide = Model::load(&checkpoint, Dtype::F64)?;
        let narrow = Model::load(&checkpoint, weights)?;
        Ok(Self::Checkpoint(Box::new(Loaded { folder, name: name.to_string(), max_positions, wide, narrow })))
    }

    /// The checkpoint's name.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Operations => None,
            Self::Checkpoint(loaded) => Some(&loaded.name),
        }
    }

    pub(super) fn folder(&self) -> Option<&Path> {
        match self {
            Self::Operations => None,
            Self::Checkpoint(loaded) => Some(&loaded.folder),
        }
    }

    /// Parameters of a question, as a case has them.
    pub(super) fn params(&self, posed: &Posed) -> Value {
        let mut params = posed.params.clone();
        if let (Some(params), Some(name)) = (params.as_object_mut(), self.name()) {
            params.insert("model".to_string(), name.into());
        }
        params
    }

    /// What goldref answers in one format.
    pub(super) fn answers(&self, posed: &[Posed], stored: Dtype) -> Result<Vec<Arrays>> {
        let numerics = Numerics::in_format(stored);
        posed.iter().map(|posed| self.answer(posed, numerics)).collect()
    }

    /// What goldref answers to one question.
    pub(super) fn answer(&self, posed: &Posed, numerics: Numerics) -> Result<Arrays> {
        let loaded = match self {
            Self::Operations => {
                let op =
                    ops::find(posed.op).ok_or_else(|| Error::ask(format!("there is no operation {}", posed.op)))?;
                let question = Question { params: &posed.params, arrays: &posed.inputs };
                return op.ask(&question, &mut Evaluator::new(numerics));
            }
            Self::Checkpoint(loaded) => loaded,
        };
        let (_, plan) = planned(&self.params(posed), &posed.inputs, Schedule::AsAsked)?;
        let cache = CacheKind::Contiguous;
        match numerics.arithmetic {
            Dtype::F64 => Ok(named(plan.run(&loaded.wide, numerics, cache, &mut Unwatched)?)),
            _ => Ok(named(plan.run(&loaded.narrow, numerics, cache, &mut Unwatched)?)),
        }
    }
}

fn named<T: Real>(logits: BTreeMap<String, ndarray::Array3<T>>) -> Arrays {
    let mut answers = BTreeMap::new();
    for (suffix, x) in logits {
        answers.insert(format!("logits{suffix}"), to_f64(&x));
    }
    answers
}
