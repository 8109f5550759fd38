//! A model named on the command line: a folder, a `config.json`, or a public model.

use goldref::cost::Preset;
use goldref::error::Result;
use goldref::io::checkpoint;
use goldref::model::{ModelSpec, family};
use std::path::Path;

/// What a named model computes; its weights are not looked at.
pub(super) fn spec_of(name: &str) -> Result<ModelSpec> {
    let path = Path::new(name);
    if !path.exists() {
        return Preset::find(name)?.spec();
    }
    let file = if path.is_dir() { path.join("config.json") } else { path.to_path_buf() };
    let config = checkpoint::config(&file)?;
    family::read(&config).map(|(spec, _)| spec).map_err(|error| error.at(&file))
}

/// Whether the name is that of a folder with weights.
pub(super) fn has_weights(name: &str) -> bool {
    let names = ["model.safetensors", "model.safetensors.index.json"];
    names.iter().any(|file| Path::new(name).join(file).exists())
}
