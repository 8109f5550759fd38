//! The rules of a comparison, each with the bug of a real checker that it would catch.

use super::*;
use crate::ladder::Rung;
use crate::simd::Level;
use half::{bf16, f16};
use ndarray::array;
use proptest::prelude::*;

fn facts(actual: ArrayD<f64>, expected: ArrayD<f64>) -> Comparison {
    compare(&actual, &expected, Dtype::F32, Selection::All, &Ladder::default()).unwrap()
}

#[test]
fn an_all_nan_answer_disagrees_everywhere() {
    // A fold with f32::max over |NaN - x| reads as "max diff 0".
    let facts = facts(ArrayD::from_elem(vec![4], f64::NAN), array![1.0, 2.0, 3.0, 4.0].into_dyn());
    assert_eq!(facts.mismatches, [4, 4, 4]);
    assert_eq!(facts.non_finite_mismatches, 4);
    assert_eq!(facts.worst_abs.unwrap().err, f64::INFINITY);
}

#[test]
fn infinities_have_a_sign_and_are_not_large_numbers() {
    let inf = f64::INFINITY;
    assert_eq!(facts(array![inf].into_dyn(), array![-inf].into_dyn()).mismatches, [1, 1, 1]);
    assert_eq!(facts(array![f64::from(f32::MAX)].into_dyn(), array![inf].into_dyn()).mismatches, [1, 1, 1]);
    assert_eq!(facts(array![-inf, f64::NAN].into_dyn(), array![-inf, f64::NAN].into_dyn()).mismatches, [0, 0, 0]);
}

#[test]
fn a_finite_answer_where_nan_is_expected_disagrees() {
    // Checkers that skip elements whose reference is not finite never see a leak through a mask.
    assert_eq!(facts(array![0.0].into_dyn(), array![f64::NAN].into_dyn()).mismatches, [1, 1, 1]);
}

#[test]
fn rungs_count_their_own_mismatches_and_the_worst_has_an_index() {
    let facts = facts(array![[1.0, 2.00005], [3.0, -3.99]].into_dyn(), array![[1.0, 2.0], [3.0, -4.0]].into_dyn());
    assert_eq!(facts.mismatches, [2, 1, 1]);
    let worst = facts.worst_abs.unwrap();
    assert_eq!((worst.index, worst.actual, worst.expected), (vec![1, 1], -3.99, -4.0));
}

#[test]
fn a_minus_sign_counts() {
    assert_eq!(facts(array![-1.0].into_dyn(), array![1.0].into_dyn()).mismatches, [1, 1, 1]);
    assert_eq!(facts(array![-0.0].into_dyn(), array![0.0].into_dyn()).mismatches, [0, 0, 0]);
}

#[test]
fn another_shape_is_no_comparison() {
    let (row, column) = (array![[1.0, 2.0]].into_dyn(), array![[1.0], [2.0]].into_dyn());
    assert!(compare(&row, &column, Dtype::F32, Selection::All, &Ladder::default()).is_err());
    // The tolerance is not a matter of the array's size either: one wrong element of a million is one.
    let mut million = ArrayD::zeros(vec![1_000_000]);
    let expected = million.clone();
    million[[999_999]] = 2e-3;
    assert_eq!(facts(million, expected).mismatches, [1, 1, 1]);
}

#[test]
fn a_selection_leaves_rows_out() {
    let chosen = array![[true, false]].into_dyn();
    let (actual, expected) = (array![[[1.0], [9.0]]].into_dyn(), array![[[1.0], [2.0]]].into_dyn());
    let facts = compare(&actual, &expected, Dtype::F64, Selection::Where(&chosen), &Ladder::default()).unwrap();
    assert_eq!((facts.compared, facts.left_out, facts.mismatches), (1, 1, vec![0, 0, 0]));
}

// What follows: the rules that the wider facts add, and the equality of all paths.

fn measured<A: Element, E: Element>(actual: &[A], expected: &[E]) -> Comparison {
    compare_slices(actual, expected, &Question::new(&Ladder::default())).unwrap().facts
}

