//! A Hugging Face checkpoint: a folder with `config.json` and the weights in safetensors, whole or in shards.
//!
//! The weights are mapped and not read: a checkpoint may be larger than the memory. Knows which files belong together, and
//! nothing of what a configuration means or which weights it needs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::disk;
use super::limits;
use super::mapped::{self, MappedArray};
use super::wording::{quoted, reason};
use crate::error::{Error, Result};
use crate::num::sort::sort_by;

const CONFIG: &str = "config.json";
const WHOLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// A configuration, read, and its weights, mapped.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    config: Map<String, Value>,
    /// Sorted by name, each there once.
    tensors: Vec<MappedArray>,
}

/// The part of an index that says where each tensor is.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Checkpoint {
    /// Opens the checkpoint in the folder `path`. Where `model.safetensors` stands beside an index, it is
    /// taken, as transformers does.
    ///
    /// # Errors
    ///
    /// When a file is missing, malformed or refused as [`SafeTensors`](super::SafeTensors) would; when the index and its shards do
    /// not hold exactly the same tensors, each in the shard named; when the weights are pickled
    /// (`pytorch_model.bin`).
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        open(path.as_ref())
    }

    /// The folder, as it was named.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The object in `config.json`.
    pub fn config(&self) -> &Map<String, Value> {
        &self.config
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.iter().map(MappedArray::name)
    }

    /// The tensor called `name`.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn tensor(&self, name: &str) -> Result<&MappedArray> {
        find(&self.tensors, name)
            .ok_or_else(|| Error::read(&self.path, format!("there is no tensor {} in this checkpoint", quoted(name))))
    }
}

fn open(path: &Path) -> Result<Checkpoint> {
    if !path.is_dir() {
        let reason = format!("it is not a folder; name the folder that holds {CONFIG} and {WHOLE}");
        return Err(Error::read(path, reason));
    }
    let config = config(path.join(CONFIG))?;
    let tensors = if path.join(WHOLE).exists() {
        mapped::open(path.join(WHOLE))?
    } else if path.join(INDEX).exists() {
        sharded(path)?
    } else {
        return Err(Error::read(path, no_weights(path)));
    };
    Ok(Checkpoint { path: path.to_path_buf(), config, tensors })
}

/// The object in a `config.json` on its own.
///
/// # Errors
/// When the file is missing, too large, or no JSON object.
pub fn config(path: impl AsRef<Path>) -> Result<Map<String, Value>> {
    let path = path.as_ref();
    match json(path)? {
        Value::Object(config) => Ok(config),
        _ => Err(Error::read(path, "it is not a JSON object")),
    }
}

fn json(path: &Path) -> Result<Value> {
    let bytes = disk::read_whole(path, limits::JSON_BYTES)?;
    // The message of serde_json ends with line and column.
    serde_json::from_slice(&bytes).map_err(|e| Error::read(path, format!("it is not JSON: {}", reason(e))))
}

/// The one called `name` of arrays that are sorted by name.
fn find<'a>(arrays: &'a [MappedArray], name: &str) -> Option<&'a MappedArray> {
    arrays.binary_search_by(|array| array.name().cmp(name)).ok().map(|index| &arrays[index])
}

fn sharded(folder: &Path) -> Result<Vec<MappedArray>> {
    let index = folder.join(INDEX);
    let refuse = |reason: String| Error::read(&index, reason);
    let bytes = disk::read_whole(&index, limits::JSON_BYTES)?;
    let Index { weight_map } =
        serde_json::from_slice(&bytes).map_err(|e| refuse(format!("it is not an index of tensors: {}", reason(e))))?;
    let shards: BTreeSet<&String> = weight_map.values().collect();
    let mut tensors = Vec::new();
    for shard in shards {
        check_shard(shard).map_err(refuse)?;
        for array in mapped::open(folder.join(shard))? {
            let name = array.name();
            match weight_map.get(name) {
                Some(place) if place == shard => {}
                Some(place) => {
                    return Err(refuse(format!(
                        "it places tensor {} in {}, but {} holds one too",
                        quoted(name),
                        quoted(place),
                        quoted(shard)
                    )));
                }
                None => {
                    return Err(refuse(format!(
                        "it does not list tensor {}, which {} holds",
                        quoted(name),
                        quoted(shard)
                    )));
                }
            }
            tensors.push(array);
        }
    }
    // Each is there once: its shard is the one that the index names.
    sort_by(&mut tensors, &|a, b| a.name().cmp(b.name()));
    match weight_map.iter().find(|(name, _)| find(&tensors, name).is_none()) {
        Some((name, shard)) => {
            Err(refuse(format!("it places tensor {} in {}, which does not hold it", quoted(name), quoted(shard))))
        }
        None => Ok(tensors),
    }
}

