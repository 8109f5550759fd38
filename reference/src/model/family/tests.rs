//! What holds for all families, and the files that the tests of single families start from.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{ALL, read, without_prefix};
use crate::error::Result;
use crate::model::layout::{Layout, Param, Part, Source};
use crate::model::spec::ModelSpec;

/// A small file of each family, with the keys that Hugging Face writes.
pub(super) fn example(model_type: &str) -> Value {
    let family = ALL.iter().find(|family| family.model_type == model_type).unwrap();
    let mut file = json!({
        "architectures": family.architectures, "model_type": model_type, "vocab_size": 160,
        "bos_token_id": 1, "eos_token_id": [2, 3], "pad_token_id": null, "dtype": "float32",
        "initializer_range": 0.02, "transformers_version": "5.0.0", "use_cache": true,
    });
    let llama_sizes = json!({
        "hidden_size": 64, "intermediate_size": 112, "num_hidden_layers": 3, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 128, "attention_dropout": 0.0,
    });
    let gpt_sizes = json!({
        "n_embd": 64, "n_head": 4, "n_inner": null, "n_layer": 3, "n_positions": 64, "layer_norm_epsilon": 1e-5,
        "activation_function": "gelu_new", "attn_pdrop": 0, "embd_pdrop": 0, "resid_pdrop": 0,
    });
    let rope = |theta: f64| json!({ "rope_theta": theta, "rope_type": "default" });
    let partial = |factor: f64| json!({ "rope_theta": 1e4, "rope_type": "default", "partial_rotary_factor": factor });
    let (sizes, own) = match model_type {
        "bloom" => (
            json!({ "hidden_size": 64, "n_head": 4, "n_layer": 3, "layer_norm_epsilon": 1e-5 }),
            json!({
                "apply_residual_connection_post_layernorm": false, "attention_dropout": 0, "hidden_dropout": 0,
                "pretraining_tp": 1, "slow_but_exact": false, "tie_word_embeddings": true,
            }),
        ),
        "cohere" => (
            llama_sizes,
            json!({
                "hidden_act": "silu", "layer_norm_eps": 1e-5, "logit_scale": 0.5, "rope_parameters": rope(1e4),
                "attention_bias": false, "tie_word_embeddings": true, "use_qk_norm": false,
            }),
        ),
        "gemma" => (
            llama_sizes,
            json!({
                "head_dim": 32, "hidden_act": "gelu_pytorch_tanh", "rms_norm_eps": 1e-6, "attention_bias": false,
                "rope_parameters": rope(1e4), "tie_word_embeddings": true, "use_bidirectional_attention": null,
            }),
        ),
        "gemma2" => (
            llama_sizes,
            json!({
                "head_dim": 32, "hidden_activation": "gelu_pytorch_tanh", "rms_norm_eps": 1e-6, "sliding_window": 8,
                "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "query_pre_attn_scalar": 16,
                "rope_parameters": rope(1e4), "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
            }),
        ),
        "gemma3_text" => (
            llama_sizes,
            json!({
                "_sliding_window_pattern": 6, "attn_logit_softcapping": null, "final_logit_softcapping": null,
                "head_dim": 32, "hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 32,
                "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
                "rope_parameters": { "full_attention": rope(1e6), "sliding_attention": rope(1e4) },
                "rms_norm_eps": 1e-6, "sliding_window": 8, "use_bidirectional_attention": false,
            }),
        ),
        "glm" => (
            llama_sizes,
            json!({
                "head_dim": 16, "hidden_act": "silu", "rms_norm_eps": 1.5625e-7, "attention_bias": true,
                "rope_parameters": partial(0.5), "tie_word_embeddings": false,
            }),
        ),
        "gpt2" => (
            gpt_sizes,
            json!({
                "add_cross_attention": false, "reorder_and_upcast_attn": false, "scale_attn_weights": true,
                "scale_attn_by_inverse_layer_idx": false, "summary_activation": null, "summary_first_dropout": 0.1,
                "summary_proj_to_labels": true, "summary_type": "cls_index", "summary_use_proj": true,
                "tie_word_embeddings": true,
            }),
        ),
        "gpt_neox" => (
            json!({
                "hidden_size": 64, "intermediate_size": 192, "num_hidden_layers": 3, "num_attention_heads": 4,
                "max_position_embeddings": 128, "attention_dropout": 0.0, "hidden_dropout": 0.0,
            }),
            json!({
                "attention_bias": true, "classifier_dropout": 0.1, "hidden_act": "gelu", "is_decoder": false,
                "layer_norm_eps": 1e-5, "rope_parameters": partial(0.25), "tie_word_embeddings": false,
                "use_parallel_residual": true,
            }),
        ),
        "gptj" => (gpt_sizes, json!({ "rotary_dim": 8, "tie_word_embeddings": false })),
        "granite" => (
            llama_sizes,
            json!({
                "attention_bias": false, "attention_multiplier": 0.3, "embedding_multiplier": 6.0, "hidden_act": "silu",
                "logits_scaling": 2.0, "mlp_bias": false, "residual_multiplier": 0.22, "rms_norm_eps": 1e-6,
                "rope_parameters": rope(1e4), "tie_word_embeddings": false,
            }),
        ),
        "llama" => (
            llama_sizes,
            json!({
                "attention_bias": false, "head_dim": 16, "hidden_act": "silu", "mlp_bias": false, "pretraining_tp": 1,
                "rms_norm_eps": 1e-5, "rope_parameters": rope(1e4), "tie_word_embeddings": false,
            }),
        ),
        "mistral" => (
            llama_sizes,
            json!({
                "head_dim": 16, "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_parameters": rope(1e4),
                "sliding_window": 8, "tie_word_embeddings": false,
            }),
        ),
        "olmo2" => (
            llama_sizes,
            json!({
                "attention_bias": false, "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_parameters": rope(5e5),
                "tie_word_embeddings": false,
            }),
        ),
        "phi" => (
            llama_sizes,
            json!({
                "embd_pdrop": 0.0, "hidden_act": "gelu_new", "layer_norm_eps": 1e-5, "qk_layernorm": false,
                "resid_pdrop": 0.0, "rope_parameters": partial(0.5), "tie_word_embeddings": false,
            }),
        ),
        "phi3" => (
            llama_sizes,
            json!({
                "embd_pdrop": 0.0, "hidden_act": "silu", "original_max_position_embeddings": 64, "resid_pdrop": 0.0,
                "rms_norm_eps": 1e-5, "rope_parameters": partial(1.0), "sliding_window": null,
                "tie_word_embeddings": false,
            }),
        ),
        "qwen2" | "qwen3" => (
            llama_sizes,
            json!({
                "hidden_act": "silu", "layer_types": ["full_attention", "full_attention", "full_attention"],
                "max_window_layers": 28, "rms_norm_eps": 1e-6, "rope_parameters": rope(1e6), "sliding_window": null,
                "tie_word_embeddings": false, "use_sliding_window": false,
            }),
        ),
        other => panic!("no example of {other}"),
    };
    for part in [sizes, own] {
        file = with(file, part);
    }
    file
}