#[test]
fn sums_and_means_are_those_of_arithmetic() {
    // Errors 1, -2, 2; expected 1, 2, -2; actual 2, 0, 0. Σerr² = 9, Σexpected² = 9, Σactual² = 4, Σproducts = 2.
    let facts = measured(&[2.0f64, 0.0, 0.0], &[1.0f64, 2.0, -2.0]);
    assert_eq!(facts.rmse, 3f64.sqrt());
    assert_eq!(facts.nmse, Some(1.0));
    assert_eq!(facts.cosine, Some(2.0 / (2.0 * 3.0)));
    assert_eq!(facts.mean_signed_err, 1.0 / 3.0);
    assert_eq!(facts.scale, 2.0);
}

#[test]
fn figures_without_a_denominator_are_missing_and_not_zero() {
    let facts = measured(&[1.0f64], &[0.0f64]);
    assert_eq!((facts.nmse, facts.cosine), (None, None));
    let facts = measured(&[0.0f64], &[0.0f64]);
    assert_eq!((facts.nmse, facts.cosine, facts.worst_abs), (Some(0.0), None, None));
}

#[test]
fn non_finite_pairs_are_in_no_mean() {
    let inf = f64::INFINITY;
    let facts = measured(&[f64::NAN, inf, 3.0, 5.0], &[1.0, inf, f64::NAN, 2.0]);
    assert_eq!((facts.rmse, facts.mean_signed_err, facts.non_finite_mismatches), (3.0, 3.0, 2));
    // The largest finite |expected| is also that of a pair whose other side is NaN.
    assert_eq!(measured(&[f64::NAN, 1.0], &[7.0, 1.0]).scale, 7.0);
    assert_eq!(facts.histogram.non_finite, 2);
    assert_eq!(facts.histogram.equal, 1);
}

#[test]
fn special_values_are_counted_on_both_sides() {
    let inf = f32::INFINITY;
    let facts = measured(&[f32::NAN, inf, -0.0, 0.0, 1.0], &[-f32::NAN, -inf, 0.0, -0.0, -0.0]);
    let census = |nan, positive_infinity, negative_infinity, negative_zero, zero| Census {
        nan,
        positive_infinity,
        negative_infinity,
        negative_zero,
        zero,
    };
    assert_eq!(facts.actual_census, census(1, 1, 0, 1, 2));
    assert_eq!(facts.expected_census, census(1, 0, 1, 2, 3));
    assert_eq!(facts.mismatches, [2, 2, 2]);
}

#[test]
fn the_relative_error_against_zero_is_infinite_unless_equal() {
    let worst = measured(&[1e-30f64, 2.0], &[0.0f64, 1.0]).worst_rel.unwrap();
    assert_eq!((worst.err, worst.index), (f64::INFINITY, vec![0]));
    let worst = measured(&[-0.0f64, 2.5, 1.5], &[0.0f64, 2.0, 1.0]).worst_rel.unwrap();
    assert_eq!((worst.err, worst.index), (0.5, vec![2]));
}

#[test]
fn ulps_are_those_of_the_expected_format_or_a_coarser_one() {
    let of = |dtype| {
        let ladder = Ladder::default();
        let question = Question { dtype, ..Question::new(&ladder) };
        compare_slices(&[1.0f64 + 2f64.powi(-7)], &[1.0f32], &question).unwrap().facts.worst_ulps.unwrap().err
    };
    // The gap above 1 is 2^-23 in f32 and 2^-7 in bf16; f64 is finer than what is stored.
    assert_eq!(of(None), 65536.0);
    assert_eq!(of(Some(Dtype::Bf16)), 1.0);
    assert_eq!(of(Some(Dtype::F64)), 65536.0);
    // ulp(0) is the smallest subnormal: a checker with another idea accepts anything finite against 0.
    let worst = measured(&[f32::from_bits(3)], &[0.0f32]).worst_ulps.unwrap();
    assert_eq!(worst.err, 3.0);
    assert_eq!((worst.actual_bits.as_str(), worst.expected_bits.as_str()), ("0x00000003", "0x00000000"));
}

#[test]
fn large_integers_are_compared_exactly() {
    // Both are 2^53 in f64.
    let (a, e) = ((1i64 << 53) + 1, 1i64 << 53);
    let ladder = Ladder(vec![Rung::absolute(0.0), Rung::absolute(1.0)]);
    let facts = compare_slices(&[a, 5], &[e, 5], &Question::new(&ladder)).unwrap().facts;
    assert_eq!(facts.mismatches, [1, 0]);
    assert_eq!((facts.worst_abs.unwrap().err, facts.worst_ulps.unwrap().err), (1.0, 1.0));
    assert_eq!(measured(&[u64::MAX], &[-1i64]).mismatches, [1, 1, 1]);
    assert_eq!(measured(&[i64::MAX], &[2f64.powi(63)]).mismatches, [1, 1, 1]);
    assert_eq!(measured(&[true, false], &[1u8, 0]).mismatches, [0, 0, 0]);
}

