//! Reads an `assignment.toml` and checks what it says.

use super::bounds;
use super::fields::{
    AnswersFields, CostFields, File, LifetimeField, PartFields, QuestionFields, ScoringField, SetField, SpeedUpFields,
};
use super::{Answers, Asked, Assignment, CaseSet, Kind, Part, Points, Question, Rung, Scoring, SpeedUp, Worked};
use crate::candidate::Lifetime;
use crate::cost::{AttentionTraffic, KvWidth};
use crate::error::{Error, Result};
use crate::grade::quantity::Unit;
use crate::io::{disk, limits};
use crate::num::Dtype;
use crate::num::sort::sort_by;
use crate::property;
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// The value of `format` that this version reads.
const FORMAT: &str = "goldref-assignment/1";
/// The file in an assignment's folder.
const NAME: &str = "assignment.toml";

/// As [`Assignment::open`].
pub(super) fn open(path: &Path) -> Result<Assignment> {
    let path = if path.is_dir() { path.join(NAME) } else { path.to_path_buf() };
    let source = disk::read_whole(&path, limits::JSON_BYTES)?;
    let text = std::str::from_utf8(&source).map_err(|_| Error::read(&path, "it is no text in UTF-8"))?;
    let file = File::read(text).map_err(|wrong| Error::read(&path, wrong))?;
    // Where it really is: what lies there is kept from submissions.
    let absolute = path.canonicalize().map_err(|e| Error::read(&path, e))?;
    let folder = absolute.parent().map_or_else(|| PathBuf::from("/"), Path::to_path_buf);
    assignment(file, (absolute, folder), source.clone()).map_err(|e| e.at(&path))
}

fn assignment(file: File, (path, folder): (PathBuf, PathBuf), source: Vec<u8>) -> Result<Assignment> {
    if file.format != FORMAT {
        return Err(Error::ask(format!("its format is \"{}\"; this version reads \"{FORMAT}\"", file.format)));
    }
    for name in &file.candidate.files {
        inside(name, "[candidate] files")?;
    }
    bounds::can_be_started(&file.candidate)?;
    let asked = Asked {
        command: file.candidate.command,
        lifetime: match file.candidate.lifetime {
            None | Some(LifetimeField::AllQuestions) => Lifetime::AllQuestions,
            Some(LifetimeField::OneQuestion) => Lifetime::OneQuestion,
        },
        stored: dtype(file.candidate.stored.as_deref().unwrap_or("f32"))?,
        files: file.candidate.files,
        environment: file.candidate.environment,
        read: file.candidate.read.iter().map(|path| in_folder(&folder, path)).collect::<Result<_>>()?,
        build: file.candidate.build,
    };
    let mut ids = BTreeSet::new();
    let mut parts = Vec::new();
    for fields in file.part {
        let id = fields.id.clone();
        if !is_word(&id) {
            return Err(Error::ask(format!("a part's id is \"{id}\"; it must be letters, digits, - and _")));
        }
        if let Some(unknown) = fields.requires.iter().find(|id| !ids.contains(*id)) {
            return Err(Error::ask(format!("part {id} requires \"{unknown}\", which is no part before it")));
        }
        if !ids.insert(id.clone()) {
            return Err(Error::ask(format!("two parts have the id \"{id}\"")));
        }
        parts.push(part(fields, &folder).map_err(|e| Error::ask(format!("part {id}: {e}")))?);
    }
    if parts.is_empty() {
        return Err(Error::ask("it has no [[part]]"));
    }
    let limits = bounds::limits_of(file.limits)?;
    Ok(Assignment { title: file.title, folder, file: path, source, hints: file.hints, asked, limits, parts })
}

