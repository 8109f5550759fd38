//! Rotary embedding as a question: parameters as Hugging Face spells them, or the caller's own tables.

use super::{RopeLayout, RopeScaling, RopeSpec, RopeTables, inv_freq, rotate, tables, yarn_attention_factor};
use crate::error::{Error, Result};
use crate::eval::{Evaluator, Role};
use crate::linalg::arrays::shaped;
use crate::linalg::convert::to_f64;
use crate::num::Real;
use crate::ops::attention::{Heads, join_heads, split_heads};
use crate::ops::parameters::{Parameter, parameters, spelled, wrong_type};
use crate::ops::question::{Answer, Question, refuse_positions, with_axes};
use ndarray::{Array2, Array3, Array4, Ix1, Ix2, Ix3};
use serde::de::Error as _;
use serde_json::Value;

parameters! {
    struct Params {
        layout: Layout = Layout::default(),
        rotary_dim: Option<usize> = None,
        rope_theta: Option<f64> = None,
        scaling: Option<Scaling> = None,
        max_position_embeddings: Option<f64> = None,
        num_heads: Option<usize> = None,
    }
}

#[derive(Debug, Clone, Copy, Default)]
enum Layout {
    #[default]
    HalfSplit,
    Interleaved,
}

spelled! {
    Layout {
        "half_split" => Self::HalfSplit,
        "interleaved" => Self::Interleaved,
    }
}

/// Hugging Face's `rope_scaling` object, as a case spells it: `rope_type` says which one, and what else stands in it.
#[derive(Debug)]
enum Scaling {
    Default,
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
        beta_fast: f64,
        beta_slow: f64,
        original_max_position_embeddings: Option<f64>,
        truncate: bool,
    },
    Dynamic {
        factor: f64,
    },
}

/// The names of `rope_type`.
const ROPE_TYPES: &[&str] = &["default", "linear", "llama3", "yarn", "dynamic"];

/// What a scaling of type `yarn` may leave open.
const OPTIONAL: &[&str] = &["attention_factor", "mscale", "mscale_all_dim", "original_max_position_embeddings"];

/// What may stand in a scaling of each type.
fn fields_of(rope_type: &str) -> Option<&'static [&'static str]> {
    Some(match rope_type {
        "default" => &[],
        "linear" | "dynamic" => &["factor"],
        "llama3" => &["factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"],
        "yarn" => &[
            "factor",
            "attention_factor",
            "mscale",
            "mscale_all_dim",
            "beta_fast",
            "beta_slow",
            "original_max_position_embeddings",
            "truncate",
        ],
        _ => return None,
    })
}

impl Parameter for Scaling {
    fn of(value: &Value) -> serde_json::Result<Self> {
        let Value::Object(given) = value else {
            return Err(wrong_type(value, "internally tagged enum Scaling"));
        };
        let mut given = given.clone();
        let rope_type = match given.remove("rope_type") {
            Some(Value::String(rope_type)) => rope_type,
            Some(other) => return Err(wrong_type(&other, "variant identifier")),
            None => return Err(serde_json::Error::missing_field("rope_type")),
        };
        let unknown = || serde_json::Error::unknown_variant(&rope_type, ROPE_TYPES);
        let fields = fields_of(&rope_type).ok_or_else(unknown)?;
        let number = |name| match given.get(name) {
            Some(value) => f64::of(value),
            None => Err(serde_json::Error::missing_field(name)),
        };
        let number_or = |name, default: f64| if given.contains_key(name) { number(name) } else { Ok(default) };
        let optional = |name| match given.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => number(name).map(Some),
        };
        let may_be_null = |name| rope_type == "yarn" && OPTIONAL.contains(&name);
        let truth_or = |name, default: bool| match given.get(name) {
            None => Ok(default),
            Some(value) => bool::of(value),
        };
        // The first key that is wrong is refused, and only then one that is missing.
        for name in given.keys() {
            match fields.iter().find(|field| *field == name) {
                None => return Err(serde_json::Error::unknown_field(name, fields)),
                Some(&"truncate") => _ = truth_or("truncate", true)?,
                Some(name) if may_be_null(*name) => _ = optional(*name)?,
                Some(name) => _ = number(*name)?,
            }
        }
        Ok(match rope_type.as_str() {
            "linear" => Self::Linear { factor: number("factor")? },
            "llama3" => Self::Llama3 {
                factor: number("factor")?,
                low_freq_factor: number("low_freq_factor")?,
                high_freq_factor: number("high_freq_factor")?,
                original_max_position_embeddings: number("original_max_position_embeddings")?,
            },
            "yarn" => Self::Yarn {
                factor: number("factor")?,
                attention_factor: optional("attention_factor")?,
                mscale: optional("mscale")?,
                mscale_all_dim: optional("mscale_all_dim")?,
                beta_fast: number_or("beta_fast", 32.0)?,
                beta_slow: number_or("beta_slow", 1.0)?,
                original_max_position_embeddings: optional("original_max_position_embeddings")?,
                truncate: truth_or("truncate", true)?,
            },
            "dynamic" => Self::Dynamic { factor: number("factor")? },
            _ => Self::Default,
        })
    }
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
            None | Some(Scaling::Default) => RopeScaling::None,
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
        let params: Params = question.read()?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_scaling_that_cannot_be_is_refused_in_the_words_of_serde() {
        let refused = |scaling: Value| Scaling::of(&scaling).unwrap_err().to_string();
        assert_eq!(refused(json!(5)), "invalid type: integer `5`, expected internally tagged enum Scaling");
        assert_eq!(refused(json!({ "factor": 2 })), "missing field `rope_type`");
        assert_eq!(
            refused(json!({ "rope_type": "su" })),
            "unknown variant `su`, expected one of `default`, `linear`, `llama3`, `yarn`, `dynamic`"
        );
        assert_eq!(refused(json!({ "rope_type": "linear" })), "missing field `factor`");
        assert_eq!(refused(json!({ "rope_type": "linear", "f": 1 })), "unknown field `f`, expected `factor`");
        assert_eq!(refused(json!({ "rope_type": "default", "f": 1 })), "unknown field `f`, there are no fields");
        assert_eq!(
            refused(json!({ "rope_type": "dynamic", "factor": "2" })),
            "invalid type: string \"2\", expected f64"
        );
        assert_eq!(
            refused(json!({ "rope_type": "yarn", "factor": 2, "truncate": null })),
            "invalid type: null, expected a boolean"
        );
        let yarn = json!({ "rope_type": "yarn", "factor": 2, "mscale": null });
        let read = Scaling::of(&yarn).unwrap();
        assert!(matches!(read, Scaling::Yarn { mscale: None, truncate: true, .. }), "{read:?}");
    }
}
