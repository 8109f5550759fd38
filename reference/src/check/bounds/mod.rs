//! Computed error bounds: how far a correct evaluation of an operation may be from the exact answer, element by element.
//!
//! For the inputs of a question and the [`Numerics`] that somebody declares, each output element gets
//!
//! ```text
//! W  worst case:  no evaluation in these formats, in whatever order and blocking, is further off
//! C  centred:     the same, but knowing what cancels: a shift common to all scores of a row, or to all values
//! R  estimate:    3σ, each rounding being independent and uniform
//! ```
//! R ≤ C ≤ W but for small sums, where R of uniform roundings may pass C: then C is used. The inputs are those that the
//! numerics store; the distance their rounding makes is exact, and not a bound ([`Bound::value`]).
//!
//! Sources: Higham, *Accuracy and Stability of Numerical Algorithms* (2nd ed., 2002), chapters 3 and 4; Jeannerod &
//! Rump, SIAM J. Matrix Anal. Appl. 34(2), 2013 (n·u for each n); Blanchard, Higham & Higham, IMA J. Numer. Anal. 41(4),
//! 2021 (softmax); the factor of the centred forms is derived in `softmax` and `attention`.
//!
//! How tight they are on the bundled fixtures is measured in `docs/tightness.md`.
//!
//! A bound is computed from the operation's own inputs: errors of earlier operations come in as radii. Whole models have
//! none: products of Jacobians explode; see [`super::floor`].

mod activation;
mod attention;
mod lookup;
mod multihead;
mod norm;
mod products;
mod radius;
mod rope;
mod softmax;

use crate::error::Result;
use crate::eval::Numerics;
use crate::linalg::arrays::values;
use crate::ops::Question;
use ndarray::ArrayD;
use radius::{Radius, Step, Steps};

/// The bounds of one output array.
#[derive(Debug, Clone, PartialEq)]
pub struct Bound {
    /// The exact answer for the inputs as the numerics store them, itself computed in f64.
    pub value: ArrayD<f64>,
    /// W.
    pub worst: ArrayD<f64>,
    /// C.
    pub centred: ArrayD<f64>,
    /// R.
    pub estimate: ArrayD<f64>,
    /// Which elements share a rounding.
    pub shared: Shared,
}

/// Which elements may all be off in the same direction, because one rounding enters them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shared {
    /// Those with the same first so many indices: the statistics of a row, the sum of its softmax.
    Leading(usize),
    /// Those of an index of this axis: the rotary tables of a position.
    Axis(usize),
    /// All: a rounded constant.
    All,
}

/// An operation's bounds: parameters and arrays in, a value and a radius for each output element.
type Ask = fn(&Question<'_>, &Numerics) -> Result<BoundedAnswer>;

/// The operations that have bounds, by name. Stacks of layers have none and are judged like models.
const ALL: &[(&str, Ask)] = &[
    ("linear", products::ask_linear),
    ("matmul", products::ask_matmul),
    ("gemm", products::ask_gemm),
    ("softmax", softmax::ask),
    ("log_softmax", softmax::ask_log),
    ("rms_norm", norm::ask_rms),
    ("layer_norm", norm::ask_layer),
    ("gelu", activation::ask_gelu),
    ("silu", activation::ask_silu),
    ("relu", activation::ask_relu),
    ("swiglu", activation::ask_swiglu),
    ("geglu", activation::ask_geglu),
    ("embedding", lookup::ask_embedding),
    ("rope", rope::ask),
    ("alibi", lookup::ask_alibi),
    ("mask", lookup::ask_mask),
    ("attention", attention::ask),
    ("tensor_scatter", lookup::ask_scatter),
    ("multihead_attention", multihead::ask),
];

/// The operations that are stacks of layers: products of Jacobians explode, so they are judged like models.
pub const STACKS: &[&str] = &["encoder_layer", "decoder_layer", "model"];

/// The names of the operations that have bounds.
pub fn operations() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|(name, _)| *name)
}

/// The bounds of each output array of `op`, by name; `None` where the operation has none.
///
/// # Errors
/// Arrays or parameters that the operation refuses.
pub fn bounds(op: &str, question: &Question, numerics: &Numerics) -> Result<Option<Vec<(String, Bound)>>> {
    let Some((_, ask)) = ALL.iter().find(|(name, _)| *name == op) else { return Ok(None) };
    let smallest = Steps::of(numerics).smallest_normal;
    let answer = ask(question, numerics)?;
    let mut bounds = Vec::with_capacity(answer.len());
    for (name, bounded) in answer {
        bounds.push((name, bounded.finish(smallest)));
    }
    Ok(Some(bounds))
}

