//! `goldref trace`: where two executions part.

use super::command_line::goldref;
use goldref::diagnose::{Divergence, Oracles, divergence};
use goldref::eval::{Evaluator, Intervention, Numerics};
use goldref::io::{Array, Checkpoint, npz};
use goldref::model::kv_cache::CacheKind;
use goldref::model::{PlannedCall, PlannedRequest, Recorder, Watcher, order_of};
use goldref::num::{Dtype, round_f64};
use goldref::suite::ModelQuestion;
use goldref::variant;
use ndarray::{ArrayD, Axis};
use rayon::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;
use tempfile::TempDir;

fn question(name: &str) -> ModelQuestion {
    let store = super::store();
    let case = store.suites.iter().flat_map(|suite| &suite.cases).find(|case| case.name == name).unwrap();
    ModelQuestion::of(case).unwrap().unwrap()
}

fn oracles(question: &ModelQuestion, stored: Dtype) -> Oracles {
    Oracles::load(&Checkpoint::open(&question.checkpoint).unwrap(), stored).unwrap()
}

/// What is wrong at one site.
#[derive(Debug, Clone, Copy)]
enum Plant {
    /// The last head, or the whole where there are none, is 3 % too large.
    Factor,
    /// The values are rounded to bf16.
    Cast,
}

/// A candidate in f32 with one plant.
#[derive(Debug)]
struct Planted<'a> {
    layer: Option<usize>,
    site: &'a str,
    plant: Plant,
}

impl Intervention for Planted<'_> {
    fn wants(&self, site: &str) -> bool {
        site == self.site
    }

    fn at(&mut self, layer: Option<usize>, _: &str, value: &mut ArrayD<f64>) {
        match self.plant {
            _ if layer != self.layer => {}
            Plant::Factor if value.ndim() == 4 => {
                let last = value.shape()[1] - 1;
                value.index_axis_mut(Axis(1), last).mapv_inplace(|x| x * 1.03);
            }
            Plant::Factor => value.mapv_inplace(|x| x * 1.03),
            Plant::Cast => value.mapv_inplace(|x| round_f64(x, Dtype::Bf16)),
        }
    }
}

struct Both<'a> {
    planted: Planted<'a>,
    recorder: Recorder,
}

impl Watcher for Both<'_> {
    fn request(&mut self, request: &PlannedRequest) {
        self.recorder.request(request);
    }

    fn call<'w>(&'w mut self, call: &PlannedCall, eval: Evaluator<'w>) -> Evaluator<'w> {
        self.recorder.call(call, eval).changed_by(&mut self.planted)
    }
}

fn planted(question: &ModelQuestion, oracles: &Oracles, layer: Option<usize>, site: &str, plant: Plant) -> Divergence {
    let mut both = Both { planted: Planted { layer, site, plant }, recorder: Recorder::of(["*"]) };
    let numerics = Numerics::plain(Dtype::F32);
    question.plan.run(&oracles.narrow, numerics, CacheKind::Contiguous, &mut both).unwrap();
    divergence(oracles, &question.plan, both.recorder.into_arrays()).unwrap()
}

/// `layers.1.attn.q` as its layer and `attn.q`.
fn taken_apart(name: &str) -> (Option<usize>, &str) {
    match name.strip_prefix("layers.").and_then(|rest| rest.split_once('.')) {
        Some((layer, site)) => (layer.parse().ok(), site),
        None => (None, name),
    }
}

