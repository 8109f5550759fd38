//! Faults of attention as other questions.

use super::{Form, OperationQuestion};
use ndarray::{ArrayD, Axis, IxDyn, Slice};

/// Faults, the operations that they have a form for, and their edits.
pub(super) const FORMS: &[Form] = &[
    ("scale-missing", ATTENTION, |q| scaled(q, |_| 1.0)),
    ("scale-twice", ATTENTION, |q| scaled(q, |sizes| sizes.scale * sizes.scale)),
    ("scale-d_model", ATTENTION, |q| scaled(q, |sizes| 1.0 / (sizes.heads * sizes.head_dim).sqrt())),
    ("scale-n_heads", ATTENTION, |q| scaled(q, |sizes| 1.0 / sizes.heads.sqrt())),
    ("softcap-dropped", ATTENTION, |q| q.take("softcap")),
    ("mask-none", MASKED, |q| q.take("causal")),
    ("mask-top-left", MASKED, |q| {
        let other = matches!(q.text("causal"), Some("bottom_right" | "past"));
        q.set("causal", "top_left");
        other
    }),
    ("mask-strict", ATTENTION, |q| moved(q, -1)),
    ("mask+1", ATTENTION, |q| moved(q, 1)),
    ("window-ignored", MASKED, |q| q.take("window")),
    ("window-+1", MASKED, |q| match q.number("window") {
        None => false,
        Some(window) => {
            q.set("window", window as i64 + 1);
            true
        }
    }),
    ("pad-mask-dropped", ATTENTION, |q| {
        let [mask, lens] = [q.inputs.remove("attention_mask"), q.inputs.remove("kv_lens")];
        mask.is_some() || lens.is_some()
    }),
    ("padding-side-wrong", ATTENTION, |q| whole(q, "attention_mask", reversed)),
    ("mask-of-batch-row-0", ATTENTION, |q| whole(q, "attention_mask", |mask| first_repeated(&mask))),
    ("k-v-swapped-v-used-as-k", ATTENTION, |q| match (q.array("k"), q.array("v")) {
        (Some(k), Some(v)) if k.shape() == v.shape() && !q.inputs.contains_key("past_key") => {
            q.put("k", v);
            q.put("v", k);
            true
        }
        _ => false,
    }),
    ("gqa-tile-vs-repeat", ATTENTION, |q| heads_read(q, |head, kv_heads| head % kv_heads)),
    ("gqa-all-use-head-0", ATTENTION, |q| heads_read(q, |_, _| 0)),
    ("softmax-plus-one", ATTENTION, |q| match Sizes::of(q) {
        // A sink of score 0 is 1 in the denominator.
        Some(sizes) if !q.inputs.contains_key("sinks") => {
            q.put("sinks", ArrayD::zeros(IxDyn(&[sizes.heads as usize])));
            true
        }
        _ => false,
    }),
    ("batch-leak", ATTENTION, |q| {
        // Each request reads the keys and values of the first.
        let many = q.array("k").is_some_and(|k| k.shape()[0] > 1);
        many && {
            let keys = q.edit("k", &|x| first_repeated(&x));
            let values = q.edit("v", &|x| first_repeated(&x));
            keys && values
        }
    }),
];

const ATTENTION: &[&str] = &["attention"];
const MASKED: &[&str] = &["attention", "mask"];

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
    let Some(sizes) = Sizes::of(q) else { return false };
    q.set("scale", scale(&sizes));
    true
}

/// The causal mask moved by some keys, as a mask that is given.
fn moved(q: &mut OperationQuestion, keys: i64) -> bool {
    // A window to one side or the other would lose the alignment that goes with causality.
    if ["right_window", "window"].iter().any(|name| q.params.get(name).is_some()) || q.inputs.contains_key("attn_mask")
    {
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

/// The first of the first axis in place of all.
fn first_repeated(array: &ArrayD<f64>) -> ArrayD<f64> {
    array.select(Axis(0), &vec![0; array.shape()[0]]).as_standard_layout().into_owned()
}

/// Query head `h` reads the key head that `of` says of `h` and the number of key heads.
fn heads_read(q: &mut OperationQuestion, of: fn(usize, usize) -> usize) -> bool {
    let (Some(queries), Some(keys)) = (q.array("q"), q.array("k")) else { return false };
    if queries.ndim() != 4 || keys.ndim() != 4 {
        return false;
    }
    let (heads, kv_heads) = (queries.shape()[1], keys.shape()[1]);
    if kv_heads < 2 || heads % kv_heads != 0 {
        return false;
    }
    let order: Vec<usize> = (0..heads).map(|head| of(head, kv_heads)).collect();
    for name in ["k", "v", "past_key", "past_value"] {
        q.edit(name, &|array| array.select(Axis(1), &order).as_standard_layout().into_owned());
    }
    true
}