fn part(fields: PartFields, folder: &Path) -> Result<Part> {
    let has_cases = !(fields.visible.is_empty() && fields.hidden.is_empty() && fields.properties.is_empty());
    let kind = match (has_cases, fields.answers, fields.speedup) {
        (true, None, None) => {
            let sets =
                |fields: Vec<SetField>| fields.into_iter().map(|field| set(field, folder)).collect::<Result<_>>();
            for name in &fields.properties {
                if property::find(name).is_none() {
                    return Err(Error::ask(format!("no property is called \"{name}\"; docs/properties.md has them")));
                }
            }
            Kind::Cases {
                visible: sets(fields.visible)?,
                hidden: sets(fields.hidden)?,
                properties: fields.properties,
                ladder: ladder(fields.ladder)?,
                scoring: match fields.scoring {
                    None | Some(ScoringField::EachCase) => Scoring::EachCase,
                    Some(ScoringField::WorstCase) => Scoring::WorstCase,
                },
            }
        }
        (false, Some(answers), None) => Kind::Answers(answers_of(answers, folder)?),
        (false, None, Some(speedup)) => Kind::SpeedUp(speed_up(speedup, folder)?),
        _ => {
            return Err(Error::ask(
                "it must have cases or properties (visible, hidden), or [part.answers], or [part.speedup]: one of them",
            ));
        }
    };
    let passed_at = fields.passed_at.unwrap_or_else(|| Points::one().over(2));
    if passed_at > Points::one() {
        return Err(Error::ask("passed_at is a share of the points, such as \"1/2\", and at most 1"));
    }
    Ok(Part { id: fields.id, title: fields.title, points: fields.points, requires: fields.requires, passed_at, kind })
}

fn set(field: SetField, folder: &Path) -> Result<CaseSet> {
    let (suite, cases) = match field {
        SetField::Suite(suite) => (suite, Vec::new()),
        SetField::Some(fields) => (fields.suite, fields.cases),
    };
    Ok(CaseSet { suite: in_folder(folder, &suite)?, cases })
}

/// Tolerances from the tightest on; who meets a tighter one earns no less.
fn ladder(fields: Option<Vec<(String, Points)>>) -> Result<Vec<Rung>> {
    let fields = fields.unwrap_or_else(|| vec![("1e-4".to_string(), Points::one())]);
    let mut rungs = Vec::new();
    for (text, share) in fields {
        let atol: Option<f64> = text.parse().ok().filter(|atol: &f64| atol.is_finite() && *atol >= 0.0);
        let atol = atol.ok_or_else(|| {
            Error::ask(format!("its ladder has \"{text}\"; a rung is an absolute error such as \"1e-5\""))
        })?;
        rungs.push(Rung { atol, share });
    }
    sort_by(&mut rungs, &|a: &Rung, b: &Rung| a.atol.total_cmp(&b.atol));
    let fine = rungs.first().is_some_and(|rung| rung.share == Points::one())
        && rungs.windows(2).all(|pair| pair[0].share >= pair[1].share && pair[0].atol < pair[1].atol);
    if !fine {
        return Err(Error::ask("its ladder must earn 1 at the tightest tolerance and no more at looser ones"));
    }
    Ok(rungs)
}

fn answers_of(fields: AnswersFields, folder: &Path) -> Result<Answers> {
    none_unknown(fields.unknown.as_deref())?;
    inside(&fields.file, "its file of answers")?;
    let mut ids = BTreeSet::new();
    let mut questions = Vec::new();
    for question in fields.question {
        let id = question.id.clone();
        if !ids.insert(id.clone()) {
            return Err(Error::ask(format!("two questions have the id \"{id}\"")));
        }
        questions.push(
            self::question(question, &fields.usual, folder).map_err(|e| Error::ask(format!("question {id}: {e}")))?,
        );
    }
    if questions.is_empty() {
        return Err(Error::ask("it has no [[part.answers.question]]"));
    }
    Ok(Answers { file: fields.file, questions })
}

