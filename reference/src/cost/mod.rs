//! What a model costs on paper: parameters, the memory of its KV cache, floating-point operations, bytes moved, and how long
//! that takes a device.
//!
//! Everything is a closed formula over a [`ModelSpec`](crate::model::ModelSpec) and plain numbers. The same quantities can be
//! counted while the reference runs ([`crate::eval::Counter`]); tests hold the two equal as whole numbers.
//!
//! Sizes are bytes; GB is 10⁹ and GiB is 2³⁰ of them. `N` is the number of keys, `d` the width of a head, `b` the bytes of a number.

mod answer;
mod capacity;
mod device;
mod forward;
mod kv_cache;
mod parameters;
mod preset;
mod question;
mod roofline;
mod steps;

pub use answer::{Capacity, CostReport, CurvePoint, KvCacheCost, ModelAbout, PartCost, PhaseCost, WholeHeads};
pub use capacity::{Memory, ParallelMemory, longest_context};
pub use device::{DEVICES, Device, Peak};
pub use forward::{ForwardWork, LayerWork, Step, forward};
pub use kv_cache::{AttentionKind, KvCacheSize, attention_kind};
pub use parameters::{Parameters, parameters};
pub use preset::{Preset, spec_of};
pub use question::{AttentionTraffic, CostQuestion, KvWidth, Machine};
pub use roofline::{Bound, Roofline};
pub use steps::{AttentionSteps, IntensityLimits, StepCost};

#[cfg(test)]
mod tests;
