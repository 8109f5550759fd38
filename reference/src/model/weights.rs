//! The weights of a model under their canonical names, taken from a checkpoint by a [`Layout`].
//!
//! Matrices stay in the mapped files, unless they are to be rounded to a narrower format or are heads from here and there of
//! a fused tensor; vectors are copied. Loading reads each number once, to say which are not finite.

use super::layout::{self, Layout, Orientation, Param, Part};
use super::spec::{LayerSpec, ModelSpec, QkNormOver};
use crate::error::{Error, Result};
use crate::eval::matches_pattern;
use crate::io::Checkpoint;
use crate::linalg::arrays::{concatenated, into_values, values};
use crate::linalg::convert::rounded_from_f64;
use crate::num::{Dtype, Real, parallel};
use crate::ops::linear::Linear;
use crate::ops::norm::{Norm, NormSpec};
use crate::ops::weight::Weight;
use ndarray::{Array1, ArrayD, Axis};
use std::collections::HashSet;

/// All weights of a model.
#[derive(Debug, Clone)]
pub struct Weights<T> {
    /// `[vocab_size, hidden_size]`.
    pub embed_tokens: Weight<T>,
    /// `[rows, hidden_size]`.
    pub embed_positions: Option<Weight<T>>,
    /// Norm after the embedding.
    pub embed_norm: Norm<T>,
    /// One entry a layer.
    pub layers: Vec<LayerWeights<T>>,
    /// Norm after the last layer.
    pub final_norm: Norm<T>,
    /// The head; the transposed embedding, in the same memory, where it is tied.
    pub lm_head: Linear<T>,
    /// Weights that are not finite, one sentence each: said, not hidden.
    pub notes: Vec<String>,
}

/// The weights of one layer.
#[derive(Debug, Clone)]
pub struct LayerWeights<T> {
    /// Norm before attention.
    pub input_norm: Norm<T>,
    /// Query projection.
    pub q_proj: Linear<T>,
    /// Key projection.
    pub k_proj: Linear<T>,
    /// Value projection.
    pub v_proj: Linear<T>,
    /// Output projection.
    pub o_proj: Linear<T>,
    /// Norm of queries.
    pub q_norm: Norm<T>,
    /// Norm of keys.
    pub k_norm: Norm<T>,
    /// Norm on the output of attention.
    pub post_attention_norm: Norm<T>,
    /// Norm before the MLP.
    pub mlp_norm: Norm<T>,
    /// Gate projection.
    pub gate_proj: Option<Linear<T>>,
    /// Up projection.
    pub up_proj: Linear<T>,
    /// Down projection.
    pub down_proj: Linear<T>,
    /// Norm on the output of the MLP.
    pub post_mlp_norm: Norm<T>,
}

/// Where the weights of a layer come from.
pub(super) trait Source<T> {
    /// A linear layer of `input` inputs and `out` outputs.
    fn linear(
        &mut self,
        layer: Option<usize>,
        param: fn(Part) -> Param,
        bias: bool,
        out: usize,
        input: usize,
    ) -> Result<Linear<T>>;

    /// A norm, if there is one.
    fn norm(
        &mut self,
        layer: Option<usize>,
        param: fn(Part) -> Param,
        spec: Option<&NormSpec>,
        width: usize,
    ) -> Result<Norm<T>>;
}

impl<T: Real> LayerWeights<T> {
    /// The weights of layer `i`.
    pub(super) fn of(source: &mut dyn Source<T>, i: usize, spec: &LayerSpec, hidden: usize) -> Result<Self> {
        let at = Some(i);
        let attention = &spec.attention;
        let q_width = attention.num_attention_heads * attention.head_dim;
        let kv_width = attention.num_key_value_heads * attention.head_dim;
        let qk_norm = attention.qk_norm.as_ref();
        let norm_width = |width: usize| match qk_norm.map(|norm| norm.over) {
            Some(QkNormOver::Head) => attention.head_dim,
            _ => width,
        };
        let (mlp, bias) = (&spec.mlp, spec.mlp.bias);
        Ok(Self {
            input_norm: source.norm(at, Param::InputNorm, spec.input_norm.as_ref(), hidden)?,
            q_proj: source.linear(at, Param::QProj, attention.qkv_bias, q_width, hidden)?,
            k_proj: source.linear(at, Param::KProj, attention.qkv_bias, kv_width, hidden)?,
            v_proj: source.linear(at, Param::VProj, attention.qkv_bias, kv_width, hidden)?,
            o_proj: source.linear(at, Param::OProj, attention.o_bias, hidden, q_width)?,
            q_norm: source.norm(at, Param::QNorm, qk_norm.map(|n| &n.norm), norm_width(q_width))?,
            k_norm: source.norm(at, Param::KNorm, qk_norm.map(|n| &n.norm), norm_width(kv_width))?,
            post_attention_norm: source.norm(
                at,
                Param::PostAttentionNorm,
                spec.post_attention_norm.as_ref(),
                hidden,
            )?,
            mlp_norm: source.norm(at, Param::MlpNorm, spec.mlp_norm.as_ref(), hidden)?,
            gate_proj: if mlp.gated {
                Some(source.linear(at, Param::GateProj, bias, mlp.intermediate_size, hidden)?)
            } else {
                None
            },
            up_proj: source.linear(at, Param::UpProj, bias, mlp.intermediate_size, hidden)?,
            down_proj: source.linear(at, Param::DownProj, bias, hidden, mlp.intermediate_size)?,
            post_mlp_norm: source.norm(at, Param::PostMlpNorm, spec.post_mlp_norm.as_ref(), hidden)?,
        })
    }
}

