//! The fields of an `assignment.toml`, as they are written.

use super::toml_value::{
    Placed, Read, Wrong, f64, list, named_points, no_word, path, points, required, string, strings, table, u64,
    unknown, usize, word, wrong_type,
};
use super::{Hints, Points};
use crate::cost::{AttentionTraffic, KvWidth};
use crate::grade::quantity::Unit;
use std::collections::BTreeMap;
use std::path::PathBuf;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub(super) struct File {
    pub(super) format: String,
    pub(super) title: String,
    pub(super) hints: Hints,
    pub(super) candidate: AskedFields,
    pub(super) limits: LimitsFields,
    pub(super) part: Vec<PartFields>,
}

impl File {
    /// Reads the text of a file; what is wrong with it is on one line.
    pub(super) fn read(text: &str) -> std::result::Result<Self, String> {
        let read = DeTable::parse(text).map_err(Wrong::from).and_then(|whole| Self::of(&whole));
        read.map_err(|wrong| wrong.on_one_line(text))
    }

    fn of(whole: &Spanned<DeTable>) -> Read<Self> {
        const FIELDS: &[&str] = &["format", "title", "hints", "candidate", "limits", "part"];
        let (mut format, mut title, mut hints, mut candidate, mut limits, mut part) =
            (None, None, None, None, None, None);
        for (key, value) in whole.get_ref() {
            match key.get_ref().as_ref() {
                "format" => format = Some(string(value)?),
                "title" => title = Some(string(value)?),
                "hints" => hints = Some(hints_of(value)?),
                "candidate" => candidate = Some(AskedFields::of(value)?),
                "limits" => limits = Some(LimitsFields::of(value)?),
                "part" => part = Some(list(value, &PartFields::of)?),
                _ => return Err(unknown(key, FIELDS)),
            }
        }
        let place = whole.span();
        Ok(Self {
            format: required(format, "format", &place)?,
            title: required(title, "title", &place)?,
            hints: hints.unwrap_or_default(),
            candidate: required(candidate, "candidate", &place)?,
            limits: limits.unwrap_or_default(),
            part: required(part, "part", &place)?,
        })
    }
}

fn hints_of(value: &Placed) -> Read<Hints> {
    word(value, &["none", "category", "full"], &[Hints::None, Hints::Category, Hints::Full], &no_word)
}

#[derive(Clone, Copy)]
pub(super) enum LifetimeField {
    AllQuestions,
    OneQuestion,
}

pub(super) struct AskedFields {
    pub(super) command: Vec<String>,
    pub(super) lifetime: Option<LifetimeField>,
    pub(super) stored: Option<String>,
    pub(super) files: Vec<PathBuf>,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) read: Vec<PathBuf>,
    pub(super) build: Vec<String>,
}

impl AskedFields {
    fn of(value: &Placed) -> Read<Self> {
        const FIELDS: &[&str] = &["command", "lifetime", "stored", "files", "environment", "read", "build"];
        const LIFETIMES: [LifetimeField; 2] = [LifetimeField::AllQuestions, LifetimeField::OneQuestion];
        let (mut command, mut lifetime, mut stored) = (None, None, None);
        let (mut files, mut environment, mut read, mut build) = (Vec::new(), BTreeMap::new(), Vec::new(), Vec::new());
        for (key, value) in table(value, "struct AskedFields")? {
            match key.get_ref().as_ref() {
                "command" => command = Some(list(value, &string)?),
                "lifetime" => {
                    lifetime = Some(word(value, &["all-questions", "one-question"], &LIFETIMES, &no_word)?);
                }
                "stored" => stored = Some(string(value)?),
                "files" => files = list(value, &path)?,
                "environment" => environment = strings(value)?,
                "read" => read = list(value, &path)?,
                "build" => build = list(value, &string)?,
                _ => return Err(unknown(key, FIELDS)),
            }
        }
        let command = required(command, "command", &value.span())?;
        Ok(Self { command, lifetime, stored, files, environment, read, build })
    }
}

#[derive(Default)]
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

impl LimitsFields {
    fn of(value: &Placed) -> Read<Self> {
        const FIELDS: &[&str] = &[
            "seconds",
            "slow_factor",
            "build_seconds",
            "threads",
            "memory",
            "cpu_seconds",
            "tasks",
            "file",
            "disk",
            "files",
            "output",
        ];
        let mut fields = Self::default();
        for (key, value) in table(value, "struct LimitsFields")? {
            match key.get_ref().as_ref() {
                "seconds" => fields.seconds = Some(f64(value)?),
                "slow_factor" => fields.slow_factor = Some(f64(value)?),
                "build_seconds" => fields.build_seconds = Some(f64(value)?),
                "threads" => fields.threads = Some(u64(value)?),
                "memory" => fields.memory = Some(string(value)?),
                "cpu_seconds" => fields.cpu_seconds = Some(u64(value)?),
                "tasks" => fields.tasks = Some(u64(value)?),
                "file" => fields.file = Some(string(value)?),
                "disk" => fields.disk = Some(string(value)?),
                "files" => fields.files = Some(u64(value)?),
                "output" => fields.output = Some(string(value)?),
                _ => return Err(unknown(key, FIELDS)),
            }
        }
        Ok(fields)
    }
}

