//! Weights lie in the files of the checkpoint, and lie there differently without changing a bit of the answer.

use super::bits::{bits, models, run};
use goldref::eval::Numerics;
use goldref::io::Checkpoint;
use goldref::model::Model;
use goldref::model::kv_cache::CacheKind;
use goldref::num::{Dtype, Real};
use goldref::ops::weight::Weight;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

fn load<T: Real>(folder: &Path, stored: Dtype) -> Model<T> {
    Model::load(&Checkpoint::open(folder).unwrap(), stored).unwrap()
}

fn bundled<T: Real>(name: &str, stored: Dtype) -> Model<T> {
    load(&super::root().join("fixtures/model/models").join(name), stored)
}

/// A copy of a checkpoint whose headers are a space longer, so that no number lies at a multiple of its size.
fn unaligned(folder: &Path) -> TempDir {
    let copy = TempDir::new().unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        if path.extension().is_some_and(|extension| extension == "safetensors") {
            let length = u64::from_le_bytes(*bytes.first_chunk().unwrap());
            bytes.insert(8 + length as usize, b' ');
            bytes[..8].copy_from_slice(&(length + 1).to_le_bytes());
        }
        fs::write(copy.path().join(path.file_name().unwrap()), bytes).unwrap();
    }
    copy
}

fn unaligned_weights_are_copied_and_compute_the_same<T: Real>(numerics: Numerics) {
    let is_mapped = |model: &Model<T>| model.weights.embed_tokens.is_mapped();
    for (folder, ids) in models() {
        let (there, copied) = (load(&folder, numerics.weights), load(unaligned(&folder).path(), numerics.weights));
        assert!(is_mapped(&there) && !is_mapped(&copied), "{}", folder.display());
        let logits = |model: &Model<T>| bits(&run(model, &ids, &[ids.ncols()], CacheKind::Contiguous, numerics));
        assert!(logits(&there) == logits(&copied), "{}", folder.display());
    }
}

#[test]
fn unaligned_weights_are_copied_and_compute_the_same_in_f64() {
    unaligned_weights_are_copied_and_compute_the_same::<f64>(Numerics::plain(Dtype::F64));
}

#[test]
fn unaligned_weights_are_copied_and_compute_the_same_in_f32() {
    unaligned_weights_are_copied_and_compute_the_same::<f32>(Numerics::plain(Dtype::F32));
}

#[test]
fn weights_stay_in_the_file_and_in_its_format() {
    // A bf16 checkpoint under f32 and f64: every matrix, and the tied head is the embedding transposed.
    let model = bundled::<f32>("llama_tied_bf16", Dtype::F32);
    let layer = &model.weights.layers[0];
    let linears = [&layer.q_proj, &layer.k_proj, &layer.v_proj, &layer.o_proj, &layer.up_proj, &layer.down_proj];
    let matrices = linears.map(|linear| &linear.weight);
    let ends = [&model.weights.embed_tokens, &model.weights.lm_head.weight];
    for weight in matrices.into_iter().chain(ends) {
        assert!(matches!(weight, Weight::Bf16(_)) && weight.is_mapped(), "{weight:?}");
    }
    assert!(matches!(bundled::<f64>("llama_tied_bf16", Dtype::F64).weights.embed_tokens, Weight::Bf16(_)));
    assert!(bundled::<f32>("llama_tied_bf16", Dtype::Bf16).weights.embed_tokens.is_mapped());
    // f32 is f32's own format and one that f64 holds.
    let fused = bundled::<f32>("phi3", Dtype::F32).weights.layers.remove(0);
    for linear in [&fused.q_proj, &fused.v_proj, &fused.up_proj] {
        assert!(matches!(linear.weight, Weight::Own(_)) && linear.weight.is_mapped(), "{linear:?}");
    }
    let conv1d = bundled::<f64>("gpt2", Dtype::F64).weights.layers.remove(0);
    for linear in [&conv1d.q_proj, &conv1d.v_proj, &conv1d.down_proj] {
        assert!(matches!(linear.weight, Weight::F32(_)) && linear.weight.is_mapped(), "{linear:?}");
    }
}

#[test]
fn what_cannot_stay_is_owned_in_the_narrowest_format() {
    // Query, key and value of each head in turn: rows from here and there are copied, as they are.
    let by_head = bundled::<f32>("gpt_neox_sequential_f16", Dtype::F32).weights.layers.remove(0);
    assert!(matches!(by_head.k_proj.weight, Weight::F16(_)) && !by_head.k_proj.weight.is_mapped());
    assert!(by_head.down_proj.weight.is_mapped());
    // f32 rounded to bf16 takes half the memory; the head of a tied model shares it.
    for name in ["llama_mha", "gemma", "gpt2"] {
        let model = bundled::<f32>(name, Dtype::Bf16);
        for weight in [&model.weights.embed_tokens, &model.weights.layers[0].q_proj.weight] {
            assert!(matches!(weight, Weight::Bf16(_)) && !weight.is_mapped(), "{name}: {weight:?}");
        }
    }
}