impl<T: Real> Weights<T> {
    /// Takes every weight of `spec` from its place in the checkpoint, rounded to `stored`.
    ///
    /// # Errors
    /// A weight that is missing, has another shape, or stands in the checkpoint without a place in the model.
    pub(super) fn load(checkpoint: &Checkpoint, spec: &ModelSpec, layout: &Layout, stored: Dtype) -> Result<Self> {
        refuse_surplus(checkpoint, layout)?;
        let mut reader = Reader { checkpoint, layout, stored, notes: Vec::new() };
        let (vocab, hidden) = (spec.vocab_size, spec.hidden_size);
        let embed_tokens: Weight<T> = reader.matrix(None, Param::EmbedTokens, vocab, hidden)?;
        let embed_positions = match spec.embedding.learned_positions {
            Some(rows) => Some(reader.matrix(None, Param::EmbedPositions, rows, hidden)?),
            None => None,
        };
        let embed_norm = reader.norm(None, Param::EmbedNorm, spec.embedding.norm.as_ref(), hidden)?;
        let mut layers = Vec::with_capacity(spec.layers.len());
        for (i, layer) in spec.layers.iter().enumerate() {
            layers.push(LayerWeights::of(&mut reader, i, layer, hidden)?);
        }
        let final_norm = reader.norm(None, Param::FinalNorm, spec.final_norm.as_ref(), hidden)?;
        let lm_head = if spec.head.tied {
            refuse_other_head(checkpoint, &embed_tokens, stored)?;
            let bias = reader.bias(None, Param::LmHead, spec.head.bias, vocab)?;
            Linear { weight: embed_tokens.clone().transposed(), bias }
        } else {
            reader.linear(None, Param::LmHead, spec.head.bias, vocab, hidden)?
        };
        Ok(Self { embed_tokens, embed_positions, embed_norm, layers, final_norm, lm_head, notes: reader.notes })
    }
}

/// A tensor that no weight of the model comes from would be silently unused: refuse it by name.
fn refuse_surplus(checkpoint: &Checkpoint, layout: &Layout) -> Result<()> {
    let used: HashSet<&str> = layout.sources.iter().map(|(_, _, source)| source.tensor.as_str()).collect();
    let surplus = checkpoint
        .names()
        .find(|name| !used.contains(name) && !layout.ignored.iter().any(|pattern| matches_pattern(pattern, name)));
    match surplus {
        None => Ok(()),
        Some(name) => Err(Error::read(
            checkpoint.path(),
            format!("tensor \"{name}\" has no place in this model; the weights do not belong to this config.json"),
        )),
    }
}

/// A tied model may be stored with a copy of its head. If that is no copy, the file and its `config.json`
/// contradict each other, and programs differ in which one they believe.
fn refuse_other_head<T: Real>(checkpoint: &Checkpoint, embed_tokens: &Weight<T>, stored: Dtype) -> Result<()> {
    let Some(name) = checkpoint.names().find(|name| ["lm_head.weight", "embed_out.weight"].contains(name)) else {
        return Ok(());
    };
    let head = checkpoint.tensor(name)?;
    let (rows, columns) = embed_tokens.dim();
    if head.shape() == [rows, columns] {
        let head = Weight::from_file(head)?.stored_as::<T>(stored);
        let same = |(a, b): (&T, &T)| a == b || (a.is_nan() && b.is_nan());
        let same_row = |row: usize| head.row(row).iter().zip(&embed_tokens.row(row)).all(same);
        if parallel::map_ranges(rows, &|mut range| range.all(same_row)).into_iter().all(|same| same) {
            return Ok(());
        }
    }
    Err(Error::read(
        checkpoint.path(),
        format!(
            "config.json says tie_word_embeddings, but \"{name}\" is not the embedding; set it to false or remove the tensor"
        ),
    ))
}

struct Reader<'a> {
    checkpoint: &'a Checkpoint,
    layout: &'a Layout,
    stored: Dtype,
    notes: Vec<String>,
}

impl<T: Real> Source<T> for Reader<'_> {
    fn norm(
        &mut self,
        layer: Option<usize>,
        param: fn(Part) -> Param,
        spec: Option<&NormSpec>,
        width: usize,
    ) -> Result<Norm<T>> {
        let Some(spec) = spec else { return Ok(Norm::default()) };
        let mut vector = |part: Part, wanted: bool| -> Result<Option<Array1<T>>> {
            if !wanted {
                return Ok(None);
            }
            // Norms of single heads may be stored as [heads, head_dim]: one row after the other.
            Ok(Some(into_values(self.vector(layer, param(part), width)?).into()))
        };
        Ok(Norm { weight: vector(Part::Weight, spec.weight)?, bias: vector(Part::Bias, spec.bias)? })
    }

    fn linear(
        &mut self,
        layer: Option<usize>,
        param: fn(Part) -> Param,
        bias: bool,
        out: usize,
        input: usize,
    ) -> Result<Linear<T>> {
        let weight = self.matrix(layer, param(Part::Weight), out, input)?.transposed();
        Ok(Linear { weight, bias: self.bias(layer, param, bias, out)? })
    }
}

