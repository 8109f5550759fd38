//! Attention, eagerly and flash-like.

use super::Answer;
use super::inputs::{Inputs, Mask};
use super::softmax::probabilities;
use super::style::{Pass, Style};
use ndarray::{Array4, ArrayView1, ArrayView2, s};

/// `softmax(mask(softcap(scale · q kᵀ))) v`.
///
/// [`Pass::Whole`] is eager attention: every stage a tensor, named in the answer. [`Pass::Online`] goes over blocks of keys
/// and answers with `out` alone; there scores stay in the arithmetic's format, and stored stages mean that
/// probabilities are rounded before they meet the values, as on tensor cores.
pub(super) fn attention(inputs: &Inputs, style: &Style) -> Answer {
    inputs.knows(
        &["scale", "softcap", "causal", "window", "num_heads", "num_key_value_heads"],
        &["q", "k", "v", "attn_mask", "attention_mask"],
    );
    let q = inputs.heads("q", "num_heads");
    let (k, v) = (inputs.heads("k", "num_key_value_heads"), inputs.heads("v", "num_key_value_heads"));
    let (batch, num_heads, q_len, head_dim) = q.dim();
    let kv_len = k.dim().2;
    let group = num_heads / k.dim().1;
    let visible = Visible::new(inputs, [batch, num_heads, q_len, kv_len]);
    let rule = Rule {
        scale: style.r(inputs.number("scale").unwrap_or(1.0 / (head_dim as f64).sqrt())),
        softcap: inputs.number("softcap").map(|softcap| style.r(softcap)),
        style,
    };
    let mut out = Array4::zeros((batch, num_heads, q_len, v.dim().3));
    let mut stages = Stages::new((batch, num_heads, q_len, kv_len));
    for b in 0..batch {
        for h in 0..num_heads {
            let (k, v) = (k.slice(s![b, h / group, .., ..]), v.slice(s![b, h / group, .., ..]));
            for i in 0..q_len {
                let q = q.slice(s![b, h, i, ..]);
                let keys: Vec<Option<f64>> = (0..kv_len).map(|j| visible.added([b, h, i, j])).collect();
                let context = match style.pass {
                    Pass::Whole => {
                        let row = rule.eager(q, k, v, &keys);
                        stages.set(b, h, i, &row);
                        row.context
                    }
                    Pass::Online { block } => rule.flash(q, k, v, &keys, block),
                };
                out.slice_mut(s![b, h, i, ..]).assign(&ArrayView1::from(&context));
            }
        }
    }
    let mut answer = Answer::from([("out".to_owned(), inputs.axes_of("q", out))]);
    if style.pass == Pass::Whole {
        stages.into_answer(&mut answer);
    }
    answer
}

/// The numbers of the score rule.
struct Rule<'a> {
    scale: f64,
    softcap: Option<f64>,
    style: &'a Style,
}

/// One query's row at each stage.
struct Row {
    scores: Vec<f64>,
    softcapped: Vec<f64>,
    masked: Vec<f64>,
    probs: Vec<f64>,
    context: Vec<f64>,
}

impl Rule<'_> {
    /// Stage by stage. `keys` holds what is added to each score, `None` where the key may not be attended.
    fn eager(&self, q: ArrayView1<f64>, k: ArrayView2<f64>, v: ArrayView2<f64>, keys: &[Option<f64>]) -> Row {
        let style = self.style;
        let sums = style.sums(q.len());
        let q = q.to_vec();
        let product = |k: ArrayView1<f64>| style.between(sums.dot(&q, &k.to_vec()));
        let scores: Vec<f64> = k.outer_iter().map(|k| style.between(style.mul(product(k), self.scale))).collect();
        let softcapped: Vec<f64> = scores.iter().map(|&score| self.capped(score, |x| style.between(x))).collect();
        let masked: Vec<f64> = softcapped
            .iter()
            .zip(keys)
            .map(|(&score, added)| added.map_or(f64::NEG_INFINITY, |added| style.between(style.add(score, added))))
            .collect();
        // Inside the softmax everything stays in the arithmetic's format.
        let whole = Style { pass: Pass::Whole, ..*style };
        let probs: Vec<f64> = probabilities(&masked, &whole).into_iter().map(|p| style.between(p)).collect();
        let sums = style.sums(keys.len());
        let context = v.columns().into_iter().map(|v| style.stored(sums.dot(&probs, &v.to_vec()))).collect();
        Row { scores, softcapped, masked, probs, context }
    }

    /// Block by block, with a running maximum, sum and context (Milakov & Gimelshein, arXiv:1805.02867; Dao et al.,
    /// arXiv:2205.14135). The query is scaled before the products, the quotient comes last.
    fn flash(
        &self,
        q: ArrayView1<f64>,
        k: ArrayView2<f64>,
        v: ArrayView2<f64>,
        keys: &[Option<f64>],
        block: usize,
    ) -> Vec<f64> {
        let style = self.style;
        let q: Vec<f64> = q.iter().map(|&q| style.mul(q, self.scale)).collect();
        let sums = style.sums(q.len());
        let (mut m, mut sum, mut context) = (f64::NEG_INFINITY, 0.0, vec![0.0; v.ncols()]);
        for start in (0..keys.len()).step_by(block) {
            let block = start..keys.len().min(start + block);
            let scores: Vec<f64> = block
                .clone()
                .map(|j| match keys[j] {
                    Some(added) => style.add(self.capped(sums.dot(&q, &k.row(j).to_vec()), |x| x), added),
                    None => f64::NEG_INFINITY,
                })
                .collect();
            let higher = scores.iter().copied().fold(m, f64::max);
            if higher == f64::NEG_INFINITY {
                continue;
            }
            let probs: Vec<f64> = scores.iter().map(|&score| style.exp(style.sub(score, higher))).collect();
            let rescale = style.exp(style.sub(m, higher));
            let in_block = style.sums(block.len());
            sum = style.add(style.mul(sum, rescale), in_block.of(&probs));
            let probs: Vec<f64> = probs.into_iter().map(|p| style.between(p)).collect();
            for (d, context) in context.iter_mut().enumerate() {
                let v: Vec<f64> = block.clone().map(|j| v[[j, d]]).collect();
                *context = style.add(style.mul(*context, rescale), in_block.dot(&probs, &v));
            }
            m = higher;
        }
        if m == f64::NEG_INFINITY {
            return vec![0.0; v.ncols()];
        }
        context.into_iter().map(|context| style.stored(style.div(context, sum))).collect()
    }

    /// `softcap · tanh(score / softcap)`, three steps in transformers' Gemma 2; `between` is what becomes of each.
    fn capped(&self, score: f64, between: impl Fn(f64) -> f64) -> f64 {
        let Some(softcap) = self.softcap else { return score };
        let style = self.style;
        let small = between(style.div(score, softcap));
        between(style.mul(softcap, between(style.tanh(small))))
    }
}

