//! Generated tokens, judged as `goldref check` judges those of a program.

use goldref::candidate::{Candidate, Outcome as Said, ProgramQuestion};
use goldref::check::{Ladder, Verdict};
use goldref::error::Result;
use goldref::eval::Numerics;
use goldref::generation::{TokenJudge, Way};
use goldref::io::{Array, Checkpoint};
use goldref::model::kv_cache::CacheKind;
use goldref::model::{AnyModel, Forcing, Model};
use goldref::num::Dtype;
use goldref::suite::{Case, Outcome, Selected, Store, run_candidate};
use goldref::variant;
use ndarray::{Array2, ArrayD, Axis, Ix2, concatenate, s};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

fn store() -> Store {
    Store::open(super::root().join("fixtures/generate")).unwrap()
}

fn two_axes(array: &Array) -> Array2<i64> {
    array.to_i64().unwrap().into_dimensionality::<Ix2>().unwrap()
}

fn prompt(case: &Case) -> Array2<i64> {
    two_axes(&case.inputs().unwrap()["input_ids"])
}

fn expected(case: &Case) -> Array2<i64> {
    two_axes(&case.expected().unwrap()["tokens"])
}

fn checkpoint(case: &Case) -> PathBuf {
    case.folder_in_suite(case.params["model"].as_str().unwrap()).unwrap()
}

/// Answers each prompt with what it is told.
struct Told(Vec<(Array2<i64>, Said)>);

impl Candidate for Told {
    fn answer(&mut self, question: &ProgramQuestion) -> Result<Said> {
        assert_eq!(question.op, "generate");
        assert!(question.model.is_some() && question.params["use_cache"].is_boolean());
        let prompt = two_axes(&question.inputs["input_ids"]);
        let at = self.0.iter().position(|(known, _)| *known == prompt).unwrap();
        Ok(self.0.remove(at).1)
    }
}

fn answered(tokens: Array) -> Said {
    Said::Answered { arrays: BTreeMap::from([("tokens".to_string(), tokens)]), took: Duration::ZERO }
}

/// What is said of the answers that `answer` makes of each case.
fn judged(answer: &dyn Fn(&Case) -> Said, variant: &str) -> Vec<(String, Outcome)> {
    let store = store();
    let mut told = Told(store.suites[0].cases.iter().map(|case| (prompt(case), answer(case))).collect());
    let selected = Selected { variants: vec![variant.to_string()], ..Selected::default() };
    let report = run_candidate(&store, &selected, &Ladder::default(), "told", &mut told, &|| ()).unwrap();
    report.results.into_iter().map(|result| (result.case, result.outcome)).collect()
}

fn reason(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Compared { arrays, .. } => &arrays[0].judged.reason,
        Outcome::Failed { reason } | Outcome::NotAsked { reason } => reason,
        _ => "",
    }
}

#[test]
fn the_reference_chooses_what_the_foreign_oracle_chose() {
    for case in &store().suites[0].cases {
        let mut judge =
            TokenJudge::open(Checkpoint::open(checkpoint(case)).unwrap(), variant::find("f32").unwrap()).unwrap();
        for way in [Way::WithCache, Way::WithoutCache] {
            let judgement = judge.judge(&prompt(case), &expected(case), way).unwrap();
            assert_eq!((judgement.is_right(), judgement.ties), (true, 0), "{}: {judgement:?}", case.name);
        }
    }
}

#[test]
fn the_expected_tokens_agree_in_any_integer_type() {
    for (_, outcome) in judged(&|case| answered(Array::I64(expected(case).into_dyn())), "f32") {
        assert!(outcome.passes(0) && outcome.verdict() == Some(Verdict::Exact), "{outcome:?}");
    }
    for (_, outcome) in judged(&|case| answered(Array::U8(expected(case).mapv(|x| x as u8).into_dyn())), "bf16") {
        assert!(outcome.passes(0) && !outcome.disagrees(), "{outcome:?}");
    }
}

#[test]
fn one_wrong_token_disagrees_and_is_named_with_its_margin() {
    let last_differs = |case: &Case| {
        let mut tokens = expected(case);
        let last = tokens.ncols() - 1;
        tokens[[0, last]] = (tokens[[0, last]] + 1) % 37;
        answered(Array::I64(tokens.into_dyn()))
    };
    for (case, outcome) in judged(&last_differs, "f32") {
        let Outcome::Compared { arrays, passes, .. } = &outcome else { panic!("{outcome:?}") };
        assert!(outcome.disagrees() && outcome.verdict() == Some(Verdict::NotRounding), "{case}");
        assert!(passes.iter().all(|passed| !passed), "{case}");
        let reason = &arrays[0].judged.reason;
        assert!(
            reason.starts_with("1 of ") && reason.contains("whose logit is larger by") && reason.ends_with("no ties"),
            "{reason}"
        );
    }
}