/// `file` with the keys of `more`.
pub(super) fn with(mut file: Value, more: Value) -> Value {
    file.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    file
}

/// `file` without `keys`.
pub(super) fn without(mut file: Value, keys: &[&str]) -> Value {
    for key in keys {
        file.as_object_mut().unwrap().remove(*key).unwrap();
    }
    file
}

fn try_read(file: &Value) -> Result<(ModelSpec, Layout)> {
    read(file.as_object().unwrap())
}

pub(super) fn spec_of(file: &Value) -> ModelSpec {
    try_read(file).unwrap().0
}

pub(super) fn message_of(file: &Value) -> String {
    try_read(file).unwrap_err().to_string()
}

/// Where `param` of `layer` stands.
pub(super) fn place_of(file: &Value, layer: Option<usize>, param: Param) -> Option<Source> {
    let (_, layout) = try_read(file).unwrap();
    let mut places = layout.sources.into_iter().filter(|(l, p, _)| (*l, *p) == (layer, param));
    let place = places.next().map(|(_, _, source)| source);
    assert!(places.next().is_none(), "{param:?} of layer {layer:?} stands twice");
    place
}

#[test]
fn each_row_reads_its_example_and_says_its_name() {
    for family in ALL {
        let (spec, layout) = try_read(&example(family.model_type)).unwrap();
        assert_eq!(spec.model_type, family.model_type);
        assert_eq!((spec.vocab_size, spec.hidden_size, spec.layers.len()), (160, 64, 3));
        assert!(layout.sources.iter().any(|(_, param, _)| *param == Param::EmbedTokens));
        assert!(!family.about.is_empty() && !family.about.ends_with('.'), "{}", family.about);
    }
}