/// A shard lies beside its index: a name with a path in it would read files from anywhere.
fn check_shard(shard: &str) -> std::result::Result<(), String> {
    let plain =
        shard.ends_with(".safetensors") && !shard.chars().any(|c| matches!(c, '/' | '\\' | ':') || c.is_control());
    if plain {
        Ok(())
    } else {
        Err(format!("it names the shard {}; a shard is a .safetensors file beside the index", quoted(shard)))
    }
}

fn no_weights(folder: &Path) -> String {
    for pickled in ["pytorch_model.bin", "pytorch_model.bin.index.json"] {
        if folder.join(pickled).exists() {
            return format!(
                "its weights are pickled ({pickled}), and reading them would run their code; \
                 save them with save_pretrained(folder, safe_serialization=True)"
            );
        }
    }
    format!("it has no {WHOLE} and no {INDEX}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::Array;
    use crate::io::mapped::Contents;
    use crate::io::safetensors::tests::file;
    use ndarray::arr1;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            let folder = Self(tempfile::tempdir().unwrap());
            folder.put(CONFIG, br#"{"hidden_size": 8}"#);
            folder
        }

        fn put(&self, name: &str, bytes: &[u8]) {
            std::fs::write(self.0.path().join(name), bytes).unwrap();
        }

        /// A shard whose tensors are one byte each.
        fn put_shard(&self, name: &str, tensors: &[(&str, u8)]) {
            let entries: Vec<String> = tensors
                .iter()
                .enumerate()
                .map(|(at, (tensor, _))| {
                    let end = at + 1;
                    format!(r#""{tensor}":{{"dtype":"U8","shape":[1],"data_offsets":[{at},{end}]}}"#)
                })
                .collect();
            let bytes: Vec<u8> = tensors.iter().map(|&(_, byte)| byte).collect();
            self.put(name, &file(&format!("{{{}}}", entries.join(",")), &bytes));
        }

        fn put_index(&self, weight_map: &str) {
            self.put(INDEX, format!(r#"{{"metadata":{{}},"weight_map":{weight_map}}}"#).as_bytes());
        }

        fn open(&self) -> Result<Checkpoint> {
            Checkpoint::open(self.0.path())
        }

        /// The error without the path of the folder.
        fn refusal(&self) -> String {
            let error = self.open().unwrap_err().to_string();
            error.replace(&self.0.path().display().to_string(), "DIR")
        }
    }

    fn byte(value: u8) -> Array {
        Array::from(arr1(&[value]).into_dyn())
    }

    #[test]
    fn one_file_of_weights_is_mapped() {
        let folder = Folder::new();
        folder.put_shard(WHOLE, &[("b", 2), ("a", 1)]);
        let checkpoint = folder.open().unwrap();
        assert_eq!(checkpoint.config()["hidden_size"], 8);
        assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(checkpoint.tensor("a").unwrap().to_array().unwrap(), byte(1));
        assert!(matches!(checkpoint.tensor("b").unwrap().contents(), Contents::Bytes(&[2])));
        let error = checkpoint.tensor("c").unwrap_err().to_string();
        assert!(error.ends_with("there is no tensor \"c\" in this checkpoint"), "{error}");
        assert_eq!(checkpoint.path(), folder.0.path());
    }

    #[test]
    fn shards_are_joined_by_their_index() {
        let folder = Folder::new();
        folder.put_shard("m-1.safetensors", &[("a", 1), ("c", 3)]);
        folder.put_shard("m-2.safetensors", &[("b", 2)]);
        folder.put_index(r#"{"a":"m-1.safetensors","b":"m-2.safetensors","c":"m-1.safetensors"}"#);
        let checkpoint = folder.open().unwrap();
        assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(checkpoint.tensor("b").unwrap().to_array().unwrap(), byte(2));
    }

    #[test]
    fn a_shard_cut_anywhere_is_one_sentence() {
        let folder = Folder::new();
        folder.put_shard("m-1.safetensors", &[("a", 1)]);
        folder.put_shard("m-2.safetensors", &[("b", 2), ("c", 3)]);
        folder.put_index(r#"{"a":"m-1.safetensors","b":"m-2.safetensors","c":"m-2.safetensors"}"#);
        let whole = std::fs::read(folder.0.path().join("m-2.safetensors")).unwrap();
        folder.open().unwrap();
        for length in 0..whole.len() {
            folder.put("m-2.safetensors", &whole[..length]);
            let found = folder.refusal();
            assert!(found.starts_with("cannot read DIR/m-2.safetensors: ") && found.lines().count() == 1, "{found}");
        }
        folder.put("m-2.safetensors", &whole[..whole.len() - 1]);
        let expected = "tensor \"c\" lies at bytes 1 to 2 of the data, which has 1 bytes";
        assert_eq!(folder.refusal(), format!("cannot read DIR/m-2.safetensors: {expected}"));
    }

    #[test]
    fn an_index_and_its_shards_hold_exactly_the_same() {
        let folder = Folder::new();
        folder.put_shard("m-1.safetensors", &[("a", 1), ("b", 2)]);
        let start = format!("cannot read DIR/{INDEX}: ");
        folder.put_index(r#"{"a":"m-1.safetensors"}"#);
        let expected = "it does not list tensor \"b\", which \"m-1.safetensors\" holds";
        assert_eq!(folder.refusal(), format!("{start}{expected}"));
        folder.put_index(r#"{"a":"m-1.safetensors","b":"m-1.safetensors","c":"m-1.safetensors"}"#);
        let expected = "it places tensor \"c\" in \"m-1.safetensors\", which does not hold it";
        assert_eq!(folder.refusal(), format!("{start}{expected}"));
        // The same tensor in two shards.
        folder.put_shard("m-2.safetensors", &[("b", 9), ("c", 3)]);
        folder.put_index(r#"{"a":"m-1.safetensors","b":"m-1.safetensors","c":"m-2.safetensors"}"#);
        let expected = "it places tensor \"b\" in \"m-1.safetensors\", but \"m-2.safetensors\" holds one too";
        assert_eq!(folder.refusal(), format!("{start}{expected}"));
        folder.put_index(r#"{"a":"m-3.safetensors"}"#);
        assert_eq!(folder.refusal(), "cannot read DIR/m-3.safetensors: no such file or directory");
    }

    #[test]
    fn a_shard_lies_beside_its_index() {
        let folder = Folder::new();
        for shard in ["../m.safetensors", "/m.safetensors", "a/m.safetensors", "m.bin", ".."] {
            folder.put_index(&format!(r#"{{"a":"{shard}"}}"#));
            let found = folder.refusal();
            let expected = format!("it names the shard {shard:?}; a shard is a .safetensors file");
            assert!(found.contains(&expected), "{found}");
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        let folder = Folder::new();
        let start = "cannot read DIR: ";
        assert_eq!(folder.refusal(), format!("{start}it has no {WHOLE} and no {INDEX}"));
        folder.put("pytorch_model.bin", b"");
        let expected = "its weights are pickled (pytorch_model.bin), and reading them would run their \
                        code; save them with save_pretrained(folder, safe_serialization=True)";
        assert_eq!(folder.refusal(), format!("{start}{expected}"));
        std::fs::remove_file(folder.0.path().join(CONFIG)).unwrap();
        assert_eq!(folder.refusal(), "cannot read DIR/config.json: no such file or directory");
        let error = Checkpoint::open("/nowhere/model").unwrap_err().to_string();
        assert!(error.starts_with("cannot read /nowhere/model: it is not a folder"), "{error}");
    }

    #[test]
    fn json_errors_name_line_and_column() {
        let folder = Folder::new();
        folder.put(CONFIG, b"{\n  \"a\": 1,\n}");
        let expected = "cannot read DIR/config.json: it is not JSON: \
                        trailing comma at line 3 column 1";
        assert_eq!(folder.refusal(), expected);
        folder.put(CONFIG, b"[]");
        assert_eq!(folder.refusal(), "cannot read DIR/config.json: it is not a JSON object");
        folder.put(CONFIG, &b"[".repeat(100_000));
        assert!(folder.refusal().contains("recursion limit exceeded"));
        folder.put(CONFIG, b"{}");
        folder.put(INDEX, b"{\"weight_map\": 3}");
        assert!(folder.refusal().contains("it is not an index of tensors: invalid type"));
    }
}
