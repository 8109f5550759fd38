//! Operations that move values, or compute them from whole numbers: embedding, ALiBi, masks, writes into a cache.

use super::radius::{FUNCTION, Radius, Steps};
use super::{Bounded, BoundedAnswer, Shared};
use crate::error::Result;
use crate::eval::{Evaluator, Numerics};
use crate::num::Dtype;
use crate::ops;
use crate::ops::question::{Answer, Question};

/// Embedding: exact, but for the product with a scale, which some round to the stored format and some do not.
pub(super) fn ask_embedding(question: &Question, numerics: &Numerics) -> Result<BoundedAnswer> {
    let steps = Steps::of(numerics);
    let scaled = question.params.get("scale").is_some_and(|scale| !scale.is_null());
    let radius = |value: f64| {
        if !scaled {
            return Radius::NONE;
        }
        // The scale itself, the product, and storing it.
        let own = Radius::NONE.rounded(value, steps.arithmetic).rounded(value, steps.arithmetic);
        own.rounded(value, steps.activations).rounded(value, steps.activations)
    };
    // The scale is one rounded constant for all.
    with_radii(exact("embedding", question, numerics.weights, Dtype::F64)?, Shared::All, &radius)
}

/// ALiBi: a power of two and a product.
pub(super) fn ask_alibi(question: &Question, numerics: &Numerics) -> Result<BoundedAnswer> {
    let steps = Steps::of(numerics);
    // Many take powers of the first slope, whose rounding then comes in once a head; the slopes for a number of heads that is
    // no power of two are those of up to twice as many.
    let heads = question.params.get("num_heads").and_then(serde_json::Value::as_u64).unwrap_or(0) as f64;
    let size = (FUNCTION + 1.0 + 2.0 * heads) * steps.arithmetic.u;
    with_radii(exact("alibi", question, Dtype::F64, Dtype::F64)?, Shared::Axis(0), &|value| {
        // Slope and bias may both be stored.
        Radius::uniform(size * value.abs()).rounded(value, steps.activations).rounded(value, steps.activations)
    })
}

/// Masks are true or false.
pub(super) fn ask_mask(question: &Question, _: &Numerics) -> Result<BoundedAnswer> {
    with_radii(exact("mask", question, Dtype::F64, Dtype::F64)?, Shared::All, &|_| Radius::NONE)
}

/// What is written into a cache is what was given.
pub(super) fn ask_scatter(question: &Question, numerics: &Numerics) -> Result<BoundedAnswer> {
    with_radii(exact("tensor_scatter", question, Dtype::F64, numerics.activations)?, Shared::All, &|_| Radius::NONE)
}

/// The operation in f64 on inputs that are stored in these formats.
fn exact(op: &str, question: &Question, weights: Dtype, activations: Dtype) -> Result<Answer> {
    let Some(op) = ops::find(op) else { return Ok(Answer::new()) };
    op.ask(question, &mut Evaluator::new(Numerics { weights, activations, ..Numerics::plain(Dtype::F64) }))
}

fn with_radii(answer: Answer, shared: Shared, radius: &dyn Fn(f64) -> Radius) -> Result<BoundedAnswer> {
    let mut bounded = BoundedAnswer::new();
    for (name, value) in &answer {
        let exact = Bounded::exact(value).map(|value, _| (value, radius(value)));
        bounded.push((name.clone(), exact.sharing(shared)));
    }
    Ok(bounded)
}
