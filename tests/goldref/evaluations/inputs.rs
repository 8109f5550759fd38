//! The arrays and parameters of a question, rounded and taken apart.

use super::style::Style;
use goldref::io::Array;
use goldref::num::round_f64;
use ndarray::{Array4, ArrayD, Ix2, Ix4};
use serde_json::Value;
use std::collections::BTreeMap;

/// A question as an evaluation sees it: floats are rounded to the storage.
pub(super) struct Inputs<'a> {
    params: &'a Value,
    arrays: &'a BTreeMap<String, Array>,
    style: &'a Style,
}

impl<'a> Inputs<'a> {
    pub(super) fn new(params: &'a Value, arrays: &'a BTreeMap<String, Array>, style: &'a Style) -> Self {
        Self { params, arrays, style }
    }

    /// Stops at a parameter that the evaluation would otherwise pass over.
    pub(super) fn knows(&self, params: &[&str], arrays: &[&str]) -> &Self {
        if let Some(given) = self.params.as_object() {
            given.keys().for_each(|name| assert!(params.contains(&name.as_str()), "no evaluation with {name}"));
        }
        self.arrays.keys().for_each(|name| assert!(arrays.contains(&name.as_str()), "no evaluation with {name}"));
        self
    }

    pub(super) fn floats(&self, name: &str) -> ArrayD<f64> {
        self.floats_if(name).unwrap_or_else(|| panic!("{name} is missing"))
    }

    pub(super) fn floats_if(&self, name: &str) -> Option<ArrayD<f64>> {
        let array = self.arrays.get(name)?;
        Some(array.to_f64().mapv(|x| round_f64(x, self.style.storage)).as_standard_layout().into_owned())
    }

    pub(super) fn integers(&self, name: &str) -> ArrayD<i64> {
        self.arrays[name].to_i64().unwrap()
    }

    /// The array if it is there, as truth values or as numbers.
    pub(super) fn mask(&self, name: &str) -> Option<Mask> {
        Some(match self.arrays.get(name)? {
            Array::Bool(allowed) => Mask::Allowed(allowed.clone()),
            _ => Mask::Added(self.floats(name)),
        })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.arrays.contains_key(name)
    }

    /// A number among the parameters.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.params.get(name).filter(|value| !value.is_null()).map(|value| value.as_f64().unwrap())
    }

    /// A whole number among the parameters.
    pub(super) fn whole(&self, name: &str) -> Option<i64> {
        self.number(name).map(|x| x as i64)
    }

    /// A word among the parameters.
    pub(super) fn word(&self, name: &str) -> Option<&str> {
        self.params.get(name).and_then(Value::as_str)
    }

    /// `axis`, counted from the front; the last one if it is not given.
    pub(super) fn axis(&self, ndim: usize) -> usize {
        let axis = self.whole("axis").unwrap_or(-1);
        if axis < 0 { (axis + ndim as i64) as usize } else { axis as usize }
    }

    /// `[batch, heads, len, dim]`, also from `[batch, len, heads · dim]` with the number of heads under `param`.
    pub(super) fn heads(&self, name: &str, param: &str) -> Array4<f64> {
        let x = self.floats(name);
        if x.ndim() == 4 {
            return x.into_dimensionality::<Ix4>().unwrap();
        }
        let heads = self.whole(param).or(self.whole("num_heads")).unwrap() as usize;
        let (batch, len, dim) = (x.shape()[0], x.shape()[1], x.shape()[2] / heads);
        Array4::from_shape_fn((batch, heads, len, dim), |(b, h, t, d)| x[[b, t, h * dim + d]])
    }

    /// `x [batch, heads, len, dim]` with as many axes as the input `name` has.
    pub(super) fn axes_of(&self, name: &str, x: Array4<f64>) -> ArrayD<f64> {
        if self.arrays[name].shape().len() == 4 {
            return x.into_dyn();
        }
        let (batch, heads, len, dim) = x.dim();
        ArrayD::from_shape_fn(vec![batch, len, heads * dim], |i| x[[i[0], i[2] / dim, i[1], i[2] % dim]])
    }

    /// `position_ids` as `[batch, len]`.
    pub(super) fn position_ids(&self, batch: usize, len: usize) -> ndarray::Array2<i64> {
        self.integers("position_ids").broadcast((batch, len)).unwrap().to_owned().into_dimensionality::<Ix2>().unwrap()
    }
}

/// What `attn_mask` may be.
pub(super) enum Mask {
    /// True: may attend.
    Allowed(ArrayD<bool>),
    /// Added to the scores.
    Added(ArrayD<f64>),
}
