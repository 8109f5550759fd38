//! Faults of the small operations as other questions.

use super::{Form, OperationQuestion};
use crate::num::{Dtype, round_f64};
use ndarray::Axis;

/// Faults, the operations that they have a form for, and their edits.
pub(super) const FORMS: &[Form] = &[
    // softmax
    ("softmax-wrong-axis-query", &["softmax", "log_softmax"], |q| {
        let axes = q.array("x").map_or(0, |x| x.ndim());
        let last = q.number("axis").is_none_or(|axis| axis == -1.0 || axis as usize + 1 == axes);
        q.set("axis", -2);
        axes > 1 && last
    }),
    ("softmax-twice", &["softmax"], |q| {
        let once = q.ask().ok().and_then(|mut answer| answer.remove("out"));
        once.map(|out| q.put("x", out)).is_some()
    }),
    ("softmax-base-2-mix-up", &["softmax"], |q| q.edit("x", &|x| x * std::f64::consts::LN_2)),
    // rotary positions
    ("rope-pairing", ROPE, |q| {
        let other = match q.text("layout") {
            Some("interleaved") => "half_split",
            _ => "interleaved",
        };
        q.set("layout", other);
        true
    }),
    ("rope-theta-wrong", ROPE, |q| {
        let theta = if q.number("rope_theta") == Some(10000.0) { 500_000.0 } else { 10000.0 };
        q.set("rope_theta", theta);
        !q.inputs.contains_key("cos_cache")
    }),
    ("rope-scaling-ignored", ROPE, |q| q.take("scaling")),
    ("partial-rotary-dim", ROPE, |q| !q.inputs.contains_key("cos_cache") && q.take("rotary_dim")),
    ("rope-positions-in-bf16", ROPE, |q| positions(q, |p, _| round_f64(p, Dtype::Bf16))),
    ("rope-ignores-position_ids", ROPE, |q| positions(q, |_, token| token as f64)),
    // norms
    ("norm-weight-missing", NORMS, |q| {
        let one_plus = q.text("weight_form") == Some("one_plus_w");
        // A weight of 1, spelled as the form has it.
        q.edit("weight", &|w| w * 0.0 + if one_plus { 0.0 } else { 1.0 })
    }),
    ("eps-wrong-value", NORMS, |q| {
        let eps = q.number("norm_eps").unwrap_or(1e-5);
        q.set("norm_eps", if eps == 1e-5 { 1e-6 } else { 1e-5 });
        true
    }),
    ("rmsnorm-computed-as-layernorm", &["rms_norm"], |q| {
        let plain = !["weight_form", "downcast"].iter().any(|name| q.params.get(name).is_some());
        q.op = "layer_norm".to_string();
        plain
    }),
    // activations
    ("gelu-tanh-vs-erf", &["gelu", "geglu"], |q| {
        let other = match q.text("approximate").unwrap_or("none") {
            "none" => "tanh",
            "tanh" => "none",
            _ => return false,
        };
        q.set("approximate", other);
        true
    }),
    ("silu-gelu", &["silu", "gelu", "swiglu", "geglu"], |q| {
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
    ("swiglu-gate-up-swapped", &["swiglu", "geglu"], |q| match (q.array("gate"), q.array("up")) {
        (Some(gate), Some(up)) => {
            q.put("gate", up);
            q.put("up", gate);
            true
        }
        _ => false,
    }),
    // products, embedding
    ("weight-transposed", &["linear"], |q| {
        let square = q.array("weight").is_some_and(|w| w.ndim() == 2 && w.shape()[0] == w.shape()[1]);
        square && q.edit("weight", &|w| w.reversed_axes().as_standard_layout().into_owned())
    }),
    ("qkv-bias-dropped", &["linear"], |q| q.inputs.remove("bias").is_some()),
    ("embedding-scale-missing", &["embedding"], |q| q.take("scale")),
];

const ROPE: &[&str] = &["rope"];
const NORMS: &[&str] = &["rms_norm", "layer_norm"];

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
