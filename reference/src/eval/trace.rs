//! What passed each site, kept for those who asked.

use crate::linalg::arrays::{assign, concatenated};
use ndarray::{ArrayD, ArrayViewD, Axis, Slice};
use std::collections::BTreeMap;

/// Records the tensors of chosen sites over one or more calls of a model.
///
/// The pieces of one site are joined along the axis before the last (tokens: `[batch, q_len, width]`,
/// `[batch, heads, q_len, width]`). Where the last axis grew meanwhile (scores over more and more keys),
/// earlier pieces are filled up with what a masked key has there.
#[derive(Debug, Default)]
pub struct Trace {
    patterns: Vec<String>,
    pieces: BTreeMap<String, Vec<ArrayD<f64>>>,
}

impl Trace {
    /// A trace of the sites that match one of `patterns`; `*` stands for any run of characters.
    pub fn of<S: Into<String>>(patterns: impl IntoIterator<Item = S>) -> Self {
        Self { patterns: patterns.into_iter().map(Into::into).collect(), pieces: BTreeMap::new() }
    }

    /// Whether somebody asked for `site` in `scope`: `attn.q` in `layers.3.`, for example. Asked at every site of every
    /// evaluation, so no name is put together for it.
    pub fn wants(&self, scope: &str, site: &str) -> bool {
        self.patterns.iter().any(|pattern| match pattern.contains('*') {
            true => matches_pattern(pattern, &format!("{scope}{site}")),
            false => pattern.strip_prefix(scope) == Some(site),
        })
    }

    pub(super) fn record(&mut self, site: String, value: ArrayD<f64>) {
        self.pieces.entry(site).or_default().push(value);
    }

    /// Records what holds all earlier pieces.
    pub(super) fn record_whole(&mut self, site: String, value: ArrayD<f64>) {
        self.pieces.insert(site, vec![value]);
    }

    /// Records stages of attention whose first column is key `first`; the keys before it are masked.
    pub(super) fn record_keys(&mut self, site: String, value: ArrayD<f64>, first: usize) {
        let fill = masked_value(&site);
        let piece = widened(&value, first, value.shape().last().map_or(0, |width| first + width), fill);
        self.record(site, piece);
    }

    /// The patterns that no recorded site matches.
    pub fn unmatched(&self) -> Vec<&str> {
        let missed = |pattern: &&String| !self.pieces.keys().any(|site| matches_pattern(pattern, site));
        self.patterns.iter().filter(missed).map(String::as_str).collect()
    }

    /// Each site as one array.
    pub fn into_arrays(self) -> BTreeMap<String, ArrayD<f64>> {
        let mut arrays = BTreeMap::new();
        for (site, pieces) in self.pieces {
            let joined = join(&site, pieces);
            arrays.insert(site, joined);
        }
        arrays
    }
}

fn join(site: &str, mut pieces: Vec<ArrayD<f64>>) -> ArrayD<f64> {
    if pieces.len() == 1 {
        return pieces.remove(0);
    }
    let Some(last) = pieces.last() else { return ArrayD::zeros(vec![0]) };
    let width = last.shape().last().copied().unwrap_or(0);
    let pieces: Vec<ArrayD<f64>> = pieces.iter().map(|piece| widened(piece, 0, width, masked_value(site))).collect();
    let views: Vec<ArrayViewD<f64>> = pieces.iter().map(|piece| piece.view()).collect();
    // Pieces of one site differ only in the token axis, so they always fit; the fallback keeps the last one.
    concatenated(Axis(last.ndim().saturating_sub(2)), &views).unwrap_or_else(|| last.clone())
}

/// What a masked key has at this site.
fn masked_value(site: &str) -> f64 {
    if site.ends_with("probs") { 0.0 } else { f64::NEG_INFINITY }
}

/// The array with its last axis `width` wide, its own columns from `start` on.
fn widened(piece: &ArrayD<f64>, start: usize, width: usize, fill: f64) -> ArrayD<f64> {
    let Some(axis) = piece.ndim().checked_sub(1) else { return piece.clone() };
    let own = piece.shape()[axis];
    if own == width {
        return piece.clone();
    }
    let mut shape = piece.shape().to_vec();
    shape[axis] = width;
    let mut wide = ArrayD::from_elem(shape, fill);
    assign(wide.slice_axis_mut(Axis(axis), Slice::from(start..start + own)), piece.view());
    wide
}

/// Whether `name` matches `pattern`, where `*` stands for any run of characters.
pub fn matches_pattern(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, rest)) => name.strip_prefix(head).is_some_and(|tail| {
            (0..=tail.len()).filter(|&i| tail.is_char_boundary(i)).any(|i| matches_pattern(rest, &tail[i..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn patterns_match_runs_of_characters() {
        assert!(matches_pattern("layers.*.output", "layers.12.output"));
        assert!(matches_pattern("*", "logits"));
        assert!(matches_pattern("layers.*.attn.*", "layers.0.attn.probs"));
        assert!(!matches_pattern("layers.*.output", "layers.12.outputs"));
        assert!(!matches_pattern("embed", "embed_norm"));
    }

    #[test]
    fn a_site_is_wanted_by_its_whole_name() {
        let wants = |pattern: &str, scope: &str, site: &str| Trace::of([pattern]).wants(scope, site);
        assert!(wants("layers.1.attn.q", "layers.1.", "attn.q") && wants("layers.*.attn.q", "layers.1.", "attn.q"));
        assert!(wants("embed", "", "embed") && !wants("attn.q", "layers.1.", "attn.q"));
        assert!(!wants("layers.1.attn.q", "layers.11.", "attn.q"));
        assert!(
            !wants("layers.1.attn.q", "layers.1.", "attn.q_norm")
                && !wants("layers.1.attn.q_norm", "layers.1.", "attn.q")
        );
        assert!(!Trace::default().wants("layers.1.", "attn.q"));
    }

    #[test]
    fn growing_keys_are_filled_up_with_what_a_masked_key_has() {
        let mut trace = Trace::of(["*"]);
        trace.record("attn.probs".into(), array![[[1.0, 0.0]]].into_dyn());
        trace.record("attn.probs".into(), array![[[0.2, 0.3, 0.5]]].into_dyn());
        let arrays = trace.into_arrays();
        assert_eq!(arrays["attn.probs"], array![[[1.0, 0.0, 0.0], [0.2, 0.3, 0.5]]].into_dyn());
    }
}