#[test]
fn a_wrong_value_or_a_cast_is_found_at_its_own_site_of_four_models() {
    for name in ["decode/single_tokens", "model/gemma2", "model/gpt2", "model/bloom_six_heads"] {
        let question = question(name);
        let oracles = oracles(&question, Dtype::F32);
        let sites = planted(&question, &oracles, None, "nowhere", Plant::Cast);
        assert!(sites.first.is_none() && sites.sites.len() > 25, "{name}: {:?}", sites.first);
        sites.sites.par_iter().enumerate().for_each(|(number, site)| {
            let (layer, short) = taken_apart(&site.site);
            // Each site has one of the two; a factor on numbers that are 0 or 1 is seen and their cast is not.
            let exact = short.starts_with("rope.") || short == "embed" || short == "embed_tokens";
            let plant = if exact || number.is_multiple_of(2) { Plant::Factor } else { Plant::Cast };
            let found = planted(&question, &oracles, layer, short, plant);
            let first = found.first.unwrap_or_else(|| panic!("{name}: {} is not seen", site.site));
            assert_eq!(first.site, site.site, "{name}, {plant:?}");
            let told = match plant {
                Plant::Cast => {
                    first.remarks.iter().any(|said| said == "every value is a bf16 number: it was rounded there")
                }
                Plant::Factor if site.inherited.is_some() && !short.starts_with("attn") => {
                    first.remarks.iter().any(|said| said.starts_with("all values are 1.0300 times"))
                }
                Plant::Factor => true,
            };
            assert!(told, "{name}, {}: {:?}", site.site, first.remarks);
        });
    }
}

#[test]
fn the_head_that_is_wrong_is_told() {
    let question = question("decode/single_tokens");
    let found = planted(&question, &oracles(&question, Dtype::F32), Some(1), "attn.probs", Plant::Factor);
    let first = found.first.unwrap();
    assert_eq!((first.site.as_str(), first.carried_by[0].as_str()), ("layers.1.attn.probs", "head 5 of 6"));
    // What comes behind inherits the error and adds none.
    let behind: Vec<_> = found.sites.iter().skip_while(|site| !site.diverges).skip(1).collect();
    assert!(behind.len() > 5 && behind.iter().all(|site| !site.diverges && site.inherited.unwrap() > 1e-4));
}

#[test]
fn a_right_program_diverges_nowhere_in_its_own_format() {
    let store = super::store();
    let cases: Vec<_> = store
        .suites
        .iter()
        .filter(|suite| ["model", "decode"].contains(&suite.name.as_str()))
        .flat_map(|s| &s.cases)
        .collect();
    assert!(cases.len() > 50);
    cases.par_iter().for_each(|case| {
        let question = ModelQuestion::of(case).unwrap().unwrap();
        for name in ["f64", "f32", "bf16", "bf16-eager", "f16"] {
            let variant = variant::find(name).unwrap();
            let oracles = oracles(&question, variant.coarsest);
            let mut recorder = Recorder::of(["*"]);
            let (plan, cache) = (&question.plan, CacheKind::Contiguous);
            match variant.numerics.arithmetic {
                Dtype::F64 => _ = plan.run(&oracles.wide, variant.numerics, cache, &mut recorder).unwrap(),
                _ => _ = plan.run(&oracles.narrow, variant.numerics, cache, &mut recorder).unwrap(),
            }
            let found = divergence(&oracles, plan, recorder.into_arrays()).unwrap();
            assert!(found.first.is_none(), "{} {name}: {:?}", case.name, found.first);
            // Each site has its row among those that two files are sorted by.
            let unknown = found.sites.iter().find(|site| order_of(&site.site) == order_of("no site"));
            assert!(unknown.is_none(), "{}: {unknown:?}", case.name);
        }
    });
}