#[test]
fn what_is_no_token_is_no_agreement() {
    let outcome_of = |answer: &dyn Fn(&Case) -> Said| judged(answer, "f32").swap_remove(0).1;
    let floats = outcome_of(&|case| answered(Array::F64(expected(case).mapv(|x| x as f64).into_dyn())));
    assert!(floats.disagrees() && reason(&floats).contains("they must be integers"), "{floats:?}");
    let beyond = outcome_of(&|case| answered(Array::I64((expected(case) + 43).into_dyn())));
    assert!(beyond.disagrees() && reason(&beyond).contains("no whole numbers of the vocabulary"), "{beyond:?}");
    let negative = outcome_of(&|case| answered(Array::I64((expected(case) - 43).into_dyn())));
    assert!(negative.disagrees() && reason(&negative).contains("no whole numbers of the vocabulary"), "{negative:?}");
    let fewer = outcome_of(&|case| answered(Array::I64(expected(case).slice(s![.., 1..]).to_owned().into_dyn())));
    assert!(matches!(fewer, Outcome::WrongShape { .. }), "{fewer:?}");
    let empty = outcome_of(&|_| answered(Array::I64(ArrayD::zeros(vec![2, 0]))));
    assert!(empty.disagrees(), "{empty:?}");
    let other = outcome_of(&|_| Said::Answered { arrays: BTreeMap::new(), took: Duration::ZERO });
    assert!(matches!(other, Outcome::Missing { .. }), "{other:?}");
    let unsupported = outcome_of(&|_| Said::Unsupported("no".to_string()));
    assert!(matches!(unsupported, Outcome::NotAsked { .. }) && !unsupported.disagrees());
}

#[test]
fn a_drafting_decoder_that_takes_the_second_best_token_slips_late() {
    let store = store();
    let case = store.suites[0].cases.iter().find(|case| case.id == "draft_that_is_second_best_late").unwrap();
    let model: Model<f64> = Model::load(&Checkpoint::open(checkpoint(case)).unwrap(), Dtype::F64).unwrap();
    let mut draft = model.clone();
    draft.spec.layers.truncate(1);
    draft.weights.layers.truncate(1);
    let (model, draft) = (AnyModel::F64(model), AnyModel::F64(draft));
    let (exact, count) = (Numerics::plain(Dtype::F64), expected(case).ncols());
    let mut text = prompt(case);
    let begin = text.ncols();
    while text.ncols() < begin + count {
        let ahead = draft.greedy(&text, 4, exact, CacheKind::Contiguous).unwrap();
        for &token in &ahead {
            let any = Array2::zeros((1, 1));
            let logits = model.forced_logits(&text, &any, Forcing::Together, exact, CacheKind::Contiguous).unwrap();
            let mut order: Vec<usize> = (0..logits.len()).collect();
            order.sort_by(|&a, &b| logits[[0, 0, b]].total_cmp(&logits[[0, 0, a]]));
            // The fault: a draft that is nearly the best is taken as well.
            let accepted = order[..2].contains(&(token as usize));
            let next = if accepted { token } else { order[0] as i64 };
            text = concatenate(Axis(1), &[text.view(), Array2::from_elem((1, 1), next).view()]).unwrap();
            if !accepted {
                break;
            }
        }
    }
    let sloppy = text.slice(s![.., begin..begin + count]).to_owned();
    let right = expected(case);
    let slip = (0..count).find(|&t| sloppy[[0, t]] != right[[0, t]]).unwrap();
    assert!(slip >= count / 2, "it slips at token {} of {count}", slip + 1);
    let answer = |asked: &Case| {
        answered(Array::I64(if asked.id == case.id { sloppy.clone() } else { expected(asked) }.into_dyn()))
    };
    for (name, outcome) in judged(&answer, "f32") {
        assert_eq!(outcome.disagrees(), name == case.name, "{name}: {outcome:?}");
        if name == case.name {
            assert!(reason(&outcome).contains(&format!("first token {}: ", slip + 1)), "{}", reason(&outcome));
        }
    }
}
