//! Rounds and records at each site.

use super::{Numerics, Role, Trace};
use crate::num::Real;
use ndarray::{Array, Dimension};

/// Carries the numerics of one evaluation through the operations, and its trace if there is one.
#[derive(Debug)]
pub struct Evaluator<'t> {
    numerics: Numerics,
    trace: Option<&'t mut Trace>,
    layer: Option<usize>,
    first_key: usize,
}

impl<'t> Evaluator<'t> {
    /// An evaluator that only rounds.
    pub fn new(numerics: Numerics) -> Self {
        Self { numerics, trace: None, layer: None, first_key: 0 }
    }

    /// An evaluator that also records into `trace`.
    pub fn with_trace(numerics: Numerics, trace: &'t mut Trace) -> Self {
        Self { numerics, trace: Some(trace), layer: None, first_key: 0 }
    }

    /// Where this evaluation rounds.
    pub fn numerics(&self) -> &Numerics {
        &self.numerics
    }

    /// From here on, sites belong to this layer: `attn.q` becomes `layers.3.attn.q`.
    pub fn enter_layer(&mut self, layer: usize) {
        self.layer = Some(layer);
    }

    /// From here on, sites belong to no layer.
    pub fn leave_layers(&mut self) {
        self.layer = None;
    }

    /// From here on, the first column of attention's stages is this key of the sequence (a ring forgets older ones).
    pub fn keys_start_at(&mut self, first: usize) {
        self.first_key = first;
    }

    /// The tensor `value` passes the site `name`: it comes back rounded as the numerics say of `role`.
    pub fn at<T: Real, D: Dimension>(&mut self, name: &str, role: Role, mut value: Array<T, D>) -> Array<T, D> {
        let dtype = self.numerics.dtype_of(role);
        if dtype.precision() < T::DTYPE.precision() {
            value.mapv_inplace(|x| x.round_to(dtype));
        }
        if let Some(trace) = self.trace.as_deref_mut() {
            let site = match self.layer {
                Some(layer) => format!("layers.{layer}.{name}"),
                None => name.to_string(),
            };
            if trace.wants(&site) {
                let widened = value.mapv(Real::to_f64).into_dyn();
                match role {
                    Role::Scores | Role::Probs => trace.record_keys(site, widened, self.first_key),
                    _ => trace.record(site, widened),
                }
            }
        }
        value
    }
}
