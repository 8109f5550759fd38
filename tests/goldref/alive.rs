//! Which candidates are alive: those that compute nothing are not, and those that are wrong somewhere are.

use goldref::candidate::{Candidate, Outcome, ProgramQuestion};
use goldref::eval::{Evaluator, Numerics};
use goldref::fault::{self, FaultAnswer};
use goldref::io::{Array, Checkpoint};
use goldref::model::Model;
use goldref::num::Dtype;
use goldref::ops::{self, Question};
use goldref::property::{self, Kind, Lives, Property, Search, Subject, Verdict};
use goldref::suite::{VariantCandidate, planned};
use goldref::variant::{self, Schedule};
use ndarray::{ArrayD, Axis, Slice};
use std::collections::BTreeMap;
use std::path::PathBuf;

type Answer = BTreeMap<String, ArrayD<f64>>;
type Program = Box<dyn Fn(&ProgramQuestion) -> Outcome>;

fn outcome(answer: Answer) -> Outcome {
    Outcome::of(answer.into_iter().map(|(name, x)| (name, Array::F64(x))).collect())
}

/// goldref's answer to a question about an operation; `edit` changes its inputs.
fn right(question: &ProgramQuestion, edit: impl Fn(&mut BTreeMap<String, Array>)) -> ArrayD<f64> {
    let mut inputs = question.inputs.clone();
    edit(&mut inputs);
    let question_of = Question { params: question.params, arrays: &inputs };
    let op = ops::find(question.op).unwrap();
    op.ask(&question_of, &mut Evaluator::new(Numerics::plain(Dtype::F64))).unwrap().remove("out").unwrap()
}

fn one(name: &str, x: ArrayD<f64>) -> Outcome {
    outcome(BTreeMap::from([(name.to_string(), x)]))
}

/// Operations, by a function of the question and of an array of the right shape.
fn program(f: impl Fn(&ProgramQuestion, ArrayD<f64>) -> ArrayD<f64> + 'static) -> Program {
    Box::new(move |question| one("out", f(question, right(question, |_| ()))))
}

/// An input's numbers in the shape of an answer: from the start again where there are too few.
fn like(x: &ArrayD<f64>, shape: &ArrayD<f64>) -> ArrayD<f64> {
    if let Some(x) = x.broadcast(shape.raw_dim()) {
        return x.to_owned();
    }
    let mut numbers = x.iter().cycle();
    shape.mapv(|_| *numbers.next().unwrap())
}

fn numbers(question: &ProgramQuestion, at: usize) -> ArrayD<f64> {
    let mut floats = question.inputs.values().filter(|array| !matches!(array, Array::I64(_)));
    let found = floats.nth(at).or_else(|| question.inputs.values().next()).unwrap();
    found.to_f64()
}

/// Numbers between -1 and 1 that depend on every bit of every input.
fn noise(question: &ProgramQuestion, shape: &ArrayD<f64>) -> ArrayD<f64> {
    let mut seed = 0xcbf2_9ce4_8422_2325_u64;
    for array in question.inputs.values() {
        for x in array.to_f64().iter() {
            seed = (seed ^ x.to_bits()).wrapping_mul(0x0100_0000_01b3).rotate_left(17);
        }
    }
    shape.mapv(|_| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    })
}

fn softmax(x: &ArrayD<f64>, axis: usize) -> ArrayD<f64> {
    let axis = Axis(axis);
    let largest = x.fold_axis(axis, f64::NEG_INFINITY, |&a, &b| a.max(b)).insert_axis(axis);
    let e = (x - &largest).mapv(f64::exp);
    &e / &e.sum_axis(axis).insert_axis(axis)
}

/// Values in the shape of the output: each head's `f` of its values `[kv_len, head_dim]`, in each row.
fn of_values(question: &ProgramQuestion, shape: &ArrayD<f64>, f: fn(&ArrayD<f64>) -> ArrayD<f64>) -> ArrayD<f64> {
    let Some(v) = question.inputs.get("v").map(Array::to_f64) else { return like(&f(&numbers(question, 0)), shape) };
    let value = f(&v).insert_axis(Axis(2));
    let group = shape.shape()[1] / v.shape()[1];
    let heads: Vec<usize> = (0..shape.shape()[1]).map(|head| head / group).collect();
    value.select(Axis(1), &heads).broadcast(shape.raw_dim()).unwrap().to_owned()
}

