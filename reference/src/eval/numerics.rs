//! Where values are rounded, and to which format.

use crate::linalg::{Order, ProductRules};
use crate::num::Dtype;

/// The rounding points of an evaluation, as plain data.
///
/// A field that names a format at least as wide as [`Numerics::arithmetic`] rounds nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Numerics {
    /// The scalar that computes: [`Dtype::F64`] or [`Dtype::F32`].
    pub arithmetic: Dtype,
    /// Stored weights.
    pub weights: Dtype,
    /// Stored activations: what one operation hands to the next.
    pub activations: Dtype,
    /// Both operands of a matrix product, just before it (tf32).
    pub operands: Dtype,
    /// The running sum of a matrix product, after each step.
    pub accumulator: Dtype,
    /// Attention scores, before the mask and after it.
    pub scores: Dtype,
    /// Each intermediate of the softmax: shifted scores, exponentials, their sum, the quotient.
    pub softmax: Dtype,
    /// Stored probabilities.
    pub probs: Dtype,
    /// Statistics and normalised values inside a norm.
    pub norm: Dtype,
    /// The tables of cosines and sines. They are computed exactly enough to be rounded once.
    pub rope_tables: Dtype,
    /// Keys and values as the cache stores them.
    pub cache: CacheStorage,
    /// Logits.
    pub logits: Dtype,
    /// Splitting of the output projections over devices.
    pub tensor_parallel: Option<TensorParallel>,
    /// How a value is rounded at a rounding point.
    pub rounding: Rounding,
}

/// How a cache stores keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheStorage {
    /// As they come.
    AsComputed,
    /// Rounded to a floating-point format, saturating at its largest value.
    Float(Dtype),
    /// 8-bit integers `round(x / s)`, `s = max|x| / 127` for each token, head and block of `block` components.
    Int8 {
        /// Components that share a scale.
        block: usize,
    },
}

/// Row-parallel output projections, as in Megatron-LM (Shoeybi et al., arXiv:1909.08053): each of `shards`
/// devices multiplies its columns, rounds its partial sum, and the partial sums are added in rank order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TensorParallel {
    /// Number of devices.
    pub shards: usize,
    /// Format of a partial sum before the all-reduce.
    pub partial_sums: Dtype,
}

/// How a value is rounded at a rounding point.
///
/// The answers of one variant under several seeds of [`Rounding::Perturbed`] are as right as each other; how far they
/// lie apart is how much of an error rounding alone explains, where no bound can be computed (a whole model).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rounding {
    /// To nearest, ties to even, and terms added in ascending order: the bits that the reference defines.
    #[default]
    Nearest,
    /// With chance, the mean exact, by a random stream that depends on the seed, the site and the element alone:
    ///
    /// * to a format narrower than the scalar that computes: to a neighbour, stochastically ([`round_stochastic`]; Connolly,
    ///   Higham & Mary, SIAM J. Sci. Comput. 43(1), 2021); what is exact stays exact;
    /// * in the scalar's own format: `x (1 + u ξ)`, ξ uniform in (-1, 1) ([`perturb`]; Monte Carlo arithmetic, Parker 1997);
    ///   zeros, hence probabilities of masked keys, infinities and NaN stay;
    /// * terms of products are added in a permuted order ([`Order::Permuted`]).
    ///
    /// Stored data (weights, inputs, rotary tables in a narrow format) and what is rounded inside a softmax, the statistics of
    /// a norm, and running sums is rounded to nearest as ever. A cached decode does not equal a full recompute: it has
    /// other sites.
    ///
    /// [`round_stochastic`]: crate::num::round_stochastic
    /// [`perturb`]: crate::num::perturb
    Perturbed {
        /// Another seed, another answer.
        seed: u64,
    },
}

/// What a tensor is, hence which field of [`Numerics`] rounds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// What one operation hands to the next.
    Activation,
    /// Attention scores in each stage before the softmax.
    Scores,
    /// Attention probabilities.
    Probs,
    /// Values inside a norm.
    Norm,
    /// Cosines and sines.
    RopeTable,
    /// Logits.
    Logits,
}

impl Numerics {
    /// Everything in one format, nothing rounded besides.
    pub const fn plain(arithmetic: Dtype) -> Self {
        Self {
            arithmetic,
            weights: arithmetic,
            activations: arithmetic,
            operands: arithmetic,
            accumulator: arithmetic,
            scores: arithmetic,
            softmax: arithmetic,
            probs: arithmetic,
            norm: arithmetic,
            rope_tables: arithmetic,
            cache: CacheStorage::AsComputed,
            logits: arithmetic,
            tensor_parallel: None,
            rounding: Rounding::Nearest,
        }
    }

    /// A model stored in a 16-bit format as PyTorch runs it: weights, activations, probabilities and rotary tables
    /// are stored in `dtype`; products are exact and summed in f32; norms and softmax, its scores included, are
    /// f32 inside.
    pub const fn stored_in(dtype: Dtype) -> Self {
        Self {
            weights: dtype,
            activations: dtype,
            probs: dtype,
            rope_tables: dtype,
            logits: dtype,
            ..Self::plain(Dtype::F32)
        }
    }

    /// How a right program stores in `dtype`: [`Self::plain`] in f64 and f32, [`Self::stored_in`] in what is narrower.
    pub const fn in_format(dtype: Dtype) -> Self {
        match dtype {
            Dtype::F64 | Dtype::F32 => Self::plain(dtype),
            _ => Self::stored_in(dtype),
        }
    }

    /// [`Self::stored_in`] with attention spelled out as separate operations, so that scores are stored too:
    /// the `eager` attention of transformers.
    pub const fn eager(dtype: Dtype) -> Self {
        Self { scores: dtype, ..Self::stored_in(dtype) }
    }

    /// The same rounding points, rounded with chance. A variant under another seed is
    /// `Variant { numerics: variant.numerics.perturbed(seed), ..*variant }`.
    pub const fn perturbed(self, seed: u64) -> Self {
        Self { rounding: Rounding::Perturbed { seed }, ..self }
    }

    /// The format a tensor of this role is rounded to.
    pub const fn dtype_of(&self, role: Role) -> Dtype {
        match role {
            Role::Activation => self.activations,
            Role::Scores => self.scores,
            Role::Probs => self.probs,
            Role::Norm => self.norm,
            Role::RopeTable => self.rope_tables,
            Role::Logits => self.logits,
        }
    }

    /// The rules of a matrix product.
    pub const fn product_rules(&self) -> ProductRules {
        let order = match self.rounding {
            Rounding::Nearest => Order::Ascending,
            Rounding::Perturbed { seed } => Order::Permuted { seed },
        };
        ProductRules { operands: self.operands, accumulator: self.accumulator, order }
    }
}
