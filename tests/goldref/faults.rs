//! The catalogue of faults against programs in NumPy that have them: `faults.json` is what `tools/write_faulty_outputs.py --stored f64`
//! measured, how far each fault moves the logits of each case. The two share no code.

use goldref::eval::Numerics;
use goldref::fault::{self, Fault, FaultAnswer, Kind, run};
use goldref::io::Checkpoint;
use goldref::model::Model;
use goldref::num::Dtype;
use goldref::suite::ModelQuestion;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Fault → case → largest |faulty - right| / (1 + |right|); `null` where one is not finite.
type Distances = BTreeMap<String, BTreeMap<String, Option<f64>>>;

fn questions() -> Vec<(ModelQuestion, Model<f64>)> {
    let store = super::store();
    let cases = store.suites.iter().flat_map(|suite| &suite.cases);
    cases
        .filter_map(|case| ModelQuestion::of(case).unwrap())
        .map(|question| {
            let model = Model::load(&Checkpoint::open(&question.checkpoint).unwrap(), Dtype::F64).unwrap();
            (question, model)
        })
        .collect()
}

fn logits(question: &ModelQuestion, model: &Model<f64>, faults: &[&Fault]) -> Option<Vec<f64>> {
    match run(model, &question.plan, &Numerics::plain(Dtype::F64), faults).unwrap() {
        FaultAnswer::NoPlace => None,
        FaultAnswer::Logits(logits) => Some(question.compared(&logits).unwrap()),
    }
}

fn distance(faulty: &[f64], right: &[f64]) -> Option<f64> {
    let gaps = faulty.iter().zip(right).map(|(a, b)| (a - b).abs() / (1.0 + b.abs()));
    gaps.map(|gap| gap.is_finite().then_some(gap)).try_fold(0.0, |worst: f64, gap| gap.map(|gap| worst.max(gap)))
}

/// Cases in which the program in NumPy reads the name in another way, and why.
const OTHERWISE: &[(&str, usize, &str)] = &[
    ("accumulate-in-bf16", 51, "a sum in bf16 jumps where its terms differ in the last place"),
    ("attention-dropout-active-in-eval", 51, "which probabilities are dropped is chance"),
    ("probs-cast-low", 2, "a rounding to bf16 jumps where its argument differs in the last place"),
    ("scores-softmax-in-bf16", 6, "as above"),
    ("qk-norm-order", 1, "OLMo 2: no norm instead of a late one"),
    ("view-without-transpose", 7, "BLOOM and GPT-NeoX: their packed weight is cut elsewhere"),
    ("weight-transposed", 14, "GPT-2 and others: more weights are square, the table of positions among them"),
    ("same-projection-for-all-heads", 13, "models with a packed weight have no place for it"),
    ("wrong-norm-instance", 3, "Gemma 2 and 3: the norm behind attention, not the one before the MLP"),
    ("scale-wrong-head_dim-source", 1, "GPT-2 with a scale by layer: one scale for all layers"),
];

#[test]
fn the_catalogue_agrees_with_programs_in_numpy() {
    let text = fs::read_to_string(super::root().join("tests/goldref/faults.json")).unwrap();
    let theirs: Distances = serde_json::from_str(&text).unwrap();
    let questions = questions();
    let right: Vec<Vec<f64>> =
        questions.iter().map(|(question, model)| logits(question, model, &[]).unwrap()).collect();
    let faults: Vec<&Fault> = fault::all().collect();
    let differing: Vec<(&str, Vec<String>)> = faults
        .par_iter()
        .filter_map(|fault| {
            let theirs = theirs.get(fault.name)?;
            let differs = |((question, model), right): (&(ModelQuestion, Model<f64>), &Vec<f64>)| {
                let ours = logits(question, model, &[fault]).map_or(Some(0.0), |faulty| distance(&faulty, right));
                // A case without a place for it is left out there.
                let theirs = theirs.get(&question.name).copied().unwrap_or(Some(0.0));
                let same = match (ours, theirs) {
                    // An overflow in f32 is computed in f32 there.
                    (Some(a), Some(b)) => (a - b).abs() <= 1e-6 + 1e-5 * b,
                    (a, b) => a == b,
                };
                (!same).then(|| format!("{}: {ours:?} {theirs:?}", question.name))
            };
            Some((fault.name, questions.iter().zip(&right).filter_map(differs).collect()))
        })
        .collect();
    assert!(differing.len() >= 114, "{}", differing.len());
    for (name, cases) in differing {
        let allowed = OTHERWISE.iter().find(|(other, _, _)| *other == name).map_or(0, |(_, cases, _)| *cases);
        assert!(cases.len() <= allowed, "{name}: {cases:#?}");
    }
}

#[test]
fn equivalent_edits_change_nothing_and_all_others_change_some_case() {
    let questions = questions();
    fault::all().collect::<Vec<_>>().par_iter().for_each(|fault| {
        let moved = |(question, model): &(ModelQuestion, Model<f64>)| {
            let faulty = logits(question, model, &[fault])?;
            Some(distance(&faulty, &question.expected).unwrap_or(f64::INFINITY))
        };
        let most = questions.iter().filter_map(moved).fold(0.0, f64::max);
        match fault.kind {
            Kind::Equivalent => assert!(most < 1e-9, "{}: {most}", fault.name),
            Kind::Wrong | Kind::Precision => assert!(most > 1e-5, "{}: {most}", fault.name),
        }
    });
}

#[test]
fn every_row_says_what_it_is() {
    let mut names = BTreeSet::new();
    let documented = fs::read_to_string(super::root().join("fixtures/README.md")).unwrap();
    for fault in fault::all() {
        assert!(names.insert(fault.name), "{} stands twice", fault.name);
        assert!(documented.contains(&format!("| `{}` |", fault.name)), "{} is not in fixtures/README.md", fault.name);
        for text in [fault.look_at, fault.formula, fault.invisible] {
            assert!(!text.is_empty() && !text.ends_with('.'), "{}: {text:?}", fault.name);
        }
        assert!(fault.reported.is_empty() || fault.reported.contains('#'), "{}: {}", fault.name, fault.reported);
        assert_eq!(fault::find(fault.name).map(|found| found.name), Some(fault.name));
    }
    let wrong = fault::all().filter(|fault| fault.kind != Kind::Equivalent).count();
    assert!(wrong >= 100, "{wrong}");
    assert!(fault::all().filter(|fault| !fault.reported.is_empty()).count() >= 90);
    assert!(fault::find("no-such-fault").is_none());
}

#[test]
fn two_faults_at_once_are_two_edits() {
    let questions = questions();
    let (question, model) = questions.iter().find(|(q, _)| q.name == "decode/single_tokens").unwrap();
    let of = |names: &[&str]| {
        let faults: Vec<&Fault> = names.iter().map(|name| fault::find(name).unwrap()).collect();
        logits(question, model, &faults).unwrap()
    };
    // One edits the spec and one a site; both sit in one formula; both edit the cache.
    for pair in [
        ["scale-missing", "mask-top-left"],
        ["mask-strict", "mask-finite-small"],
        ["v-cache-stale", "cache-pre-rope-keys"],
    ] {
        let both = of(&pair);
        for name in pair {
            assert!(distance(&both, &of(&[name])).unwrap() > 1e-3, "{pair:?} is {name}");
        }
    }
    // The same one twice is no second place for it.
    let fault = fault::find("mask-strict").unwrap();
    assert!(logits(question, model, &[fault, fault]).is_none());
}
