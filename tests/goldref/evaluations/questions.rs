//! Random questions: sizes of one and odd sizes, long sums, values of every scale that a format can hold.

use super::random::Random;
use goldref::io::Array;
use goldref::num::{Dtype, round_f64};
use ndarray::{ArrayD, IxDyn};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The operations that [`super::evaluate`] knows.
pub(crate) const OPS: [&str; 15] = [
    "linear",
    "matmul",
    "softmax",
    "log_softmax",
    "rms_norm",
    "layer_norm",
    "gelu",
    "silu",
    "relu",
    "swiglu",
    "geglu",
    "embedding",
    "rope",
    "alibi",
    "attention",
];

/// The longest sums.
const LONGEST: usize = 600;

/// A question to an operation, as a case spells it.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// One of [`OPS`].
    pub(crate) op: &'static str,
    /// Parameters of the operation.
    pub(crate) params: Value,
    /// Arrays in, floats as f64 or f32.
    pub(crate) arrays: BTreeMap<String, Array>,
}

impl Question {
    /// A question that the storage can hold: in f16 no value on the way exceeds 60 000.
    pub(crate) fn random(op: &'static str, storage: Dtype, random: &mut Random) -> Self {
        let mut inventor = Inventor { random, storage, arrays: BTreeMap::new() };
        let params = match op {
            "linear" => inventor.linear(),
            "matmul" => inventor.matmul(),
            "softmax" | "log_softmax" => inventor.softmax(),
            "rms_norm" => inventor.rms_norm(),
            "layer_norm" => inventor.layer_norm(),
            "gelu" => inventor.activation("approximate"),
            "silu" => inventor.activation("alpha"),
            "relu" => inventor.activation(""),
            "swiglu" => inventor.gated("alpha"),
            "geglu" => inventor.gated("approximate"),
            "embedding" => inventor.embedding(),
            "rope" => inventor.rope(),
            "alibi" => inventor.alibi(),
            "attention" => inventor.attention(),
            other => panic!("no questions to {other}"),
        };
        Self { op, params, arrays: inventor.arrays }
    }

    /// The same question with every float rounded to the storage, so that rounding the inputs changes nothing.
    pub(crate) fn representable(&self, storage: Dtype) -> Self {
        let rounded = |array: &Array| match array.is_float() {
            true => Array::F64(array.to_f64().mapv(|x| round_f64(x, storage))),
            false => array.clone(),
        };
        let arrays = self.arrays.iter().map(|(name, array)| (name.clone(), rounded(array))).collect();
        Self { arrays, ..self.clone() }
    }
}

/// What the numbers of an array are like.
#[derive(Debug, Clone, Copy)]
enum Values {
    Normal,
    /// About 1e-4.
    Tiny,
    /// Up to this.
    Large(f64),
    OneSigned,
    /// The same along the last axis.
    ConstantRows,
    /// Far apart: exponentials of one decide a row.
    Sharp,
}

struct Inventor<'a> {
    random: &'a mut Random,
    storage: Dtype,
    arrays: BTreeMap<String, Array>,
}

