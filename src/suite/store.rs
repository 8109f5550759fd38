//! Reads suites and their arrays from disk; files are data and are not trusted.

use super::case::{Case, Suite};
use super::object::Object;
use crate::error::{Error, Result};
use crate::io::wording::{hex, quoted, reason};
use crate::io::{Array, disk, limits, npz};
use crate::num::sort::sort_by;
use hmac_sha256::Hash as Sha256;
use std::collections::{BTreeMap, HashSet};
use std::path::{Component, Path, PathBuf};

/// The value of `format` that this version reads.
const FORMAT: &str = "goldref-suite/1";

/// The suites of one folder.
#[derive(Debug, Clone)]
pub struct Store {
    /// In the order of their names.
    pub suites: Vec<Suite>,
}

impl Store {
    /// Opens `folder`: a suite itself (it holds `suite.json`) or a folder of suites.
    ///
    /// # Errors
    /// No suite there; a `suite.json` that does not follow the format, with line and column.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        open(folder.as_ref())
    }
}

fn open(folder: &Path) -> Result<Store> {
    if folder.join("suite.json").is_file() {
        return Ok(Store { suites: vec![read_suite(folder)?] });
    }
    if folder.is_file() {
        return Err(Error::read(folder, "it is a file; name the folder that holds suite.json"));
    }
    let entries = std::fs::read_dir(folder).map_err(|e| Error::read(folder, e))?;
    let mut folders: Vec<PathBuf> = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| Error::read(folder, e))?.path();
        if path.join("suite.json").is_file() {
            folders.push(path);
        }
    }
    if folders.is_empty() {
        return Err(Error::read(
            folder,
            "there is no suite.json here nor in a folder below; a suite is a folder with a suite.json",
        ));
    }
    sort_by(&mut folders, &PathBuf::cmp);
    let mut suites = Vec::new();
    for folder in &folders {
        suites.push(read_suite(folder)?);
    }
    Ok(Store { suites })
}

fn read_suite(folder: &Path) -> Result<Suite> {
    let path = folder.join("suite.json");
    Suite::parse(&disk::read_whole(&path, limits::JSON_BYTES)?, folder)
}

impl Suite {
    /// Reads the bytes of `folder`'s `suite.json`; no file is touched.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn parse(json: &[u8], folder: &Path) -> Result<Self> {
        let path = folder.join("suite.json");
        let object: Object<Suite> = serde_json::from_slice(json).map_err(|e| Error::read(&path, reason(e)))?;
        let mut suite = object.0;
        if suite.format != FORMAT {
            return Err(Error::read(
                &path,
                format!("its format is {}; this version reads \"{FORMAT}\"", quoted(&suite.format)),
            ));
        }
        let is_word = |word: &str| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        if !is_word(&suite.name) {
            return Err(Error::read(
                &path,
                format!("the suite's name is {}; it must be lowercase letters, digits and _", quoted(&suite.name)),
            ));
        }
        let mut seen = HashSet::new();
        for case in &mut suite.cases {
            if !is_word(&case.id) {
                return Err(Error::read(
                    &path,
                    format!("a case's id is {}; it must be lowercase letters, digits and _", quoted(&case.id)),
                ));
            }
            if !seen.insert(case.id.clone()) {
                return Err(Error::read(&path, format!("two cases have the id {}", quoted(&case.id))));
            }
            if !case.params.is_object() {
                let reason = format!("the params of case {} are no object, which names each of them", quoted(&case.id));
                return Err(Error::read(&path, reason));
            }
            case.name = format!("{}/{}", suite.name, case.id);
            case.suite_folder = folder.to_path_buf();
        }
        suite.folder = folder.to_path_buf();
        Ok(suite)
    }
}

impl Case {
    /// The arrays in; none if the case has no `inputs.npz`.
    ///
    /// # Errors
    /// Unreadable files, a hash that does not fit, a format that the array cannot have.
    pub fn inputs(&self) -> Result<BTreeMap<String, Array>> {
        let path = self.folder().join("inputs.npz");
        if path.exists() { self.arrays("inputs.npz") } else { Ok(BTreeMap::new()) }
    }

    /// The arrays expected out.
    ///
    /// # Errors
    /// As [`Self::inputs`]; also if there are none.
    pub fn expected(&self) -> Result<BTreeMap<String, Array>> {
        let arrays = self.arrays("expected.npz")?;
        if arrays.is_empty() {
            return Err(Error::read(
                self.folder().join("expected.npz"),
                "it holds no arrays; a case must expect something",
            ));
        }
        Ok(arrays)
    }

