//! Equality to the bit: cached = whole = chunked = paged = ring, batch = alone, a second request = a first one.

use goldref::eval::{CacheStorage, Evaluator, Numerics};
use goldref::io::{Array, Checkpoint};
use goldref::model::kv_cache::CacheKind;
use goldref::model::{Call, Model, PlannedRequest, Session, Unwatched};
use goldref::num::{Dtype, Real};
use ndarray::{Array2, Array3, Axis, Ix2, s};
use proptest::prelude::*;
use std::path::PathBuf;

/// Checkpoints of the model suite whose answer does not depend on the length of a call, with their tokens.
pub(super) fn models() -> Vec<(PathBuf, Array2<i64>)> {
    let store = super::store();
    let suite = store.suites.iter().find(|suite| suite.name == "model").unwrap();
    let of = |case: &goldref::suite::Case| {
        let Array::I64(ids) = case.inputs().unwrap().remove("input_ids").unwrap() else { panic!("ids are i64") };
        (suite.folder.join(case.params["model"].as_str().unwrap()), ids.into_dimensionality::<Ix2>().unwrap())
    };
    suite.cases.iter().map(of).collect()
}

pub(super) fn run<T: Real>(
    model: &Model<T>,
    ids: &Array2<i64>,
    calls: &[usize],
    cache: CacheKind,
    numerics: Numerics,
) -> Array3<T> {
    let mut session = Session::new(&model.spec, ids.nrows(), cache, numerics.cache);
    let call = Call { input_ids: ids, attention_mask: None, position_ids: None };
    let request = PlannedRequest::new("", &call, calls).unwrap();
    request.run(model, &mut session, numerics, &mut Unwatched).unwrap()
}

pub(super) fn bits<T: Real>(logits: &Array3<T>) -> Vec<u64> {
    logits.iter().map(|x| x.to_f64().to_bits()).collect()
}

fn every_cache_and_schedule_gives_the_same_bits<T: Real>(numerics: Numerics) {
    let mut tested = 0;
    for (folder, ids) in models() {
        let model = Model::<T>::load(&Checkpoint::open(&folder).unwrap(), numerics.weights).unwrap();
        if model.spec.depends_on_call_length() {
            continue;
        }
        tested += 1;
        let len = ids.ncols();
        let whole = run(&model, &ids, &[len], CacheKind::Contiguous, numerics);
        let one_by_one: Vec<usize> = vec![1; len];
        let chunks = vec![4, 2, 1, len - 7];
        for calls in [vec![len], vec![len - 1, 1], one_by_one, chunks] {
            for cache in [
                CacheKind::Contiguous,
                CacheKind::Paged { page_size: 4 },
                CacheKind::Paged { page_size: 5 },
                CacheKind::Ring,
            ] {
                let other = run(&model, &ids, &calls, cache, numerics);
                assert!(bits(&whole) == bits(&other), "{}: {calls:?} with {cache:?}", folder.display());
            }
        }
    }
    assert!(tested >= 25, "{tested}");
}

#[test]
fn every_cache_and_schedule_gives_the_same_bits_in_f64() {
    every_cache_and_schedule_gives_the_same_bits::<f64>(Numerics::plain(Dtype::F64));
}

#[test]
fn every_cache_and_schedule_gives_the_same_bits_in_f32() {
    every_cache_and_schedule_gives_the_same_bits::<f32>(Numerics::plain(Dtype::F32));
}

#[test]
fn every_cache_and_schedule_gives_the_same_bits_in_bf16() {
    every_cache_and_schedule_gives_the_same_bits::<f32>(Numerics::stored_in(Dtype::Bf16));
}

#[test]
fn every_cache_and_schedule_gives_the_same_bits_in_f16() {
    every_cache_and_schedule_gives_the_same_bits::<f32>(Numerics::stored_in(Dtype::F16));
}

#[test]
fn an_int8_cache_does_not_depend_on_the_schedule_either() {
    let cache = CacheStorage::Int8 { block: 4 };
    every_cache_and_schedule_gives_the_same_bits::<f32>(Numerics { cache, ..Numerics::plain(Dtype::F32) });
}