/// Candidates that compute nothing of what is asked.
fn dead() -> Vec<(&'static str, Program)> {
    let projected = |question: &ProgramQuestion, shape: &ArrayD<f64>| {
        // One fixed matrix for all inputs, of numbers that have no order.
        let all: Vec<f64> = question.inputs.values().flat_map(|array| array.to_f64().into_iter()).collect();
        let mut row = 0.0_f64;
        shape.mapv(|_| {
            row += 1.0;
            all.iter()
                .enumerate()
                .map(|(at, x)| x * (12.9898 * row + 78.233 * at as f64 * row.sqrt()).sin())
                .sum::<f64>()
        })
    };
    vec![
        ("zeros", program(|_, out| out * 0.0)),
        ("ones", program(|_, out| out * 0.0 + 1.0)),
        ("a copy of the first input", program(|question, out| like(&numbers(question, 0), &out))),
        ("a copy of the second input", program(|question, out| like(&numbers(question, 1), &out))),
        ("a copy of the third input", program(|question, out| like(&numbers(question, 2), &out))),
        (
            "the last input",
            program(|question, out| like(&question.inputs.values().next_back().unwrap().to_f64(), &out)),
        ),
        (
            "the sum of all inputs",
            program(|question, out| {
                let zero = &out * 0.0;
                question.inputs.values().fold(zero, |sum, x| sum + like(&x.to_f64(), &out))
            }),
        ),
        ("x / n", program(|question, out| like(&(numbers(question, 0) / out.shape()[out.ndim() - 1] as f64), &out))),
        (
            "the mean of v",
            program(|question, out| {
                of_values(question, &out, |v| v.mean_axis(Axis(v.ndim().saturating_sub(2))).unwrap())
            }),
        ),
        (
            "the first value",
            program(|question, out| {
                of_values(question, &out, |v| v.index_axis(Axis(v.ndim().saturating_sub(2)), 0).to_owned())
            }),
        ),
        (
            "the last value",
            program(|question, out| {
                of_values(question, &out, |v| {
                    v.index_axis(Axis(v.ndim().saturating_sub(2)), v.shape()[v.ndim().saturating_sub(2)] - 1).to_owned()
                })
            }),
        ),
        ("noise of the inputs", program(|question, out| noise(question, &out))),
        ("noise around a mean", program(|question, out| noise(question, &out) * 0.01 + 1.0 / out.len() as f64)),
        ("sign(x)", program(|question, out| like(&numbers(question, 0).mapv(f64::signum), &out))),
        (
            "uniform",
            program(|_, out| {
                let n = out.shape()[out.ndim() - 1] as f64;
                out * 0.0 + 1.0 / n
            }),
        ),
        (
            "one-hot at the largest",
            program(|question, out| {
                let x = like(&numbers(question, 0), &out);
                let axis = Axis(x.ndim() - 1);
                let largest = x.fold_axis(axis, f64::NEG_INFINITY, |&a, &b| a.max(b)).insert_axis(axis);
                let largest = largest.broadcast(x.raw_dim()).unwrap().to_owned();
                ndarray::Zip::from(&x).and(&largest).map_collect(|&x, &largest| f64::from(u8::from(x == largest)))
            }),
        ),
        ("random projections", program(move |question, out| projected(question, &out))),
        ("a sigmoid", program(|question, out| like(&numbers(question, 0).mapv(|x| 1.0 / (1.0 + (-x).exp())), &out))),
    ]
}

fn edited(array: &'static str, edit: fn(ArrayD<f64>) -> ArrayD<f64>) -> Program {
    Box::new(move |question| {
        let out = right(question, |inputs| {
            if let Some(x) = inputs.get(array).map(Array::to_f64) {
                inputs.insert(array.to_string(), Array::F64(edit(x)));
            }
        });
        one("out", out)
    })
}

