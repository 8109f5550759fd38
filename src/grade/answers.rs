//! Numbers worked out on paper, held against the cost model.

use super::assignment::{Answers, Question, Worked};
use super::files::own_file;
use super::points::Points;
use super::report_data::{Item, ItemKind, Reason};
use super::standing::Standing;
use crate::cost::{CostQuestion, Device, Machine, spec_of};
use crate::error::{Error, Result};
use crate::eval::CacheStorage;
use crate::io::disk;
use crate::model::kv_cache::CacheKind;
use std::collections::BTreeMap;
use std::path::Path;

/// A question with its right answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RightAnswer {
    /// In the unit of the question.
    value: f64,
    /// Factors that a usual mistake makes, and which.
    mistakes: Vec<(f64, String)>,
}

/// Bytes of a file of answers.
const LONGEST: u64 = 1 << 20;
/// A factor is recognised when it is this near.
const NEAR: f64 = 0.01;

impl RightAnswer {
    /// Works it out.
    pub(super) fn of(question: &Question) -> Result<Self> {
        let of_question = |e: Error| Error::ask(format!("question {}: {e}", question.id));
        let mut mistakes: Vec<(f64, String)> = [
            (0.5, "half of it: keys and values are two, and so are the operations of a multiply-add"),
            (2.0, "twice of it"),
            (1.073741824, "a power of 1024 in place of 1000 (GiB and GB)"),
            (1.0 / 1.073741824, "a power of 1000 in place of 1024 (GB and GiB)"),
            (8.0, "eight times as much: bits in place of bytes"),
        ]
        .map(|(factor, words)| (factor, words.to_string()))
        .into();
        let value = match &question.worked {
            Worked::Given(value) => *value,
            Worked::Cost { model, .. } => {
                let spec = spec_of(model).map_err(of_question)?;
                if let Some(layer) = spec.layers.first() {
                    let group = layer.attention.num_attention_heads as f64 / layer.attention.num_key_value_heads as f64;
                    if group > 1.0 {
                        let words = "as if each query head had keys and values of its own".to_string();
                        // Before the others, which are less particular.
                        mistakes.insert(0, (group, words));
                    }
                    let layers = spec.layers.len() as f64;
                    mistakes.push((1.0 / layers, "of one layer, not of all".to_string()));
                }
                worked_out(&question.worked).map_err(of_question)?
            }
        };
        Ok(Self { value, mistakes })
    }
}

/// The value of the cost model.
fn worked_out(worked: &Worked) -> Result<f64> {
    let Worked::Cost { value, model, device, devices, context, batch, stored, kv_width, traffic } = worked else {
        return Err(Error::ask("the cost model is not asked"));
    };
    let spec = spec_of(model)?;
    let machine = match device.as_deref().map(Device::find).transpose()? {
        None => None,
        Some(device) => {
            let peak = device.peak(*stored);
            let roofline = peak.map(|peak| crate::cost::Roofline { peak, bandwidth: device.bandwidth });
            Some(Machine { name: device.name.to_string(), memory: device.memory.into(), roofline })
        }
    };
    let question = CostQuestion {
        name: model.clone(),
        spec: &spec,
        context: *context,
        batch: *batch,
        weights: *stored,
        activations: *stored,
        cache: CacheKind::Contiguous,
        cache_storage: CacheStorage::AsComputed,
        kv_width: *kv_width,
        traffic: *traffic,
        machine,
        reserve: 0,
        devices: *devices,
    };
    let report = question.answer()?.as_value()?;
    let found = value.split('.').try_fold(&report, |at, name| match name.parse::<usize>() {
        Ok(index) => at.get(index),
        Err(_) => at.get(name),
    });
    let number = found.and_then(serde_json::Value::as_f64).filter(|number| number.is_finite());
    number.ok_or_else(|| Error::ask(format!("\"{value}\" is no number of `goldref cost --format json` for it")))
}

/// Grades the answers in a file of the submission.
pub(super) fn graded(answers: &Answers, right: &[RightAnswer], folder: &Path, points: &Points) -> Result<Vec<Item>> {
    let given = read(folder, &answers.file);
    let all: Points = answers.questions.iter().map(|question| &question.weight).sum();
    let one = |(question, right): (&Question, &RightAnswer)| {
        let out_of = if all == Points::zero() { Points::zero() } else { &(points * &question.weight) * &all.inverse() };
        let (passed, standing, reason) = match &given {
            Err(why) => (false, "no answer", same(why.clone())),
            Ok(given) => judged(question, right, given.get(&question.id).map(String::as_str)),
        };
        Ok(Item {
            name: question.id.clone(),
            kind: ItemKind::Answer,
            hidden: true,
            points: if passed { out_of.clone() } else { Points::zero() },
            out_of,
            met: None,
            standing: Standing::of(standing)?,
            reason: (!passed).then_some(reason),
        })
    };
    answers.questions.iter().zip(right).map(one).collect()
}

