//! Properties that every right implementation has, whatever it answers: a question asked in two ways must have one answer.
//!
//! No expected values are needed. A property poses questions of small random sizes and says which arrays of the answers must be equal, up to what rounding
//! does; a failure is shrunk to the smallest sizes and the simplest numbers that still fail (`proptest`) and can be saved and asked again. *Exact* properties
//! need no tolerance: their numbers are small and their sums exact in every format, so that any difference is a bug. *Hygiene* is what careful
//! implementations have beyond the formula, such as a NaN behind a mask that stays there.
//!
//! Zeros have most properties. So a property holds only of a candidate that is *alive*: its answers follow each input.
//!
//! Any [`Candidate`](crate::candidate::Candidate) is asked: a program, or a function of this process. Knows candidates, models and suites; does not know how a report looks.

mod alive;
mod attention;
mod model;
mod sample;
mod saved;
mod search;
mod small;
mod steps;
mod subject;
mod trial;
mod tried;

pub use alive::{Change, Followed, Lives};
pub use sample::{Sample, Values};
pub use saved::{SavedFailure, save, saved_as};
pub use search::{Failure, PropertyResult, Search, Verdict, check, check_again};
pub use steps::Bar;
pub use subject::{Loaded, Subject};
pub use trial::Posed;

use trial::Trial;

/// One property.
#[derive(Debug, Clone, Copy)]
pub struct Property {
    /// Its name.
    pub name: &'static str,
    /// What must hold.
    pub about: &'static str,
    /// What a failure usually is.
    pub look_at: &'static str,
    /// How strictly it holds.
    pub kind: Kind,
    poses: Poses,
}

/// How strictly a property holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Up to what rounding does.
    Equation,
    /// To the last bit, in every format.
    Exact,
    /// Not a part of the mathematics: good to have.
    Hygiene,
}

#[derive(Debug, Clone, Copy)]
enum Poses {
    Operation(fn(&Sample) -> Trial),
    Model(fn(&Sample, &Loaded) -> Option<Trial>),
}

impl Property {
    /// Whether it is about whole models.
    pub fn is_about_models(&self) -> bool {
        matches!(self.poses, Poses::Model(_))
    }

    /// Its questions on a subject; `None` where it has no place there.
    fn trial(&self, sample: &Sample, subject: &Subject) -> Option<Trial> {
        match (self.poses, subject) {
            (Poses::Operation(pose), Subject::Operations) => Some(pose(sample)),
            (Poses::Model(pose), Subject::Checkpoint(model)) => pose(sample, model),
            _ => None,
        }
    }
}

const fn operation(
    name: &'static str,
    kind: Kind,
    pose: fn(&Sample) -> Trial,
    about: &'static str,
    look_at: &'static str,
) -> Property {
    Property { name, about, look_at, kind, poses: Poses::Operation(pose) }
}

const fn whole_model(
    name: &'static str,
    pose: fn(&Sample, &Loaded) -> Option<Trial>,
    about: &'static str,
    look_at: &'static str,
) -> Property {
    Property { name, about, look_at, kind: Kind::Equation, poses: Poses::Model(pose) }
}

use Kind::{Equation, Exact, Hygiene};