fn bf16(x: f64) -> f64 {
    let bits = (x as f32).to_bits();
    f64::from(f32::from_bits((bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff_0000))
}

fn tile(mut x: ArrayD<f64>, value: f64) -> ArrayD<f64> {
    let axis = x.ndim() - 2;
    let len = x.shape()[axis];
    x.slice_axis_mut(Axis(axis), Slice::from(len - len.div_ceil(4)..len)).fill(value);
    x
}

/// Candidates that are wrong somewhere.
fn wrong() -> Vec<(&'static str, Program)> {
    fn swapped(question: &ProgramQuestion, param: &str, from: &str, to: &str) -> Outcome {
        let mut params = question.params.clone();
        if params.get(param).and_then(|value| value.as_str()) == Some(from) {
            params[param] = to.into();
        }
        one("out", right(&ProgramQuestion { params: &params, ..*question }, |_| ()))
    }
    vec![
        ("right", program(|_, out| out)),
        ("a scale of two", program(|_, out| out * 2.0)),
        ("bf16", program(|_, out| out.mapv(bf16))),
        ("a tile of zeros", program(|_, out| tile(out, 0.0))),
        ("a tile of ones", program(|_, out| tile(out, 1.0))),
        (
            "no scale",
            edited("q", |q| {
                let d = q.shape()[q.ndim() - 1] as f64;
                q * d.sqrt()
            }),
        ),
        (
            "a scale of 1 / d",
            edited("q", |q| {
                let d = q.shape()[q.ndim() - 1] as f64;
                q / d.sqrt()
            }),
        ),
        ("an offset", program(|_, out| out + 3.0)),
        ("half split alone", Box::new(|question| swapped(question, "layout", "interleaved", "half_split"))),
        ("interleaved alone", Box::new(|question| swapped(question, "layout", "half_split", "interleaved"))),
        (
            "the other layout",
            Box::new(|question| {
                let half = question.params.get("layout").and_then(|value| value.as_str()) == Some("half_split");
                if half {
                    swapped(question, "layout", "half_split", "interleaved")
                } else {
                    swapped(question, "layout", "interleaved", "half_split")
                }
            }),
        ),
        ("no causal mask", Box::new(|question| swapped(question, "causal", "bottom_right", "none"))),
        (
            "turns the other way",
            Box::new(|question| {
                // The second feature of each pair, the other way round before and after.
                let half = question.params.get("layout").and_then(|value| value.as_str()) == Some("half_split");
                let mirrored = |mut x: ArrayD<f64>| {
                    let len = x.shape()[x.ndim() - 1];
                    for (at, x) in x.iter_mut().enumerate() {
                        let feature = at % len;
                        let second = if half { feature >= len / 2 } else { feature % 2 == 1 };
                        *x *= if second { -1.0 } else { 1.0 };
                    }
                    x
                };
                if question.op != "rope" {
                    return one("out", right(question, |_| ()));
                }
                let out = right(question, |inputs| {
                    let x = mirrored(inputs["x"].to_f64());
                    inputs.insert("x".to_string(), Array::F64(x));
                });
                one("out", mirrored(out))
            }),
        ),
        (
            "positions from 1",
            Box::new(|question| {
                one(
                    "out",
                    right(question, |inputs| {
                        if let Some(ids) = inputs.get("position_ids").and_then(|ids| ids.to_i64().ok()) {
                            inputs.insert("position_ids".to_string(), Array::I64(ids + 1));
                        }
                    }),
                )
            }),
        ),
        (
            "heads tiled",
            Box::new(|question| {
                one(
                    "out",
                    right(question, |inputs| {
                        let heads = inputs.get("q").map_or(0, |q| q.to_f64().shape()[1]);
                        for name in ["k", "v", "past_key", "past_value"] {
                            if let Some(x) = inputs.get(name).map(Array::to_f64) {
                                let tiled: Vec<usize> = (0..heads).map(|head| head % x.shape()[1]).collect();
                                inputs.insert(name.to_string(), Array::F64(x.select(Axis(1), &tiled)));
                            }
                        }
                    }),
                )
            }),
        ),
        (
            "the other axis",
            program(
                |question, out| {
                    if question.op == "softmax" { softmax(&numbers(question, 0), out.ndim() - 2) } else { out }
                },
            ),
        ),
        (
            "not normalised",
            program(|question, out| {
                let x = numbers(question, 0);
                let axis = Axis(x.ndim() - 1);
                let largest = x.fold_axis(axis, f64::NEG_INFINITY, |&a, &b| a.max(b)).insert_axis(axis);
                if question.op == "softmax" { (&x - &largest).mapv(f64::exp) } else { out }
            }),
        ),
        ("weight + 1", edited("weight", |weight| weight + 1.0)),
        (
            "a mean subtracted",
            edited("x", |x| {
                let axis = Axis(x.ndim() - 1);
                let mean = x.mean_axis(axis).unwrap().insert_axis(axis);
                x - mean
            }),
        ),
        (
            "the root left out",
            program(|question, out| {
                let x = numbers(question, 1);
                if question.op != "rms_norm" {
                    return out;
                }
                let square = (&x * &x).mean_axis(Axis(1)).unwrap().insert_axis(Axis(1));
                out / square.mapv(f64::sqrt)
            }),
        ),
        (
            "no norm",
            program(|question, out| {
                if question.op != "rms_norm" {
                    return out;
                }
                numbers(question, 1) * numbers(question, 0)
            }),
        ),
    ]
}

fn operations() -> impl Iterator<Item = &'static Property> {
    property::ALL.iter().filter(|property| !property.is_about_models())
}