fn judged(question: &Question, right: &RightAnswer, given: Option<&str>) -> (bool, &'static str, Reason) {
    let Some(text) = given.filter(|text| !text.trim().is_empty()) else {
        return (false, "no answer", same("there is no answer".to_string()));
    };
    let number = match question.unit.read(text) {
        Ok(number) => number,
        Err(e) => return (false, "no answer", same(e.to_string())),
    };
    let off = (number - right.value).abs();
    if off <= question.rtol * right.value.abs() {
        return (true, "agrees", same(String::new()));
    }
    let ratio = number / right.value;
    let mistake = right.mistakes.iter().find(|(factor, _)| (ratio / factor - 1.0).abs() <= NEAR);
    let category = mistake.map_or_else(|| "another number".to_string(), |(_, words)| format!("this is {words}"));
    let (shown, is) = (question.unit.show(number), question.unit.show(right.value));
    let percent = 100.0 * question.rtol;
    let full = format!("{shown}, and {is} is right ({percent} % allowed): {category}");
    (false, "wrong", Reason::on_paper(category, full))
}

/// Where nothing is said of the right number.
fn same(text: String) -> Reason {
    Reason::on_paper(text.clone(), text)
}

/// The answers by their names; `Err` says what is wrong with the file.
fn read(folder: &Path, name: &Path) -> std::result::Result<BTreeMap<String, String>, String> {
    let shown = name.display();
    let path = own_file(folder, name).ok_or_else(|| format!("there is no file {shown}"))?;
    let bytes =
        disk::read_whole(&path, LONGEST).map_err(|_| format!("{shown} cannot be read, or is longer than 1 MiB"))?;
    let text = String::from_utf8(bytes).map_err(|_| format!("{shown} is no text in UTF-8"))?;
    let is_json = path.extension().is_some_and(|extension| extension == "json");
    let parsed: std::result::Result<toml::Table, String> = if is_json {
        serde_json::from_slice(text.as_bytes()).map_err(|e| e.to_string())
    } else {
        text.parse().map_err(|e: toml::de::Error| e.message().to_string())
    };
    let table = parsed.map_err(|e| format!("{shown} cannot be read: {}", e.lines().next().unwrap_or_default()))?;
    let mut answers = BTreeMap::new();
    for (name, value) in table {
        let text = match value {
            toml::Value::String(text) => text,
            other => other.to_string(),
        };
        answers.insert(name, text);
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::super::assignment::Hints;
    use super::super::quantity::Unit;
    use super::*;
    use crate::cost::{AttentionTraffic, KvWidth};
    use crate::num::Dtype;

    fn question(value: &str, unit: Unit, rtol: f64) -> Question {
        let worked = Worked::Cost {
            value: value.to_string(),
            model: "llama-3-8b".to_string(),
            device: Some("a100-80gb".to_string()),
            devices: 1,
            context: 8192,
            batch: 1,
            stored: Dtype::Bf16,
            kv_width: KvWidth::Heads,
            traffic: AttentionTraffic::Eager,
        };
        Question { id: value.to_string(), worked, unit, rtol, weight: Points::one() }
    }

    #[test]
    fn an_answer_counts_within_its_tolerance_and_a_usual_mistake_is_named() {
        // 2 · 32 layers · 8 heads · 128 · 2 bytes.
        let kv = question("kv_cache.bytes_a_token", Unit::Bytes, 0.01);
        let right = RightAnswer::of(&kv).unwrap();
        let passed = |text: &str| judged(&kv, &right, Some(text)).0;
        assert!(passed("128 KiB") && passed("131072") && passed("131 kB") && passed("132.3 kB"));
        assert!(!passed("133 kB") && !passed("128 KB") && !passed("NaN") && !passed("") && !passed("131072 FLOP"));
        let said = |text: &str| judged(&kv, &right, Some(text)).2;
        let hint = |text: &str| said(text).to_student(Hints::Category).unwrap().to_string();
        assert!(hint("64 KiB").contains("half of it"));
        assert!(hint("512 KiB").contains("each query head"));
        assert!(hint("4 KiB").contains("of one layer"));
        assert_eq!(hint("1 KiB"), "another number");
        assert!(!hint("64 KiB").contains("131072") && said("64 KiB").to_staff().contains("131072 bytes is right"));
        let batch = question("capacity.largest_batch", Unit::None, 0.0);
        assert_eq!(RightAnswer::of(&batch).unwrap().value, 59.0);
        assert_eq!(said("64 KiB").to_student(Hints::None), None);
        assert!(RightAnswer::of(&question("kv_cache.bites", Unit::Bytes, 0.0)).is_err());
    }

    #[test]
    fn a_file_of_answers_is_toml_or_json_and_no_link() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("a.toml"), "kv = \"1 GiB\"\nbatch = 59\nx = 1.5e3\n").unwrap();
        std::fs::write(path("a.json"), "{\"kv\": \"1 GiB\"}").unwrap();
        let all = read(folder.path(), Path::new("a.toml")).unwrap();
        assert_eq!((all["kv"].as_str(), all["batch"].as_str(), all["x"].as_str()), ("1 GiB", "59", "1500.0"));
        assert_eq!(read(folder.path(), Path::new("a.json")).unwrap()["kv"], "1 GiB");
        std::fs::write(path("bad.toml"), "kv = ").unwrap();
        assert!(read(folder.path(), Path::new("bad.toml")).unwrap_err().starts_with("bad.toml cannot be read"));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(path("a.toml"), path("link.toml")).unwrap();
            assert_eq!(read(folder.path(), Path::new("link.toml")).unwrap_err(), "there is no file link.toml");
        }
    }
}
