//! Which candidates are alive: those that compute nothing are not, and those that are wrong somewhere are.

use goldref::candidate::{Candidate, Outcome, ProgramQuestion};
use goldref::eval::{Evaluator, Numerics};
use goldref::fault::{self, FaultAnswer, OperationQuestion};
use goldref::io::{Array, Checkpoint};
use goldref::model::Model;
use goldref::num::Dtype;
use goldref::ops::{self, Question};
use goldref::property::{self, Lives, Property, Subject, Verdict};
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
        ("aligned top-left", Box::new(|question| swapped(question, "causal", "bottom_right", "top_left"))),
        ("no causal mask", Box::new(|question| swapped(question, "causal", "bottom_right", "none"))),
        (
            "turns the other way",
            Box::new(|question| {
                one(
                    "out",
                    right(question, |inputs| {
                        if let Some(ids) = inputs.get("position_ids").and_then(|ids| ids.to_i64().ok()) {
                            inputs.insert("position_ids".to_string(), Array::I64(-ids));
                        }
                    }),
                )
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

fn shown(lives: &Lives) {
    for (form, followed) in lives.followed() {
        for one in followed {
            let mut c: Vec<f64> = one.changes.iter().map(|x| x.cosine).collect();
            let mut t: Vec<f64> = one.changes.iter().map(|x| x.times).collect();
            c.sort_by(f64::total_cmp);
            t.sort_by(f64::total_cmp);
            if c.is_empty() {
                println!("      {form} {} NOTHING", one.input);
                continue;
            }
            let form = format!("{}{}", form.rsplit('/').next().unwrap(), &one.answer[10..].replace(' ', "_"));
            println!(
                "      {} {form:60} {:12} n={} cos {:.2} {:.2} {:.2} times {:.2}..{:.2}",
                if one.is_alive() { "alive" } else { "DEAD " },
                one.input,
                c.len(),
                c[0],
                c[(c.len() - 1) / 2],
                c[c.len() - 1],
                t[0],
                t[t.len() - 1]
            );
        }
    }
}

#[test]
fn measure_operations() {
    let set = std::env::var("ASIDE").is_ok();
    for (kind, programs) in [("dead", dead()), ("wrong", wrong())] {
        for (at, (name, program)) in programs.into_iter().enumerate() {
            if (at % 2 == 1) != set {
                continue;
            }
            let mut lives = Lives::default();
            let mut program = |question: &ProgramQuestion| program(question);
            let mut verdicts = Vec::new();
            for property in operations() {
                let verdict = life(property, &Subject::Operations, &mut program, &mut lives);
                verdicts.push((property.name, matches!(verdict, Verdict::Holds { .. })));
            }
            let odd: Vec<&str> =
                verdicts.iter().filter(|(_, alive)| *alive == (kind == "dead")).map(|(name, _)| *name).collect();
            println!("{kind} {name}: odd {odd:?}");
            shown(&lives);
        }
    }
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
fn measure_models() {
    let set = std::env::var("ASIDE").is_ok();
    for model in ["llama", "gpt2", "bloom"] {
        let subject = Subject::load(&checkpoint("decode", model), model, Dtype::F32).unwrap();
        let mut all: Vec<(String, String, Program)> = dead_models(model)
            .into_iter()
            .map(|(name, program)| ("dead".to_string(), name.to_string(), program))
            .collect();
        all.extend(
            fault::all().map(|fault| (format!("wrong {:?}", fault.kind), fault.name.to_string(), faulty(model, fault))),
        );
        for (at, (kind, name, program)) in all.into_iter().enumerate() {
            if (at % 2 == 1) != set {
                continue;
            }
            let mut lives = Lives::default();
            let mut program = |question: &ProgramQuestion| program(question);
            let mut odd = Vec::new();
            for property in models() {
                let verdict = life(property, &subject, &mut program, &mut lives);
                if matches!(verdict, Verdict::Holds { .. }) == (kind == "dead") {
                    odd.push((property.name, verdict));
                }
            }
            println!("{model} {kind} {name}: odd {odd:?}");
            shown(&lives);
        }
    }
}
