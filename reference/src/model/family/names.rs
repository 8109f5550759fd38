//! From a model's spec and its family's tensor names to the [`Layout`] of its checkpoint.
//!
//! Which weights exist is asked of the spec alone, so the two halves of a family cannot disagree.

use std::ops::Range;

use crate::model::layout::{Layout, Orientation, Param, Part, Source};
use crate::model::spec::{AttentionLayerSpec, LayerSpec, ModelSpec};
use crate::ops::norm::NormSpec;

/// The tensor names of a family, without `.weight` and `.bias`. Names in a layer stand behind `{layers}.{number}.`.
#[derive(Clone, Copy)]
pub(super) struct Names {
    pub(super) embed_tokens: &'static str,
    pub(super) embed_positions: &'static str,
    pub(super) embed_norm: &'static str,
    pub(super) layers: &'static str,
    pub(super) input_norm: &'static str,
    pub(super) qkv: Qkv,
    pub(super) o_proj: &'static str,
    pub(super) q_norm: &'static str,
    pub(super) k_norm: &'static str,
    pub(super) post_attention_norm: &'static str,
    pub(super) mlp_norm: &'static str,
    pub(super) mlp: Mlp,
    pub(super) post_mlp_norm: &'static str,
    pub(super) final_norm: &'static str,
    /// The head's weight and bias, in full.
    pub(super) lm_head: [&'static str; 2],
    /// Order of the axes of the projections in the layers.
    pub(super) orientation: Orientation,
    /// Tensors that old checkpoints hold beside the weights.
    pub(super) ignored: &'static [&'static str],
}

