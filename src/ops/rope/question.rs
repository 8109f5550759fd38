//! Rotary embedding as a question: parameters as Hugging Face spells them, or the caller's own tables.

use super::{RopeLayout, RopeScaling, RopeSpec, RopeTables, inv_freq, rotate, tables, yarn_attention_factor};
use crate::error::{Error, Result};
use crate::eval::{Evaluator, Role};
use crate::linalg::arrays::shaped;
use crate::linalg::convert::to_f64;
use crate::num::Real;
use crate::ops::attention::{Heads, join_heads, split_heads};
use crate::ops::question::{Answer, Question, refuse_positions, with_axes};
use ndarray::{Array2, Array3, Array4, Ix1, Ix2, Ix3};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    #[serde(default)]
    layout: Layout,
    rotary_dim: Option<usize>,
    rope_theta: Option<f64>,
    scaling: Option<Scaling>,
    max_position_embeddings: Option<f64>,
    num_heads: Option<usize>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Layout {
    #[default]
    HalfSplit,
    Interleaved,
}

/// Hugging Face's `rope_scaling` object, as a case spells it.
#[derive(Debug, Deserialize)]
#[serde(tag = "rope_type", rename_all = "lowercase", deny_unknown_fields)]
enum Scaling {
    Default {},
    Linear {
        factor: f64,
    },
    Llama3 {
        factor: f64,
        low_freq_factor: f64,
        high_freq_factor: f64,
        original_max_position_embeddings: f64,
    },
    Yarn {
        factor: f64,
        attention_factor: Option<f64>,
        mscale: Option<f64>,
        mscale_all_dim: Option<f64>,
        #[serde(default = "beta_fast")]
        beta_fast: f64,
        #[serde(default = "beta_slow")]
        beta_slow: f64,
        original_max_position_embeddings: Option<f64>,
        #[serde(default = "yes")]
        truncate: bool,
    },
    Dynamic {
        factor: f64,
    },
}

fn beta_fast() -> f64 {
    32.0
}

fn beta_slow() -> f64 {
    1.0
}

fn yes() -> bool {
    true
}

impl Params {
    fn spec(&self, head_dim: usize) -> Result<RopeSpec> {
        let rotary_dim = self.rotary_dim.unwrap_or(head_dim);
        if rotary_dim == 0 || rotary_dim % 2 == 1 || rotary_dim > head_dim {
            return Err(Error::ask(format!(
                "rotary_dim is {rotary_dim}; it must be even and at most head_dim, {head_dim}"
            )));
        }
        let scaling = match &self.scaling {
            None | Some(Scaling::Default {}) => RopeScaling::None,
            Some(Scaling::Linear { factor }) => RopeScaling::Linear { factor: *factor },
            Some(Scaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position_embeddings }) => {
                RopeScaling::Llama3 {
                    factor: *factor,
                    low_freq_factor: *low_freq_factor,
                    high_freq_factor: *high_freq_factor,
                    original_max_position_embeddings: *original_max_position_embeddings,
                }
            }
            Some(Scaling::Yarn {
                factor,
                attention_factor,
                mscale,
                mscale_all_dim,
                beta_fast,
                beta_slow,
                original_max_position_embeddings,
                truncate,
            }) => RopeScaling::Yarn {
                factor: *factor,
                attention_factor: attention_factor
                    .unwrap_or_else(|| yarn_attention_factor(*factor, *mscale, *mscale_all_dim)),
                beta_fast: *beta_fast,
                beta_slow: *beta_slow,
                original_max_position_embeddings: original_max_position_embeddings
                    .or(self.max_position_embeddings)
                    .ok_or_else(|| Error::ask("params: yarn needs original_max_position_embeddings"))?,
                truncate: *truncate,
            },
            Some(Scaling::Dynamic { factor }) => RopeScaling::Dynamic {
                factor: *factor,
                max_position_embeddings: self
                    .max_position_embeddings
                    .ok_or_else(|| Error::ask("params: dynamic scaling needs max_position_embeddings"))?,
            },
        };
        Ok(RopeSpec {
            layout: match self.layout {
                Layout::HalfSplit => RopeLayout::HalfSplit,
                Layout::Interleaved => RopeLayout::Interleaved,
            },
            rotary_dim,
            rope_theta: self.rope_theta.ok_or_else(|| Error::ask("params: rope_theta is missing"))?,
            scaling,
        })
    }
}

/// Where the tables come from.
#[derive(Debug)]
pub(crate) enum TableSource<T> {
    /// The caller.
    Given(RopeTables<T>),
    /// Positions `[batch, len]`.
    Computed { spec: RopeSpec, positions: Array2<i64>, longest: usize },
}

/// What the operation as a question is asked with.
#[derive(Debug)]
pub(crate) struct RopeInputs<T> {
    pub(crate) x: Array4<T>,
    pub(crate) heads: Heads,
    pub(crate) source: TableSource<T>,
    pub(crate) layout: RopeLayout,
}