fn models() -> impl Iterator<Item = &'static Property> {
    property::ALL.iter().filter(|property| property.is_about_models())
}

fn checkpoint(suite: &str, model: &str) -> PathBuf {
    super::root().join("fixtures").join(suite).join("models").join(model)
}

fn life(property: &Property, subject: &Subject, candidate: &mut dyn Candidate, lives: &mut Lives) -> Verdict {
    lives.judged(Verdict::Holds { samples: 1 }, property, subject, candidate, Dtype::F32).unwrap()
}

/// Logits of a model's question that `f` makes of its tokens and the shape, request by request.
fn logits(model: &'static str, f: impl Fn(&ArrayD<i64>, ArrayD<f64>) -> ArrayD<f64> + 'static) -> Program {
    let vocab = serde_json::from_str::<serde_json::Value>(
        &std::fs::read_to_string(checkpoint("decode", model).join("config.json")).unwrap(),
    )
    .unwrap()["vocab_size"]
        .as_u64()
        .unwrap() as usize;
    Box::new(move |question| {
        let mut answer = BTreeMap::new();
        for (name, array) in question.inputs {
            if let Some(suffix) = name.strip_prefix("input_ids") {
                let ids = array.to_i64().unwrap();
                let shape = ArrayD::zeros(vec![ids.shape()[0], ids.shape()[1], vocab]);
                answer.insert(format!("logits{suffix}"), f(&ids, shape));
            }
        }
        outcome(answer)
    })
}