/// How queries, keys and values are projected.
#[derive(Clone, Copy)]
pub(super) enum Qkv {
    /// Three tensors.
    Separate([&'static str; 3]),
    /// One tensor: the rows of all query heads, of all key heads, of all value heads (GPT-2, Phi-3).
    ByPart(&'static str),
    /// One tensor: for each head the rows of its query, its key and its value (GPT-NeoX, BLOOM).
    ByHead(&'static str),
}

/// How the MLP projects.
#[derive(Clone, Copy)]
pub(super) enum Mlp {
    /// Gate, up and down.
    Gated([&'static str; 3]),
    /// One tensor with the rows of the gate and the rows of up, and down (Phi-3, GLM).
    GateUp([&'static str; 2]),
    /// Up and down.
    Plain([&'static str; 2]),
}

impl Names {
    /// Llama's names, which most families share.
    pub(super) const LLAMA: Self = Self {
        embed_tokens: "model.embed_tokens",
        embed_positions: "",
        embed_norm: "",
        layers: "model.layers",
        input_norm: "input_layernorm",
        qkv: Qkv::Separate(["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
        o_proj: "self_attn.o_proj",
        q_norm: "self_attn.q_norm",
        k_norm: "self_attn.k_norm",
        post_attention_norm: "",
        mlp_norm: "post_attention_layernorm",
        mlp: Mlp::Gated(["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]),
        post_mlp_norm: "",
        final_norm: "model.norm",
        lm_head: ["lm_head.weight", "lm_head.bias"],
        orientation: Orientation::OutIn,
        ignored: &["*.rotary_emb.inv_freq"],
    };

    /// Where each weight of `spec` stands.
    pub(super) fn layout(&self, spec: &ModelSpec) -> Layout {
        let mut places = Places(Layout { sources: Vec::new(), ignored: self.ignored.to_vec() });
        places.put(None, Param::EmbedTokens, self.embed_tokens);
        if spec.embedding.learned_positions.is_some() {
            places.put(None, Param::EmbedPositions, self.embed_positions);
        }
        places.norm(None, Param::EmbedNorm, self.embed_norm.to_owned(), spec.embedding.norm);
        for (number, layer) in spec.layers.iter().enumerate() {
            self.layer(&mut places, number, layer);
        }
        places.norm(None, Param::FinalNorm, self.final_norm.to_owned(), spec.final_norm);
        let [weight, bias] = self.lm_head;
        if spec.head.tied {
            // A stored copy of the token embedding.
            places.0.ignored.push(weight);
        } else {
            places.0.sources.push((None, Param::LmHead(Part::Weight), Source::whole(weight)));
        }
        if spec.head.bias {
            places.0.sources.push((None, Param::LmHead(Part::Bias), Source::whole(bias)));
        }
        places.0
    }

    fn layer(&self, places: &mut Places, number: usize, layer: &LayerSpec) {
        let at = Some(number);
        let name = |module: &str| format!("{}.{number}.{module}", self.layers);
        let whole = |module: &str, bias: bool| Projection {
            module: name(module),
            bias,
            orientation: self.orientation,
            outputs: None,
        };
        let AttentionLayerSpec { qkv_bias, o_bias, qk_norm, .. } = layer.attention;

        places.norm(at, Param::InputNorm, name(self.input_norm), layer.input_norm);
        let projections: [fn(Part) -> Param; 3] = [Param::QProj, Param::KProj, Param::VProj];
        for (index, param) in projections.into_iter().enumerate() {
            let projection = match self.qkv {
                Qkv::Separate(modules) => whole(modules[index], qkv_bias),
                Qkv::ByPart(module) => whole(module, qkv_bias).rows(vec![rows_by_part(&layer.attention, index)]),
                Qkv::ByHead(module) => whole(module, qkv_bias).rows(rows_by_head(&layer.attention, index)),
            };
            places.projection(at, param, projection);
        }
        places.norm(at, Param::QNorm, name(self.q_norm), qk_norm.map(|qk| qk.norm));
        places.norm(at, Param::KNorm, name(self.k_norm), qk_norm.map(|qk| qk.norm));
        places.projection(at, Param::OProj, whole(self.o_proj, o_bias));
        places.norm(at, Param::PostAttentionNorm, name(self.post_attention_norm), layer.post_attention_norm);

        places.norm(at, Param::MlpNorm, name(self.mlp_norm), layer.mlp_norm);
        let (size, bias) = (layer.mlp.intermediate_size, layer.mlp.bias);
        let down = match self.mlp {
            Mlp::Gated([gate, up, down]) => {
                places.projection(at, Param::GateProj, whole(gate, bias));
                places.projection(at, Param::UpProj, whole(up, bias));
                down
            }
            Mlp::GateUp([gate_up, down]) => {
                places.projection(at, Param::GateProj, whole(gate_up, bias).rows(one(0..size)));
                places.projection(at, Param::UpProj, whole(gate_up, bias).rows(one(size..2 * size)));
                down
            }
            Mlp::Plain([up, down]) => {
                places.projection(at, Param::UpProj, whole(up, bias));
                down
            }
        };
        places.projection(at, Param::DownProj, whole(down, bias));
        places.norm(at, Param::PostMlpNorm, name(self.post_mlp_norm), layer.post_mlp_norm);
    }
}

/// One range, in a list.
fn one(range: Range<usize>) -> Vec<Range<usize>> {
    std::iter::once(range).collect()
}

/// Rows of the queries (0), keys (1) or values (2) of a tensor that holds all queries, all keys, all values.
fn rows_by_part(attention: &AttentionLayerSpec, index: usize) -> Range<usize> {
    let queries = attention.num_attention_heads * attention.head_dim;
    let keys = attention.num_key_value_heads * attention.head_dim;
    match index {
        0 => 0..queries,
        1 => queries..queries + keys,
        _ => queries + keys..queries + 2 * keys,
    }
}

/// The same for a tensor that holds query, key and value of head 0, then those of head 1, and so on.
fn rows_by_head(attention: &AttentionLayerSpec, index: usize) -> Vec<Range<usize>> {
    let dim = attention.head_dim;
    let starts = (0..attention.num_attention_heads).map(|head| (3 * head + index) * dim);
    starts.map(|start| start..start + dim).collect()
}

/// A matrix and perhaps its bias.
struct Projection {
    module: String,
    bias: bool,
    orientation: Orientation,
    outputs: Option<Vec<Range<usize>>>,
}

impl Projection {
    /// Only these outputs of the tensor.
    fn rows(self, outputs: Vec<Range<usize>>) -> Self {
        Self { outputs: Some(outputs), ..self }
    }
}

/// A layout on its way.
struct Places(Layout);

impl Places {
    fn put(&mut self, layer: Option<usize>, param: Param, module: &str) {
        self.0.sources.push((layer, param, Source::whole(format!("{module}.weight"))));
    }

    fn norm(&mut self, layer: Option<usize>, param: fn(Part) -> Param, module: String, norm: Option<NormSpec>) {
        let Some(norm) = norm else { return };
        for (part, suffix, exists) in [(Part::Weight, "weight", norm.weight), (Part::Bias, "bias", norm.bias)] {
            if exists {
                self.0.sources.push((layer, param(part), Source::whole(format!("{module}.{suffix}"))));
            }
        }
    }

    fn projection(&mut self, layer: Option<usize>, param: fn(Part) -> Param, projection: Projection) {
        let Projection { module, bias, orientation, outputs } = projection;
        if bias {
            // A vector has no orientation.
            let source =
                Source { tensor: format!("{module}.bias"), orientation: Orientation::OutIn, outputs: outputs.clone() };
            self.0.sources.push((layer, param(Part::Bias), source));
        }
        let source = Source { tensor: format!("{module}.weight"), orientation, outputs };
        self.0.sources.push((layer, param(Part::Weight), source));
    }
}