impl<T: Real> RopeInputs<T> {
    pub(crate) fn read(question: &Question, eval: &Evaluator) -> Result<Self> {
        let params: Params = question.params()?;
        let x = question.activation::<T>("x", eval)?;
        let (x, heads) = split_heads("x", x, params.num_heads)?;
        let (batch, _, len, head_dim) = x.dim();
        let (source, layout) = if question.has("cos_cache") {
            if params.rope_theta.is_some() || params.scaling.is_some() {
                return Err(Error::ask(
                    "rope_theta and scaling say nothing where cos_cache and sin_cache are given; leave them out",
                ));
            }
            let layout = Params { rope_theta: Some(1.0), ..params }.spec(head_dim)?.layout;
            let tables = given_tables(question, batch, len, eval)?;
            if tables.cos.dim() != tables.sin.dim() || tables.cos.dim().2 * 2 > head_dim {
                return Err(Error::ask(format!(
                    "cosines {:?} and sines {:?} must be alike and at most half as wide as a head of {head_dim}",
                    tables.cos.dim(),
                    tables.sin.dim()
                )));
            }
            (TableSource::Given(tables), layout)
        } else {
            let spec = params.spec(head_dim)?;
            let positions = positions(question, batch, len)?;
            let longest = positions.iter().max().map_or(0, |&p| usize::try_from(p + 1).unwrap_or(0));
            let layout = spec.layout;
            (TableSource::Computed { spec, positions, longest }, layout)
        };
        Ok(Self { x, heads, source, layout })
    }
}

/// The operation as a question: `x`, `position_ids` or given tables → `out`, `cos`, `sin`, `inv_freq`.
pub(in crate::ops) fn ask<T: Real>(question: &Question, eval: &mut Evaluator) -> Result<Answer> {
    let RopeInputs { x, heads, source, layout } = RopeInputs::<T>::read(question, eval)?;
    let mut answer = Answer::new();
    let tables = match source {
        TableSource::Given(tables) => tables,
        TableSource::Computed { spec, positions, longest } => {
            let freq = inv_freq(&spec, longest).0;
            let freq: Vec<f64> = freq.iter().map(|freq| freq.hi).collect();
            answer.insert("inv_freq".to_string(), shaped(freq, Ix1(spec.rotary_dim / 2)).into_dyn());
            tables::<T>(&spec, &positions, eval)
        }
    };
    let out = eval.at("out", Role::Activation, rotate(&x, &tables, layout));
    answer.insert("cos".to_string(), to_f64(&tables.cos));
    answer.insert("sin".to_string(), to_f64(&tables.sin));
    answer.insert("out".to_string(), to_f64(&join_heads(out, heads)));
    Ok(answer)
}

/// `position_ids` as `[batch, len]`; `[len]` serves every row.
fn positions(question: &Question, batch: usize, len: usize) -> Result<Array2<i64>> {
    let ids = question.integers("position_ids")?;
    let shape = ids.shape().to_vec();
    refuse_positions("position_ids", &ids)?;
    if shape == [len] {
        let row: Vec<i64> = ids.iter().copied().collect();
        return Ok(shaped(row.repeat(batch), Ix2(batch, len)));
    }
    ids.into_dimensionality::<Ix2>()
        .ok()
        .filter(|ids| ids.dim() == (batch, len))
        .ok_or_else(|| Error::ask(format!("position_ids has shape {shape:?}; it must be [{batch}, {len}] or [{len}]")))
}

/// The caller's own tables: rows looked up by `position_ids`, or one row a token.
fn given_tables<T: Real>(question: &Question, batch: usize, len: usize, eval: &Evaluator) -> Result<RopeTables<T>> {
    let table = |name: &str| -> Result<Array3<T>> {
        let given = question.activation::<T>(name, eval)?;
        if !question.has("position_ids") {
            let given = with_axes::<T, Ix3>(name, "[batch, len, rotary_dim/2]", given)?;
            return if (given.dim().0, given.dim().1) == (batch, len) {
                Ok(given)
            } else {
                Err(Error::ask(format!("{name} has shape {:?}; it must start with [{batch}, {len}]", given.dim())))
            };
        }
        let given = with_axes::<T, Ix2>(name, "[max_position, rotary_dim/2]", given)?;
        let positions = positions(question, batch, len)?;
        if let Some(beyond) = positions.iter().find(|&&p| p >= given.nrows() as i64) {
            return Err(Error::ask(format!("position {beyond} lies beyond the {} rows of {name}", given.nrows())));
        }
        let mut rows = Vec::with_capacity(batch * len * given.ncols());
        for &position in &positions {
            for i in 0..given.ncols() {
                rows.push(given[[position as usize, i]]);
            }
        }
        Ok(shaped(rows, Ix3(batch, len, given.ncols())))
    };
    Ok(RopeTables { cos: table("cos_cache")?, sin: table("sin_cache")? })
}