    fn arrays(&self, file: &str) -> Result<BTreeMap<String, Array>> {
        let path = self.folder().join(file);
        if let Some(expected) = self.sha256.get(file) {
            verify(&path, expected)?;
        }
        let mut arrays = BTreeMap::new();
        for (name, array) in npz::read(&path)? {
            let array = match self.dtypes.get(&name) {
                Some(dtype) if array.dtype_name() != dtype => {
                    array.reinterpret(dtype).map_err(|e| Error::read(&path, format!("array \"{name}\": {e}")))?
                }
                _ => array,
            };
            arrays.insert(name, array);
        }
        Ok(arrays)
    }

    /// A folder below the suite that a parameter names, its files verified.
    ///
    /// # Errors
    /// A path that leaves the suite; a hash that does not fit.
    pub fn folder_in_suite(&self, relative: &str) -> Result<PathBuf> {
        let below = format!("{relative}/");
        let files = || self.sha256.iter().filter(|(file, _)| file.starts_with(&below));
        // A hash is asked of its file before anything else, so `models/../../x` may not be one either.
        for path in std::iter::once(relative).chain(files().map(|(file, _)| file.as_str())) {
            let inside =
                !path.is_empty() && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
            if !inside {
                return Err(Error::ask(format!("{}: {} is not a path inside the suite", self.name, quoted(path))));
            }
        }
        for (file, expected) in files() {
            verify(&self.suite_folder.join(file), expected)?;
        }
        Ok(self.suite_folder.join(relative))
    }
}

fn verify(path: &Path, expected: &str) -> Result<()> {
    let bytes = std::fs::read(path).map_err(|e| Error::read(path, e))?;
    let actual = hex(&Sha256::hash(&bytes));
    if actual.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    Err(Error::read(
        path,
        format!("its sha256 is {actual}, suite.json says {expected}; the file was changed or damaged"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Suite> {
        Suite::parse(json.as_bytes(), Path::new("s"))
    }

    #[test]
    fn a_long_word_of_a_file_is_cut_in_the_message() {
        let long = "x".repeat(5000);
        let case = format!(r#"{{"id": "{long}", "op": ""}}"#);
        for json in [
            format!(r#"{{"format": "goldref-suite/1", "name": "s", "about": "", "cases": [{case}, {case}]}}"#),
            format!(r#"{{"{long}": 1}}"#),
            format!(r#"{{"format": "{long}", "name": "s", "about": "", "cases": []}}"#),
            format!(r#"{{"format": "goldref-suite/1", "name": "X{long}", "about": "", "cases": []}}"#),
            format!(
                r#"{{"format": "goldref-suite/1", "name": "s", "about": "", "cases": [{{"id": "X{long}", "op": ""}}]}}"#
            ),
        ] {
            let message = parse(&json).unwrap_err().to_string();
            assert!(message.starts_with("cannot read s/suite.json: ") && message.len() < 300, "{message}");
        }
        assert!(parse(r#"{"cases": 7}"#).unwrap_err().to_string().ends_with("at line 1 column 11"));
    }

    #[test]
    fn a_list_is_no_object() {
        let with =
            |case: &str| format!(r#"{{"format": "goldref-suite/1", "name": "s", "about": "", "cases": [{case}]}}"#);
        assert_eq!(parse(&with(r#"{"id": "a", "op": "relu", "tolerance": null}"#)).unwrap().cases[0].name, "s/a");
        for json in [
            r#"["goldref-suite/1", "s", "", []]"#.to_string(),
            with(r#"["a", "relu"]"#),
            with(r#"{"id": "a", "op": "relu", "tolerance": [1, 0]}"#),
            with(r#"{"id": "a", "op": "relu", "oracle": ["by hand"]}"#),
        ] {
            let message = parse(&json).unwrap_err().to_string();
            assert!(message.contains("invalid type: sequence, expected an object at line 1"), "{json}: {message}");
        }
        let message = parse(&with(r#"{"id": "a", "op": "silu", "params": [1.0]}"#)).unwrap_err().to_string();
        assert!(message.ends_with("the params of case \"a\" are no object, which names each of them"), "{message}");
    }

    #[test]
    fn a_description_without_end_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = std::fs::File::create(folder.path().join("suite.json")).unwrap();
        file.set_len(limits::JSON_BYTES + 1).unwrap();
        let message = Store::open(folder.path()).unwrap_err().to_string();
        assert!(message.ends_with("it is longer than 64 MiB"), "{message}");
    }

    #[test]
    fn a_hash_of_a_file_outside_the_suite_is_refused() {
        let suite = parse(
            r#"{"format": "goldref-suite/1", "name": "s", "about": "", "cases": [
                {"id": "a", "op": "model", "sha256": {"models/../../outside": "00"}}]}"#,
        );
        let case = &suite.unwrap().cases[0];
        let message = case.folder_in_suite("models").unwrap_err().to_string();
        assert_eq!(message, r#"s/a: "models/../../outside" is not a path inside the suite"#);
        assert!(case.folder_in_suite("..").is_err() && case.folder_in_suite("").is_err());
        assert_eq!(case.folder_in_suite("other").unwrap(), Path::new("s/other"));
    }
}
