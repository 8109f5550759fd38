//! Rounds and records at each site.

use super::{Numerics, Role, Rounding, Trace};
use crate::num::{Dtype, RandomStream, Real, perturb, round_stochastic};
use ndarray::{Array, Dimension};
use std::cell::Cell;

/// Carries the numerics of one evaluation through the operations, and its trace if there is one.
#[derive(Debug)]
pub struct Evaluator<'t> {
    numerics: Numerics,
    trace: Option<&'t mut Trace>,
    layer: Option<usize>,
    first_key: usize,
    /// Tensors rounded with chance so far: each has random numbers of its own.
    streams: Cell<u64>,
}

impl<'t> Evaluator<'t> {
    /// An evaluator that only rounds.
    pub fn new(numerics: Numerics) -> Self {
        Self { numerics, trace: None, layer: None, first_key: 0, streams: Cell::new(0) }
    }

    /// An evaluator that also records into `trace`.
    pub fn with_trace(numerics: Numerics, trace: &'t mut Trace) -> Self {
        Self { trace: Some(trace), ..Self::new(numerics) }
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

    /// The random numbers of the next tensor; `None` where the numerics round to nearest.
    pub(crate) fn next_stream(&self) -> Option<RandomStream> {
        match self.numerics.rounding {
            Rounding::Nearest => None,
            Rounding::Perturbed { seed } => {
                let site = self.streams.replace(self.streams.get() + 1);
                Some(RandomStream::new(seed, site))
            }
        }
    }

    /// Rounds a tensor to `dtype` as [`Rounding`] says: what a site does, for values that are stored inside an operation.
    pub fn round<'v, T: Real>(&self, values: impl IntoIterator<Item = &'v mut T>, dtype: Dtype) {
        let narrower = dtype.precision() < T::DTYPE.precision();
        match self.next_stream() {
            None if narrower => values.into_iter().for_each(|x| *x = x.round_to(dtype)),
            None => {}
            Some(stream) => {
                for (x, index) in values.into_iter().zip(0..) {
                    let (value, chance) = (x.to_f64(), stream.uniform(index));
                    *x = T::from_f64(match narrower {
                        true => round_stochastic(value, dtype, chance),
                        false => perturb(value, T::DTYPE, chance),
                    });
                }
            }
        }
    }

    /// The tensor `value` passes the site `name`: it comes back rounded as the numerics say of `role`.
    pub fn at<T: Real, D: Dimension>(&mut self, name: &str, role: Role, mut value: Array<T, D>) -> Array<T, D> {
        let dtype = self.numerics.dtype_of(role);
        self.round(&mut value, dtype);
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
