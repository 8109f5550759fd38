// Softmax attention in f32, as a program that goldref can ask: README.md says how.
mod goldref_candidate;
use goldref_candidate::{Array, Arrays, Question, Refusal, serve};

/// [batch, heads, len, dim] in f32.
struct Tensor {
    batch: usize,
    heads: usize,
    len: usize,
    dim: usize,
    data: Vec<f32>,
}

impl Tensor {
    fn of(array: &Array) -> Result<Self, Refusal> {
        // bfloat16 comes as uint16, whose numbers are others.
        if !array.dtype.starts_with("float") {
            return unsupported(format!("numbers stored as {}", array.dtype));
        }
        let &[batch, heads, len, dim] = array.shape.as_slice() else { return unsupported("arrays without four axes") };
        Ok(Self { batch, heads, len, dim, data: array.data.iter().map(|&x| x as f32).collect() })
    }

    fn row(&self, b: usize, h: usize, i: usize) -> &[f32] {
        &self.data[((b * self.heads + h) * self.len + i) * self.dim..][..self.dim]
    }
}

fn unsupported<T>(what: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Unsupported(what.into()))
}

/// Keys or values: those of the cache, if there is one, and the new ones behind them.
fn joined(question: &Question, past_name: &str, name: &str) -> Result<Tensor, Refusal> {
    let now = Tensor::of(question.array(name)?)?;
    let Some(past) = question.arrays.get(past_name) else { return Ok(now) };
    let past = Tensor::of(past)?;
    if (past.batch, past.heads, past.dim) != (now.batch, now.heads, now.dim) {
        return Err(format!("{past_name} does not fit {name}").into());
    }
    let mut all = Tensor { len: past.len + now.len, data: Vec::new(), ..now };
    for b in 0..all.batch {
        for h in 0..all.heads {
            (0..past.len).for_each(|i| all.data.extend(past.row(b, h, i)));
            (0..now.len).for_each(|i| all.data.extend(now.row(b, h, i)));
        }
    }
    Ok(all)
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// out = softmax(scale q kᵀ) v, over the keys that a query may attend to.
fn attention(question: &Question) -> Result<Arrays, Refusal> {
    // What is not known here may change the answer, so nothing is passed over.
    if let Some(name) = question.params.names().find(|name| !["scale", "causal"].contains(name)) {
        return unsupported(format!("the parameter {name}"));
    }
    let known = ["q", "k", "v", "past_key", "past_value", "attention_mask"];
    if let Some(name) = question.arrays.keys().find(|name| !known.contains(&name.as_str())) {
        return unsupported(format!("the array {name}"));
    }

    let q = Tensor::of(question.array("q")?)?;
    let (k, v) = (joined(question, "past_key", "k")?, joined(question, "past_value", "v")?);
    if (k.batch, k.dim) != (q.batch, q.dim) || k.heads == 0 || q.heads % k.heads != 0 {
        return Err("k does not fit q".into());
    }
    if (v.batch, v.heads, v.len) != (k.batch, k.heads, k.len) {
        return Err("v does not fit k".into());
    }
    let mask = question.arrays.get("attention_mask");
    if mask.is_some_and(|mask| mask.shape != [k.batch, k.len]) {
        return Err("attention_mask is not [batch, kv_len]".into());
    }
    let scale = question.params.number_or("scale", 1.0 / (q.dim as f64).sqrt())? as f32;
    // Query i is aligned with key i + offset, and attends to none behind it.
    let offset = match question.params.text_or("causal", "none")? {
        "none" => k.len as isize,
        "top_left" => 0,
        "past" => k.len as isize - question.array("k")?.shape[2] as isize,
        "bottom_right" => k.len as isize - q.len as isize,
        other => return unsupported(format!("causal: {other}")),
    };
    let may_attend = |b: usize, i: usize, j: usize| {
        j as isize <= i as isize + offset && mask.is_none_or(|mask| mask.data[b * k.len + j] != 0.0)
    };

    let mut out = Vec::new();
    for b in 0..q.batch {
        for h in 0..q.heads {
            let kv_head = h / (q.heads / k.heads);
            for i in 0..q.len {
                // Keys behind the mask are not read at all: there may stand NaN.
                let keys: Vec<usize> = (0..k.len).filter(|&j| may_attend(b, i, j)).collect();
                let scores = keys.iter().map(|&j| scale * dot(q.row(b, h, i), k.row(b, kv_head, j)));
                let largest = scores.clone().fold(f32::NEG_INFINITY, f32::max);
                let exps: Vec<f32> = scores.map(|score| (score - largest).exp()).collect();
                let sum: f32 = exps.iter().sum();
                // A query without keys adds nothing up: its output is 0.
                let mut row = vec![0.0; v.dim];
                for (&j, exp) in keys.iter().zip(&exps) {
                    row.iter_mut().zip(v.row(b, kv_head, j)).for_each(|(out, v)| *out += exp / sum * v);
                }
                out.extend(row);
            }
        }
    }
    let out = Array::float32(vec![q.batch, q.heads, q.len, v.dim], &out);
    Ok(Arrays::from([("out".to_string(), out)]))
}

fn main() {
    serve(&[("attention", attention)]);
}