#[test]
fn an_array_without_axes_is_one_element_and_an_empty_one_none() {
    let of = |shape: &[usize]| {
        let (a, e) = (ArrayD::from_elem(shape, 1.0f32), ArrayD::from_elem(shape, 2.0f32));
        compare_views(a.view(), e.view(), &Question::new(&Ladder::default())).unwrap().facts
    };
    let facts = of(&[]);
    assert_eq!(
        (facts.compared, facts.mismatches.as_slice(), facts.worst_abs.unwrap().index),
        (1, &[1, 1, 1][..], vec![])
    );
    assert_eq!(facts.location[0].words, "one element");
    let facts = of(&[3, 0]);
    assert_eq!((facts.compared, facts.mismatches.as_slice()), (0, &[0, 0, 0][..]));
    assert_eq!(facts.histogram.quantiles, None);
}

#[test]
fn the_first_failures_are_those_of_the_tightest_missed_rung() {
    let ladder = Ladder(vec![Rung::absolute(10.0), Rung::absolute(0.5)]);
    let question = Question { show: 2, ..Question::new(&ladder) };
    let found = compare_slices(&[0.0f32, 1.0, 2.0, 3.0], &[0.0f32; 4], &question).unwrap();
    assert_eq!(found.facts.tightest_missed(), Some(1));
    let first: Vec<(usize, f64)> = found.first_failures.iter().map(|one| (one.index[0], one.err)).collect();
    assert_eq!(first, [(1, 1.0), (2, 2.0)]);
    // Three of four elements: that none of them is the first is no surprise.
    assert_eq!(found.facts.location, []);
}

