//! `goldref diagnose` and `goldref fixtures power` as a user meets them. `programs/` holds answers of programs in NumPy, with and without
//! faults (`tools/write_faulty_outputs.py`).

use super::command_line::goldref;
use goldref::candidate::{Outcome, ProgramQuestion};
use goldref::diagnose::{Laboratory, PowerReport, power};
use goldref::eval::Numerics;
use goldref::fault::{self, FaultAnswer, run_operation};
use goldref::io::{Array, Checkpoint, npz};
use goldref::model::Model;
use goldref::num::Dtype;
use goldref::report::power_text;
use goldref::suite::{ModelQuestion, NewCase, Selected, VariantCandidate, operation_cases, planned, write_suite};
use goldref::variant::{self, Schedule};
use ndarray::ArrayD;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use tempfile::TempDir;

const TOLERANCES: [f64; 5] = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1];

fn whole() -> &'static PowerReport {
    static REPORT: OnceLock<PowerReport> = OnceLock::new();
    REPORT.get_or_init(|| {
        let laboratory = Laboratory::open(&super::store(), &Selected::default(), Dtype::F64).unwrap();
        let operations = operation_cases(&super::store(), &Selected::default()).unwrap();
        power(&laboratory, &operations, &TOLERANCES, &|| ()).unwrap()
    })
}

fn run(args: &[&str]) -> (Option<i32>, String, String) {
    let output = goldref().args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn program(name: &str) -> String {
    super::root().join("tests/goldref/programs").join(name).display().to_string()
}

fn diagnose(name: &str, more: &[&str]) -> (Option<i32>, String) {
    let folder = program(name);
    let (code, text, message) = run(&[&["diagnose", "--answers", &folder], more].concat());
    assert_eq!(message, "");
    (code, text.replace(&folder, name))
}

#[test]
fn the_bundled_suites_show_every_fault_at_the_tightest_tolerance() {
    let report = whole();
    let survivors: Vec<&str> = report.survivors(0).map(|fault| fault.name).collect();
    assert_eq!(survivors, [""; 0]);
    for fault in &report.faults {
        assert_eq!(fault.cheapest.is_none(), fault.equivalent, "{}", fault.name);
        assert_eq!(fault.errors.len(), report.cases.len());
    }
    // A few cases do as much as all of them, and none of them is idle.
    let shows = |fault: &goldref::diagnose::FaultPower, case: &String| {
        let at = report.cases.iter().position(|name| name == case).unwrap();
        fault.errors[at].is_none_or(|error| error > TOLERANCES[0])
    };
    let left_out = |without: Option<&String>| {
        let shown = |fault: &&goldref::diagnose::FaultPower| {
            report.minimal.iter().filter(|case| Some(*case) != without).any(|case| shows(fault, case))
        };
        report.wrong().filter(|fault| !shown(fault)).count()
    };
    assert_eq!(left_out(None), 0);
    assert!(report.minimal.len() < 15 && report.minimal.iter().all(|case| left_out(Some(case)) > 0));
    super::reports::settings().bind(|| insta::assert_snapshot!("power", power_text(report, Some(&report.minimal))));
}

#[test]
fn a_case_shows_what_it_says_that_it_catches() {
    let report = whole();
    let store = super::store();
    let operations = operation_cases(&store, &Selected::default()).unwrap();
    let (mut checked, mut missed) = ([0, 0], Vec::new());
    for case in store.suites.iter().flat_map(|suite| &suite.cases) {
        // Of generation there is no form with a fault.
        if case.op == "generate" {
            assert!(case.catches.is_empty(), "{}", case.name);
            continue;
        }
        let (at, model) = (report.cases.iter().position(|name| *name == case.name).unwrap(), case.op == "model");
        for name in &case.catches {
            let Some(fault) = report.faults.iter().find(|fault| fault.name == *name) else { continue };
            if !model && !fault.has_operation_form {
                continue;
            }
            checked[usize::from(model)] += 1;
            // A fault may have a form for other operations, or other ways to ask this one.
            let question = operations.iter().find(|operation| operation.name == case.name).map(|case| &case.question);
            if question.is_some_and(|question| !matches!(run_operation(question, name), Ok(Some(_)))) {
                checked[0] -= 1;
                continue;
            }
            if fault.errors[at] == Some(0.0) {
                missed.push(format!("{} {name}", case.name));
            }
        }
    }
    assert_eq!(missed, [""; 0]);
    assert!(checked[0] > 400 && checked[1] > 150, "{checked:?}");
}

#[test]
fn blind_spots_are_said_with_what_would_open_them() {
    let (code, text, _) = run(&["fixtures", "power", "--suite", "model"]);
    assert_eq!(code, Some(1), "{text}");
    let line = "  mask-top-left: as many queries as keys";
    assert!(text.lines().any(|shown| shown == line), "{text}");
    let (code, json, _) =
        run(&["fixtures", "power", "--suite", "decode", "--case", "single_tokens", "--format", "json"]);
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, report["cases"].as_array().unwrap().len()), (Some(1), 1));
    // Suites of operations are held against what has a form for them.
    let (code, text, _) = run(&["fixtures", "power", "--case", "attention/mha_plain"]);
    assert!(code == Some(1) && text.contains("  mask-top-left: as many queries as keys"), "{text}");
    assert!(text.contains("1 of them ask operations, for which") && !text.contains("stale-cache"), "{text}");
    for (args, why) in
        [(["--atol", "0"], "--atol is 0; it must be a number above 0"), (["--case", "no-such"], "no case is called")]
    {
        let (code, _, message) = run(&[&["fixtures", "power"], &args[..]].concat());
        assert!(code == Some(2) && message.contains(why), "{message}");
    }
}

