//! What a question about a model is answered with: plain data that a report shows.

use super::{AttentionKind, AttentionSteps, Bound, IntensityLimits, Machine, ParallelMemory, Parameters};
use crate::error::{Error, Result};
use serde::Serialize;
use serde_json::Value;

/// The answer. Sizes are bytes, times seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CostReport {
    /// The model in short.
    pub model: ModelAbout,
    /// Its parameters by place.
    pub parameters: Parameters,
    /// All of them.
    pub parameter_count: u128,
    /// Bytes of the weights.
    pub weights_bytes: u128,
    /// Keys and values.
    pub kv_cache: KvCacheCost,
    /// What fits.
    pub capacity: Option<Capacity>,
    /// The three steps of attention in one head of the first layer, as courses count: a prefill of the context.
    pub attention_prefill: AttentionSteps,
    /// The same, one query over the context.
    pub attention_decode: AttentionSteps,
    /// What their intensities tend to.
    pub limits: IntensityLimits,
    /// The whole model over the whole context.
    pub prefill: PhaseCost,
    /// One more token, the last of the context.
    pub decode: PhaseCost,
    /// The same over other lengths, in powers of two up to four times the context.
    pub curve: Vec<CurvePoint>,
    /// What was assumed.
    pub assumptions: Vec<String>,
}

impl CostReport {
    /// As JSON that is looked into. It goes through its text, so that each part is compiled for one writer.
    pub fn as_value(&self) -> Result<Value> {
        crate::io::json::line(self).and_then(|text| serde_json::from_slice(text.as_bytes())).map_err(Error::ask)
    }
}

/// One length of a curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CurvePoint {
    /// Tokens of a request.
    pub context: usize,
    /// FLOPs a byte of the three steps of attention over a prefill, one after the other.
    pub prefill: f64,
    /// In one kernel.
    pub fused_prefill: f64,
    /// The same of one query.
    pub decode: f64,
    /// In one kernel.
    pub fused_decode: f64,
    /// Bytes of a request's keys and values.
    pub kv_bytes: u128,
}

/// A model in short. Heads are those of the first layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelAbout {
    /// As asked.
    pub name: String,
    /// Family.
    pub model_type: String,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key heads.
    pub num_key_value_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Token ids.
    pub vocab_size: usize,
    /// How queries share keys.
    pub attention: AttentionKind,
    /// Layers with a sliding window.
    pub windowed_layers: usize,
}

/// The memory of keys and values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KvCacheCost {
    /// Of one token.
    pub bytes_a_token: u128,
    /// Of a request.
    pub bytes_a_request: u128,
    /// Of all requests.
    pub bytes_a_batch: u128,
    /// Of a request's last page that nothing is in.
    pub waste: u128,
    /// Of a request if keys and values were as wide as the hidden size.
    pub bytes_a_request_if_hidden: u128,
}

/// What fits.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Capacity {
    /// On what.
    pub machine: Machine,
    /// How many of it.
    pub devices: usize,
    /// Kept free on each.
    pub reserve: u128,
    /// Requests of the context that fit with equal shares.
    pub largest_batch: u128,
    /// Tokens of a request of which the batch fits, with equal shares; `None`: any number.
    pub longest_context: Option<u128>,
    /// With whole heads on each of several devices.
    pub whole_heads: Option<WholeHeads>,
}

/// The shares of several devices whose heads are whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WholeHeads {
    /// What is on each.
    pub memory: ParallelMemory,
    /// Keys and values of a request on each.
    pub bytes_a_request: u128,
    /// Requests that fit.
    pub largest_batch: u128,
}

/// Work and least time of a call.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PhaseCost {
    /// By part, all layers together.
    pub parts: Vec<PartCost>,
    /// All of it.
    pub total: PartCost,
    /// Share of the query-key pairs that mask and window let through.
    pub visible_pairs: f64,
    /// New tokens of all requests a second, at most.
    pub tokens_a_second: Option<f64>,
}

/// Work and least time of a part.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartCost {
    /// Which.
    pub part: &'static str,
    /// Floating-point operations.
    pub flops: u128,
    /// Bytes read and written.
    pub bytes: u128,
    /// FLOPs a byte; `None` where nothing moves.
    pub intensity: Option<f64>,
    /// At least, on each of the devices; of all parts the sum.
    pub seconds: Option<f64>,
    /// By what.
    pub bound: Option<Bound>,
}