/// Which keys a query may attend, and what is added to their scores.
struct Visible {
    shape: [usize; 4],
    causal: Option<i64>,
    window: Option<i64>,
    given: Option<Mask>,
    padding: Option<ndarray::ArrayD<i64>>,
}

impl Visible {
    fn new(inputs: &Inputs, shape: [usize; 4]) -> Self {
        let [_, _, q_len, kv_len] = shape.map(|length| length as i64);
        let causal = match inputs.word("causal") {
            None | Some("none") => None,
            Some("top_left") => Some(0),
            Some("bottom_right") => Some(kv_len - q_len),
            Some(other) => panic!("no evaluation with causal {other}"),
        };
        let given = match inputs.mask("attn_mask") {
            Some(Mask::Allowed(mask)) => Some(Mask::Allowed(mask.broadcast(shape).unwrap().to_owned().into_dyn())),
            Some(Mask::Added(mask)) => Some(Mask::Added(mask.broadcast(shape).unwrap().to_owned().into_dyn())),
            None => None,
        };
        let padding = inputs.has("attention_mask").then(|| inputs.integers("attention_mask"));
        Self { shape, causal, window: inputs.whole("window"), given, padding }
    }

    /// What is added to a score; `None` where the key may not be attended.
    fn added(&self, [b, h, i, j]: [usize; 4]) -> Option<f64> {
        let aligned = i as i64 + self.causal.unwrap_or(self.shape[3] as i64 - self.shape[2] as i64);
        let hidden = (self.causal.is_some() && j as i64 > aligned)
            || self.window.is_some_and(|window| aligned - j as i64 >= window)
            || self.padding.as_ref().is_some_and(|padding| padding[[b, j]] == 0);
        let added = match &self.given {
            Some(Mask::Allowed(mask)) if !mask[[b, h, i, j]] => f64::NEG_INFINITY,
            Some(Mask::Added(mask)) => mask[[b, h, i, j]],
            _ => 0.0,
        };
        (!hidden && added > f64::NEG_INFINITY).then_some(added)
    }
}

/// The stages of all rows.
struct Stages {
    scores: Array4<f64>,
    softcapped_scores: Array4<f64>,
    masked_scores: Array4<f64>,
    probs: Array4<f64>,
}

impl Stages {
    fn new(shape: (usize, usize, usize, usize)) -> Self {
        let zeros = Array4::zeros(shape);
        Self { scores: zeros.clone(), softcapped_scores: zeros.clone(), masked_scores: zeros.clone(), probs: zeros }
    }

    fn set(&mut self, b: usize, h: usize, i: usize, row: &Row) {
        for (stage, values) in [
            (&mut self.scores, &row.scores),
            (&mut self.softcapped_scores, &row.softcapped),
            (&mut self.masked_scores, &row.masked),
            (&mut self.probs, &row.probs),
        ] {
            stage.slice_mut(s![b, h, i, ..]).assign(&ArrayView1::from(values));
        }
    }

    fn into_answer(self, answer: &mut Answer) {
        answer.insert("scores".to_owned(), self.scores.into_dyn());
        answer.insert("softcapped_scores".to_owned(), self.softcapped_scores.into_dyn());
        answer.insert("masked_scores".to_owned(), self.masked_scores.into_dyn());
        answer.insert("probs".to_owned(), self.probs.into_dyn());
    }
}