#[test]
fn rows_are_sorted_and_unique() {
    let names: Vec<_> = ALL.iter().map(|family| family.model_type).collect();
    assert!(names.is_sorted() && names.iter().collect::<BTreeSet<_>>().len() == names.len(), "{names:?}");
    let classes: Vec<_> = ALL.iter().flat_map(|family| family.architectures).collect();
    assert_eq!(classes.iter().collect::<BTreeSet<_>>().len(), classes.len());
}

#[test]
fn each_file_of_a_family_has_a_row() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/model/family");
    let rows = include_str!("mod.rs");
    for file in std::fs::read_dir(folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let module = name.strip_suffix(".rs").unwrap();
        let shared = ["mod", "names", "parts", "rope", "tests"].contains(&module);
        assert!(shared || rows.contains(&format!("read: {module}::")), "{name} has no row in the table");
    }
}

#[test]
fn no_weight_and_no_row_of_a_tensor_stands_twice() {
    for family in ALL {
        let (_, layout) = try_read(&example(family.model_type)).unwrap();
        let weights: BTreeSet<_> = layout.sources.iter().map(|(layer, param, _)| (layer, param)).collect();
        assert_eq!(weights.len(), layout.sources.len(), "{}", family.model_type);
        let mut rows = BTreeSet::new();
        for (_, _, source) in &layout.sources {
            // A whole tensor counts as one row.
            let outputs: Vec<usize> = match &source.outputs {
                Some(ranges) => ranges.iter().cloned().flatten().collect(),
                None => vec![0],
            };
            for row in outputs {
                assert!(rows.insert((source.tensor.clone(), row)), "row {row} of {}", source.tensor);
            }
        }
    }
}

#[test]
fn every_tensor_but_the_head_begins_with_the_prefix() {
    for family in ALL {
        let (_, layout) = try_read(&example(family.model_type)).unwrap();
        let bare = without_prefix(layout.clone(), family.prefix);
        for ((_, param, source), (_, _, bare)) in layout.sources.iter().zip(&bare.sources) {
            let expected = format!("{}{}", family.prefix, bare.tensor);
            let head = matches!(param, Param::LmHead(_));
            assert_eq!(source.tensor, if head { bare.tensor.clone() } else { expected });
        }
    }
}

#[test]
fn a_missing_or_unknown_model_type_is_refused_with_the_list() {
    let known = "bloom, cohere, gemma, gemma2, gemma3_text, glm, gpt2, gpt_neox, gptj, granite, llama, mistral, \
                 olmo2, phi, phi3, qwen2, qwen3";
    let message = message_of(&json!({ "hidden_size": 64 }));
    assert_eq!(message, format!("model_type is missing; it must be one of {known}"));
    let message = message_of(&json!({ "model_type": "mamba" }));
    assert_eq!(message, format!("model_type is \"mamba\"; goldref reads {known}"));
    let message = message_of(&json!({ "model_type": "mixtral", "num_local_experts": 4 }));
    let start = "model_type is \"mixtral\"; goldref does not read mixtures of experts; goldref reads bloom";
    assert!(message.starts_with(start), "{message}");
    let message = message_of(&json!({ "model_type": 7 }));
    assert_eq!(message, "model_type is 7; it must be a string");
}

