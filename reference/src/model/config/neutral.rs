//! Keys that any family's `config.json` may carry and that do not change what the model computes from token ids.

/// Such keys: descriptions of the file, training, generation, classification heads, and how Hugging Face runs it.
pub(super) const KEYS: &[&str] = &[
    // What the file is.
    "_name_or_path",
    "name_or_path",
    "_commit_hash",
    "architectures",
    "auto_map",
    "custom_pipelines",
    "dtype",
    "model_type",
    "tokenizer_class",
    "torch_dtype",
    "transformers.js_config",
    "transformers_version",
    "unsloth_fixed",
    "unsloth_version",
    // Training: initial weights, dropout (none when a model is asked), memory.
    "attention_dropout",
    "attention_probs_dropout_prob",
    "attn_pdrop",
    "classifier_dropout",
    "embd_pdrop",
    "gradient_checkpointing",
    "hidden_dropout",
    "hidden_dropout_prob",
    "initializer_range",
    "resid_pdrop",
    "use_bfloat16",
    // Ids of special tokens: they steer generation, the embedding of the padding token is a row like any other.
    "bos_token_id",
    "decoder_start_token_id",
    "eos_token_id",
    "pad_token_id",
    "sep_token_id",
    "unk_token_id",
    // Generation.
    "bad_words_ids",
    "begin_suppress_tokens",
    "cache_implementation",
    "diversity_penalty",
    "do_sample",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "length_penalty",
    "max_length",
    "max_new_tokens",
    "min_length",
    "min_new_tokens",
    "model_max_length",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "output_scores",
    "remove_invalid_values",
    "repetition_penalty",
    "return_dict_in_generate",
    "suppress_tokens",
    "temperature",
    "top_k",
    "top_p",
    "typical_p",
    // Other heads than the language model's.
    "_num_labels",
    "finetuning_task",
    "id2label",
    "label2id",
    "num_labels",
    "prefix",
    "problem_type",
    "task_specific_params",
    // How Hugging Face runs the model; the values are the same in exact arithmetic.
    "_attn_implementation",
    "_attn_implementation_autoset",
    "attn_implementation",
    "chunk_size_feed_forward",
    "output_attentions",
    "output_hidden_states",
    "return_dict",
    "tf_legacy_loss",
    "tie_last_hidden_states",
    "torchscript",
    "use_cache",
    // Of encoder-decoder models; those are refused by `is_encoder_decoder` and `add_cross_attention`.
    "cross_attention_hidden_size",
    "is_decoder",
    "tie_encoder_decoder",
];

#[cfg(test)]
mod tests {
    use super::KEYS;

    #[test]
    fn each_key_stands_once() {
        for (i, key) in KEYS.iter().enumerate() {
            assert!(!KEYS[..i].contains(key), "{key} stands twice");
        }
    }
}