/// Candidates for a model that compute nothing of it, or nothing of a token's context.
fn dead_models(model: &'static str) -> Vec<(&'static str, Program)> {
    let folder = checkpoint("decode", model);
    let whole: Model<f64> = Model::load(&Checkpoint::open(&folder).unwrap(), Dtype::F64).unwrap();
    let alone = logits(model, move |ids, shape| {
        // Each token as a request of its own.
        let len = ids.shape()[1];
        let tokens = ArrayD::from_shape_vec(vec![ids.len(), 1], ids.iter().copied().collect()).unwrap();
        let inputs = BTreeMap::from([("input_ids".to_string(), Array::I64(tokens))]);
        let (_, plan) = planned(&serde_json::json!({"model": "m"}), &inputs, Schedule::AsAsked).unwrap();
        let FaultAnswer::Logits(logits) = fault::run(&whole, &plan, &Numerics::plain(Dtype::F64), &[]).unwrap() else {
            panic!()
        };
        let out = logits[""].clone().into_shape_with_order(vec![ids.shape()[0], len, shape.shape()[2]]).unwrap();
        out.into_dyn()
    });
    let hot = |ids: &ArrayD<i64>, mut shape: ArrayD<f64>, sum: fn(&mut [f64], usize)| {
        let vocab = shape.shape()[2];
        let mut at = ids.iter();
        for mut request in shape.outer_iter_mut() {
            let mut row = vec![0.0; vocab];
            for mut token in request.outer_iter_mut() {
                sum(&mut row, *at.next().unwrap() as usize);
                token.assign(&ndarray::Array1::from(row.clone()));
            }
        }
        shape
    };
    let noise = |ids: &ArrayD<i64>, shape: ArrayD<f64>| {
        let mut seed =
            ids.iter().fold(7_u64, |seed, &id| (seed ^ id as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(9));
        shape.mapv(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        })
    };
    vec![
        ("zeros", logits(model, |_, shape| shape)),
        ("each token alone", alone),
        (
            "uniform",
            logits(model, |_, shape| {
                let n = shape.shape()[2] as f64;
                shape + 1.0 / n
            }),
        ),
        (
            "the token itself",
            logits(model, move |ids, shape| {
                hot(ids, shape, |row, id| {
                    row.fill(0.0);
                    row[id] = 1.0;
                })
            }),
        ),
        ("noise of the tokens", logits(model, noise)),
        ("the tokens so far", logits(model, move |ids, shape| hot(ids, shape, |row, id| row[id] += 1.0))),
        (
            "the tokens as numbers",
            logits(model, |ids, shape| {
                let ids = ids.mapv(|id| id as f64).insert_axis(Axis(2));
                ids.broadcast(shape.raw_dim()).unwrap().to_owned()
            }),
        ),
    ]
}

fn faulty(model: &'static str, fault: &'static fault::Fault) -> Program {
    let folder = checkpoint("decode", model);
    let whole: Model<f64> = Model::load(&Checkpoint::open(&folder).unwrap(), Dtype::F64).unwrap();
    Box::new(move |question| {
        let (_, plan) = planned(question.params, question.inputs, Schedule::AsAsked).unwrap();
        let exact = Numerics::plain(Dtype::F64);
        match fault::run(&whole, &plan, &exact, &[fault]) {
            Err(e) => Outcome::Failed(e.to_string()),
            Ok(FaultAnswer::NoPlace) => {
                let FaultAnswer::Logits(logits) = fault::run(&whole, &plan, &exact, &[]).unwrap() else { panic!() };
                outcome(logits.into_iter().map(|(suffix, x)| (format!("logits{suffix}"), x.into_dyn())).collect())
            }
            Ok(FaultAnswer::Logits(logits)) => {
                outcome(logits.into_iter().map(|(suffix, x)| (format!("logits{suffix}"), x.into_dyn())).collect())
            }
        }
    })
}

#[test]
fn a_candidate_that_computes_nothing_is_alive_in_no_operation() {
    for (name, program) in dead() {
        let (mut lives, mut program) = (Lives::default(), |question: &ProgramQuestion| program(question));
        for property in operations() {
            let verdict = life(property, &Subject::Operations, &mut program, &mut lives);
            assert!(matches!(verdict, Verdict::NotAlive { .. }), "{name}, {}: {verdict:?}", property.name);
        }
    }
}

#[test]
fn a_candidate_that_is_wrong_somewhere_is_alive() {
    for (name, program) in wrong() {
        let (mut lives, mut program) = (Lives::default(), |question: &ProgramQuestion| program(question));
        for property in operations() {
            let verdict = life(property, &Subject::Operations, &mut program, &mut lives);
            assert_eq!(verdict, Verdict::Holds { samples: 1 }, "{name}, {}", property.name);
        }
        assert!(
            name != "right"
                || lives.followed().flat_map(|(_, inputs)| inputs).all(|input| {
                    !input.changes.is_empty()
                        && input.changes.iter().all(|change| change.cosine > 0.999 && change.times > 0.999)
                })
        );
    }
}

