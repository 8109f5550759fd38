//! Which elements of which arrays of an answer are compared.

use super::expectation::{Expectation, main_outputs};
use crate::linalg::arrays::values;
use ndarray::ArrayD;

/// The compared elements of a case's main arrays.
#[derive(Debug, Clone)]
pub(super) struct Outputs {
    /// Their expected values, array after array.
    pub(super) expected: Vec<f64>,
    /// For each array its name, its shape, and which elements are compared.
    each: Vec<(String, Vec<usize>, Vec<bool>)>,
}

impl Outputs {
    /// Those of the main arrays that `wanted` names.
    pub(super) fn of(expectation: &Expectation, wanted: &dyn Fn(&str) -> bool) -> Self {
        let (mut expected, mut each) = (Vec::new(), Vec::new());
        for (name, _, array) in main_outputs(&expectation.arrays) {
            if !wanted(name) {
                continue;
            }
            let compared = expectation.compared(name, array.len());
            add_compared(&mut expected, array, &compared);
            each.push((name.clone(), array.shape().to_vec(), compared));
        }
        Self { expected, each }
    }

    /// The compared elements of an answer; `None` where an array is missing or has another shape.
    pub(super) fn chosen(&self, array: &mut dyn FnMut(&str) -> Option<ArrayD<f64>>) -> Option<Vec<f64>> {
        let mut all = Vec::with_capacity(self.expected.len());
        for (name, shape, compared) in &self.each {
            let array = array(name).filter(|array| array.shape() == shape)?;
            add_compared(&mut all, &array, compared);
        }
        Some(all)
    }

    /// Names and shapes, for people.
    pub(super) fn in_words(&self) -> String {
        self.each.iter().map(|(name, shape, _)| format!("{name} {shape:?}")).collect::<Vec<_>>().join(", ")
    }
}

fn add_compared(all: &mut Vec<f64>, array: &ArrayD<f64>, compared: &[bool]) {
    for (&x, &compared) in values(array).iter().zip(compared) {
        if compared {
            all.push(x);
        }
    }
}