fn question(fields: QuestionFields, usual: &CostFields, folder: &Path) -> Result<Question> {
    none_unknown(fields.unknown.as_deref())?;
    let own = fields.own;
    let rtol = own.rtol.or(usual.rtol).unwrap_or(0.01);
    if !(0.0..1.0).contains(&rtol) {
        return Err(Error::ask(format!("its rtol is {rtol}; it must be a share from 0 to below 1, such as 0.01")));
    }
    let worked = match (fields.value, fields.expected) {
        (None, Some(expected)) if expected.is_finite() => Worked::Given(expected),
        (Some(value), None) => {
            let model = own.model.or_else(|| usual.model.clone());
            let model = model.ok_or_else(|| Error::ask("it names no model, nor does its part"))?;
            // A folder beside the assignment, else the name of a public model.
            let beside = folder.join(&model);
            Worked::Cost {
                value,
                model: if beside.exists() { beside.display().to_string() } else { model },
                device: own.device.or_else(|| usual.device.clone()),
                devices: own.devices.or(usual.devices).unwrap_or(1),
                context: own.context.or(usual.context).unwrap_or(8192),
                batch: own.batch.or(usual.batch).unwrap_or(1),
                stored: dtype(own.stored.as_deref().or(usual.stored.as_deref()).unwrap_or("bf16"))?,
                kv_width: own.kv.or(usual.kv).unwrap_or(KvWidth::Heads),
                traffic: own.attention.or(usual.attention).unwrap_or(AttentionTraffic::Eager),
            }
        }
        _ => {
            return Err(Error::ask(
                "it must have a value (a path into `goldref cost --format json`) or an expected number",
            ));
        }
    };
    let (unit, weight) = (fields.unit.unwrap_or(Unit::None), fields.points.unwrap_or_else(Points::one));
    Ok(Question { id: fields.id, worked, unit, rtol, weight })
}

/// A pass of NumPy over a thousand tokens takes two to three times as long as one of goldref, and one without a cache must not earn what two passes are worth.
const SLOW_FACTOR: f64 = 4.0;

fn speed_up(fields: SpeedUpFields, folder: &Path) -> Result<SpeedUp> {
    let at = fields.at.or_else(|| fields.prompts.iter().copied().max()).unwrap_or(0);
    if !fields.prompts.contains(&at) {
        return Err(Error::ask(format!("the speed-up at {at} counts, which is none of its prompts")));
    }
    let mut ladder = Vec::new();
    for (text, share) in fields.ladder {
        let ratio: Option<f64> = text.parse().ok().filter(|ratio: &f64| ratio.is_finite() && *ratio > 0.0);
        ladder.push((
            ratio.ok_or_else(|| Error::ask(format!("its ladder has \"{text}\"; a rung is a ratio such as \"2\"")))?,
            share,
        ));
    }
    sort_by(&mut ladder, &|a: &(f64, Points), b| b.0.total_cmp(&a.0));
    if ladder.first().is_none_or(|(_, share)| *share != Points::one()) || !ladder.iter().is_sorted_by(|a, b| a.1 >= b.1)
    {
        return Err(Error::ask("its ladder must earn 1 at the largest ratio and no more at smaller ones"));
    }
    bounds::can_be_measured(&fields.prompts, fields.generate, fields.repeats)?;
    let slow_factor = fields.slow_factor.unwrap_or(SLOW_FACTOR);
    let positive = slow_factor.is_finite() && slow_factor > 0.0;
    if !positive {
        return Err(Error::ask(format!("its slow_factor is {slow_factor}; it must be a number above 0")));
    }
    let model = in_folder(folder, &fields.model)?;
    Ok(SpeedUp {
        model,
        prompts: fields.prompts,
        generate: fields.generate,
        repeats: fields.repeats.unwrap_or(3).max(1),
        at,
        slow_factor,
        ladder,
    })
}

fn none_unknown(unknown: Option<&str>) -> Result<()> {
    match unknown {
        None => Ok(()),
        Some(name) => Err(Error::ask(format!("there is no field \"{name}\""))),
    }
}

fn dtype(name: &str) -> Result<Dtype> {
    let found = Dtype::ALL.into_iter().find(|dtype| dtype.name() == name && *dtype != Dtype::Tf32);
    found.ok_or_else(|| Error::ask(format!("there is no format \"{name}\"; write f32, f64, bf16 or f16")))
}

