//! The three steps of attention in one head, as closed formulas in the number of keys `N`, the head width `d` and the bytes
//! of a number `b`.
//!
//! ```text
//!             FLOPs, prefill      FLOPs, decode    bytes, prefill       bytes, decode
//! q kᵀ        2 N² d              2 N d            (2 N d + N²) b       (d + N d + N) b
//! softmax     3 N² + 2 N          3 N              2 N² b               2 N b
//! probs v     2 N² d              2 N d            (N² + 2 N d) b       (N + N d + d) b
//! together    4 N² d + 3 N² + 2 N 4 N d + 3 N      (4 N d + 4 N²) b     (2 d + 2 N d + 4 N) b
//! ```
//! This is how courses count: a softmax takes an exponential, a summand and a quotient for each score, and in prefill two more
//! operations a row; the scale `1/√d` and the difference to the maximum are left out, the causal mask saves nothing, and each step
//! reads its operands from memory and writes its result there. [`AttentionSteps::reference`] has what the reference does instead: scale,
//! difference, exponential, sum and quotient, five operations a score. A fused kernel (FlashAttention, Dao et al.,
//! arXiv:2205.14135) keeps scores and probabilities out of memory: at best `4 N d b` bytes in prefill, `(2 d + 2 N d) b` in decode.

use serde::Serialize;

/// FLOPs and bytes of a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct StepCost {
    /// Floating-point operations.
    pub flops: u128,
    /// Bytes read and written.
    pub bytes: u128,
}

impl StepCost {
    /// FLOPs a byte.
    pub fn intensity(&self) -> f64 {
        self.flops as f64 / self.bytes as f64
    }
}

/// What one head of attention does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct AttentionSteps {
    /// `q kᵀ`.
    pub scores: StepCost,
    /// Softmax.
    pub softmax: StepCost,
    /// `probs v`.
    pub context: StepCost,
    /// Bytes of all three in a fused kernel.
    pub fused_bytes: u128,
}

impl AttentionSteps {
    /// `queries` rows over `keys`, as courses count.
    ///
    /// A prefill has as many queries as keys, a decode one.
    pub fn course(queries: u128, keys: u128, head_dim: u128, bytes_a_number: u128) -> Self {
        let scores = queries * keys;
        let a_row = if queries > 1 { 2 * queries } else { 0 };
        Self::with_flops([0, 3 * scores + a_row], queries, keys, head_dim, bytes_a_number)
    }

    /// The same as the reference counts it.
    pub fn reference(queries: u128, keys: u128, head_dim: u128, bytes_a_number: u128) -> Self {
        let scores = queries * keys;
        Self::with_flops([scores, 4 * scores], queries, keys, head_dim, bytes_a_number)
    }

    fn with_flops([scale, softmax]: [u128; 2], queries: u128, keys: u128, dim: u128, b: u128) -> Self {
        let scores = queries * keys;
        let (q, kv) = (queries * dim, keys * dim);
        Self {
            scores: StepCost { flops: 2 * scores * dim + scale, bytes: (q + kv + scores) * b },
            softmax: StepCost { flops: softmax, bytes: 2 * scores * b },
            context: StepCost { flops: 2 * scores * dim, bytes: (scores + kv + q) * b },
            fused_bytes: (2 * q + 2 * kv) * b,
        }
    }

    /// The three steps together.
    pub fn total(&self) -> StepCost {
        let steps = [self.scores, self.softmax, self.context];
        StepCost { flops: steps.iter().map(|s| s.flops).sum(), bytes: steps.iter().map(|s| s.bytes).sum() }
    }

    /// The three steps in one kernel.
    pub fn fused(&self) -> StepCost {
        StepCost { bytes: self.fused_bytes, ..self.total() }
    }
}

/// Limits of the arithmetic intensity as `N` grows, in FLOPs a byte.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct IntensityLimits {
    /// Prefill, step by step: `(4 d + 3) / (4 b)`.
    pub prefill: f64,
    /// Decode, step by step: `(4 d + 3) / ((2 d + 4) b)`.
    pub decode: f64,
    /// Decode, fused: `(4 d + 3) / (2 d b)`. A fused prefill has none: it grows with `N`.
    pub fused_decode: f64,
}

impl IntensityLimits {
    /// As courses count.
    pub fn course(head_dim: u128, bytes_a_number: u128) -> Self {
        let (d, b) = (head_dim as f64, bytes_a_number as f64);
        let flops = 4.0 * d + 3.0;
        Self { prefill: flops / (4.0 * b), decode: flops / ((2.0 * d + 4.0) * b), fused_decode: flops / (2.0 * d * b) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formulas_of_the_head_of_this_file() {
        for (n, d, b) in [(1u128, 1u128, 2u128), (7, 4, 2), (512, 64, 4), (8192, 128, 2)] {
            let prefill = AttentionSteps::course(n, n, d, b).total();
            // One query is a decode, whose row has no operations of its own.
            let rows = if n == 1 { 0 } else { 2 * n };
            assert_eq!(prefill.flops, 4 * n * n * d + 3 * n * n + rows);
            assert_eq!(prefill.bytes, (4 * n * d + 4 * n * n) * b);
            let decode = AttentionSteps::course(1, n, d, b);
            assert_eq!(decode.total().flops, 4 * n * d + 3 * n);
            assert_eq!(decode.total().bytes, (2 * d + 2 * n * d + 4 * n) * b);
            assert_eq!(decode.fused().bytes, (2 * d + 2 * n * d) * b);
            let reference = AttentionSteps::reference(n, n, d, b).total();
            assert_eq!(reference.flops, 4 * n * n * d + 5 * n * n);
            assert_eq!(reference.bytes, prefill.bytes);
        }
    }

    #[test]
    fn intensities_tend_to_their_limits() {
        let (d, b) = (128, 2);
        let limits = IntensityLimits::course(d, b);
        let n = 1 << 40;
        let close = |actual: f64, limit: f64| assert!((actual / limit - 1.0).abs() < 1e-9, "{actual} {limit}");
        close(AttentionSteps::course(n, n, d, b).total().intensity(), limits.prefill);
        close(AttentionSteps::course(1, n, d, b).total().intensity(), limits.decode);
        close(AttentionSteps::course(1, n, d, b).fused().intensity(), limits.fused_decode);
    }
}
