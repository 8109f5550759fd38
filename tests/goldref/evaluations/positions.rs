//! Tables and positions: embedding, rotary positions, ALiBi.

use super::inputs::Inputs;
use super::style::{Stages, Style};
use super::{Answer, only};
use ndarray::{Array1, Array3, Array4, ArrayD, IxDyn};

/// Rows of a table times a scale, which is stored like any activation.
pub(super) fn embedding(inputs: &Inputs, style: &Style) -> Answer {
    inputs.knows(&["scale"], &["input_ids", "weight"]);
    let (ids, table) = (inputs.integers("input_ids"), inputs.floats("weight"));
    let scale = inputs.number("scale").map(|scale| style.stored(scale));
    let width = table.shape()[1];
    let shape = [ids.shape(), &[width]].concat();
    let value = |id: i64, d: usize| {
        let x = table[[id as usize, d]];
        style.stored(scale.map_or(x, |scale| style.mul(x, scale)))
    };
    let values = ids.iter().flat_map(|&id| (0..width).map(move |d| value(id, d))).collect();
    only(ArrayD::from_shape_vec(IxDyn(&shape), values).unwrap())
}

/// The rotation of each pair by `position · inv_freq`, tables computed as transformers does: frequencies, angles, cosines
/// and sines in f32 (in f64 for f64), then stored.
///
/// Where stages are stored, `x cos` and `rotate_half(x) sin` are tensors of their own.
pub(super) fn rope(inputs: &Inputs, style: &Style) -> Answer {
    inputs.knows(&["layout", "rotary_dim", "rope_theta", "num_heads"], &["x", "position_ids"]);
    let x = inputs.heads("x", "num_heads");
    let (batch, _, len, head_dim) = x.dim();
    let rotary_dim = inputs.whole("rotary_dim").map_or(head_dim, |dim| dim as usize);
    let half = rotary_dim / 2;
    let positions = inputs.position_ids(batch, len);
    let theta = style.r(inputs.number("rope_theta").unwrap());
    let exponent = |i: usize| style.div(2.0 * i as f64, rotary_dim as f64);
    let inv_freq = Array1::from_shape_fn(half, |i| style.div(1.0, style.pow(theta, exponent(i))));
    let angle = |(b, t, i): (usize, usize, usize)| style.mul(style.r(positions[[b, t]] as f64), inv_freq[i]);
    let cos = Array3::from_shape_fn((batch, len, half), |at| style.stored(style.r(angle(at).cos())));
    let sin = Array3::from_shape_fn((batch, len, half), |at| style.stored(style.r(angle(at).sin())));

    let interleaved = inputs.word("layout") == Some("interleaved");
    let pair = |i: usize| if interleaved { (2 * i, 2 * i + 1) } else { (i, i + half) };
    let mut out: Array4<f64> = x.mapv(|x| style.stored(x));
    for ((b, h, t, i), _) in Array4::<u8>::zeros((batch, x.dim().1, len, half)).indexed_iter() {
        let (first, second) = pair(i);
        let (cos, sin) = (cos[[b, t, i]], sin[[b, t, i]]);
        let (a, c) = (x[[b, h, t, first]], x[[b, h, t, second]]);
        let turn = |straight: f64, turned: f64| match style.stages {
            Stages::Stored => style.add(style.between(style.mul(straight, cos)), style.between(style.mul(turned, sin))),
            // A dot product of two terms, fused or not.
            Stages::Kept => style.sums(2).dot(&[straight, turned], &[cos, sin]),
        };
        out[[b, h, t, first]] = style.stored(turn(a, -c));
        out[[b, h, t, second]] = style.stored(turn(c, a));
    }
    Answer::from([
        ("out".to_owned(), inputs.axes_of("x", out)),
        ("cos".to_owned(), cos.into_dyn()),
        ("sin".to_owned(), sin.into_dyn()),
        ("inv_freq".to_owned(), inv_freq.into_dyn()),
    ])
}

/// `−slope · (q_position − kv_position)`, slopes by the authors' geometric series: the first one, then its powers.
pub(super) fn alibi(inputs: &Inputs, style: &Style) -> Answer {
    inputs.knows(&["num_heads"], &["q_positions", "kv_positions"]);
    let (q, kv) = (inputs.integers("q_positions"), inputs.integers("kv_positions"));
    let slopes = slopes(inputs.whole("num_heads").unwrap() as usize, style);
    let shape = (slopes.len(), q.len(), kv.len());
    let bias = Array3::from_shape_fn(shape, |(h, i, j)| {
        style.stored(style.mul(slopes[h], style.r((kv[[j]] - q[[i]]) as f64)))
    });
    let slopes = Array1::from_iter(slopes.into_iter().map(|slope| style.stored(slope)));
    Answer::from([("slopes".to_owned(), slopes.into_dyn()), ("bias".to_owned(), bias.into_dyn())])
}

/// The slopes of `get_slopes` in the authors' code, which BLOOM's follows.
fn slopes(num_heads: usize, style: &Style) -> Vec<f64> {
    // 2^(−2^−(log₂ n − 3)) = 2^(−8/n), and its powers.
    let series = |n: usize| {
        let start = style.r(2f64.powf(-8.0 / n as f64));
        move |k: usize| style.pow(start, k as f64)
    };
    let power = 1 << num_heads.ilog2();
    let (own, next) = (series(power), series(2 * power));
    (0..num_heads).map(|h| if h < power { own(h + 1) } else { next(2 * (h - power) + 1) }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::evaluate;
    use super::*;
    use goldref::io::Array;
    use goldref::num::Dtype;
    use std::collections::BTreeMap;

    #[test]
    fn storage_in_16_bits_does_not_mean_angles_in_16_bits() {
        // Position 257 is not a number of bf16, which has 256: cos 256 = −0.04, cos 257 = −0.86.
        let x = ArrayD::from_shape_vec(IxDyn(&[1, 1, 2]), vec![1.0, 0.0]).unwrap();
        let arrays = BTreeMap::from([
            ("x".to_owned(), Array::from(x)),
            ("position_ids".to_owned(), Array::from(ndarray::arr1(&[257i64]).into_dyn())),
        ]);
        let params = serde_json::json!({"rope_theta": 10000.0, "num_heads": 1});
        let answer = evaluate("rope", &params, &arrays, &Style::plain(Dtype::Bf16));
        assert!((answer["out"][[0, 0, 0]] - 257f64.cos()).abs() < 4e-3);
    }
}