impl<'a> Reader<'a> {
    fn bias<T: Real>(
        &mut self,
        layer: Option<usize>,
        param: fn(Part) -> Param,
        wanted: bool,
        out: usize,
    ) -> Result<Option<Array1<T>>> {
        if !wanted {
            return Ok(None);
        }
        let bias = self.vector(layer, param(Part::Bias), out)?;
        self.expect_shape(layer, param(Part::Bias), bias.shape(), &[out])?;
        Ok(Some(into_values(bias).into()))
    }

    /// `[out, in]`, however the file stores it.
    fn matrix<T: Real>(&mut self, layer: Option<usize>, param: Param, out: usize, input: usize) -> Result<Weight<T>> {
        let source = self.source(layer, param)?;
        let tensor = self.checkpoint.tensor(&source.tensor)?;
        let oriented: Vec<usize> = match source.orientation {
            Orientation::OutIn => tensor.shape().to_vec(),
            Orientation::InOut => tensor.shape().iter().rev().copied().collect(),
        };
        self.expect_shape(layer, param, &self.selected(source, oriented)?, &[out, input])?;

        let whole = Weight::from_file(tensor)?;
        let oriented = match source.orientation {
            Orientation::OutIn => whole,
            Orientation::InOut => whole.transposed(),
        };
        let selected = match &source.outputs {
            None => oriented,
            Some(ranges) => oriented.rows_of(ranges),
        };
        self.note(source, selected.non_finite());
        Ok(selected.stored_as(self.stored))
    }

    /// A bias or the weight of a norm, `len` numbers, rounded and widened or narrowed to `T`.
    fn vector<T: Real>(&mut self, layer: Option<usize>, param: Param, len: usize) -> Result<ArrayD<T>> {
        let source = self.source(layer, param)?;
        let tensor = self.checkpoint.tensor(&source.tensor)?;
        let shape = self.selected(source, tensor.shape().to_vec())?;
        self.expect_shape(layer, param, &[shape.iter().product()], &[len])?;
        let whole = tensor.to_array()?.to_f64();
        let selected = match &source.outputs {
            None => whole,
            Some(ranges) => {
                let parts: Vec<_> =
                    ranges.iter().map(|range| whole.slice_axis(Axis(0), range.clone().into())).collect();
                concatenated(Axis(0), &parts).ok_or_else(|| self.refuse(source, "gives no numbers".to_string()))?
            }
        };
        self.note(source, values(&selected).iter().filter(|x| !x.is_finite()).count());
        Ok(rounded_from_f64(&selected, self.stored))
    }

    /// What the shape of a tensor, its output axis first, becomes when its part is taken.
    fn selected(&self, source: &layout::Source, mut shape: Vec<usize>) -> Result<Vec<usize>> {
        let Some(ranges) = &source.outputs else { return Ok(shape) };
        let needed = ranges.iter().map(|range| range.end).max().unwrap_or(0);
        match shape.first_mut() {
            Some(outputs) if *outputs >= needed => *outputs = ranges.iter().map(|range| range.len()).sum(),
            outputs => {
                let outputs = outputs.copied().unwrap_or(0);
                let reason = format!("has {outputs} outputs; this config.json needs at least {needed}");
                return Err(self.refuse(source, reason));
            }
        }
        Ok(shape)
    }

    /// Notes weights that are not finite.
    fn note(&mut self, source: &layout::Source, odd: usize) {
        if odd > 0 {
            self.notes.push(format!(
                "{}: tensor \"{}\" holds {odd} values that are not finite",
                self.checkpoint.path().display(),
                source.tensor
            ));
        }
    }

    fn source(&self, layer: Option<usize>, param: Param) -> Result<&'a layout::Source> {
        let place = self.layout.sources.iter().find(|(l, p, _)| (*l, *p) == (layer, param));
        place.map(|(_, _, source)| source).ok_or_else(|| {
            Error::read(
                self.checkpoint.path(),
                format!("this family does not say where {param:?} of layer {layer:?} stands"),
            )
        })
    }

    fn expect_shape(&self, layer: Option<usize>, param: Param, actual: &[usize], expected: &[usize]) -> Result<()> {
        if actual == expected {
            return Ok(());
        }
        let source = self.source(layer, param)?;
        Err(self.refuse(source, format!("gives a weight of shape {actual:?}; config.json asks for {expected:?}")))
    }

    fn refuse(&self, source: &layout::Source, reason: String) -> Error {
        Error::read(self.checkpoint.path(), format!("tensor \"{}\" {reason}", source.tensor))
    }
}
