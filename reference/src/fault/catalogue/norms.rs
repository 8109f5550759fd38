//! Norms, residual stream, MLP.

use super::row;
use crate::fault::sites::Deviation as D;
use crate::fault::{Edit, Fault, Group, edits};

/// The rows.
pub(super) const ROWS: &[Fault] = &[
    row(Group::Norms, "eps-outside-sqrt", Edit::Sites(D::EpsOutsideRoot))
        .looking_at("eps is added to the root; it belongs inside", "x / √(mean(x²) + eps)")
        .known("a mean square far above eps", "allenai/OLMo#281"),
    row(Group::Norms, "eps-wrong-value", Edit::Model(edits::other_eps))
        .looking_at("eps has another value than the config says", "x / √(mean(x²) + eps)")
        .known("a mean square far above both", "apache/tvm#15856"),
    row(Group::Norms, "eps-inflated-by-rescale", Edit::Sites(D::EpsInflated))
        .looking_at("eps is added after the input was divided by its largest value", "x / √(mean(x²) + eps)")
        .known("a largest value near 1", "apple/coremltools#2822"),
    row(Group::Norms, "divide-by-rsqrt", Edit::Sites(D::DividedByRsqrt))
        .looking_at("x is divided by 1/√; it must be multiplied by it", "x · rsqrt(mean(x²) + eps)")
        .known("a mean square of 1", "mosaicml/llm-foundry#371"),
    row(Group::Norms, "sum-instead-of-mean-wrong-axis", Edit::Sites(D::SumForMean))
        .looking_at("the sum of squares is taken for their mean", "mean(x²)")
        .known("width 1", "kyegomez/zeta#180"),
    row(Group::Norms, "norm-weight-missing", Edit::Model(edits::norm_weight_missing))
        .looking_at("the weight of the norm is left out, or is w where 1 + w is meant", "x̂ · w, for Gemma x̂ · (1 + w)")
        .known("a weight of 1", "THUDM/slime#1121"),
    row(Group::Norms, "weight-add-multiply-in-low-precision", Edit::Sites(D::WeightInLowPrecision))
        .looking_at(
            "the weight is applied in bf16, at another place than the rounding",
            "(x̂ w) rounded once, or x̂ rounded, then · w",
        )
        .known("weights that are powers of 2", "vllm-project/vllm#29810")
        .precision(),
    row(Group::Norms, "rmsnorm-computed-as-layernorm", Edit::Sites(D::MeanSubtracted))
        .looking_at("the mean is subtracted in an RMSNorm", "x / √(mean(x²) + eps)")
        .known("a mean of 0", ""),
    row(Group::Norms, "unbiased-variance", Edit::Sites(D::Unbiased))
        .looking_at("the variance is divided by n - 1", "variance = Σ (x - mean)² / n")
        .known("wide rows", "harvardnlp/annotated-transformer#119"),
    row(Group::Norms, "stats-in-bf16", Edit::Sites(D::StatisticsInBf16))
        .looking_at("the mean square is rounded to bf16", "statistics in f32")
        .known("a tolerance of 1e-2", "linkedin/Liger-Kernel#950")
        .precision(),
    row(Group::Norms, "norm-in-place-corrupts-residual", Edit::Sites(D::ResidualFromNormed))
        .looking_at(
            "the norm overwrites the residual stream: what is added to it is added to the normed stream",
            "x + f(norm(x))",
        )
        .known("a norm that changes nothing", "GeeeekExplorer/nano-vllm#170"),
    row(Group::Norms, "residual-from-normalised-x", Edit::Sites(D::ResidualFromNormed))
        .looking_at("the residual is taken behind the norm", "x + f(norm(x))")
        .known("a norm that changes nothing", "Howuhh/faster-trajectory-transformer#3"),
    row(Group::Norms, "residual-wrong-source-missing", Edit::Sites(D::ResidualMissing))
        .looking_at("the residual of the MLP is taken from before attention", "h + mlp(norm(h))")
        .known("attention that adds nothing", "kyegomez/BitNet#32"),
    row(Group::Norms, "wrong-norm-instance", Edit::Model(edits::other_norm_instance))
        .looking_at("the norm before the MLP has the weights of the one before attention", "mlp(norm₂(h))")
        .known("equal weights", "ml-explore/mlx#1636"),
    row(Group::Norms, "final-norm-missing-extra", Edit::Model(edits::final_norm_missing))
        .looking_at("there is no norm after the last layer", "logits = W_head norm(x)")
        .known("a model without one", "cellarium-ai/cellarium-ml#263"),
    row(Group::Norms, "gelu-tanh-vs-erf", Edit::Model(edits::gelu_form))
        .looking_at("the tanh form of GELU is used for the erf form, or the reverse", "x/2 · (1 + erf(x/√2))")
        .known("a tolerance of 1e-3", "apple/coremltools#2863"),
    row(Group::Norms, "gelu-formula-error", Edit::Sites(D::GeluTerm))
        .looking_at("the inner term of GELU has x² where x³ is meant", "x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))")
        .known("x near 0", "tensorflow/tfjs#8224"),
    row(Group::Norms, "silu-gelu", Edit::Model(edits::silu_for_gelu))
        .looking_at("SiLU is used for GELU, or the reverse", "act_fn of the config")
        .known("x near 0", "google-research/timesfm#493"),
    row(Group::Norms, "swiglu-gate-up-swapped", Edit::Model(edits::gate_and_up_swapped))
        .looking_at("gate and up are swapped: the activation is on the wrong one", "silu(gate) · up")
        .known("gate = up", "ml-explore/mlx-lm#767"),
    row(Group::Norms, "swiglu-silu-of-product", Edit::Sites(D::SiluOfProduct))
        .looking_at("the activation is taken of the product", "silu(gate) · up")
        .known("never", "Nijikadesu/breakdown-minimind#3"),
];