pub(super) struct PartFields {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) points: Points,
    pub(super) requires: Vec<String>,
    pub(super) passed_at: Option<Points>,
    pub(super) visible: Vec<SetField>,
    pub(super) hidden: Vec<SetField>,
    pub(super) properties: Vec<String>,
    pub(super) ladder: Option<Vec<(String, Points)>>,
    pub(super) scoring: Option<ScoringField>,
    pub(super) answers: Option<AnswersFields>,
    pub(super) speedup: Option<SpeedUpFields>,
}

impl PartFields {
    fn of(value: &Placed) -> Read<Self> {
        const FIELDS: &[&str] = &[
            "id",
            "title",
            "points",
            "requires",
            "passed_at",
            "visible",
            "hidden",
            "properties",
            "ladder",
            "scoring",
            "answers",
            "speedup",
        ];
        const SCORINGS: [ScoringField; 2] = [ScoringField::EachCase, ScoringField::WorstCase];
        let (mut id, mut title, mut worth, mut passed_at) = (None, None, None, None);
        let (mut requires, mut visible, mut hidden, mut properties) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut ladder, mut scoring, mut answers, mut speedup) = (None, None, None, None);
        for (key, value) in table(value, "struct PartFields")? {
            match key.get_ref().as_ref() {
                "id" => id = Some(string(value)?),
                "title" => title = Some(string(value)?),
                "points" => worth = Some(points(value)?),
                "requires" => requires = list(value, &string)?,
                "passed_at" => passed_at = Some(points(value)?),
                "visible" => visible = list(value, &SetField::of)?,
                "hidden" => hidden = list(value, &SetField::of)?,
                "properties" => properties = list(value, &string)?,
                "ladder" => ladder = Some(named_points(value)?),
                "scoring" => scoring = Some(word(value, &["each-case", "worst-case"], &SCORINGS, &no_word)?),
                "answers" => answers = Some(AnswersFields::of(value)?),
                "speedup" => speedup = Some(SpeedUpFields::of(value)?),
                _ => return Err(unknown(key, FIELDS)),
            }
        }
        let place = value.span();
        Ok(Self {
            id: required(id, "id", &place)?,
            title: required(title, "title", &place)?,
            points: required(worth, "points", &place)?,
            requires,
            passed_at,
            visible,
            hidden,
            properties,
            ladder,
            scoring,
            answers,
            speedup,
        })
    }
}

#[derive(Clone, Copy)]
pub(super) enum ScoringField {
    EachCase,
    WorstCase,
}

/// A suite's folder, or a folder and some of its cases.
pub(super) enum SetField {
    Suite(PathBuf),
    Some(SetFields),
}

impl SetField {
    fn of(value: &Placed) -> Read<Self> {
        let read = match value.get_ref() {
            DeValue::String(_) => path(value).map(Self::Suite),
            _ => SetFields::of(value).map(Self::Some),
        };
        let other = "data did not match any variant of untagged enum SetField";
        read.map_err(|_| <Wrong as serde::de::Error>::custom(other).at(value.span()))
    }
}

pub(super) struct SetFields {
    pub(super) suite: PathBuf,
    pub(super) cases: Vec<String>,
}

impl SetFields {
    fn of(value: &Placed) -> Read<Self> {
        let (mut suite, mut cases) = (None, Vec::new());
        for (key, value) in table(value, "struct SetFields")? {
            match key.get_ref().as_ref() {
                "suite" => suite = Some(path(value)?),
                "cases" => cases = list(value, &string)?,
                _ => return Err(unknown(key, &["suite", "cases"])),
            }
        }
        Ok(Self { suite: required(suite, "suite", &value.span())?, cases })
    }
}

pub(super) struct AnswersFields {
    pub(super) file: PathBuf,
    pub(super) usual: CostFields,
    pub(super) question: Vec<QuestionFields>,
    /// The first field that is not known.
    pub(super) unknown: Option<String>,
}

impl AnswersFields {
    fn of(value: &Placed) -> Read<Self> {
        let (mut file, mut question, mut usual, mut unknown) = (None, None, Vec::new(), None);
        for (key, value) in table(value, "struct AnswersFields")? {
            match key.get_ref().as_ref() {
                "file" => file = Some(path(value)?),
                "question" => question = Some(list(value, &QuestionFields::of)?),
                name if CostFields::NAMES.contains(&name) => usual.push((name, value)),
                name => _ = unknown.get_or_insert_with(|| name.to_string()),
            }
        }
        let place = value.span();
        Ok(Self {
            file: required(file, "file", &place)?,
            question: required(question, "question", &place)?,
            usual: CostFields::of(&usual).map_err(|wrong| wrong.moved_to(place))?,
            unknown,
        })
    }
}

