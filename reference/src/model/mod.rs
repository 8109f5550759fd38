//! Whole models: what they compute ([`ModelSpec`]), their weights, the forward pass, caches and generation.
//!
//! [`forward`](Model::forward) reads like the paper and is written once; a family is a reading of its
//! `config.json` ([`family`]). Knows the operations and the checkpoint files; knows nothing of suites,
//! candidates or verdicts.

mod any;
pub mod config;
pub mod family;
mod forward;
mod generate;
pub mod kv_cache;
pub mod layout;
mod plan;
mod random;
mod session;
mod sites;
pub mod spec;
mod teacher_forcing;
mod weights;

pub use any::{AnyModel, Completion};
pub use forward::Call;
pub use generate::{argmax, generate};
pub use plan::{Plan, PlannedCall, PlannedRequest, Recorder, Unwatched, Watcher};
pub use session::Session;
pub use sites::order_of;
pub use spec::ModelSpec;
pub use teacher_forcing::Forcing;
pub use weights::{LayerWeights, Weights};

use crate::error::Result;
use crate::io::Checkpoint;
use crate::num::{Dtype, Real};

/// A spec and the weights that fit it, in the scalar that computes.
#[derive(Debug, Clone)]
pub struct Model<T> {
    /// What is computed.
    pub spec: ModelSpec,
    /// With which numbers.
    pub weights: Weights<T>,
}

impl<T: Real> Model<T> {
    /// Reads a Hugging Face checkpoint; weights are rounded to `stored`.
    ///
    /// # Errors
    /// A `config.json` that is not understood to the last field; missing, surplus or misshapen weights.
    pub fn load(checkpoint: &Checkpoint, stored: Dtype) -> Result<Self> {
        let path = checkpoint.path().join("config.json");
        let family = family::Family::of(checkpoint.config()).map_err(|e| e.at(&path))?;
        let (spec, layout) = family.read(checkpoint.config()).map_err(|e| e.at(&path))?;
        // Some published checkpoints (GPT-2, BLOOM) were saved without the name of the inner module.
        let bare = !checkpoint.names().any(|name| name.starts_with(family.prefix));
        let layout = if bare { family::without_prefix(layout, family.prefix) } else { layout };
        let weights = Weights::load(checkpoint, &spec, &layout, stored)?;
        Ok(Self { spec, weights })
    }
}