#[test]
fn a_fault_is_named_with_what_to_look_at() {
    let (code, text) = diagnose("mask-top-left", &[]);
    assert_eq!(code, Some(1));
    assert!(text.starts_with("mask-top-left · stored in f32 · 4 cases\nnot rounding: 3 of 4 cases"), "{text}");
    assert!(text.contains("\nIt is mask-top-left.\n"), "{text}");
    assert!(
        text.contains("in decode it must be aligned to the end of the keys\n      j ≤ i + kv_len - q_len\n"),
        "{text}"
    );
    assert!(text.contains("explains 3 of 3 deviating cases, coefficient 1.00"), "{text}");
    let (_, text) = diagnose("rope-pairing", &[]);
    assert!(text.contains("\nIt is rope-pairing.\n"), "{text}");
}

#[test]
fn two_faults_at_once_are_both_named() {
    let (code, text) = diagnose("scale-d_model_and_v-cache-stale", &[]);
    assert_eq!(code, Some(1));
    assert!(text.contains("\nIt is scale-d_model and v-cache-stale.\n"), "{text}");
}

#[test]
fn a_right_program_is_not_accused() {
    for (name, stored) in [("right", "f32"), ("right-bf16", "bf16")] {
        let (code, text) = diagnose(name, &["--stored", stored]);
        assert_eq!(code, Some(0), "{text}");
        assert_eq!(text.lines().nth(1), Some("rounding: no case deviates by more than a right program may"));
        assert_eq!(text.lines().count(), 2, "{text}");
    }
}

#[test]
fn a_fault_within_rounding_has_a_pattern() {
    let (code, text) = diagnose("gelu-formula-error-bf16", &["--stored", "bf16"]);
    // The verdict is that of its size; the name of the candidate, in the first line, says nothing.
    let lines: Vec<&str> = text.lines().skip(1).collect();
    assert_eq!((code, lines.len()), (Some(0), 2), "{text}");
    assert_eq!(lines[0], "rounding: no case deviates by more than a right program may");
    assert!(lines[1].starts_with("  yet the errors have the pattern of gelu-formula-error (coefficient "), "{text}");
    assert!(lines[1].ends_with("the inner term of GELU has x² where x³ is meant"), "{text}");
}

#[test]
fn several_candidates_are_reported_each() {
    let folders = [program("right"), program("rope-pairing")];
    let (code, json, _) =
        run(&["diagnose", "--format", "json", "--case", "single_tokens", "--answers", &folders[0], &folders[1]]);
    let reports: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(code, Some(1));
    assert_eq!(reports[0]["candidate"], folders[0]);
    assert_eq!((reports[0]["deviating"].as_u64(), reports[1]["deviating"].as_u64()), (Some(0), Some(1)));
    assert_eq!(reports[1]["suspects"][0]["faults"][0], "rope-pairing");
}

