//! Faults of attention as other questions.

use super::{Edit, OperationQuestion};
use ndarray::{ArrayD, Axis, IxDyn, Slice};

/// Faults and their edits.
pub(super) const EDITS: &[(&str, Edit)] = &[
    ("scale-missing", |q| scaled(q, |_| 1.0)),
    ("scale-twice", |q| scaled(q, |sizes| sizes.scale * sizes.scale)),
    ("scale-d_model", |q| scaled(q, |sizes| 1.0 / (sizes.heads * sizes.head_dim).sqrt())),
    ("scale-n_heads", |q| scaled(q, |sizes| 1.0 / sizes.heads.sqrt())),
    ("softcap-dropped", |q| q.is(&["attention"]) && q.take("softcap")),
    ("mask-none", |q| q.is(&["attention", "mask"]) && q.take("causal")),
    ("mask-top-left", |q| {
        let other = q.is(&["attention", "mask"]) && matches!(q.text("causal"), Some("bottom_right" | "past"));
        q.set("causal", "top_left");
        other
    }),
    ("mask-strict", |q| moved(q, -1)),
    ("mask+1", |q| moved(q, 1)),
    ("window-ignored", |q| q.is(&["attention", "mask"]) && q.take("window")),
    ("window-+1", |q| match q.number("window").filter(|_| q.is(&["attention", "mask"])) {
        None => false,
        Some(window) => {
            q.set("window", window as i64 + 1);
            true
        }
    }),
    ("pad-mask-dropped", |q| {
        let masks = ["attention_mask", "kv_lens"].map(|name| q.inputs.remove(name).is_some());
        q.is(&["attention"]) && masks.contains(&true)
    }),
    ("padding-side-wrong", |q| q.is(&["attention"]) && whole(q, "attention_mask", reversed)),
    ("mask-of-batch-row-0", |q| q.is(&["attention"]) && whole(q, "attention_mask", |mask| repeated(&mask, 0, |_| 0))),
    ("k-v-swapped-v-used-as-k", |q| {
        let (k, v) = (q.array("k"), q.array("v"));
        match (q.is(&["attention"]) && !q.inputs.contains_key("past_key"), k, v) {
            (true, Some(k), Some(v)) if k.shape() == v.shape() => {
                q.put("k", v);
                q.put("v", k);
                true
            }
            _ => false,
        }
    }),
    ("gqa-tile-vs-repeat", |q| heads_read(q, |head, kv_heads, _| head % kv_heads)),
    ("gqa-all-use-head-0", |q| heads_read(q, |_, _, _| 0)),
    ("softmax-plus-one", |q| {
        // A sink of score 0 is 1 in the denominator.
        let heads = Sizes::of(q).map(|sizes| sizes.heads as usize);
        match heads.filter(|_| q.is(&["attention"]) && !q.inputs.contains_key("sinks")) {
            None => false,
            Some(heads) => {
                q.put("sinks", ArrayD::zeros(IxDyn(&[heads])));
                true
            }
        }
    }),
    ("batch-leak", |q| {
        // Each request reads the keys and values of the first.
        let many = q.array("k").is_some_and(|k| k.shape()[0] > 1);
        q.is(&["attention"]) && many && ["k", "v"].map(|name| q.edit(name, |x| repeated(&x, 0, |_| 0))) == [true, true]
    }),
];

/// Sizes of a question that has an axis of heads, or says how many there are.
struct Sizes {
    heads: f64,
    head_dim: f64,
    scale: f64,
}

impl Sizes {
    fn of(q: &OperationQuestion) -> Option<Self> {
        let array = q.array("q")?;
        let (heads, head_dim) = match (array.shape(), q.number("num_heads")) {
            (&[_, heads, _, dim], _) => (heads as f64, dim as f64),
            (&[_, _, width], Some(heads)) => (heads, width as f64 / heads),
            _ => return None,
        };
        Some(Self { heads, head_dim, scale: q.number("scale").unwrap_or(1.0 / head_dim.sqrt()) })
    }
}

fn scaled(q: &mut OperationQuestion, scale: fn(&Sizes) -> f64) -> bool {
    let Some(sizes) = Sizes::of(q).filter(|_| q.is(&["attention"])) else { return false };
    q.set("scale", scale(&sizes));
    true
}

/// The causal mask moved by some keys, as a window to the right without causality.
fn moved(q: &mut OperationQuestion, keys: i64) -> bool {
    if !q.is(&["attention"]) || q.params.get("right_window").is_some() || q.inputs.contains_key("attn_mask") {
        return false;
    }
    let (Some(causal), Some(queries), Some(k)) = (q.text("causal"), q.array("q"), q.array("k")) else { return false };
    let past = q.array("past_key").map_or(0, |past| past.shape()[2]);
    let (q_len, kv_len) = (queries.shape()[queries.ndim() - 2], k.shape()[k.ndim() - 2] + past);
    let offset = match causal {
        "bottom_right" => kv_len as i64 - q_len as i64,
        "past" => past as i64,
        "top_left" => 0,
        _ => return false,
    };
    // A window would lose the alignment that goes with causality.
    if q.params.get("window").is_some() {
        return false;
    }
    let allowed = ArrayD::from_shape_fn(IxDyn(&[q_len, kv_len]), |at| {
        if at[1] as i64 <= at[0] as i64 + offset + keys { 0.0 } else { f64::NEG_INFINITY }
    });
    q.take("causal");
    q.put("attn_mask", allowed);
    true
}

fn whole(q: &mut OperationQuestion, name: &str, edit: fn(ArrayD<f64>) -> ArrayD<f64>) -> bool {
    match q.array(name) {
        None => false,
        Some(array) => {
            q.put_whole(name, &edit(array));
            true
        }
    }
}

/// The last axis from the other end.
fn reversed(array: ArrayD<f64>) -> ArrayD<f64> {
    let axis = Axis(array.ndim() - 1);
    array.slice_axis(axis, Slice::new(0, None, -1)).as_standard_layout().into_owned()
}

/// The indices `of` of an axis.
fn repeated(array: &ArrayD<f64>, axis: usize, of: impl Fn(usize) -> usize) -> ArrayD<f64> {
    let order: Vec<usize> = (0..array.shape()[axis]).map(of).collect();
    array.select(Axis(axis), &order).as_standard_layout().into_owned()
}

/// Query head `h` of a group reads the key head that `of` says.
fn heads_read(q: &mut OperationQuestion, of: fn(usize, usize, usize) -> usize) -> bool {
    let (Some(queries), Some(keys)) = (q.array("q"), q.array("k")) else { return false };
    if !q.is(&["attention"]) || queries.ndim() != 4 || keys.ndim() != 4 {
        return false;
    }
    let (heads, kv_heads) = (queries.shape()[1], keys.shape()[1]);
    if kv_heads < 2 || heads % kv_heads != 0 {
        return false;
    }
    let order: Vec<usize> = (0..heads).map(|head| of(head, kv_heads, heads / kv_heads)).collect();
    for name in ["k", "v", "past_key", "past_value"] {
        q.edit(name, |array| array.select(Axis(1), &order).as_standard_layout().into_owned());
    }
    true
}
