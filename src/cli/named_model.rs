//! A model named on the command line.

use std::path::Path;

/// Whether the name is that of a folder with weights.
pub(super) fn has_weights(name: &str) -> bool {
    let names = ["model.safetensors", "model.safetensors.index.json"];
    names.iter().any(|file| Path::new(name).join(file).exists())
}