/// Values with their radii, in row-major order.
///
/// One type for any number of axes: nothing here is compiled anew for each.
#[derive(Debug, Clone)]
struct Bounded {
    shape: Vec<usize>,
    value: Vec<f64>,
    radius: Vec<Radius>,
    shared: Shared,
}

/// Output arrays by name.
type BoundedAnswer = Vec<(String, Bounded)>;

impl Bounded {
    /// Values that are what they are: stored inputs.
    fn exact(value: &ArrayD<f64>) -> Self {
        Self::new(value.shape(), values(value).into_owned(), vec![Radius::NONE; value.len()])
    }

    /// A value and a radius for each element that `shape` holds; rows share their roundings.
    fn new(shape: &[usize], value: Vec<f64>, radius: Vec<Radius>) -> Self {
        let shared = Shared::Leading(shape.len().saturating_sub(1));
        Self { shape: shape.to_vec(), value, radius, shared }
    }

    /// Which elements share a rounding.
    fn sharing(self, shared: Shared) -> Self {
        Self { shared, ..self }
    }

    /// The lengths of its axes.
    ///
    /// # Panics
    /// If there are not as many.
    fn axes<const COUNT: usize>(&self) -> [usize; COUNT] {
        self.shape.as_slice().try_into().expect("as many axes as the operation has")
    }

    /// The pair at a place.
    fn pair(&self, at: usize) -> (f64, Radius) {
        (self.value[at], self.radius[at])
    }

    /// From pairs, as many as `shape` holds.
    fn from_pairs(shape: &[usize], pairs: Vec<(f64, Radius)>) -> Self {
        let (mut values, mut radii) = (Vec::with_capacity(pairs.len()), Vec::with_capacity(pairs.len()));
        for (value, radius) in pairs {
            values.push(value);
            radii.push(radius);
        }
        Self::new(shape, values, radii)
    }

    /// Element by element.
    fn map(mut self, f: impl Fn(f64, Radius) -> (f64, Radius)) -> Self {
        for (value, radius) in self.value.iter_mut().zip(&mut self.radius) {
            (*value, *radius) = f(*value, *radius);
        }
        self
    }

    /// Rounded once more.
    fn stored(self, step: Step) -> Self {
        self.map(|value, radius| (value, radius.rounded(value, step)))
    }

    /// `[batch, heads, len, dim]` as `[batch, len, heads · dim]`.
    fn with_merged_heads(&self) -> Self {
        let [batch, heads, len, dim] = self.axes();
        let (mut value, mut radius) = (Vec::with_capacity(self.value.len()), Vec::with_capacity(self.value.len()));
        for b in 0..batch {
            for t in 0..len {
                for h in 0..heads {
                    let row = ((b * heads + h) * len + t) * dim;
                    value.extend_from_slice(&self.value[row..][..dim]);
                    radius.extend_from_slice(&self.radius[row..][..dim]);
                }
            }
        }
        Self::new(&[batch, len, heads * dim], value, radius)
    }

    /// The three bounds in order, and nothing below what flushing to zero may cost.
    fn finish(self, smallest_normal: f64) -> Bound {
        let count = self.value.len();
        let [mut worst, mut centred, mut estimate] = [(); 3].map(|()| Vec::with_capacity(count));
        for (value, radius) in self.value.iter().zip(&self.radius) {
            // A value that is not finite is compared as such. Elsewhere NaN is an overflow: nothing is excluded.
            let known = |size: f64| {
                if !size.is_nan() {
                    size
                } else if value.is_finite() {
                    f64::INFINITY
                } else {
                    0.0
                }
            };
            let (mut w, mut c, mut r) =
                (known(radius.worst), known(radius.centred), known(3.0 * radius.variance.sqrt()));
            if w > 0.0 {
                // In the order W ≥ C ≥ R, which verdicts go by; the larger of two bounds is one too.
                w = larger(w, c) + smallest_normal;
                c += smallest_normal;
                r = smaller(r + smallest_normal, c);
            }
            worst.push(w);
            centred.push(c);
            estimate.push(r);
        }
        let [value, worst, centred, estimate] = [self.value, worst, centred, estimate]
            .map(|sizes| ArrayD::from_shape_vec(self.shape.as_slice(), sizes).expect("one of each for each value"));
        Bound { value, worst, centred, estimate, shared: self.shared }
    }
}

/// An answer of one array called `out`.
fn out(bounded: Bounded) -> BoundedAnswer {
    vec![("out".to_string(), bounded)]
}

fn larger(a: f64, b: f64) -> f64 {
    if b > a { b } else { a }
}

fn smaller(a: f64, b: f64) -> f64 {
    if b < a { b } else { a }
}

#[cfg(test)]
mod tests;
