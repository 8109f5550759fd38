//! Rotary embedding.
//!
//! ```text
//! angle = position · inv_freq          δ = 16 u |angle|      a power, a scaling, a product, in the arithmetic's format
//! cos, sin                             |sin| δ + δ²/2 + c u |cos|,  |cos| δ + δ²/2 + c u |sin|,  stored
//! x cos ∓ x' sin                       |x| δcos + |x'| δsin + (2 u + u_A) (|x cos| + |x' sin|),  stored
//! ```
//! `u_A` because many store each product as an activation (`rotate_half` in transformers). In f32 the angle at position 5000
//! is uncertain by 3e-4, whatever the formats of the tables: that is rounding too.

use super::radius::{FUNCTION, Radius, Steps};
use super::{Bounded, BoundedAnswer, Shared};
use crate::error::Result;
use crate::eval::{Evaluator, Numerics};
use crate::linalg::arrays::into_values;
use crate::num::Dtype;
use crate::ops::attention::Heads;
use crate::ops::question::Question;
use crate::ops::rope::{RopeInputs, RopeLayout, RopeTables, TableSource, inv_freq, rotate, tables};
use ndarray::{Array3, Array4};

/// Roundings on the way to an angle: position, exponent, power, scaling (a blend of two), product.
const ANGLE: f64 = 16.0;

/// Rope as a question.
pub(super) fn ask(question: &Question, numerics: &Numerics) -> Result<BoundedAnswer> {
    let steps = Steps::of(numerics);
    let RopeInputs { x, heads, source, layout } = RopeInputs::<f64>::read(question, &Evaluator::new(*numerics))?;
    let mut answer = BoundedAnswer::new();
    let (tables, cos, sin) = match source {
        TableSource::Given(given) => {
            let exact = |table: &Array3<f64>| Bounded::exact(&table.clone().into_dyn());
            let (cos, sin) = (exact(&given.cos), exact(&given.sin));
            (given, cos, sin)
        }
        TableSource::Computed { spec, positions, longest } => {
            let (freq, _) = inv_freq(&spec, longest);
            let (mut rounded, mut radii) = (Vec::with_capacity(freq.len()), Vec::with_capacity(freq.len()));
            for freq in &freq {
                rounded.push(freq.hi);
                radii.push(Radius::uniform(ANGLE * steps.arithmetic.u * freq.hi));
            }
            let freq = rounded;
            let mut eval = Evaluator::new(Numerics::plain(Dtype::F64));
            let exact = tables::<f64>(&spec, &positions, &mut eval);
            let mut angles = Vec::with_capacity(exact.cos.len());
            for &position in &positions {
                for freq in &freq {
                    angles.push(position as f64 * freq);
                }
            }
            let (cos, sin) = bounded_tables(&exact, &angles, &steps);
            let bounded = Bounded::new(&[freq.len()], freq, radii).sharing(Shared::All);
            answer.push(("inv_freq".to_string(), bounded));
            (exact, cos, sin)
        }
    };
    let value = rotate(&x, &tables, layout);
    let out = rotated(&Bounded::exact(&x.into_dyn()), &cos, &sin, value, layout, &steps).stored(steps.activations);
    let out = match heads {
        Heads::Axis => out,
        Heads::Flat => out.with_merged_heads(),
    };
    // The tables of a position serve every batch row and head.
    let positions = Shared::Axis(out.shape.len() - 2);
    answer.push(("out".to_string(), out.sharing(positions)));
    answer.push(("cos".to_string(), cos.sharing(Shared::Axis(1))));
    answer.push(("sin".to_string(), sin.sharing(Shared::Axis(1))));
    Ok(answer)
}

fn bounded_tables(exact: &RopeTables<f64>, angles: &[f64], steps: &Steps) -> (Bounded, Bounded) {
    let u = steps.arithmetic.u;
    let radius = |own: f64, other: f64, angle: f64| {
        let delta = ANGLE * u * angle.abs();
        let turned =
            Radius { variance: (other * delta).powi(2) / 3.0, ..Radius::uniform(delta * (other.abs() + delta)) };
        turned.plus(Radius::uniform((FUNCTION + 1.0) * u * own.abs())).rounded(own, steps.rope_tables)
    };
    let mut cos = Bounded::exact(&exact.cos.clone().into_dyn());
    let mut sin = Bounded::exact(&exact.sin.clone().into_dyn());
    for (at, &angle) in angles.iter().enumerate() {
        let (cosine, sine) = (cos.value[at], sin.value[at]);
        cos.radius[at] = radius(cosine, sine, angle);
        sin.radius[at] = radius(sine, cosine, angle);
    }
    (cos, sin)
}

/// `value` is that of the rotation, which is known already.
fn rotated(
    x: &Bounded,
    cos: &Bounded,
    sin: &Bounded,
    value: Array4<f64>,
    layout: RopeLayout,
    steps: &Steps,
) -> Bounded {
    let value = into_values(value);
    let [_, num_heads, len, dim] = x.axes();
    let [_, positions, pairs] = cos.axes();
    let partner = |d: usize| match layout {
        _ if d >= 2 * pairs => None,
        RopeLayout::HalfSplit if d < pairs => Some((d, d + pairs)),
        RopeLayout::HalfSplit => Some((d - pairs, d - pairs)),
        RopeLayout::Interleaved if d.is_multiple_of(2) => Some((d / 2, d + 1)),
        RopeLayout::Interleaved => Some((d / 2, d - 1)),
    };
    let mut radii = x.radius.clone();
    for (own, radius) in radii.iter_mut().enumerate() {
        let (row, d) = (own / dim, own % dim);
        let Some((pair, other)) = partner(d) else { continue };
        let (b, t) = (row / (num_heads * len), row % len);
        let product = |at: usize, table: &Bounded| {
            let ((x, dx), (f, df)) = (x.pair(at), table.pair((b * positions + t) * pairs + pair));
            let inherited = dx.times(f.abs() + df.worst).plus(df.times(x));
            inherited.rounded(x * f, steps.arithmetic).rounded(x * f, steps.activations)
        };
        *radius = product(own, cos).plus(product(row * dim + other, sin)).rounded(value[own], steps.arithmetic);
    }
    Bounded::new(&x.shape, value, radii)
}