#[test]
fn what_cannot_be_asked_is_said() {
    let empty = TempDir::new().unwrap();
    let folder = empty.path().display().to_string();
    let (code, _, message) = run(&["diagnose", "--answers", &folder]);
    assert!(code == Some(2) && message.contains("nothing answered is not a success"), "{message}");
    let (code, _, message) = run(&["diagnose", "--answers", "no/such/folder"]);
    assert!(code == Some(2) && message.contains("cannot read no/such/folder"), "{message}");
    let wrong = empty.path().join("decode");
    std::fs::create_dir(&wrong).unwrap();
    std::fs::copy(super::root().join("fixtures/decode/single_tokens/inputs.npz"), wrong.join("single_tokens.npz"))
        .unwrap();
    let (code, _, message) = run(&["diagnose", "--answers", &folder]);
    assert!(code == Some(2) && message.contains("there must be logits [1, 16, 43]"), "{message}");
    let (code, text, _) = run(&["diagnose", "--list"]);
    assert_eq!((code, text.matches("      ").count()), (Some(0), 2 * fault::all().count()));
    // A folder that is there is refused before anything is diagnosed.
    let (right, taken) = (program("right"), super::root().join("docs").display().to_string());
    let (code, text, message) = run(&["diagnose", "--answers", &right, "--tell-apart", &taken]);
    assert!(code == Some(2) && text.is_empty() && message.contains("it is there already"), "{message}");
}

#[test]
#[cfg(unix)]
fn a_program_that_does_not_answer_models_is_told_so() {
    let script = "while IFS= read -r line; do id=$(printf '%s' \"$line\" | sed 's/.*\"id\":\"\\([^\"]*\\)\".*/\\1/'); \
                  printf '{\"id\":\"%s\",\"status\":\"unsupported\"}\\n' \"$id\"; done";
    let (code, _, message) = run(&["diagnose", "--case", "single_tokens", "--", "sh", "-c", script]);
    assert!(code == Some(2) && message.contains("no case about a model was answered"), "{message}");
    // One that ends is told how it ended.
    let (code, _, message) =
        run(&["diagnose", "--case", "single_tokens", "--", "sh", "-c", "echo no luck >&2; exit 3"]);
    let why = "the program answered no case about a model; decode/single_tokens: it ended before it answered: exit status: 3; no luck";
    assert!(code == Some(2) && message.contains(why), "{message}");
    let (code, _, message) = run(&["diagnose", "--limit", "0", "--", "sh"]);
    assert!(code == Some(2) && message.contains("it must be a number of seconds above 0"), "{message}");
}

#[test]
fn words_of_16_bits_are_bf16_where_a_candidate_stores_so() {
    let store = super::store();
    let case =
        store.suites.iter().flat_map(|suite| &suite.cases).find(|case| case.name == "decode/single_tokens").unwrap();
    let question = ModelQuestion::of(case).unwrap().unwrap();
    // 1.5 in bf16.
    let words = || BTreeMap::from([("logits".to_string(), Array::U16(ArrayD::from_elem(vec![1, 16, 43], 0x3FC0)))]);
    let all = |x: f64| Some(vec![x; 16 * 43]);
    assert_eq!(question.chosen_of(words(), Dtype::Bf16), all(1.5));
    assert_eq!(question.chosen_of(words(), Dtype::F32), all(f64::from(0x3FC0)));
}

#[test]
fn a_case_about_a_model_needs_logits() {
    let store = super::store();
    let mut case = store
        .suites
        .iter()
        .flat_map(|suite| &suite.cases)
        .find(|case| case.name == "decode/one_token")
        .unwrap()
        .clone();
    let folder = TempDir::new().unwrap();
    let (from, to) = (case.folder(), folder.path().join("one_token"));
    std::fs::create_dir(&to).unwrap();
    std::fs::copy(from.join("inputs.npz"), to.join("inputs.npz")).unwrap();
    let embed = Array::F64(ArrayD::zeros(vec![3, 1, 36]));
    npz::write(to.join("expected.npz"), &BTreeMap::from([("embed".to_string(), embed)])).unwrap();
    case.suite_folder = folder.path().to_path_buf();
    case.sha256.clear();
    let refused = ModelQuestion::of(&case).unwrap_err().to_string();
    assert_eq!(refused, "decode/one_token: no logits are expected");
}

