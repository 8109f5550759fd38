//! A case and its suite as `suite.json` spells them. The format is documented in `fixtures/README.md`.

use super::object;
use crate::check::Rung;
use crate::num::Dtype;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A folder of cases.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// `goldref-suite/1`.
    pub format: String,
    /// The folder's name.
    pub name: String,
    /// One sentence.
    pub about: String,
    /// File with a licence notice, if the suite comes from elsewhere.
    #[serde(default)]
    pub notice: Option<String>,
    /// The cases, in the order they are shown.
    #[serde(deserialize_with = "object::each")]
    pub cases: Vec<Case>,
    /// Where the suite was read from.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// One question with its right answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Unique in the suite: a situation in words, `[a-z0-9_]+`; also the name of its folder.
    pub id: String,
    /// An operation of [`crate::ops::ALL`], or `model`.
    pub op: String,
    /// Parameters of the operation.
    #[serde(default = "no_params")]
    pub params: Value,
    /// Formats that the npy file cannot name: `bf16` words in uint16, `f8_e4m3` in uint8.
    #[serde(default)]
    pub dtypes: BTreeMap<String, String>,
    /// What the suite's author asks for.
    #[serde(default, deserialize_with = "object::optional")]
    pub tolerance: Option<Tolerance>,
    /// Free words about the situation.
    #[serde(default)]
    pub flags: Vec<String>,
    /// Faults this case is there to catch.
    #[serde(default)]
    pub catches: Vec<String>,
    /// Who computed the expected values.
    #[serde(default, deserialize_with = "object::optional")]
    pub oracle: Option<Oracle>,
    /// Seed of the inputs.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Largest absolute error of PyTorch's own evaluation, by format.
    #[serde(default)]
    pub baseline: BTreeMap<Dtype, f64>,
    /// Input array that says which leading indices of the answer are compared.
    #[serde(default)]
    pub compare_where: Option<String>,
    /// Expected arrays that a program may leave out: they are judged where it gives them.
    #[serde(default)]
    pub optional: Vec<String>,
    /// Hashes of the files: names without a slash lie in the case's folder, others are relative to the suite.
    #[serde(default)]
    pub sha256: BTreeMap<String, String>,
    /// `suite/id`.
    #[serde(skip)]
    pub name: String,
    /// The suite's folder.
    #[serde(skip)]
    pub suite_folder: PathBuf,
}

fn no_params() -> Value {
    Value::Object(serde_json::Map::new())
}

/// A tolerance as an author writes it; each part may be absent.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tolerance {
    /// Absolute part.
    #[serde(default)]
    pub atol: f64,
    /// Relative part.
    #[serde(default)]
    pub rtol: f64,
    /// Last places of the expected array's format.
    #[serde(default)]
    pub max_ulps: Option<f64>,
}

impl From<Tolerance> for Rung {
    fn from(tolerance: Tolerance) -> Self {
        Self { atol: tolerance.atol, rtol: tolerance.rtol, max_ulps: tolerance.max_ulps }
    }
}

/// Who computed the expected values, who attested them, and how far apart the two are.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oracle {
    /// Program, version and script.
    pub computed_by: String,
    /// Program, version and script.
    #[serde(default)]
    pub attested_by: Option<String>,
    /// Largest absolute difference of the two over all expected arrays.
    #[serde(default)]
    pub distance: Option<f64>,
}

impl Case {
    /// The folder of the case's arrays.
    pub fn folder(&self) -> PathBuf {
        self.suite_folder.join(&self.id)
    }
}