fn is_word(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= 40
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// A path that stays in the folder of a submission.
fn inside(path: &Path, what: &str) -> Result<()> {
    let stays = !path.as_os_str().is_empty() && path.components().all(|part| matches!(part, Component::Normal(_)));
    if stays { Ok(()) } else { Err(Error::ask(format!("{what}: \"{}\" leaves the submission", path.display()))) }
}

/// A path that must be there, as seen from the assignment's folder.
fn in_folder(folder: &Path, path: &Path) -> Result<PathBuf> {
    let whole = folder.join(path);
    whole.canonicalize().map_err(|e| Error::ask(format!("\"{}\" cannot be found beside it: {e}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grade::Hints;
    use crate::grade::assignment::Limits;

    fn read(parts: &str) -> Result<Assignment> {
        let text = format!("format = \"{FORMAT}\"\ntitle = \"t\"\n[candidate]\ncommand = [\"./run\"]\n{parts}");
        let file = File::read(&text).map_err(Error::ask)?;
        assignment(file, (PathBuf::from("/a.toml"), PathBuf::from("/")), text.into_bytes())
    }

    const PAPER: &str = r#"
        [[part]]
        id = "p"
        title = "on paper"
        points = "7.5"
        [part.answers]
        file = "answers.toml"
        model = "llama-3-8b"
        [[part.answers.question]]
        id = "kv"
        value = "kv_cache.bytes_a_token"
        unit = "bytes"
    "#;

    #[test]
    fn what_is_left_out_is_as_usual() {
        let assignment = read(PAPER).unwrap();
        assert_eq!(assignment.points(), Points::parse("15/2").unwrap());
        assert_eq!((assignment.hints, &assignment.limits), (Hints::Category, &Limits::default()));
        let Kind::Answers(answers) = &assignment.parts[0].kind else { panic!("{assignment:?}") };
        assert_eq!(answers.questions[0].rtol, 0.01);
        assert!(matches!(&answers.questions[0].worked, Worked::Cost { context: 8192, devices: 1, .. }));
        let limits = "[limits]\nmemory = \"1 GiB\"\nslow_factor = 50\nseconds = 0.5\n";
        let limits = read(&format!("{limits}{PAPER}")).unwrap().limits;
        assert_eq!((limits.sandbox.memory_bytes, limits.slow_factor), (1 << 30, Some(50.0)));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (parts, said) in [
            ("", "missing field `part`"),
            ("[[part]]\nid = \"a\"\ntitle = \"a\"\npoints = 1\n", "part a: it must have cases"),
            ("[[part]]\nid = \"a\"\ntitle = \"a\"\npoints = 1.5\n", "line 8: invalid type: floating point `1.5`"),
            ("[[part]]\nid = \"a b\"\ntitle = \"a\"\npoints = 1\n", "a part's id is \"a b\""),
            ("[[part]]\nid = \"a\"\ntitle = \"\"\npoints = 1\nrequires = [\"z\"]", "part a requires \"z\""),
            (
                "[[part]]\nid = \"a\"\ntitle = \"\"\npoints = 1\nproperties = [\"nice\"]",
                "no property is called \"nice\"",
            ),
            (
                "[[part]]\nid = \"a\"\ntitle = \"\"\npoints = 1\nvisible = [\"not/there\"]",
                "\"not/there\" cannot be found",
            ),
            (
                "[limits]\nmemory = \"much\"\n[[part]]\nid = \"a\"\ntitle = \"\"\npoints = 1\nproperties = [\"cache\"]",
                "[limits] memory: \"much\" is no number",
            ),
            (
                "[[part]]\nid = \"a\"\ntitle = \"\"\npoints = 1\nproperties = [\"cache\"]\nladder = { \"1e-4\" = \"1/2\" }",
                "must earn 1 at the tightest",
            ),
            (
                "[[part]]\nid = \"a\"\ntitle = \"\"\npoints = 1\nproperties = [\"cache\"]\nladder = { \"1e-4\" = 1, \"1e-5\" = \"1/2\" }",
                "must earn 1 at the tightest",
            ),
            (
                "[[part]]\nid = \"a\"\ntitle = \"\"\npoints = 1\nproperties = [\"cache\"]\nladder = { \"nan\" = 1 }",
                "a rung is an absolute error",
            ),
        ] {
            let message = read(parts).unwrap_err().to_string();
            assert!(message.contains(said), "{parts}: {message}");
        }
        let twice = format!("{PAPER}{PAPER}");
        assert!(read(&twice).unwrap_err().to_string().contains("two parts have the id \"p\""));
        let leaves = PAPER.replace("answers.toml", "../../etc/passwd");
        assert!(read(&leaves).unwrap_err().to_string().contains("leaves the submission"));
        let unknown = PAPER.replace("model = ", "modell = ");
        assert!(read(&unknown).unwrap_err().to_string().contains("no field \"modell\""));
        let unknown = PAPER.replace("unit = ", "units = ");
        assert!(read(&unknown).unwrap_err().to_string().contains("question kv: there is no field \"units\""));
    }
}