#[test]
fn facts_read_back_from_json_as_they_were() {
    let facts = measured(&[f64::NAN, f64::INFINITY, 0.1, 3.0], &[1.0, f64::NEG_INFINITY, 0.3, -0.0]);
    let text = serde_json::to_string(&facts).unwrap();
    assert!(text.contains(r#""err":"inf""#), "{text}");
    let mut back: Comparison = serde_json::from_str(&text).unwrap();
    // NaN equals nothing, so it is looked at and then set aside.
    let mut facts = facts;
    for facts in [&mut facts, &mut back] {
        for worst in [&mut facts.worst_abs, &mut facts.worst_rel, &mut facts.worst_ulps] {
            let actual = &mut worst.as_mut().unwrap().actual;
            assert!(actual.is_nan());
            *actual = 0.0;
        }
    }
    assert_eq!(back, facts);
}

/// Values that meet every branch: ordinary ones, equal ones, zeros, subnormals, the ends of the formats, no numbers.
fn values() -> impl Strategy<Value = f64> + Clone {
    prop_oneof![
        12 => -4.0..4.0f64,
        6 => Just(1.0),
        2 => (-40i32..39).prop_map(|k| 10f64.powi(k)),
        2 => prop::sample::select(vec![0.0, -0.0, f64::from(f32::MAX), -f64::from(f32::MAX), f64::from(f32::from_bits(1)), 448.0, 1e300, 5e-324, f64::MAX, 1e-310]),
        1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
    ]
}

/// Pairs, most of them near one another.
fn pairs() -> impl Strategy<Value = Vec<(f64, f64)>> {
    let pair = (values(), values(), 0..8u8).prop_map(|(x, y, how)| match how {
        0 => (x, y),
        1..4 => (x, x),
        4 => (x * (1.0 + 1e-6), x),
        5 => (x + 1e-5, x),
        6 => (x + 1e-4 * y, x),
        _ => (x + 1e-3, x),
    });
    prop_oneof![4 => prop::collection::vec(pair.clone(), 0..40), 1 => prop::collection::vec(pair, 1000..2100)]
}

fn ladders() -> impl Strategy<Value = Ladder> {
    let rung = (prop::sample::select(vec![0.0, 1e-5, 1e-3, 1.0]), prop::sample::select(vec![0.0, 0.0, 1e-6, 0.1]))
        .prop_flat_map(|(atol, rtol)| {
            prop::option::of(prop::sample::select(vec![0.0, 0.5, 1.0, 4.0, 1e6])).prop_map(move |max_ulps| Rung {
                atol,
                rtol,
                max_ulps,
            })
        });
    prop::collection::vec(rung, 0..4).prop_map(Ladder)
}

fn every_level_agrees<A: Element, E: Element>(actual: &[A], expected: &[E], ladder: &Ladder, dtype: Option<Dtype>) {
    let question = Question { dtype, show: 3, ..Question::new(ladder) };
    // Two axes where they fit.
    let width = [7, 5, 3].into_iter().find(|width| actual.len().is_multiple_of(*width)).unwrap_or(1);
    let shape = (actual.len() / width, width);
    let side = |level| {
        let a = ndarray::ArrayView::from_shape(shape, actual).unwrap();
        let e = ndarray::ArrayView::from_shape(shape, expected).unwrap();
        let found = measure(level, &Operand::from_view(a), &Operand::from_view(e), &question).unwrap();
        // As text, where NaN equals NaN and −0 differs from 0, and every bit of a number is written.
        format!("{found:?}")
    };
    let defined = side(Level::Definition);
    for level in Level::all() {
        assert_eq!(side(level), defined, "{level:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn every_path_equals_the_definition(pairs in pairs(), ladder in ladders(), narrow in prop::bool::ANY) {
        let dtype = narrow.then_some(Dtype::Bf16);
        let (a, e): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
        macro_rules! sides {
            ($convert_a:expr, $convert_e:expr) => {{
                let a: Vec<_> = a.iter().map(|&x| $convert_a(x)).collect();
                let e: Vec<_> = e.iter().map(|&x| $convert_e(x)).collect();
                every_level_agrees(&a, &e, &ladder, dtype);
            }};
        }
        sides!(|x| x, |x| x);
        sides!(|x| x as f32, |x| x as f32);
        sides!(|x| x as f32, |x: f64| x);
        sides!(f16::from_f64, f16::from_f64);
        sides!(bf16::from_f64, |x| x as f32);
        sides!(|x| (x * 4.0) as i64, |x| (x * 4.0) as i64);
        sides!(|x| x as u64, |x| x as f32);
        sides!(|x| (x * 40.0) as i8, |x| (x * 40.0) as i32);
        sides!(|x| x as i16, |x| x as u16);
        sides!(|x| x as u8, |x| x as u32);
        sides!(|x| x > 0.0, |x| x > 0.5);
    }
}

#[test]
fn f8_follows_the_same_path() {
    let bytes: Vec<u8> = (0..=255).cycle().take(3000).collect();
    let shifted: Vec<u8> = bytes.iter().map(|byte| byte.wrapping_mul(3)).collect();
    let (a, e) = (ndarray::aview1(&bytes), ndarray::aview1(&shifted));
    let ladder = Ladder::default();
    let of = |level| {
        measure(level, &Operand::from_f8_e4m3(a), &Operand::from_f8_e4m3(e), &Question::new(&ladder)).unwrap().facts
    };
    for level in Level::all() {
        assert_eq!(format!("{:?}", of(level)), format!("{:?}", of(Level::Definition)));
    }
    assert_eq!(of(Level::Definition).worst_abs.unwrap().expected_bits.len(), 4);
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let expected: Vec<f32> =
        (0..400_000u32).map(|i| ((i.wrapping_mul(2_654_435_761) >> 8) as f32) * 1e-6 - 8.0).collect();
    let actual: Vec<f32> = expected.iter().enumerate().map(|(i, x)| x + if i % 3 == 0 { 2e-5 } else { 0.0 }).collect();
    let shape = (400, 1000);
    let of = |level, threads| {
        let a = ndarray::ArrayView::from_shape(shape, &actual).unwrap();
        let e = ndarray::ArrayView::from_shape(shape, &expected).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let ladder = Ladder::default();
        let question = Question { show: 5, ..Question::new(&ladder) };
        pool.install(|| measure(level, &Operand::from_view(a), &Operand::from_view(e), &question).unwrap())
    };
    let one = of(Level::chosen(), 1);
    assert_eq!(one, of(Level::chosen(), 2));
    assert_eq!(one, of(Level::Definition, 3));
    assert!(one.facts.mismatches[0] > 100_000);
}
