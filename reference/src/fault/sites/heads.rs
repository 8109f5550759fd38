//! Heads split, merged and shared in other ways.

use super::{D, Sites};
use ndarray::{Array4, ArrayD, Axis, concatenate};

impl Sites<'_> {
    pub(super) fn wrong_projection(&mut self, site: &str, value: &ArrayD<f64>) -> Option<ArrayD<f64>> {
        let rotated = site == "attn.v" && self.has(D::ValuesRotated);
        if !rotated && !self.has(D::SplitWithoutTranspose) {
            return None;
        }
        let mut x: Array4<f64> = value.clone().into_dimensionality().ok()?;
        if self.has(D::SplitWithoutTranspose) {
            // [batch, len, heads · dim] read as [batch, heads, len, dim].
            let merged = x.view().permuted_axes([0, 2, 1, 3]).as_standard_layout().into_owned();
            x = merged.into_shape_with_order(x.dim()).ok()?;
        }
        if rotated {
            let now = self.now();
            x = self.turn(x.clone(), &now, 'v').unwrap_or(x);
        }
        Some(x.into_dyn())
    }

    /// What the right merge must be given so that the wrong one comes out.
    pub(super) fn wrong_context(&self, value: &ArrayD<f64>) -> Option<ArrayD<f64>> {
        let spreads = self.any(&[D::NanRows, D::NoMaxShift]);
        if !spreads && !self.has(D::MergedWithoutTranspose) {
            return None;
        }
        let mut x: Array4<f64> = value.clone().into_dimensionality().ok()?;
        if spreads {
            self.spread_nan(&mut x);
        }
        if !self.has(D::MergedWithoutTranspose) {
            return Some(x.into_dyn());
        }
        let (batch, heads, len, dim) = x.dim();
        let read = x.as_standard_layout().into_owned().into_shape_with_order((batch, len, heads, dim)).ok()?;
        Some(read.permuted_axes([0, 2, 1, 3]).as_standard_layout().into_owned().into_dyn())
    }

    /// A NaN among the values reaches every query of its head, also where its probability is 0: whoever does not look for rows without keys
    /// does not leave out masked values either.
    fn spread_nan(&self, context: &mut Array4<f64>) {
        let Some(v) = self.last4(&["attn.values"]) else { return };
        let group = context.dim().1 / v.dim().1.max(1);
        for ((b, h, _, d), out) in context.indexed_iter_mut() {
            if v.slice(ndarray::s![b, h / group.max(1), .., d]).iter().any(|v| v.is_nan()) {
                *out = f64::NAN;
            }
        }
    }

    /// Keys or values as query heads find them: one for each of them, where they are shared in another way.
    pub(super) fn wrong_groups(&self, x: Array4<f64>) -> Option<Array4<f64>> {
        let heads = self.attention()?.num_attention_heads;
        let (batch, kv_heads, len, dim) = x.dim();
        let group = heads / kv_heads.max(1);
        if self.has(D::HeadsTiled) {
            return concatenate(Axis(1), &vec![x.view(); group]).ok();
        }
        if self.has(D::HeadZero) {
            let first = x.index_axis(Axis(1), 0).insert_axis(Axis(1));
            return concatenate(Axis(1), &vec![first; heads]).ok();
        }
        if self.has(D::RepeatedAlongTokens) && group > 1 {
            // Each one repeated along the tokens, then read as if along the heads.
            let tokens: Vec<usize> = (0..len * group).map(|t| t / group).collect();
            let repeated = x.select(Axis(2), &tokens).as_standard_layout().into_owned();
            return repeated.into_shape_with_order((batch, heads, len, dim)).ok();
        }
        Some(x)
    }
}