#[test]
fn tied_suspects_are_told_apart_by_a_case_made_for_them() {
    let laboratory = |store: &goldref::suite::Store| Laboratory::open(store, &Selected::default(), Dtype::F32).unwrap();
    let tied = [vec!["scale-n_heads"], vec!["scale-wrong-head_dim-source"]];
    let telling = laboratory(&super::store()).telling_case(&tied, 1).unwrap().unwrap();
    assert!(telling.apart > 1e-2, "{}", telling.apart);
    let parent = TempDir::new().unwrap();
    let folder = parent.path().join("tie");
    write_suite(&folder, "Tells two apart.", vec![telling.case], Some(&telling.checkpoint)).unwrap();
    // A suite of a stranger names no error of PyTorch: what rounding does is measured.
    let store = goldref::suite::Store::open(&folder).unwrap();
    let asked = laboratory(&store);
    let mut told = Vec::new();
    for names in &tied {
        let fault = fault::find(names[0]).unwrap();
        let mut candidate = |question: &ProgramQuestion| {
            let model: Model<f64> =
                Model::load(&Checkpoint::open(question.model.unwrap()).unwrap(), Dtype::F64).unwrap();
            let (_, plan) = planned(question.params, question.inputs, Schedule::AsAsked).unwrap();
            let run =
                |faults: &[&fault::Fault]| fault::run(&model, &plan, &Numerics::plain(Dtype::F64), faults).unwrap();
            // Where the model has no place for the fault, the program is right.
            let ((FaultAnswer::Logits(logits), _) | (_, FaultAnswer::Logits(logits))) = (run(&[fault]), run(&[]))
            else {
                panic!("a model without faults answers");
            };
            let f32 = |x: ndarray::Array3<f64>| Array::F32(x.mapv(|x| x as f32).into_dyn());
            Outcome::of(logits.into_iter().map(|(suffix, x)| (format!("logits{suffix}"), f32(x))).collect())
        };
        let (answers, refusals) = asked.ask(&mut candidate, &|| ()).unwrap();
        let found = goldref::diagnose::diagnose(&asked, &answers, &|| ()).unwrap();
        assert!(refusals.is_empty(), "{refusals:?}");
        let suspects: Vec<&str> =
            found.suspects.iter().take(found.tied).flat_map(|suspect| suspect.faults.clone()).collect();
        told.push((found.deviating, suspects));
    }
    // One is named; the other has no place in this model, and whoever is right there has it.
    let deviating: Vec<usize> = told.iter().map(|(deviating, _)| *deviating).collect();
    assert_eq!(deviating, [1, 0], "{told:?}");
    assert!(told[0].1.contains(&"scale-n_heads") && !told[0].1.contains(&"scale-wrong-head_dim-source"), "{told:?}");
    // The same function has no such case.
    let same = [vec!["norm-in-place-corrupts-residual"], vec!["residual-from-normalised-x"]];
    assert!(asked.telling_case(&same, 1).unwrap().is_none());
    assert!(asked.telling_case(&same[..1], 1).is_err());
}

#[test]
fn without_a_baseline_a_right_answer_is_rounding_and_a_wrong_one_is_not() {
    let parent = TempDir::new().unwrap();
    let folder = parent.path().join("plain");
    let of = super::store();
    let case =
        of.suites.iter().flat_map(|suite| &suite.cases).find(|case| case.name == "decode/single_tokens").unwrap();
    let question = ModelQuestion::of(case).unwrap().unwrap();
    let expected = case.expected().unwrap().into_iter().map(|(name, x)| (name, x.to_f64())).collect();
    let (id, op) = ("single".to_string(), "model".to_string());
    let (params, inputs) = (question.params, question.inputs);
    let new = NewCase { id, op, params, inputs, expected, compare_where: None };
    write_suite(&folder, "One case.", vec![new], Some(&question.checkpoint)).unwrap();
    let store = goldref::suite::Store::open(&folder).unwrap();
    let asked = Laboratory::open(&store, &Selected::default(), Dtype::F32).unwrap();
    for (name, deviating) in [("f32", 0), ("bf16", 1)] {
        let mut candidate = VariantCandidate::new(variant::find(name).unwrap());
        let (answers, _) = asked.ask(&mut candidate, &|| ()).unwrap();
        let found = goldref::diagnose::diagnose(&asked, &answers, &|| ()).unwrap();
        assert_eq!(found.deviating, deviating, "{name}: {:?}", found.cases);
    }
}