#[test]
fn the_last_logits_are_those_of_the_whole() {
    let numerics = Numerics::plain(Dtype::F32);
    for (folder, ids) in models() {
        let model = Model::<f32>::load(&Checkpoint::open(&folder).unwrap(), Dtype::F32).unwrap();
        let whole = run(&model, &ids, &[ids.ncols()], CacheKind::Contiguous, numerics);
        let mut session = Session::new(&model.spec, ids.nrows(), CacheKind::Contiguous, numerics.cache);
        let call = Call { input_ids: &ids, attention_mask: None, position_ids: None };
        let last = model.last_logits(&call, &mut session, &mut Evaluator::new(numerics)).unwrap();
        let expected = whole.slice(s![.., -1.., ..]).to_owned();
        assert_eq!(bits(&last.insert_axis(Axis(1))), bits(&expected), "{}", folder.display());
        assert_eq!(session.past_len(), ids.ncols());
    }
}

#[test]
fn a_row_of_a_batch_equals_the_row_alone_and_a_used_session_a_fresh_one() {
    let numerics = Numerics::plain(Dtype::F32);
    for (folder, ids) in models() {
        let model = Model::<f32>::load(&Checkpoint::open(&folder).unwrap(), Dtype::F32).unwrap();
        let len = ids.ncols();
        let batch = run(&model, &ids, &[len], CacheKind::Contiguous, numerics);
        for b in 0..ids.nrows() {
            let alone = run(&model, &ids.slice(s![b..b + 1, ..]).to_owned(), &[len], CacheKind::Contiguous, numerics);
            let row = batch.index_axis(Axis(0), b).insert_axis(Axis(0)).to_owned();
            assert_eq!(bits(&row), bits(&alone), "{} row {b}", folder.display());
        }
        for cache in [CacheKind::Contiguous, CacheKind::Paged { page_size: 4 }, CacheKind::Ring] {
            let mut session = Session::new(&model.spec, ids.nrows(), cache, numerics.cache);
            let call = Call { input_ids: &ids, attention_mask: None, position_ids: None };
            let mut eval = Evaluator::new(numerics);
            let first = model.forward(&call, &mut session, &mut eval).unwrap();
            session.clear();
            let second = model.forward(&call, &mut session, &mut eval).unwrap();
            assert_eq!(bits(&first), bits(&second), "{} {cache:?}", folder.display());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn cache_equals_full_forward_for_every_split(
        pick in 0usize..1000, cuts in prop::collection::btree_set(1usize..14, 0..6), page_size in 1usize..9, ring in any::<bool>(),
    ) {
        let models = models();
        let (folder, ids) = &models[pick % models.len()];
        let numerics = Numerics::plain(Dtype::F32);
        let model = Model::<f32>::load(&Checkpoint::open(folder).unwrap(), Dtype::F32).unwrap();
        prop_assume!(!model.spec.depends_on_call_length());
        let len = ids.ncols().min(14);
        let ids = ids.slice(s![.., ..len]).to_owned();
        let ends: Vec<usize> = cuts.into_iter().filter(|&cut| cut < len).chain([len]).collect();
        let calls: Vec<usize> = ends.iter().scan(0, |start, &end| { let n = end - *start; *start = end; Some(n) }).collect();
        let cache = if ring { CacheKind::Ring } else { CacheKind::Paged { page_size } };
        let whole = run(&model, &ids, &[len], CacheKind::Contiguous, numerics);
        prop_assert_eq!(bits(&whole), bits(&run(&model, &ids, &calls, cache, numerics)));
    }

    #[test]
    fn later_tokens_do_not_change_earlier_logits(pick in 0usize..1000, at in 1usize..12, other in 0i64..1000) {
        let models = models();
        let (folder, ids) = &models[pick % models.len()];
        let numerics = Numerics::stored_in(Dtype::Bf16);
        let model = Model::<f32>::load(&Checkpoint::open(folder).unwrap(), Dtype::Bf16).unwrap();
        let len = ids.ncols();
        let mut changed = ids.clone();
        changed.slice_mut(s![.., at.min(len - 1)..]).fill(other % model.spec.vocab_size as i64);
        let (a, b) = (run(&model, ids, &[len], CacheKind::Contiguous, numerics), run(&model, &changed, &[len], CacheKind::Contiguous, numerics));
        let before = s![.., ..at.min(len - 1), ..];
        prop_assert_eq!(bits(&a.slice(before).to_owned()), bits(&b.slice(before).to_owned()));
    }
}
