//! Caches that store, order or hand back keys and values wrongly.

use super::{D, Sites};
use crate::num::sort;
use ndarray::{Array4, ArrayD, Axis, Slice, concatenate, s};
use std::ops::Range;

const HERE: [D; 15] = [
    D::KeysBeforeRope,
    D::KeysRotatedTwice,
    D::NotUpdated,
    D::SlotOverwritten,
    D::ValuesStale,
    D::Prepended,
    D::LayerZero,
    D::RingOrder,
    D::PagesInOrder,
    D::RowZeroKeys,
    D::KeysAndValuesSwapped,
    D::HeadsTiled,
    D::HeadZero,
    D::RepeatedAlongTokens,
    D::ValuesRotated,
];

/// Tokens a page.
const PAGE: usize = 4;

impl Sites<'_> {
    pub(super) fn wrong_keys(&mut self, value: &ArrayD<f64>) -> Option<ArrayD<f64>> {
        if !self.any(&HERE) {
            return None;
        }
        let right: Array4<f64> = value.clone().into_dimensionality().ok()?;
        let [k, v] = self.remembered(&right)?;
        let (k, v) = if self.has(D::KeysAndValuesSwapped) { (v, k) } else { (k, v) };
        let (k, v) = (self.wrong_groups(k)?, self.wrong_groups(v)?);
        self.seen.insert("wrong values".to_string(), v.into_dyn());
        Some(k.into_dyn())
    }

    pub(super) fn wrong_values(&mut self, _: &ArrayD<f64>) -> Option<ArrayD<f64>> {
        self.seen.remove("wrong values")
    }

    /// Keys and values of the past and of this call, as this layer's cache gives them back. Where the reference's cache hands back more, the rest
    /// is another request's.
    fn remembered(&mut self, right: &Array4<f64>) -> Option<[Array4<f64>; 2]> {
        let layer = self.layer?;
        let bare = self.last4(&["attn.k", "attn.k_norm"])?;
        let rotated = self.last4(&["attn.k", "attn.k_norm", "attn.k_rope"])?;
        let new_v = self.last4(&["attn.v"])?;
        let stored = if self.has(D::KeysBeforeRope) { bare } else { rotated.clone() };
        let source = if self.has(D::LayerZero) { 0 } else { layer };
        let nothing = || [&stored, &new_v].map(|x| tokens(x, 0..0));
        let [old_k, old_v] = self.cache_before.get(source).cloned().flatten().unwrap_or_else(nothing);
        let past = old_k.dim().2;
        // Another request's keys, handed back by a session that goes on.
        if right.dim().2 != past + stored.dim().2 {
            return None;
        }
        let joined = |old: &Array4<f64>, new: &Array4<f64>| concatenate(Axis(2), &[old.view(), new.view()]).ok();
        let (mut k, mut v) = (joined(&old_k, &stored)?, joined(&old_v, &new_v)?);
        if past > 0 && self.has(D::NotUpdated) {
            // The slots exist and were never written.
            let kept = self.prompt.min(past);
            clear(&mut k, kept..past);
            clear(&mut v, kept..past);
        }
        if past > 0 && self.has(D::SlotOverwritten) {
            overwrite(&mut k, past - 1, &tokens(&stored, 0..1));
            overwrite(&mut v, past - 1, &tokens(&new_v, 0..1));
        }
        if past > 0 && self.has(D::ValuesStale) {
            let len = v.dim().2;
            clear(&mut v, past..len);
        }
        if self.has(D::Prepended) {
            (k, v) = (joined(&stored, &old_k)?, joined(&new_v, &old_v)?);
        }
        *self.cache.get_mut(layer)? = Some([k.clone(), v.clone()]);
        if self.has(D::KeysBeforeRope) {
            // The new keys are used rotated, the old ones as they lie there.
            overwrite(&mut k, past, &rotated);
        }
        if past > 0 && self.has(D::KeysRotatedTwice) {
            let positions = self.positions.slice(s![.., ..past]).to_owned();
            if let Some(again) = self.turn(tokens(&k, 0..past), &positions, 'k') {
                overwrite(&mut k, 0, &again);
            }
        }
        Some([k, v].map(|x| self.handed_back(x)))
    }

    fn handed_back(&self, x: Array4<f64>) -> Array4<f64> {
        let len = x.dim().2;
        let window = self.attention().and_then(|attention| attention.sliding_window);
        if self.has(D::PagesInOrder) {
            return pages_in_order(&x);
        }
        if let Some(window) = window.filter(|&window| self.has(D::RingOrder) && len > window) {
            // The last keys, in the order of their slots instead of their age.
            let mut ring: Vec<usize> = (len - window..len).collect();
            sort::sort_by(&mut ring, &|a, b| (a % window).cmp(&(b % window)));
            let mut order: Vec<usize> = (0..len - window).collect();
            order.append(&mut ring);
            return x.select(Axis(2), &order);
        }
        if self.has(D::RowZeroKeys) {
            return x.select(Axis(0), &vec![0; x.dim().0]);
        }
        x
    }
}

/// Some tokens of all heads.
fn tokens(x: &Array4<f64>, range: Range<usize>) -> Array4<f64> {
    x.slice_axis(Axis(2), Slice::from(range)).to_owned()
}

/// Zeros at some tokens.
fn clear(x: &mut Array4<f64>, range: Range<usize>) {
    x.slice_axis_mut(Axis(2), Slice::from(range)).fill(0.0);
}

/// Other keys or values from token `first` on.
fn overwrite(x: &mut Array4<f64>, first: usize, with: &Array4<f64>) {
    x.slice_axis_mut(Axis(2), Slice::from(first..first + with.dim().2)).assign(with);
}

/// Rows take pages in turn as they grow; read are each row's pages as if they lay side by side.
fn pages_in_order(x: &Array4<f64>) -> Array4<f64> {
    let (batch, heads, len, dim) = x.dim();
    let mut out = Array4::zeros(x.dim());
    for b in 0..batch {
        for j in 0..len {
            let page = b + j / PAGE;
            let (row, at) = (page % batch, page / batch * PAGE + j % PAGE);
            if at < len {
                for h in 0..heads {
                    for d in 0..dim {
                        out[[b, h, j, d]] = x[[row, h, at, d]];
                    }
                }
            }
        }
    }
    out
}