#[test]
fn another_head_than_the_language_models_is_refused() {
    let message = message_of(&with(example("llama"), json!({ "architectures": ["LlamaModel"] })));
    let expected = "architectures is [\"LlamaModel\"]; of llama, goldref reads only LlamaForCausalLM";
    assert_eq!(message, expected);
    for absent in [json!(null), json!([])] {
        spec_of(&with(example("llama"), json!({ "architectures": absent })));
    }
}

#[test]
fn an_unknown_field_is_refused_in_every_family_and_null_is_not() {
    for family in ALL {
        let file = example(family.model_type);
        let message = message_of(&with(file.clone(), json!({ "attention_window_scale": 2.0 })));
        let start = "unknown field \"attention_window_scale\";";
        assert!(message.starts_with(start), "{}: {message}", family.model_type);
        spec_of(&with(file, json!({ "attention_window_scale": null })));
    }
}

#[rstest::rstest]
#[case(json!({ "num_local_experts": 8 }), "num_local_experts is 8; goldref does not read mixtures of experts")]
#[case(json!({ "add_cross_attention": true }), "add_cross_attention is true; a decoder without cross-attention is wanted")]
#[case(json!({ "quantization_config": { "bits": 4 } }), "quantization_config is {\"bits\":4}; goldref reads weights")]
#[case(json!({ "vocab_size": 0 }), "vocab_size is 0; it must be a positive whole number")]
#[case(json!({ "tie_word_embeddings": "yes" }), "tie_word_embeddings is \"yes\"; it must be true or false")]
fn what_no_family_reads_is_refused_in_every_family(#[case] more: Value, #[case] part: &str) {
    for family in ALL {
        let message = message_of(&with(example(family.model_type), more.clone()));
        assert!(message.contains(part), "{}: {message}", family.model_type);
    }
}

#[rstest::rstest]
#[case("llama", json!({ "num_attention_heads": 0 }), "num_attention_heads is 0; it must be a positive whole number")]
#[case("llama", json!({ "num_key_value_heads": 3 }), "4 query heads cannot share 3 key heads;")]
#[case("llama", json!({ "num_key_value_heads": 8 }), "4 query heads cannot share 8 key heads;")]
#[case("llama", json!({ "head_dim": null, "num_attention_heads": 6 }), "hidden_size 64 is not a multiple of num_attention_heads 6")]
#[case("llama", json!({ "head_dim": 15 }), "15 components of a head of 15 would be rotated;")]
#[case("llama", json!({ "num_hidden_layers": 2_000_000 }), "2000000 layers; goldref reads up to 1024")]
#[case("llama", json!({ "num_attention_heads": 1 << 20, "num_key_value_heads": 1 }), "1048576 query heads;")]
#[case("llama", json!({ "rms_norm_eps": -1e-5 }), "rms_norm_eps is -0.00001; it must not be negative")]
#[case("llama", json!({ "hidden_act": "mish" }), "hidden_act is \"mish\"; goldref knows gelu, gelu_new,")]
#[case("gpt2", json!({ "n_head": 5 }), "hidden_size 64 is not a multiple of num_attention_heads 5")]
#[case("gpt2", json!({ "hidden_size": 32 }), "hidden_size is 32; its other name n_embd says 64")]
fn sizes_that_make_no_sense_are_refused(#[case] model_type: &str, #[case] more: Value, #[case] part: &str) {
    let message = message_of(&with(example(model_type), more));
    assert!(message.contains(part), "{message}");
}

