//! How many requests fit on one device or on several.
//!
//! ```text
//! one device                 B = ⌊(memory - reserve - weights) / request⌋
//! X devices, equal shares    B = ⌊(memory - reserve - weights / X) / (request / X)⌋ = ⌊(X (memory - reserve) - weights) / request⌋
//! ```
//! Under tensor parallelism (Megatron-LM, arXiv:1909.08053) each device has `1/X` of the heads. Where there are fewer key heads than
//! devices, a key head is on several of them, and with it its keys, values and projections.

use crate::error::{Error, Result};
use crate::model::ModelSpec;
use serde::Serialize;

/// What has to fit. All in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Of one device.
    pub device: u128,
    /// Kept free on each.
    pub reserve: u128,
    /// Weights of the whole model.
    pub weights: u128,
    /// Keys and values of one request.
    pub request: u128,
}

impl Memory {
    /// Bytes for requests beside the weights on `devices`.
    ///
    /// # Errors
    /// The weights alone do not fit: by how much.
    pub fn room(&self, devices: u128) -> Result<u128> {
        let there = devices.saturating_mul(self.device.saturating_sub(self.reserve));
        there.checked_sub(self.weights).ok_or_else(|| {
            Error::ask(format!(
                "the weights take {} and {devices} × ({} - {} kept free) is {}; {} are missing",
                gb(self.weights),
                gb(self.device),
                gb(self.reserve),
                gb(there),
                gb(self.weights - there)
            ))
        })
    }

    /// Requests that fit there, with equal shares of everything.
    ///
    /// # Errors
    /// As [`Self::room`].
    pub fn largest_batch(&self, devices: u128) -> Result<u128> {
        // A request without tokens takes nothing, and any number fits.
        let batch = self.room(devices)?.checked_div(self.request);
        batch.ok_or_else(|| Error::ask("a request of 0 bytes fits any number of times"))
    }
}

fn gb(bytes: u128) -> String {
    format!("{:.2} GB", bytes as f64 / 1e9)
}

/// What one of `X` devices holds when heads are whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ParallelMemory {
    /// Devices.
    pub devices: u128,
    /// Key heads on each.
    pub kv_heads: u128,
    /// Copies of each key head.
    pub copies: u128,
    /// Parameters on each.
    pub parameters: u128,
}

impl ParallelMemory {
    /// Splits a model over `devices`: projections, MLP, embedding and head evenly, norms on each, key heads whole.
    ///
    /// # Errors
    /// `devices` that does not divide the query heads, or neither divides the key heads nor is a multiple of them.
    pub fn of(spec: &ModelSpec, devices: usize) -> Result<Self> {
        let (mut kv_heads, mut copies) = (1, 1);
        let mut copied = 0u128;
        if devices == 0 {
            return Err(Error::ask("0 devices hold nothing; name at least 1"));
        }
        for layer in &spec.layers {
            let attention = &layer.attention;
            let (heads, kv) = (attention.num_attention_heads, attention.num_key_value_heads);
            if !heads.is_multiple_of(devices) {
                return Err(Error::ask(format!(
                    "{devices} devices cannot share {heads} query heads evenly; name a divisor of {heads}"
                )));
            }
            if !kv.is_multiple_of(devices) && !devices.is_multiple_of(kv) {
                return Err(Error::ask(format!(
                    "{devices} devices cannot share {kv} key heads; name a divisor of {kv} or a multiple of it"
                )));
            }
            kv_heads = (kv / devices).max(1);
            copies = (devices / kv).max(1);
            // What the key and value projections of this layer have besides one copy.
            let projections = 2 * kv * attention.head_dim * (spec.hidden_size + usize::from(attention.qkv_bias));
            copied += (copies as u128 - 1) * projections as u128;
        }
        let parameters = super::parameters(spec);
        let shared = parameters.total() - parameters.norms + copied;
        let parameters = shared.div_ceil(devices as u128) + parameters.norms;
        Ok(Self { devices: devices as u128, kv_heads: kv_heads as u128, copies: copies as u128, parameters })
    }

    /// Bytes of a request's keys and values on each device, of `request` on one.
    pub fn request(&self, request: u128) -> u128 {
        (request * self.copies).div_ceil(self.devices)
    }

    /// Requests that fit on the devices, each with `bytes_a_parameter` for its part of the weights.
    ///
    /// # Errors
    /// As [`Memory::largest_batch`].
    pub fn largest_batch(&self, memory: &Memory, bytes_a_parameter: u128) -> Result<u128> {
        let one =
            Memory { weights: self.parameters * bytes_a_parameter, request: self.request(memory.request), ..*memory };
        one.largest_batch(1)
    }
}

/// The longest request of which `batch` fit: the largest `len` with `batch · request(len) ≤ room`, where `request` never falls.
/// `None` where any length fits.
pub fn longest_context(room: u128, batch: u128, request: impl Fn(u128) -> u128) -> Option<u128> {
    /// No context is longer.
    const MOST: u128 = 1 << 40;
    let fits = |len: u128| batch.saturating_mul(request(len)) <= room;
    if fits(MOST) {
        return None;
    }
    let (mut fit, mut too_long) = (0, MOST);
    while too_long - fit > 1 {
        let middle = fit + (too_long - fit) / 2;
        if fits(middle) { fit = middle } else { too_long = middle }
    }
    Some(fit)
}
