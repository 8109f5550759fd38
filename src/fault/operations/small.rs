//! Faults of the small operations as other questions.

use super::{Edit, OperationQuestion};
use crate::num::{Dtype, round_f64};
use ndarray::Axis;

/// Faults and their edits.
pub(super) const EDITS: &[(&str, Edit)] = &[
    // softmax
    ("softmax-wrong-axis-query", |q| {
        let axes = q.array("x").map_or(0, |x| x.ndim());
        let last = q.number("axis").is_none_or(|axis| axis == -1.0 || axis as usize + 1 == axes);
        let place = q.is(&["softmax", "log_softmax"]) && axes > 1 && last;
        q.set("axis", -2);
        place
    }),
    ("softmax-twice", |q| {
        let once = q.is(&["softmax"]).then(|| q.ask().ok()).flatten().and_then(|mut answer| answer.remove("out"));
        once.map(|out| q.put("x", out)).is_some()
    }),
    ("softmax-base-2-mix-up", |q| q.is(&["softmax"]) && q.edit("x", |x| x * std::f64::consts::LN_2)),
    // rotary positions
    ("rope-pairing", |q| {
        let other = match q.text("layout") {
            Some("interleaved") => "half_split",
            _ => "interleaved",
        };
        q.set("layout", other);
        is_rope(q)
    }),
    ("rope-theta-wrong", |q| {
        let theta = if q.number("rope_theta") == Some(10000.0) { 500_000.0 } else { 10000.0 };
        q.set("rope_theta", theta);
        is_rope(q) && !q.inputs.contains_key("cos_cache")
    }),
    ("rope-scaling-ignored", |q| is_rope(q) && q.take("scaling")),
    ("partial-rotary-dim", |q| is_rope(q) && !q.inputs.contains_key("cos_cache") && q.take("rotary_dim")),
    ("rope-positions-in-bf16", |q| is_rope(q) && positions(q, |p, _| round_f64(p, Dtype::Bf16))),
    ("rope-ignores-position_ids", |q| is_rope(q) && positions(q, |_, token| token as f64)),
    // norms
    ("norm-weight-missing", |q| {
        let there = q.inputs.contains_key("weight");
        let one_plus = q.text("weight_form") == Some("one_plus_w");
        // A weight of 1, spelled as the form has it.
        q.edit("weight", |w| w * 0.0 + if one_plus { 0.0 } else { 1.0 });
        is_norm(q) && there
    }),
    ("eps-wrong-value", |q| {
        let eps = q.number("norm_eps").unwrap_or(1e-5);
        q.set("norm_eps", if eps == 1e-5 { 1e-6 } else { 1e-5 });
        is_norm(q)
    }),
    ("rmsnorm-computed-as-layernorm", |q| {
        let plain = q.is(&["rms_norm"]) && !["weight_form", "downcast"].iter().any(|name| q.params.get(name).is_some());
        q.op = "layer_norm".to_string();
        plain
    }),
    // activations
    ("gelu-tanh-vs-erf", |q| match q.text("approximate").unwrap_or("none") {
        "none" if q.is(&["gelu", "geglu"]) => {
            q.set("approximate", "tanh");
            true
        }
        "tanh" if q.is(&["gelu", "geglu"]) => {
            q.set("approximate", "none");
            true
        }
        _ => false,
    }),
    ("silu-gelu", |q| {
        let other = match q.op.as_str() {
            "silu" => "gelu",
            "gelu" => "silu",
            "swiglu" => "geglu",
            "geglu" => "swiglu",
            _ => return false,
        };
        q.op = other.to_string();
        q.take("approximate");
        q.take("alpha");
        true
    }),
    ("swiglu-gate-up-swapped", |q| match (q.array("gate"), q.array("up")) {
        (Some(gate), Some(up)) => {
            q.put("gate", up);
            q.put("up", gate);
            true
        }
        _ => false,
    }),
    // products, embedding
    ("weight-transposed", |q| {
        let square = q.array("weight").is_some_and(|w| w.ndim() == 2 && w.shape()[0] == w.shape()[1]);
        q.is(&["linear"]) && square && q.edit("weight", |w| w.reversed_axes().as_standard_layout().into_owned())
    }),
    ("qkv-bias-dropped", |q| q.is(&["linear"]) && q.inputs.remove("bias").is_some()),
    ("embedding-scale-missing", |q| q.is(&["embedding"]) && q.take("scale")),
];

fn is_rope(q: &OperationQuestion) -> bool {
    q.is(&["rope"])
}

fn is_norm(q: &OperationQuestion) -> bool {
    q.is(&["rms_norm", "layer_norm"])
}

/// Each position, told its token; whether there are any.
fn positions(q: &mut OperationQuestion, edit: fn(f64, usize) -> f64) -> bool {
    let Some(mut ids) = q.array("position_ids") else { return false };
    let Some(last) = ids.ndim().checked_sub(1) else { return false };
    for mut lane in ids.lanes_mut(Axis(last)) {
        lane.iter_mut().enumerate().for_each(|(token, position)| *position = edit(*position, token));
    }
    q.put_whole("position_ids", &ids);
    true
}