#[test]
fn no_property_holds_of_zeros() {
    let zeros = || |question: &ProgramQuestion| one("out", right(question, |_| ()) * 0.0);
    let search = Search { samples: 8, seed: 5, stored: Dtype::F32 };
    let (mut lives, mut not_alive) = (Lives::default(), 0);
    for property in operations() {
        let found = property::check(property, &Subject::Operations, &mut zeros(), &search, &mut lives).unwrap();
        assert!(!matches!(found.verdict, Verdict::Holds { .. }), "{}", property.name);
        if let Verdict::NotAlive { input, reason } = found.verdict {
            not_alive += 1;
            let said = format!(
                "the answer does not follow the input \"{input}\": a right answer changes when it changes, and this one does not"
            );
            assert_eq!(reason, said, "{}", property.name);
        }
    }
    // What compares two answers held before.
    assert!(not_alive >= 12, "{not_alive}");

    let subject = Subject::load(&checkpoint("decode", "gpt2"), "gpt2", Dtype::F32).unwrap();
    let zeros = dead_models("gpt2").remove(0).1;
    let mut zeros = |question: &ProgramQuestion| zeros(question);
    for property in models() {
        // Also of positions-relative, which says nothing of gpt2.
        let found = property::check(property, &subject, &mut zeros, &search, &mut lives).unwrap();
        assert!(matches!(found.verdict, Verdict::NotAlive { .. }), "{}: {found:?}", property.name);
    }
}

#[test]
fn each_form_of_question_has_a_life_of_its_own() {
    for (form, property) in [("past_key", "attention-cache"), ("attention_mask", "masked-1e30")] {
        // Right, but for questions with this input.
        let mut candidate = |question: &ProgramQuestion| {
            let out = right(question, |_| ());
            one("out", if question.inputs.contains_key(form) { out * 0.0 } else { out })
        };
        let mut lives = Lives::default();
        for other in ["attention-causal", "attention-permuted"] {
            let other = property::find(other).unwrap();
            let verdict = life(other, &Subject::Operations, &mut candidate, &mut lives);
            assert_eq!(verdict, Verdict::Holds { samples: 1 });
        }
        let property = property::find(property).unwrap();
        let verdict = life(property, &Subject::Operations, &mut candidate, &mut lives);
        assert!(matches!(verdict, Verdict::NotAlive { .. }), "{}: {verdict:?}", property.name);
    }
}

#[test]
fn a_model_that_sees_no_context_is_not_alive() {
    for model in ["llama", "gpt2", "bloom"] {
        let subject = Subject::load(&checkpoint("decode", model), model, Dtype::F32).unwrap();
        for (name, program) in dead_models(model) {
            let (mut lives, mut program) = (Lives::default(), |question: &ProgramQuestion| program(question));
            for property in models() {
                let verdict = life(property, &subject, &mut program, &mut lives);
                assert!(matches!(verdict, Verdict::NotAlive { .. }), "{model}, {name}, {}: {verdict:?}", property.name);
            }
        }
    }
}

#[test]
fn a_model_with_a_fault_is_alive() {
    for model in ["llama", "gpt2"] {
        let subject = Subject::load(&checkpoint("decode", model), model, Dtype::F32).unwrap();
        for name in [
            "scale-twice",
            "scale-missing",
            "mask-strict",
            "mask-none",
            "rope-pairing",
            "gqa-tile-vs-repeat",
            "norm-weight-missing",
        ] {
            let Some(fault) = fault::find(name) else { panic!("{name}") };
            let (mut lives, program) = (Lives::default(), faulty(model, fault));
            let mut program = |question: &ProgramQuestion| program(question);
            for property in models() {
                let verdict = life(property, &subject, &mut program, &mut lives);
                assert_eq!(verdict, Verdict::Holds { samples: 1 }, "{model}, {name}, {}", property.name);
            }
        }
    }
}

