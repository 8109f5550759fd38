//! Questions that belong together, and what must be equal in their answers.

use crate::io::Array;
use crate::linalg::arrays::{concatenated, copied, for_each_place};
use crate::linalg::convert::from_f64;
use ndarray::{ArrayD, ArrayViewD, Axis, Slice};
use serde_json::Value;
use std::collections::BTreeMap;

/// A question as it is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Posed {
    /// What is asked: an operation, or `model`.
    pub op: &'static str,
    /// Its parameters.
    pub params: Value,
    /// Its arrays.
    pub inputs: BTreeMap<String, Array>,
}

/// Arrays of an answer.
pub(super) type Arrays = BTreeMap<String, ArrayD<f64>>;

/// Arrays of each answer, in the order of the questions.
pub(super) type Answers<'a> = &'a [Arrays];

/// Whether an array is what was asked for, and not a site beside it.
pub(super) fn is_main(name: &str) -> bool {
    name == "out" || name.starts_with("logits")
}

/// Two arrays that must be equal.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pair {
    pub(super) actual: ArrayD<f64>,
    pub(super) expected: ArrayD<f64>,
}

/// What must be equal; `None` where an array is missing or has another shape than its question gives it.
type Equal = Box<dyn Fn(Answers) -> Option<Pair>>;

/// Questions, and what must be equal in their answers.
pub(super) struct Trial {
    pub(super) posed: Vec<Posed>,
    pub(super) equal: Equal,
}

impl Trial {
    pub(super) fn new(posed: Vec<Posed>, equal: impl Fn(Answers) -> Option<Pair> + 'static) -> Self {
        Self { posed, equal: Box::new(equal) }
    }
}

/// Arrays by their names, as a question has them.
pub(super) fn named(arrays: Vec<(&str, Array)>) -> BTreeMap<String, Array> {
    let mut inputs = BTreeMap::new();
    for (name, array) in arrays {
        inputs.insert(name.to_string(), array);
    }
    inputs
}

/// The array of this shape that has at each index what `at` says of it.
///
/// Compiled for each type of numbers and not for each property, as all that follows here is.
pub(super) fn filled<T>(shape: &[usize], at: &dyn Fn(&[usize]) -> T) -> ArrayD<T> {
    let mut values = Vec::new();
    for_each_place(shape, &mut |index| values.push(at(index)));
    ArrayD::from_shape_vec(shape, values).expect("a value for each place")
}

/// `f` of each number.
pub(super) fn mapped(array: &ArrayD<f64>, f: fn(f64) -> f64) -> ArrayD<f64> {
    let mut mapped = array.clone();
    for x in &mut mapped {
        *x = f(*x);
    }
    mapped
}

/// The numbers as a program in f32 takes them.
pub(super) fn stored(array: &ArrayD<f64>) -> Array {
    Array::F32(from_f64(array))
}

/// The indices `from..to` of an axis.
pub(super) fn part(array: &ArrayD<f64>, axis: usize, from: usize, to: usize) -> ArrayD<f64> {
    array.slice_axis(Axis(axis), Slice::from(from..to)).as_standard_layout().into_owned()
}

/// The indices `order` of an axis.
pub(super) fn chosen(array: &ArrayD<f64>, axis: usize, order: &[usize]) -> ArrayD<f64> {
    array.select(Axis(axis), order).as_standard_layout().into_owned()
}

/// One behind the other.
pub(super) fn joined(axis: usize, parts: &[ArrayViewD<f64>]) -> ArrayD<f64> {
    // Parts come from one array, so they fit; the fallback keeps the first.
    concatenated(Axis(axis), parts).unwrap_or_else(|| copied(&parts[0]))
}

/// The array of this shape.
pub(super) fn shaped<'a>(
    answers: Answers<'a>,
    question: usize,
    name: &str,
    shape: &[usize],
) -> Option<&'a ArrayD<f64>> {
    answers.get(question)?.get(name).filter(|array| array.shape() == shape)
}
