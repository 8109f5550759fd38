//! `goldref check --properties`: what every right implementation has, tried on right ones and on wrong ones.

use super::command_line::goldref;
use goldref::candidate::{Outcome, ProgramQuestion};
use goldref::eval::Numerics;
use goldref::fault::{self, FaultAnswer};
use goldref::io::{Array, Checkpoint};
use goldref::model::Model;
use goldref::num::Dtype;
use goldref::ops::{self, Question};
use goldref::property::{self, Failure, Kind, Lives, SavedFailure, Search, Subject, Verdict};
use goldref::suite::{VariantCandidate, planned};
use goldref::variant::{self, Schedule};
use ndarray::{ArrayD, Axis};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tempfile::TempDir;

const SEARCH: Search = Search { samples: 24, seed: 5, stored: Dtype::F32 };

fn variant_candidate(name: &str) -> VariantCandidate {
    VariantCandidate::new(variant::find(name).unwrap())
}

fn checkpoint(suite: &str, model: &str) -> PathBuf {
    super::root().join("fixtures").join(suite).join("models").join(model)
}

#[test]
fn right_programs_have_every_property_of_operations_in_every_format() {
    for name in ["f64", "f32", "bf16", "f16"] {
        let mut candidate = variant_candidate(name);
        let search = Search { stored: variant::find(name).unwrap().coarsest, ..SEARCH };
        for property in property::ALL.iter().filter(|property| !property.is_about_models()) {
            let found = property::check(property, &Subject::Operations, &mut candidate, &search, &mut Lives::default())
                .unwrap();
            assert_eq!(found.verdict, Verdict::Holds { samples: 24 }, "{name}: {}", property.name);
        }
    }
}

#[test]
fn right_programs_have_every_property_of_models() {
    for (suite, model) in [("model", "gpt2"), ("model", "gemma2"), ("decode", "llama")] {
        for name in ["f32", "bf16"] {
            let stored = variant::find(name).unwrap().coarsest;
            let subject = Subject::load(&checkpoint(suite, model), model, stored).unwrap();
            let mut candidate = variant_candidate(name);
            for property in property::ALL.iter().filter(|property| property.is_about_models()) {
                let search = Search { samples: 6, stored, ..SEARCH };
                let found =
                    property::check(property, &subject, &mut candidate, &search, &mut Lives::default()).unwrap();
                let no_place = property.name == "positions-relative" && model == "gpt2";
                let expected = if no_place { Verdict::NoPlace } else { Verdict::Holds { samples: 6 } };
                assert_eq!(found.verdict, expected, "{model} in {name}: {}", property.name);
            }
        }
    }
}

/// goldref in f64, the question or the answer changed.
fn answered(
    question: &ProgramQuestion,
    edit: impl Fn(&mut Value, &mut BTreeMap<String, Array>),
) -> BTreeMap<String, ArrayD<f64>> {
    let (mut params, mut inputs) = (question.params.clone(), question.inputs.clone());
    edit(&mut params, &mut inputs);
    let op = ops::find(question.op).unwrap();
    let mut eval = goldref::eval::Evaluator::new(Numerics::plain(Dtype::F64));
    op.ask(&Question { params: &params, arrays: &inputs }, &mut eval).unwrap()
}

fn outcome(answer: BTreeMap<String, ArrayD<f64>>) -> Outcome {
    Outcome::of(answer.into_iter().map(|(name, x)| (name, Array::F64(x))).collect())
}

fn edited(array: &str, edit: fn(ArrayD<f64>) -> ArrayD<f64>) -> impl Fn(&ProgramQuestion) -> Outcome {
    let array = array.to_string();
    move |question| {
        outcome(answered(question, |_, inputs| {
            if let Some(x) = inputs.get(&array).map(Array::to_f64) {
                inputs.insert(array.clone(), Array::F64(edit(x)));
            }
        }))
    }
}

fn out_edited(edit: fn(ArrayD<f64>) -> ArrayD<f64>) -> impl Fn(&ProgramQuestion) -> Outcome {
    move |question| {
        let mut answer = answered(question, |_, _| ());
        let out = answer.remove("out").unwrap();
        outcome(BTreeMap::from([("out".to_string(), edit(out))]))
    }
}

fn param(name: &'static str, value: Value) -> impl Fn(&ProgramQuestion) -> Outcome {
    move |question| {
        outcome(answered(question, |params, _| {
            if params.get(name).is_some() {
                params[name] = value.clone();
            }
        }))
    }
}

fn last_axis(x: &ArrayD<f64>) -> Axis {
    Axis(x.ndim() - 1)
}

type Wrong = Box<dyn Fn(&ProgramQuestion) -> Outcome>;

