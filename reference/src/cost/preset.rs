//! Public models by name: the fields of their `config.json` that shape the mathematics.

use crate::error::{Error, Result};
use crate::io::checkpoint;
use crate::model::{ModelSpec, family};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::Path;

/// A public model.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// Name on the command line.
    pub name: String,
    /// The repository whose `config.json` this is.
    pub source: String,
    /// Parameters as published there, each counted once.
    pub parameters: u128,
    config: Map<String, Value>,
}

impl Preset {
    /// All of them.
    ///
    /// # Panics
    /// Never: a test reads them.
    pub fn all() -> Vec<Self> {
        serde_json::from_slice(include_bytes!("presets.json")).expect("the presets are well-formed")
    }

    /// The model of that name.
    ///
    /// # Errors
    /// No such preset; the message names those with something in common, or all.
    pub fn find(name: &str) -> Result<Self> {
        let mut all = Self::all();
        if let Some(place) = all.iter().position(|preset| preset.name == name) {
            return Ok(all.swap_remove(place));
        }
        let names = all.iter().map(|preset| preset.name.as_str());
        // The first word, letters only: "llama3-8b" is like "llama-3-8b".
        let family = |name: &str| name.chars().take_while(char::is_ascii_alphabetic).collect::<String>().to_lowercase();
        let like: Vec<&str> = names.clone().filter(|other| family(other) == family(name)).collect();
        let (said, shown) = if like.is_empty() { ("there are", names.collect()) } else { ("like it are", like) };
        Err(Error::ask(format!(
            "no model is called \"{name}\", and there is no such file; {said}: {}",
            shown.join(", ")
        )))
    }

    /// What the model computes.
    ///
    /// # Errors
    /// Never for a preset of this table: a test reads them all.
    pub fn spec(&self) -> Result<ModelSpec> {
        family::read(&self.config).map(|(spec, _)| spec)
    }
}

/// What a named model computes: a checkpoint's folder, a `config.json`, or a [`Preset`]. Weights are not looked at.
///
/// # Errors
/// No such file or model; a field that is not known.
pub fn spec_of(name: &str) -> Result<ModelSpec> {
    let path = Path::new(name);
    if !path.exists() {
        return Preset::find(name)?.spec();
    }
    let file = if path.is_dir() { path.join("config.json") } else { path.to_path_buf() };
    let config = checkpoint::config(&file)?;
    family::read(&config).map(|(spec, _)| spec).map_err(|error| error.at(&file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::parameters;

    /// Counts of the repositories' safetensors files, each tensor of a parameter once. Llama 2's files also hold the rotary
    /// frequencies, 64 numbers a layer, and Qwen3's and Qwen2.5's smallest a copy of the tied head: no parameters.
    #[test]
    fn parameters_are_those_published() {
        let all = Preset::all();
        assert_eq!(all.len(), 28);
        for preset in all {
            let counted = parameters(&preset.spec().unwrap()).total();
            assert_eq!(counted, preset.parameters, "{}", preset.name);
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_its_like() {
        let message = Preset::find("llama3-8b").unwrap_err().to_string();
        assert!(message.contains("like it are: llama-2-7b") && message.contains("llama-3-8b"), "{message}");
        assert!(!message.contains("qwen"), "{message}");
        let message = Preset::find("zebra").unwrap_err().to_string();
        assert!(message.contains("there are: llama-2-7b") && message.contains("gpt2-xl"), "{message}");
    }
}
