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
use crate::num::Dtype;
use crate::ops::attention::join_heads;
use crate::ops::question::Question;
use crate::ops::rope::{RopeInputs, RopeLayout, RopeTables, TableSource, inv_freq, rotate, tables};
use ndarray::{Array1, Array3, Array4, Ix3, Ix4};

/// Roundings on the way to an angle: position, exponent, power, scaling (a blend of two), product.
const ANGLE: f64 = 16.0;

/// Rope as a question.
pub(super) fn ask(question: &Question, numerics: &Numerics) -> Result<BoundedAnswer> {
    let steps = Steps::of(numerics);
    let RopeInputs { x, heads, source, layout } = RopeInputs::<f64>::read(question, &Evaluator::new(*numerics))?;
    let mut answer = BoundedAnswer::new();
    let (cos, sin) = match source {
        TableSource::Given(tables) => (Bounded::exact(tables.cos), Bounded::exact(tables.sin)),
        TableSource::Computed { spec, positions, longest } => {
            let (freq, _) = inv_freq(&spec, longest);
            let freq = Array1::from_iter(freq.iter().map(|freq| freq.hi));
            let mut eval = Evaluator::new(Numerics::plain(Dtype::F64));
            let exact = tables::<f64>(&spec, &positions, &mut eval);
            let angle = Array3::from_shape_fn(exact.cos.raw_dim(), |(b, t, i)| positions[[b, t]] as f64 * freq[i]);
            let bounded = bounded_tables(exact, &angle, &steps);
            let radius = freq.mapv(|freq| Radius::uniform(ANGLE * steps.arithmetic.u * freq));
            answer.insert("inv_freq".to_string(), Bounded::new(freq, radius).sharing(Shared::All).into_dyn());
            bounded
        }
    };
    let out = rotated(&Bounded::exact(x), &cos, &sin, layout, &steps).stored(steps.activations);
    let out = Bounded::new(join_heads(out.value, heads), join_heads(out.radius, heads));
    // The tables of a position serve every batch row and head.
    let positions = Shared::Axis(out.value.ndim() - 2);
    answer.insert("out".to_string(), out.sharing(positions));
    answer.insert("cos".to_string(), cos.sharing(Shared::Axis(1)).into_dyn());
    answer.insert("sin".to_string(), sin.sharing(Shared::Axis(1)).into_dyn());
    Ok(answer)
}

fn bounded_tables(exact: RopeTables<f64>, angle: &Array3<f64>, steps: &Steps) -> (Bounded<Ix3>, Bounded<Ix3>) {
    let u = steps.arithmetic.u;
    let radius = |own: f64, other: f64, angle: f64| {
        let delta = ANGLE * u * angle.abs();
        let turned =
            Radius { variance: (other * delta).powi(2) / 3.0, ..Radius::uniform(delta * (other.abs() + delta)) };
        turned.plus(Radius::uniform((FUNCTION + 1.0) * u * own.abs())).rounded(own, steps.rope_tables)
    };
    let of = |own: &Array3<f64>, other: &Array3<f64>| {
        Array3::from_shape_fn(own.raw_dim(), |at| radius(own[at], other[at], angle[at]))
    };
    let (cos_radius, sin_radius) = (of(&exact.cos, &exact.sin), of(&exact.sin, &exact.cos));
    (Bounded::new(exact.cos, cos_radius), Bounded::new(exact.sin, sin_radius))
}

fn rotated(
    x: &Bounded<Ix4>,
    cos: &Bounded<Ix3>,
    sin: &Bounded<Ix3>,
    layout: RopeLayout,
    steps: &Steps,
) -> Bounded<Ix4> {
    let value = rotate(&x.value, &RopeTables { cos: cos.value.clone(), sin: sin.value.clone() }, layout);
    let pairs = cos.value.dim().2;
    let partner = |d: usize| match layout {
        _ if d >= 2 * pairs => None,
        RopeLayout::HalfSplit if d < pairs => Some((d, d + pairs)),
        RopeLayout::HalfSplit => Some((d - pairs, d - pairs)),
        RopeLayout::Interleaved if d.is_multiple_of(2) => Some((d / 2, d + 1)),
        RopeLayout::Interleaved => Some((d / 2, d - 1)),
    };
    let radius = Array4::from_shape_fn(value.raw_dim(), |(b, h, t, d)| {
        let own = [b, h, t, d];
        let Some((pair, other)) = partner(d) else { return x.radius[own] };
        let other = [b, h, t, other];
        let product = |at: [usize; 4], table: &Bounded<Ix3>| {
            let (x, dx, f, df) = (x.value[at], x.radius[at], table.value[[b, t, pair]], table.radius[[b, t, pair]]);
            let inherited = dx.times(f.abs() + df.worst).plus(df.times(x));
            inherited.rounded(x * f, steps.arithmetic).rounded(x * f, steps.activations)
        };
        product(own, cos).plus(product(other, sin)).rounded(value[own], steps.arithmetic)
    });
    Bounded::new(value, radius)
}