/// Query head `h` reads key head `h % kv_heads`.
fn heads_tiled(question: &ProgramQuestion) -> Outcome {
    outcome(answered(question, |_, inputs| {
        let heads = inputs.get("q").map_or(0, |q| q.to_f64().shape()[1]);
        for name in ["k", "v"] {
            if let Some(x) = inputs.get(name).map(Array::to_f64) {
                let tiled: Vec<usize> = (0..heads).map(|head| head % x.shape()[1]).collect();
                inputs.insert(name.to_string(), Array::F64(x.select(Axis(1), &tiled)));
            }
        }
    }))
}

/// For each property of an operation a wrong program that does not have it.
fn wrong_programs() -> Vec<(&'static str, Wrong)> {
    let reversed = |x: ArrayD<f64>| {
        let axis = last_axis(&x);
        let mut x = x;
        x.invert_axis(axis);
        x.as_standard_layout().into_owned()
    };
    let less_mean =
        |axis: usize| move |x: ArrayD<f64>| &x - &(x.mean_axis(Axis(axis)).unwrap().insert_axis(Axis(axis)) * 0.1);
    let first_twice = |mut x: ArrayD<f64>| {
        let first = x.index_axis(Axis(2), 0).to_owned();
        x.index_axis_mut(Axis(2), 0).assign(&(first * 1.5));
        x
    };
    let mean_over_batch = move |x: ArrayD<f64>| less_mean(0)(x);
    let mean_over_heads = move |x: ArrayD<f64>| less_mean(1)(x);
    fn of(f: impl Fn(&ProgramQuestion) -> Outcome + 'static) -> Wrong {
        Box::new(f)
    }
    fn out(f: impl Fn(ArrayD<f64>) -> ArrayD<f64> + 'static) -> Wrong {
        Box::new(move |question| {
            let mut answer = answered(question, |_, _| ());
            let out = answer.remove("out").unwrap();
            outcome(BTreeMap::from([("out".to_string(), f(out))]))
        })
    }
    vec![
        ("softmax-shift", of(edited("x", |x| x.mapv(|x| x.min(60.0))))),
        ("softmax-sum", of(out_edited(|x| x * 0.999))),
        (
            "softmax-permuted",
            out(|mut x| {
                x.index_axis_mut(Axis(2), 0).fill(0.0);
                x
            }),
        ),
        ("softmax-exact", of(edited("x", |x| x.mapv(|x| (x / 1024.0).exp())))),
        (
            "rope-relative",
            of(|question: &ProgramQuestion| {
                outcome(answered(question, |_, inputs| {
                    let ids = inputs["position_ids"].to_i64().unwrap().mapv(|p| p * p);
                    inputs.insert("position_ids".to_string(), Array::I64(ids));
                }))
            }),
        ),
        ("rope-norm", of(out_edited(|x| x * 1.001))),
        (
            "rope-exact",
            of(|question: &ProgramQuestion| {
                outcome(answered(question, |_, inputs| {
                    let ids = inputs["position_ids"].to_i64().unwrap().mapv(|p| p + 1);
                    inputs.insert("position_ids".to_string(), Array::I64(ids));
                }))
            }),
        ),
        ("matmul-exact", of(out_edited(|x| x.mapv(|x| x + 1e-7)))),
        (
            "linear-exact",
            of(|question: &ProgramQuestion| outcome(answered(question, |_, inputs| _ = inputs.remove("bias")))),
        ),
        ("rms_norm-odd", of(edited("weight", |w| w + 1.0))),
        ("attention-causal", of(param("causal", json!("none")))),
        ("attention-cache", of(param("causal", json!("top_left")))),
        ("attention-batch", out(mean_over_batch)),
        ("attention-heads", out(mean_over_heads)),
        ("attention-permuted", of(edited("v", first_twice))),
        ("attention-shift", of(edited("k", |k| k.mapv(|k| k.clamp(-1.0, 1.0))))),
        ("attention-gqa", of(heads_tiled)),
        ("attention-linear", of(edited("v", |v| v.mapv(|v| v.max(0.0))))),
        ("attention-hull", of(out_edited(|x| x * 1.01 + 3.0))),
        ("attention-one-hot", of(edited("v", reversed))),
        ("attention-mean", of(out_edited(|x| x * (1.0 + 1e-9)))),
        (
            "masked-1e30",
            of(|question: &ProgramQuestion| {
                let mut answer = answered(question, |_, _| ());
                let v = question.inputs["v"].to_f64().sum_axis(Axis(2)).insert_axis(Axis(2)) * 1e-9;
                let out = answer.remove("out").unwrap();
                let group = out.shape()[1] / v.shape()[1];
                let repeated: Vec<usize> = (0..out.shape()[1]).map(|head| head / group).collect();
                outcome(BTreeMap::from([("out".to_string(), &out + &v.select(Axis(1), &repeated))]))
            }),
        ),
        (
            "masked-nan",
            of(|question: &ProgramQuestion| {
                let mut answer = answered(question, |_, _| ());
                let nan = question.inputs["v"].to_f64().iter().any(|x| x.is_nan());
                let out = answer.remove("out").unwrap();
                outcome(BTreeMap::from([("out".to_string(), if nan { out * f64::NAN } else { out })]))
            }),
        ),
    ]
}

