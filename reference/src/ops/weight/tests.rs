//! Weights of files compute as the same numbers owned, in each format and orientation, and are copied only where they must.

use super::*;
use crate::io::mapped;
use crate::io::safetensors::tests::file;
use crate::linalg::matmul_definition;
use ndarray::{arr2, s};

const ROWS: usize = 37;
const COLUMNS: usize = 53;

/// A file that holds `w` of [`ROWS`] by [`COLUMNS`] numbers, which begin `shift` bytes off a multiple of their size.
fn in_file(dtype: &str, numbers: &[u8], shift: usize) -> MappedArray {
    let header = |spaces: usize| {
        let end = numbers.len();
        let entry = format!(r#""w":{{"dtype":"{dtype}","shape":[{ROWS},{COLUMNS}],"data_offsets":[0,{end}]}}"#);
        format!("{{{entry}}}{}", " ".repeat(spaces))
    };
    let spaces = 8 - header(0).len() % 8 + shift;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    std::fs::write(&path, file(&header(spaces), numbers)).unwrap();
    mapped::open(path).unwrap().pop().unwrap()
}

/// Numbers of both signs, with fractions.
fn number(index: usize) -> f64 {
    ((index * 7919) % 2003) as f64 / 64.0 - 15.0
}

/// A format: its name, the bytes of a number, and their value, by `half` and the language.
type Format = (&'static str, Dtype, fn(f64) -> Vec<u8>, fn(f64) -> f64);

const FORMATS: [Format; 4] = [
    ("F64", Dtype::F64, |x| x.to_le_bytes().to_vec(), |x| x),
    ("F32", Dtype::F32, |x| (x as f32).to_le_bytes().to_vec(), |x| f64::from(x as f32)),
    ("F16", Dtype::F16, |x| f16::from_f64(x).to_le_bytes().to_vec(), |x| f16::from_f64(x).to_f64()),
    ("BF16", Dtype::Bf16, |x| bf16::from_f64(x).to_le_bytes().to_vec(), |x| bf16::from_f64(x).to_f64()),
];

fn bits<T: Real>(x: &Array2<T>) -> Vec<u64> {
    x.iter().map(|x| x.to_f64().to_bits()).collect()
}

fn a_weight_of_a_file_is_the_same_owned<T: Real>() {
    let rules = ProductRules::exact_operands::<T>();
    let factors = |width: usize| Array2::from_shape_fn((5, width), |(i, k)| T::from_f64(number(31 * i + k)));
    for (name, dtype, bytes_of, value) in FORMATS {
        let bytes: Vec<u8> = (0..ROWS * COLUMNS).flat_map(|index| bytes_of(number(index))).collect();
        let owned = Array2::from_shape_fn((ROWS, COLUMNS), |(i, j)| T::from_f64(value(number(i * COLUMNS + j))));
        for shift in [0, 1, 4] {
            let weight = Weight::from_file(&in_file(name, &bytes, shift)).unwrap().stored_as::<T>(T::DTYPE);
            let stays = shift % (bytes.len() / owned.len()) == 0 && T::DTYPE.holds(dtype);
            assert_eq!(weight.is_mapped(), stays && cfg!(target_endian = "little"), "{name} {shift}");
            assert_eq!(weight.dtype(), if T::DTYPE.holds(dtype) { dtype } else { T::DTYPE });
            let what = format!("{name} shifted by {shift}");
            assert_eq!(bits(&weight.to_array()), bits(&owned), "{what}");
            assert_eq!(weight.row(9), owned.row(9), "{what}");
            // Both orientations, whole and in parts, as one slice and gathered.
            let out_in = weight.clone().transposed();
            let product = |x: &Array2<T>, w: ArrayView2<T>| bits(&matmul_definition(x.view(), w, rules));
            let (tall, wide) = (factors(ROWS), factors(COLUMNS));
            assert_eq!(bits(&weight.product(tall.view(), rules)), product(&tall, owned.view()), "{what}");
            assert_eq!(bits(&out_in.product(wide.view(), rules)), product(&wide, owned.t()), "{what}");
            let part = weight.rows_of(std::slice::from_ref(&(3..20))).transposed();
            assert_eq!(bits(&part.product(wide.view(), rules)), product(&wide, owned.slice(s![3..20, ..]).t()));
            let part = out_in.rows_of(std::slice::from_ref(&(50..COLUMNS))).transposed();
            assert_eq!(bits(&part.product(tall.view(), rules)), product(&tall, owned.slice(s![.., 50..])));
            let part = out_in.rows_of(&[30..35, 0..5, 50..COLUMNS]);
            let kept: Vec<usize> = (30..35).chain(0..5).chain(50..COLUMNS).collect();
            assert_eq!(bits(&part.to_array()), bits(&owned.t().select(ndarray::Axis(0), &kept)));
            assert!(weight.rows(ROWS..ROWS).transposed().rows(COLUMNS..COLUMNS).to_array().is_empty());
        }
    }
}

#[test]
fn a_weight_of_a_file_is_the_same_owned_under_f64() {
    a_weight_of_a_file_is_the_same_owned::<f64>();
}

#[test]
fn a_weight_of_a_file_is_the_same_owned_under_f32() {
    a_weight_of_a_file_is_the_same_owned::<f32>();
}

#[test]
fn a_narrower_format_is_rounded_to_once_and_kept_in_its_own_size() {
    // Just above the midpoint of two numbers of bf16, and beyond the range of f16: through f32 it would be the midpoint.
    let x = 1.0 + 2f64.powi(-8) + 2f64.powi(-40);
    let file = Weight::from(arr2(&[[x, 70_000.0, f64::NAN]]));
    let single = Weight::from(arr2(&[[1.0f32 + 2f32.powi(-8), 70_000.0, f32::NAN]]));
    let halves = file.stored_as::<f32>(Dtype::Bf16);
    assert!(matches!(halves, Weight::Bf16(_)));
    assert_eq!(halves.to_array().row(0).to_vec()[..2], [1.0 + 2f32.powi(-7), 70_144.0]);
    assert!(halves.to_array()[[0, 2]].is_nan());
    assert_eq!(single.row(0)[0], 1.0 + 2f32.powi(-8));
    let halves = file.stored_as::<f64>(Dtype::F16);
    assert!(matches!(halves, Weight::F16(_)));
    assert_eq!(halves.to_array()[[0, 1]], f64::INFINITY);
    assert!(matches!(file.stored_as::<f64>(Dtype::F32), Weight::F32(_)));
    assert!(matches!(file.stored_as::<f32>(Dtype::F64), Weight::Own(_)));
    // bf16 and f16 do not hold each other; tf32 holds both, and is kept as the scalar.
    let file = Weight::<f64>::Bf16(Matrix::new(vec![bf16::from_f64(70_144.0)].into(), 1, 1));
    assert_eq!(file.stored_as::<f32>(Dtype::F16).row(0)[0], f32::INFINITY);
    assert!(matches!(file.stored_as::<f32>(Dtype::Tf32), Weight::Bf16(_)));
    assert!(matches!(Weight::from(arr2(&[[x]])).stored_as::<f32>(Dtype::Tf32), Weight::Own(_)));
}

#[test]
fn bytes_of_e4m3_and_integers_are_weights_too() {
    // S.EEEE.MMM: 0x38 is 1, 0x7e is 448, 0x81 is -2^-9.
    let bytes: Vec<u8> = (0..ROWS * COLUMNS).map(|index| [0x38, 0x7e, 0x81][index % 3]).collect();
    let weight = Weight::from_file(&in_file("F8_E4M3", &bytes, 0)).unwrap();
    assert_eq!(weight.dtype(), Dtype::Bf16);
    assert_eq!(weight.row(0).to_vec()[..3], [1.0, 448.0, -(2f64.powi(-9))]);
    let weight = Weight::from_file(&in_file("I8", &bytes, 0)).unwrap();
    assert_eq!(weight.row(0).to_vec()[..3], [56.0, 126.0, -127.0]);
}

#[test]
fn what_is_not_finite_is_counted_where_it_lies() {
    let mut numbers = [bf16::ONE; ROWS * COLUMNS];
    (numbers[0], numbers[60], numbers[ROWS * COLUMNS - 1]) = (bf16::NAN, bf16::INFINITY, bf16::NEG_INFINITY);
    let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    let weight = Weight::from_file(&in_file("BF16", &bytes, 0)).unwrap();
    assert_eq!(
        (weight.non_finite(), weight.clone().transposed().non_finite(), weight.rows(1..3).non_finite()),
        (3, 3, 1)
    );
}

#[test]
fn clones_parts_and_the_transpose_share_the_memory() {
    let owned = Matrix::from(arr2(&[[1.0f32, 2.0], [3.0, 4.0], [5.0, 6.0]]));
    let start = owned.view().as_ptr();
    assert_eq!(owned.clone().transposed().view().as_ptr(), start);
    let Weight::Own(part) = Weight::Own(owned).rows(1..3) else { panic!() };
    assert_eq!(part.view().as_ptr(), start.wrapping_add(2));
}