impl Inventor<'_> {
    fn linear(&mut self) -> Value {
        let (width, outputs) = (self.length(LONGEST), self.length(8));
        let layout = self.random.pick(&["out_in", "in_out"]);
        let mut shape = self.leading();
        shape.push(width);
        self.floats("x", &shape, width);
        self.floats("weight", &if layout == "out_in" { [outputs, width] } else { [width, outputs] }, width);
        if self.random.one_in(2) {
            self.array("bias", &[outputs], Values::Normal);
        }
        json!({"weight_layout": layout})
    }

    fn matmul(&mut self) -> Value {
        let (m, k, n) = (self.length(5), self.length(LONGEST), self.length(5));
        let (a, b) = match self.random.below(6) {
            0 => (vec![k], vec![k]),
            1 => (vec![k], vec![k, n]),
            2 => (vec![2, m, k], vec![k]),
            3 => (vec![2, 1, m, k], vec![3, k, n]),
            4 => (vec![m, k], vec![2, k, n]),
            _ => (vec![m, k], vec![k, n]),
        };
        self.floats("a", &a, k);
        self.floats("b", &b, k);
        json!({})
    }

    fn softmax(&mut self) -> Value {
        let mut shape = self.leading();
        shape.push(self.length(LONGEST));
        let axis = match self.random.below(3) {
            0 => self.random.below(shape.len()) as i64,
            _ => -1,
        };
        let values = [
            Values::Normal,
            Values::Sharp,
            Values::OneSigned,
            Values::ConstantRows,
            Values::Tiny,
            Values::Large(300.0),
        ];
        let values = self.one_of(values);
        self.array("x", &shape, values);
        json!({"axis": axis})
    }

    fn rms_norm(&mut self) -> Value {
        let eps = self.normed();
        let form = self.random.pick(&["w", "one_plus_w"]);
        let downcast = self.random.pick(&["before_weight", "after_weight"]);
        json!({"norm_eps": eps, "weight_form": form, "downcast": downcast})
    }

    fn layer_norm(&mut self) -> Value {
        let eps = self.normed();
        if self.random.one_in(2) {
            let width = *self.arrays["x"].shape().last().unwrap();
            self.array("bias", &[width], Values::Normal);
        }
        json!({"norm_eps": eps})
    }

    /// `x` and perhaps `weight` of a norm; its eps.
    fn normed(&mut self) -> f64 {
        let width = self.length(LONGEST);
        let mut shape = self.leading();
        shape.push(width);
        self.floats("x", &shape, 1);
        if !self.random.one_in(4) {
            self.array("weight", &[width], Values::Normal);
        }
        self.one_of([1e-5, 1e-6])
    }

    fn activation(&mut self, param: &str) -> Value {
        let mut shape = self.leading();
        shape.push(self.length(40));
        self.floats("x", &shape, 1);
        self.activation_params(param)
    }

    fn gated(&mut self, param: &str) -> Value {
        let mut shape = self.leading();
        shape.push(self.length(40));
        self.floats("gate", &shape, 1);
        self.floats("up", &shape, 1);
        self.activation_params(param)
    }

    fn activation_params(&mut self, param: &str) -> Value {
        match param {
            "approximate" => json!({"approximate": self.random.pick(&["none", "tanh", "quick"])}),
            "alpha" => json!({"alpha": self.one_of([1.0, 1.702, 0.5])}),
            _ => json!({}),
        }
    }

    fn embedding(&mut self) -> Value {
        let (vocab, width) = (self.length(20), self.length(40));
        let (batch, len) = (self.length(3), self.length(6));
        self.floats("weight", &[vocab, width], width);
        self.integers("input_ids", &[batch, len], vocab);
        if self.random.one_in(2) { json!({"scale": (width as f64).sqrt()}) } else { json!({}) }
    }

    fn rope(&mut self) -> Value {
        let (batch, heads, len) = (self.length(2), self.length(3), self.length(7));
        let head_dim = self.one_of([2, 4, 6, 16, 24, 64]);
        let flat = self.random.one_in(3);
        let shape = if flat { vec![batch, len, heads * head_dim] } else { vec![batch, heads, len, head_dim] };
        self.floats("x", &shape, 2);
        let most = self.one_of([8, 300, 2000]);
        let positions = if self.random.one_in(2) { vec![len] } else { vec![batch, len] };
        self.integers("position_ids", &positions, most);
        let rotary_dim = if self.random.one_in(3) { 2 * (1 + self.random.below(head_dim / 2)) } else { head_dim };
        let layout = self.random.pick(&["half_split", "interleaved"]);
        let theta = self.one_of([10000.0, 500000.0, 100.0]);
        json!({"layout": layout, "rotary_dim": rotary_dim, "rope_theta": theta, "num_heads": heads})
    }

    fn alibi(&mut self) -> Value {
        let (q_len, kv_len) = (self.length(6), self.length(12));
        self.integers("q_positions", &[q_len], LONGEST);
        self.integers("kv_positions", &[kv_len], LONGEST);
        json!({"num_heads": self.length(20)})
    }

    fn attention(&mut self) -> Value {
        let (batch, groups, group) = (self.length(2), self.length(3), self.length(3));
        let longest = if self.random.one_in(8) { LONGEST } else { 40 };
        let (q_len, kv_len) = (self.length(5), self.length(longest));
        let (head_dim, v_dim) = (self.one_of([1, 2, 3, 8, 24, 64]), self.one_of([1, 3, 8, 16]));
        let heads = groups * group;
        let flat = self.random.one_in(3);
        let shape = |heads, len, dim| if flat { vec![batch, len, heads * dim] } else { vec![batch, heads, len, dim] };
        for (name, heads, len) in [("q", heads, q_len), ("k", groups, kv_len)] {
            let shape = shape(heads, len, head_dim);
            match self.random.one_in(3) {
                true => self.array(name, &shape, Values::Sharp),
                false => self.floats(name, &shape, 2 * head_dim),
            }
        }
        self.floats("v", &shape(groups, kv_len, v_dim), 2);
        let mut params = json!({"num_heads": heads, "num_key_value_heads": groups});
        if self.random.one_in(2) {
            params["causal"] = json!(self.random.pick(&["bottom_right", "top_left"]));
        }
        if self.random.one_in(4) {
            params["window"] = json!(1 + self.random.below(kv_len));
        }
        if self.random.one_in(4) {
            params["softcap"] = json!(self.one_of([50.0, 5.0, 0.7]));
        }
        if self.random.one_in(4) {
            params["scale"] = json!(self.one_of([0.125, 0.3, 1.0 / 3.0]));
        }
        if self.random.one_in(3) {
            let (b, h) = (self.one_of([1, batch]), self.one_of([1, heads]));
            let boolean = self.random.one_in(2);
            let mask = ArrayD::from_shape_simple_fn(IxDyn(&[b, h, q_len, kv_len]), || !self.random.one_in(5));
            let added = |random: &mut Random, seen: bool| if seen { 2.0 * normal(random) } else { f64::NEG_INFINITY };
            let mask =
                if boolean { Array::from(mask) } else { Array::from(mask.mapv(|seen| added(self.random, seen))) };
            self.arrays.insert("attn_mask".to_owned(), mask);
        }
        if self.random.one_in(4) {
            self.integers("attention_mask", &[batch, kv_len], 2);
        }
        params
    }

    fn one_of<T: Copy, const N: usize>(&mut self, from: [T; N]) -> T {
        from[self.random.below(N)]
    }

    /// A length from 1 to `most`, small ones often.
    fn length(&mut self, most: usize) -> usize {
        match self.random.below(6) {
            0 => 1,
            1 => 1 + self.random.below(most.min(4)),
            2..5 => 1 + self.random.below(most.min(41)),
            _ => 1 + self.random.below(most),
        }
    }

    /// The axes before the last one.
    fn leading(&mut self) -> Vec<usize> {
        (0..self.random.below(3)).map(|_| self.length(4)).collect()
    }

    /// Floats of any kind; `terms` is how many products of two such values are summed.
    fn floats(&mut self, name: &str, shape: &[usize], terms: usize) {
        let most = if self.storage == Dtype::F16 { (3e4 / terms as f64).sqrt().min(1000.0) } else { 1000.0 };
        let values = match self.random.below(8) {
            0 => Values::Tiny,
            1 => Values::Large(most),
            2 | 3 => Values::OneSigned,
            4 => Values::ConstantRows,
            _ => Values::Normal,
        };
        self.array(name, shape, values);
    }

    fn array(&mut self, name: &str, shape: &[usize], values: Values) {
        let width = shape.last().copied().unwrap_or(1);
        let mut row = 0.0;
        let mut index = 0;
        let array = ArrayD::from_shape_simple_fn(IxDyn(shape), || {
            if index % width == 0 {
                row = 4.0 * normal(self.random);
            }
            index += 1;
            match values {
                Values::Normal => normal(self.random),
                Values::Tiny => 1e-4 * normal(self.random),
                Values::Large(most) => most * (2.0 * unit(self.random) - 1.0),
                Values::OneSigned => normal(self.random).abs(),
                Values::ConstantRows => row,
                Values::Sharp => 5.0 * normal(self.random),
            }
        });
        let array = if self.random.one_in(2) { Array::from(array.mapv(|x| x as f32)) } else { Array::from(array) };
        self.arrays.insert(name.to_owned(), array);
    }

    /// Whole numbers below `bound`.
    fn integers(&mut self, name: &str, shape: &[usize], bound: usize) {
        let array = ArrayD::from_shape_simple_fn(IxDyn(shape), || self.random.below(bound) as i64);
        self.arrays.insert(name.to_owned(), Array::from(array));
    }
}