fn broken(name: &str, subject: &Subject, mut candidate: impl FnMut(&ProgramQuestion) -> Outcome) -> Failure {
    let property = property::find(name).unwrap();
    match property::check(property, subject, &mut candidate, &SEARCH, &mut Lives::default()).unwrap().verdict {
        Verdict::Broken(failure) => failure,
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn each_property_of_an_operation_is_broken_by_a_wrong_program_and_shrinks() {
    let wrong = wrong_programs();
    for property in property::ALL.iter().filter(|property| !property.is_about_models()) {
        let (name, program) = wrong.iter().find(|(name, _)| *name == property.name).unwrap();
        let failure = broken(name, &Subject::Operations, program);
        let sample = &failure.sample;
        let small = sample.batch.max(sample.kv_heads).max(sample.group).max(sample.then);
        assert!(small <= 3 && sample.head_dim <= 4 && sample.first <= 4, "{name}: {}", sample.in_words());
        assert!(failure.error.is_none_or(|error| error > failure.allowed), "{name}: {failure:?}");
        assert!(property.kind != Kind::Exact || failure.allowed == 0.0);
    }
}

#[test]
fn each_property_of_a_model_is_broken_by_a_fault_of_the_catalogue() {
    let folder = checkpoint("decode", "llama");
    let subject = Subject::load(&folder, "llama", Dtype::F32).unwrap();
    let model: Model<f64> = Model::load(&Checkpoint::open(&folder).unwrap(), Dtype::F64).unwrap();
    let faulty = |name: &str| {
        let (fault, model) = (fault::find(name).unwrap(), &model);
        move |question: &ProgramQuestion| {
            let (_, plan) = planned(question.params, question.inputs, Schedule::AsAsked).unwrap();
            let exact = Numerics::plain(Dtype::F64);
            let logits = match fault::run(model, &plan, &exact, &[fault]).unwrap() {
                FaultAnswer::Logits(logits) => logits,
                FaultAnswer::NoPlace => match fault::run(model, &plan, &exact, &[]).unwrap() {
                    FaultAnswer::Logits(logits) => logits,
                    FaultAnswer::NoPlace => unreachable!("a model without faults has its place"),
                },
            };
            outcome(logits.into_iter().map(|(suffix, x)| (format!("logits{suffix}"), x.into_dyn())).collect())
        }
    };
    for (property, fault) in [
        ("causal", "mask-none"),
        ("cache", "mask-top-left"),
        ("batch", "batch-leak"),
        ("left-padding", "pad-mask-dropped"),
        ("padding-content", "pad-mask-dropped"),
        ("second-request", "stale-cache-across-requests"),
        ("positions-relative", "rope-positions-in-bf16"),
    ] {
        let failure = broken(property, &subject, faulty(fault));
        assert!(failure.error.is_some_and(|error| error > failure.allowed), "{property}: {failure:?}");
    }
}

#[test]
fn a_counterexample_is_a_suite_and_can_be_asked_again() {
    let folder = TempDir::new().unwrap();
    let subject = Subject::load(&checkpoint("decode", "llama"), "llama", Dtype::F32).unwrap();
    let property = property::find("batch").unwrap();
    let mut right = variant_candidate("f32");
    let mut wrong = |question: &ProgramQuestion| {
        let many = question.inputs["input_ids"].to_i64().unwrap().shape()[0] > 1;
        match goldref::candidate::Candidate::answer(&mut right, question).unwrap() {
            Outcome::Answered { arrays, .. } if many => {
                outcome(arrays.into_iter().map(|(name, x)| (name, x.to_f64() + 1.0)).collect())
            }
            other => other,
        }
    };
    let failure = broken("batch", &subject, &mut wrong);
    assert_eq!((failure.sample.batch, failure.sample.first, failure.sample.then), (1, 1, 1));
    let saved = property::save(folder.path(), property, &failure, &subject, Dtype::F32).unwrap();
    assert_eq!(saved, folder.path().join("batch_llama"));
    assert!(property::save(folder.path(), property, &failure, &subject, Dtype::F32).is_err());

    // It is a suite like any other.
    let fixtures = saved.display().to_string();
    let checked = goldref().args(["check", "--fixtures", &fixtures, "--variant", "f64"]).output().unwrap();
    let text = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.status.code() == Some(0) && text.contains("2 cases in batch_llama"), "{text}");

    let (read, property, subject) = SavedFailure::open(&saved).unwrap();
    assert_eq!((read.sample.clone(), property.name), (failure.sample, "batch"));
    let again = property::check_again(property, &read.sample, &subject, &mut wrong, Dtype::F32).unwrap();
    assert!(matches!(again.verdict, Verdict::Broken(_)), "{again:?}");
    let replay = ["check", "--properties", "--replay", &fixtures, "--variant", "bf16", "--format", "json"];
    let replayed = goldref().args(replay).output().unwrap();
    let json: Value = serde_json::from_slice(&replayed.stdout).unwrap();
    assert_eq!((replayed.status.code(), &json["results"][0]["verdict"]), (Some(0), &json!("holds")));
    // Sizes of a stranger are looked at first.
    let file = saved.join("property.json");
    let hostile = std::fs::read_to_string(&file).unwrap().replace("\"batch\": 1", "\"batch\": 100000000000");
    std::fs::write(&file, hostile).unwrap();
    assert!(SavedFailure::open(&saved).unwrap_err().to_string().contains("between 1 and 64"));
}

/// Answers attention with zeros.
const ZEROS: &str = r#"
import json, sys
import numpy as np
for line in sys.stdin:
    question = json.loads(line)
    with np.load(question["inputs"]) as inputs:
        np.savez(question["outputs"], out=np.zeros_like(inputs["q"]))
    print(json.dumps({"id": question["id"], "status": "ok"}), flush=True)
"#;

#[test]
fn the_command_says_what_holds_and_what_does_not() {
    let run = |more: &[&str]| {
        let args = [&["check", "--properties", "--property", "attention-ca*"], more].concat();
        let output = goldref().args(args).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, text, _) = run(&["--variant", "f32"]);
    assert!(
        code == Some(0) && text.contains("attention-causal  holds") && text.contains("attention-cache   holds"),
        "{text}"
    );
    // A program that answers everything with the same two numbers.
    let folder = TempDir::new().unwrap();
    let program = super::candidates::always_the_same(folder.path());
    let words: Vec<&str> = std::iter::once("--").chain(program.iter().map(String::as_str)).collect();
    let (code, text, message) = run(&words);
    assert_eq!((code, message.as_str()), (Some(1), ""));
    assert!(text.contains("attention-cache   BROKEN") && text.contains("an array of its answer is missing"), "{text}");
    assert!(text.contains("1 request, 1 query head over 1 key head, head_dim 2, 1 + 1 token"), "{text}");
    assert!(text.contains("look at: a mask aligned top-left"), "{text}");
    // One that answers with zeros of the right shape.
    let (zeros, kept) = (folder.path().join("zeros.py"), folder.path().join("kept"));
    std::fs::write(&zeros, ZEROS).unwrap();
    if super::grading::python_can("import numpy") {
        let words = ["--save", &kept.display().to_string(), "--", "python3", &zeros.display().to_string()];
        let (code, text, message) = run(&words);
        assert_eq!((code, message.as_str()), (Some(1), ""), "{text}");
        assert!(text.contains("attention-causal  NOT ALIVE") && text.contains("attention-cache   NOT ALIVE"), "{text}");
        let said = "attention-causal is not alive: the answer does not follow the input \"k\": a right answer changes";
        assert!(text.contains(said) && !kept.exists(), "{text}");
        let (code, text, _) = run(&[&["--format", "json"], &words[2..]].concat());
        let json: Value = serde_json::from_str(&text).unwrap();
        let result = &json["results"][0];
        assert_eq!((code, &result["verdict"], &result["input"]), (Some(1), &json!("not_alive"), &json!("k")));
    }
    let taken = folder.path().join("attention_cache");
    std::fs::create_dir(&taken).unwrap();
    let taken = folder.path().display().to_string();
    for (more, why) in [
        (&["--variant", "f32", "--save", &taken][..], "attention_cache: it is there already; save in another folder"),
        (&["--property", "no-such", "--variant", "f32"], "no property is called \"no-such\""),
        (&[], "name a program behind --, or a variant with --variant"),
        (&["--variant", "f32-paged"], "no property was tried"),
        (&["--variant", "f32", "--format", "junit"], "properties are printed as text or json"),
    ] {
        let (code, _, message) = run(more);
        assert!(code == Some(2) && message.contains(why), "{more:?}: {message}");
    }
}

#[test]
fn the_page_shows_what_is_printed() {
    let output = goldref().args(["check", "--properties", "--variant", "f32", "--suite", "decode"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let page = std::fs::read_to_string(super::root().join("docs/properties.md")).unwrap();
    assert!(
        output.status.success() && page.contains(&text),
        "docs/properties.md does not show what is printed:\n{text}"
    );
    assert!(property::ALL.iter().all(|property| page.contains(property.name)));
}