#[test]
fn right_candidates_of_every_format_are_alive() {
    for variant in variant::ALL.iter().filter(|variant| variant.answers_operations()) {
        let (mut lives, mut candidate) = (Lives::default(), VariantCandidate::new(variant));
        for property in operations() {
            let verdict = Verdict::Holds { samples: 1 };
            let found = lives.judged(verdict.clone(), property, &Subject::Operations, &mut candidate, variant.coarsest);
            assert_eq!(found.unwrap(), verdict, "{}, {}", variant.name, property.name);
        }
    }
    for name in ["f64", "bf16", "f32-paged", "f32-cache-f8", "f32-cache-int8", "bf16-tp4"] {
        let variant = variant::find(name).unwrap();
        let subject = Subject::load(&checkpoint("model", "qwen3"), "qwen3", variant.coarsest).unwrap();
        let (mut lives, mut candidate) = (Lives::default(), VariantCandidate::new(variant));
        for property in models() {
            let verdict = Verdict::Holds { samples: 1 };
            let found = lives.judged(verdict.clone(), property, &subject, &mut candidate, variant.coarsest).unwrap();
            assert!(
                matches!(found, Verdict::Holds { .. } | Verdict::Unsupported { .. }),
                "{name}, {}: {found:?}",
                property.name
            );
        }
    }
}

#[test]
fn a_life_is_asked_once_and_only_where_a_property_holds() {
    let search = Search { samples: 4, seed: 1, stored: Dtype::F32 };
    let asked = std::cell::Cell::new(0);
    let mut right = |question: &ProgramQuestion| {
        asked.set(asked.get() + 1);
        one("out", right(question, |_| ()))
    };
    let mut lives = Lives::default();
    let mut count = |name: &str, candidate: &mut dyn Candidate| {
        asked.set(0);
        property::check(property::find(name).unwrap(), &Subject::Operations, candidate, &search, &mut lives).unwrap();
        asked.get()
    };
    // Two questions of each sample; six samples, each with x changed too.
    assert_eq!(count("softmax-shift", &mut right), 8 + 12);
    assert_eq!(count("softmax-permuted", &mut right), 8);
    // Questions with a cache are of another form: four samples of 1 + 5.
    assert_eq!(count("attention-causal", &mut right), 8 + 24);
    assert_eq!(count("attention-cache", &mut right), 8 + 24);
    assert_eq!(count("attention-gqa", &mut right), 8);
    let mut wrong = |_: &ProgramQuestion| {
        asked.set(asked.get() + 1);
        Outcome::Answered { arrays: BTreeMap::new(), took: std::time::Duration::ZERO }
    };
    let mut lives = Lives::default();
    property::check(property::find("matmul-exact").unwrap(), &Subject::Operations, &mut wrong, &search, &mut lives)
        .unwrap();
    assert_eq!(lives.followed().count(), 0);
}

#[test]
fn what_ends_in_a_question_of_life_is_what_it_is_elsewhere() {
    let property = property::find("rope-exact").unwrap();
    assert_eq!(property.kind, Kind::Exact);
    let search = Search { samples: 4, seed: 1, stored: Dtype::F32 };
    let found = |other: fn() -> Outcome| {
        // At position 0, where the property asks, it is right.
        let mut candidate = |question: &ProgramQuestion| {
            let zero = question.inputs["position_ids"].to_i64().unwrap().iter().all(|&position| position == 0);
            if zero { one("out", right(question, |_| ())) } else { other() }
        };
        property::check(property, &Subject::Operations, &mut candidate, &search, &mut Lives::default()).unwrap().verdict
    };
    assert_eq!(found(|| Outcome::Unsupported("no".to_string())), Verdict::Unsupported { why: "no".to_string() });
    let Verdict::Broken(failure) = found(|| Outcome::Crashed("it fell".to_string())) else { panic!() };
    assert!(failure.reason.contains("it fell"), "{failure:?}");
    let Verdict::Broken(failure) = found(|| one("other", ArrayD::zeros(vec![1]))) else { panic!() };
    assert_eq!(failure.reason, "an array of its answer is missing or has another shape");
    // Some have this shape, and in the others it is wrong.
    let Verdict::Broken(failure) = found(|| one("out", ArrayD::zeros(vec![1, 2, 8, 8]))) else { panic!() };
    assert_eq!(failure.reason, "an array of its answer is missing or has another shape");
}
