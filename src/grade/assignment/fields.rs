//! The fields of an `assignment.toml`, as they are written.

use super::{Hints, Points};
use crate::cost::{AttentionTraffic, KvWidth};
use crate::grade::quantity::Unit;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) format: String,
    pub(super) title: String,
    #[serde(default)]
    pub(super) hints: Hints,
    pub(super) candidate: AskedFields,
    #[serde(default)]
    pub(super) limits: LimitsFields,
    pub(super) part: Vec<PartFields>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) enum LifetimeField {
    AllQuestions,
    OneQuestion,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AskedFields {
    pub(super) command: Vec<String>,
    #[serde(default)]
    pub(super) lifetime: Option<LifetimeField>,
    #[serde(default)]
    pub(super) stored: Option<String>,
    #[serde(default)]
    pub(super) files: Vec<PathBuf>,
    #[serde(default)]
    pub(super) environment: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) read: Vec<PathBuf>,
    #[serde(default)]
    pub(super) build: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsFields {
    pub(super) seconds: Option<f64>,
    pub(super) slow_factor: Option<f64>,
    pub(super) build_seconds: Option<f64>,
    pub(super) threads: Option<u64>,
    pub(super) memory: Option<String>,
    pub(super) cpu_seconds: Option<u64>,
    pub(super) tasks: Option<u64>,
    pub(super) file: Option<String>,
    pub(super) disk: Option<String>,
    pub(super) files: Option<u64>,
    pub(super) output: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PartFields {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) points: Points,
    #[serde(default)]
    pub(super) requires: Vec<String>,
    pub(super) passed_at: Option<Points>,
    #[serde(default)]
    pub(super) visible: Vec<SetField>,
    #[serde(default)]
    pub(super) hidden: Vec<SetField>,
    #[serde(default)]
    pub(super) properties: Vec<String>,
    pub(super) ladder: Option<BTreeMap<String, Points>>,
    pub(super) scoring: Option<ScoringField>,
    pub(super) answers: Option<AnswersFields>,
    pub(super) speedup: Option<SpeedUpFields>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ScoringField {
    EachCase,
    WorstCase,
}

/// A suite's folder, or a folder and some of its cases.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum SetField {
    Suite(PathBuf),
    Some(SetFields),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SetFields {
    pub(super) suite: PathBuf,
    #[serde(default)]
    pub(super) cases: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct AnswersFields {
    pub(super) file: PathBuf,
    #[serde(flatten)]
    pub(super) usual: CostFields,
    pub(super) question: Vec<QuestionFields>,
    #[serde(flatten)]
    pub(super) unknown: Unknown,
}

/// Fields that nothing else takes: serde does not refuse them where others are shared.
pub(super) type Unknown = BTreeMap<String, toml::Value>;

#[derive(Deserialize, Default, Clone)]
pub(super) struct CostFields {
    pub(super) model: Option<String>,
    pub(super) device: Option<String>,
    pub(super) devices: Option<usize>,
    pub(super) context: Option<usize>,
    pub(super) batch: Option<usize>,
    pub(super) stored: Option<String>,
    pub(super) kv: Option<KvWidth>,
    pub(super) attention: Option<AttentionTraffic>,
    pub(super) rtol: Option<f64>,
}

#[derive(Deserialize)]
pub(super) struct QuestionFields {
    pub(super) id: String,
    pub(super) value: Option<String>,
    pub(super) expected: Option<f64>,
    pub(super) unit: Option<Unit>,
    pub(super) points: Option<Points>,
    #[serde(flatten)]
    pub(super) own: CostFields,
    #[serde(flatten)]
    pub(super) unknown: Unknown,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SpeedUpFields {
    pub(super) model: PathBuf,
    pub(super) prompts: Vec<usize>,
    pub(super) generate: usize,
    pub(super) repeats: Option<usize>,
    pub(super) at: Option<usize>,
    pub(super) ladder: BTreeMap<String, Points>,
}