#[test]
fn a_tied_head_has_no_place_and_its_copy_is_ignored() {
    let head = Param::LmHead(Part::Weight);
    for family in ALL {
        let file = |tied: bool| with(example(family.model_type), json!({ "tie_word_embeddings": tied }));
        let own = place_of(&file(false), None, head).unwrap();
        assert!(!spec_of(&file(false)).head.tied);
        assert_eq!(place_of(&file(true), None, head), None);
        assert!(spec_of(&file(true)).head.tied);
        let (_, layout) = try_read(&file(true)).unwrap();
        assert!(layout.ignored.contains(&own.tensor.as_str()));
    }
}

#[test]
fn whether_a_head_is_tied_by_default_is_the_familys() {
    let tied = ["bloom", "cohere", "gemma", "gemma2", "gemma3_text", "gpt2"];
    for family in ALL {
        let file = with(example(family.model_type), json!({ "tie_word_embeddings": null }));
        assert_eq!(spec_of(&file).head.tied, tied.contains(&family.model_type), "{}", family.model_type);
    }
}

/// Sizes of a file that gives none: those of the config classes of transformers 5.23.
#[test]
fn defaults_are_those_of_hugging_face() {
    let sizes = |model_type: &str| {
        let file = json!({ "model_type": model_type });
        let spec = spec_of(&file);
        let attention = &spec.layers[0].attention;
        let heads = [attention.num_attention_heads, attention.num_key_value_heads, attention.head_dim];
        ([spec.vocab_size, spec.hidden_size, spec.layers[0].mlp.intermediate_size, spec.layers.len()], heads)
    };
    let expected = [
        ("bloom", [250_880, 64, 256, 2], [8, 8, 8]),
        ("cohere", [256_000, 8192, 22_528, 40], [64, 64, 128]),
        ("gemma", [256_000, 3072, 24_576, 28], [16, 16, 256]),
        ("gemma2", [256_000, 2304, 9216, 26], [8, 4, 256]),
        ("gemma3_text", [262_208, 2304, 9216, 26], [8, 4, 256]),
        ("glm", [151_552, 4096, 13_696, 40], [32, 2, 128]),
        ("gpt2", [50_257, 768, 3072, 12], [12, 12, 64]),
        ("gpt_neox", [50_432, 6144, 24_576, 44], [64, 64, 96]),
        ("gptj", [50_400, 4096, 16_384, 28], [16, 16, 256]),
        ("granite", [32_000, 4096, 11_008, 32], [32, 32, 128]),
        ("llama", [32_000, 4096, 11_008, 32], [32, 32, 128]),
        ("mistral", [32_000, 4096, 14_336, 32], [32, 8, 128]),
        ("olmo2", [50_304, 4096, 11_008, 32], [32, 32, 128]),
        ("phi", [51_200, 2048, 8192, 24], [32, 32, 64]),
        ("phi3", [32_064, 3072, 8192, 32], [32, 32, 96]),
        ("qwen2", [151_936, 4096, 22_016, 32], [32, 32, 128]),
        ("qwen3", [151_936, 4096, 22_016, 32], [32, 32, 128]),
    ];
    assert_eq!(expected.len(), ALL.len());
    for (model_type, sizes_expected, heads) in expected {
        assert_eq!(sizes(model_type), (sizes_expected, heads), "{model_type}");
    }
}

/// A full `config.json` of an early Hugging Face release carries the base class's keys too.
#[test]
fn keys_of_the_base_class_are_known() {
    let more = json!({
        "_name_or_path": "x", "bad_words_ids": null, "chunk_size_feed_forward": 0, "diversity_penalty": 0.0,
        "do_sample": false, "id2label": { "0": "LABEL_0" }, "is_decoder": false, "is_encoder_decoder": false,
        "length_penalty": 1.0, "max_length": 20, "output_attentions": false, "pruned_heads": {}, "return_dict": true,
        "tie_encoder_decoder": false, "top_k": 50, "torch_dtype": "bfloat16", "torchscript": false,
    });
    for family in ALL {
        spec_of(&with(example(family.model_type), more.clone()));
    }
}