#[derive(Default, Clone)]
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

impl CostFields {
    const NAMES: [&str; 9] = ["model", "device", "devices", "context", "batch", "stored", "kv", "attention", "rtol"];

    fn of(values: &[(&str, &Placed)]) -> Read<Self> {
        const TRAFFIC: [AttentionTraffic; 2] = [AttentionTraffic::Eager, AttentionTraffic::Fused];
        let mut fields = Self::default();
        for &(name, value) in values {
            let no_word = |value: &Placed| wrong_type(value, "string or map");
            match name {
                "model" => fields.model = Some(string(value)?),
                "device" => fields.device = Some(string(value)?),
                "devices" => fields.devices = Some(usize(value)?),
                "context" => fields.context = Some(usize(value)?),
                "batch" => fields.batch = Some(usize(value)?),
                "stored" => fields.stored = Some(string(value)?),
                "kv" => {
                    let widths = [KvWidth::Heads, KvWidth::Hidden];
                    fields.kv = Some(word(value, &["heads", "hidden"], &widths, &no_word)?);
                }
                "attention" => fields.attention = Some(word(value, &["eager", "fused"], &TRAFFIC, &no_word)?),
                _ => fields.rtol = Some(f64(value)?),
            }
        }
        Ok(fields)
    }
}

pub(super) struct QuestionFields {
    pub(super) id: String,
    pub(super) value: Option<String>,
    pub(super) expected: Option<f64>,
    pub(super) unit: Option<Unit>,
    pub(super) points: Option<Points>,
    pub(super) own: CostFields,
    /// The first field that is not known.
    pub(super) unknown: Option<String>,
}

impl QuestionFields {
    fn of(whole: &Placed) -> Read<Self> {
        const UNITS: [Unit; 5] = [Unit::None, Unit::Bytes, Unit::Flop, Unit::FlopPerByte, Unit::Seconds];
        const WORDS: &[&str] = &["none", "bytes", "flop", "flop-per-byte", "seconds"];
        let (mut id, mut value, mut expected, mut unit, mut worth) = (None, None, None, None, None);
        let (mut own, mut unknown) = (Vec::new(), None);
        for (key, field) in table(whole, "struct QuestionFields")? {
            match key.get_ref().as_ref() {
                "id" => id = Some(string(field)?),
                "value" => value = Some(string(field)?),
                "expected" => expected = Some(f64(field)?),
                "unit" => unit = Some(word(field, WORDS, &UNITS, &no_word)?),
                "points" => worth = Some(points(field)?),
                name if CostFields::NAMES.contains(&name) => own.push((name, field)),
                name => _ = unknown.get_or_insert_with(|| name.to_string()),
            }
        }
        let place = whole.span();
        let id = required(id, "id", &place)?;
        let own = CostFields::of(&own).map_err(|wrong| wrong.moved_to(place))?;
        Ok(Self { id, value, expected, unit, points: worth, own, unknown })
    }
}

pub(super) struct SpeedUpFields {
    pub(super) model: PathBuf,
    pub(super) prompts: Vec<usize>,
    pub(super) generate: usize,
    pub(super) repeats: Option<usize>,
    pub(super) at: Option<usize>,
    pub(super) slow_factor: Option<f64>,
    pub(super) ladder: Vec<(String, Points)>,
}

impl SpeedUpFields {
    fn of(value: &Placed) -> Read<Self> {
        const FIELDS: &[&str] = &["model", "prompts", "generate", "repeats", "at", "slow_factor", "ladder"];
        let (mut model, mut prompts, mut generate) = (None, None, None);
        let (mut repeats, mut at, mut slow_factor, mut ladder) = (None, None, None, None);
        for (key, value) in table(value, "struct SpeedUpFields")? {
            match key.get_ref().as_ref() {
                "model" => model = Some(path(value)?),
                "prompts" => prompts = Some(list(value, &usize)?),
                "generate" => generate = Some(usize(value)?),
                "repeats" => repeats = Some(usize(value)?),
                "at" => at = Some(usize(value)?),
                "slow_factor" => slow_factor = Some(f64(value)?),
                "ladder" => ladder = Some(named_points(value)?),
                _ => return Err(unknown(key, FIELDS)),
            }
        }
        let place = value.span();
        Ok(Self {
            model: required(model, "model", &place)?,
            prompts: required(prompts, "prompts", &place)?,
            generate: required(generate, "generate", &place)?,
            repeats,
            at,
            slow_factor,
            ladder: required(ladder, "ladder", &place)?,
        })
    }
}