fn run(args: &[&str]) -> (Option<i32>, String, String) {
    let output = goldref().args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_fault_of_the_catalogue_is_shown_where_it_enters() {
    let (code, text, message) = run(&["trace", "--case", "decode/single_tokens", "--fault", "v-cache-stale"]);
    assert_eq!((code, message.as_str()), (Some(1), ""));
    let documented = std::fs::read_to_string(super::root().join("docs/trace.md")).unwrap();
    assert!(documented.contains(&text), "docs/trace.md does not show what is printed:\n{text}");
    let args = ["trace", "--case", "decode/single_tokens", "--variant", "f32", "--format", "json"];
    let (code, text, _) = run(&args);
    let json: Value = serde_json::from_str(&text).unwrap();
    assert!(code == Some(0) && json["first"].is_null() && json["sites"].as_array().unwrap().len() == 48, "{text}");
}

#[test]
fn sites_of_a_stranger_are_mapped_and_laid_out_anew() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (ours, theirs, map, plot) = (file("ours.npz"), file("theirs.npz"), file("map.json"), file("errors.svg"));
    let question = question("model/llama_gqa_biased");
    let mut recorder = Recorder::of(["*"]);
    let oracles = oracles(&question, Dtype::F32);
    let numerics = Numerics::plain(Dtype::F32);
    question.plan.run(&oracles.narrow, numerics, CacheKind::Contiguous, &mut recorder).unwrap();
    let sites = recorder.into_arrays();
    let stored = |sites: &BTreeMap<String, ArrayD<f64>>| -> BTreeMap<String, Array> {
        sites.iter().map(|(name, x)| (name.clone(), Array::F32(x.mapv(|x| x as f32)))).collect()
    };
    npz::write(&ours, &stored(&sites)).unwrap();
    // Their query comes with its heads behind the tokens, and is wrong from the fourth token on.
    let mut q = sites["layers.1.attn.q"].clone();
    q.slice_axis_mut(Axis(2), (3..).into()).mapv_inplace(|x| x + 0.25);
    let behind = q.permuted_axes(vec![0, 2, 1, 3]).as_standard_layout().into_owned();
    let mut changed = BTreeMap::from([("model.layers.1.self_attn.q_proj".to_string(), behind)]);
    changed
        .extend(sites.iter().filter(|(name, _)| name.ends_with("output")).map(|(name, x)| (name.clone(), x.clone())));
    changed.insert("else".to_string(), sites["logits"].clone());
    npz::write(&theirs, &stored(&changed)).unwrap();
    std::fs::write(&map, r#"{"model.layers.*.self_attn.q_proj": "layers.*.attn.q"}"#).unwrap();

    let args = ["trace", "--case", "model/llama_gqa_biased", "--sites", &theirs, "--map", &map, "--plot", &plot];
    let (code, text, message) = run(&args);
    assert_eq!((code, message.as_str()), (Some(1), ""));
    assert!(text.contains("is layers.1.attn.q\n\n  in tokens 3 to"), "{text}");
    assert!(text.contains("or in layers.1.input_norm, which the candidate did not give"), "{text}");
    assert!(text.contains("left out: else: this model has no such site"), "{text}");
    assert!(std::fs::read_to_string(&plot).unwrap().contains("introduced"));

    // Without the model nobody knows what was inherited.
    let (code, text, _) = run(&["trace", "--sites", &theirs, "--against", &ours, "--map", &map, "--format", "json"]);
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, json["first"]["site"].as_str()), (Some(1), Some("layers.1.attn.q")));
    assert!(json["sites"].as_array().unwrap().iter().all(|site| site["inherited"].is_null()));
    let (code, _, _) = run(&["trace", "--sites", &ours, "--against", &ours]);
    assert_eq!(code, Some(0));
}

#[test]
fn what_cannot_be_traced_is_refused_in_one_sentence() {
    let case = ["--case", "decode/single_tokens"];
    let refused: [(&[&str], &str); 8] = [
        (&["--variant", "f32"], "name one case with --case, or a checkpoint with --model and --tokens"),
        (&["--case", "decode/*", "--variant", "f32"], "several cases are selected; a trace is of one"),
        (&["--case", "ops/softmax_plain", "--variant", "f32"], "sites are those of models"),
        (&[case[0], case[1], "--fault", "no-such"], "no fault is called \"no-such\""),
        (&[case[0], case[1], "--fault", "alibi-slopes"], "this question has no place for alibi-slopes"),
        (&[case[0], case[1], "--variant", "f33"], "no variant is called \"f33\""),
        (&case, "name a candidate: --sites, --variant, --fault, or a program behind --"),
        (&[case[0], case[1], "--sites", "no.npz"], "no.npz"),
    ];
    for (args, why) in refused {
        let (code, _, message) = run(&[&["trace"], args].concat());
        assert!(code == Some(2) && message.contains(why) && message.lines().count() == 1, "{args:?}: {message}");
    }
}