/// Every property, operations first.
#[rustfmt::skip]
pub const ALL: &[Property] = &[
    operation("softmax-shift", Equation, small::softmax_shifted,
        "softmax(x + c) = softmax(x)", "an ε or a +1 in the denominator, or a clamp of the scores"),
    operation("softmax-sum", Equation, small::softmax_sums_to_one,
        "the probabilities of a row are not negative and sum to 1", "the axis of the softmax, or its denominator"),
    operation("softmax-permuted", Equation, small::softmax_permuted,
        "softmax(P x) = P softmax(x)", "the axis of the softmax, or a tail that is left out"),
    operation("softmax-exact", Exact, small::softmax_exact,
        "a row whose largest score is 2048 above the others is one-hot", "an overflow without the shift by the maximum"),
    operation("rope-relative", Equation, small::rope_relative,
        "⟨rope(q, m), rope(k, n)⟩ depends on m - n alone", "the pairing of features, or frequencies that differ between q and k"),
    operation("rope-norm", Equation, small::rope_keeps_norms,
        "a rotation changes no norm", "a sign of the rotation, or features that are paired twice"),
    operation("rope-exact", Exact, small::rope_exact,
        "at position 0 nothing is rotated", "positions that count from 1, or a factor on the tables"),
    operation("matmul-exact", Exact, small::matmul_exact,
        "products of small whole numbers are exact", "a transposed operand, or values rounded before the product"),
    operation("linear-exact", Exact, small::linear_exact,
        "an identity as weight and a whole bias change nothing but by the bias", "a transposed weight, or a bias that is left out"),
    operation("rms_norm-odd", Equation, small::rms_norm_odd,
        "rms_norm(-x; 2 w) = -2 rms_norm(x; w)", "a mean that is subtracted, or 1 + w in place of w"),
    operation("attention-causal", Equation, attention::causality,
        "an output does not depend on later keys and values", "the causal mask: off by one, or missing"),
    operation("attention-cache", Equation, attention::cached_is_whole,
        "new queries over a cache are the last rows of the whole", "a mask aligned top-left in place of the end of the keys"),
    operation("attention-batch", Equation, attention::batch_is_alone,
        "each request of a batch is as alone", "a reduction or a broadcast over the batch"),
    operation("attention-heads", Equation, attention::head_is_alone,
        "each head is as alone", "the axis of the softmax, or heads mixed by a reshape"),
    operation("attention-permuted", Equation, attention::keys_permuted,
        "without a mask the order of the keys does not matter", "tiles or splits that are merged wrongly"),
    operation("attention-shift", Equation, attention::scores_shifted,
        "one vector added to all keys changes nothing", "a softmax over another axis, or without its shift"),
    operation("attention-gqa", Equation, attention::gqa_is_mha,
        "query head h reads key head h / group", "heads tiled in place of repeated"),
    operation("attention-linear", Equation, attention::linear_in_values,
        "out(v + 2 w) = out(v) + 2 out(w)", "keys used as values, or an activation behind the product"),
    operation("attention-hull", Equation, attention::convex_hull,
        "an output lies between the least and the largest value", "probabilities that do not sum to 1"),
    operation("attention-one-hot", Exact, attention::exact_one_hot,
        "keys far apart give their value, exactly", "the scale, or an order of keys and values"),
    operation("attention-mean", Exact, attention::exact_mean,
        "equal keys give the mean of the values, exactly", "a denominator other than the number of keys"),
    operation("masked-1e30", Equation, attention::poisoned_with_large,
        "a value of 1e30 behind the mask does not matter", "a mask of a finite score, or one behind the softmax"),
    operation("masked-nan", Hygiene, attention::poisoned_with_nan,
        "a NaN behind the mask does not matter", "0 · NaN is NaN: rows of padding must be left out, not multiplied by 0"),
    whole_model("causal", model::causality,
        "logits do not depend on later tokens", "the causal mask"),
    whole_model("cache", model::cached_is_whole,
        "prompt and decode through the cache are the whole", "positions, mask alignment or the cache in decode"),
    whole_model("batch", model::batch_is_alone,
        "each request of a batch is as alone", "a reduction or a broadcast over the batch"),
    whole_model("left-padding", model::padded_is_alone,
        "a request behind padding is as alone", "positions must count real tokens, and padded keys must be masked"),
    whole_model("padding-content", model::padding_unseen,
        "what stands in padded places does not matter", "padded keys that are not masked"),
    whole_model("second-request", model::second_request,
        "a request that follows another is as alone", "a cache that is not emptied between requests"),
    whole_model("positions-relative", model::positions_relative,
        "with rotary positions only their differences count", "positions in half precision, or tables that end"),
];

/// The property of this name.
pub fn find(name: &str) -> Option<&'static Property> {
    ALL.iter().find(|property| property.name == name)
}