/// Uniform in [0, 1).
fn unit(random: &mut Random) -> f64 {
    (random.next() >> 11) as f64 * 2f64.powi(-53)
}

/// Nearly normal, with mean 0 and variance 1, and never beyond ±6: a sum of twelve uniform numbers.
fn normal(random: &mut Random) -> f64 {
    (0..12).map(|_| unit(random)).sum::<f64>() - 6.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_have_the_shapes_and_values_they_promise() {
        let mut random = Random::new(5);
        let (mut ones, mut long, mut tiny, mut large, mut constant) = (0, 0, 0, 0, 0);
        for _ in 0..400 {
            let question = Question::random("linear", Dtype::F16, &mut random);
            let x = question.arrays["x"].to_f64();
            let width = *x.shape().last().unwrap();
            let most = x.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
            ones += usize::from(width == 1);
            long += usize::from(width > 256);
            tiny += usize::from(most < 1e-3);
            large += usize::from(most > 6.0);
            constant += usize::from(width > 1 && x.iter().all(|v| *v == x.as_slice().unwrap()[0]));
            assert!(x.iter().all(|x| x.is_finite()));
        }
        for count in [ones, long, tiny, large] {
            assert!(count > 20, "{ones} {long} {tiny} {large}");
        }
        assert!(constant > 5, "{constant}");
    }

    #[test]
    fn rounded_questions_do_not_change_when_rounded_again() {
        let question = Question::random("swiglu", Dtype::Bf16, &mut Random::new(1));
        let once = question.representable(Dtype::Bf16);
        assert_ne!(once.arrays["gate"].to_f64(), question.arrays["gate"].to_f64());
        assert_eq!(once.representable(Dtype::Bf16).arrays, once.arrays);
        let ids = Question::random("embedding", Dtype::F16, &mut Random::new(1)).representable(Dtype::F16);
        assert_eq!(ids.arrays["input_ids"].dtype_name(), "i64");
    }
}
