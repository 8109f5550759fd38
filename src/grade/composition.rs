//! What passes alone and fails together: a function of points, so that hidden cases count.

use super::report_data::Item;

/// What is made of what.
const MADE_OF: &[(&str, &[&str])] = &[
    ("attention", &["softmax", "mask", "matmul"]),
    ("multihead_attention", &["linear", "softmax", "attention"]),
    ("encoder_layer", &["multihead_attention", "layer_norm", "linear"]),
    ("decoder_layer", &["multihead_attention", "layer_norm", "linear"]),
    ("model", &["embedding", "linear", "rms_norm", "layer_norm", "rope", "attention"]),
    ("model through a cache", &["model"]),
];

/// Cases of all parts so far, by what they are about: all, and those that passed.
#[derive(Debug, Default)]
pub(super) struct Seen(Vec<(String, [usize; 2])>);

impl Seen {
    /// Takes note of a part.
    pub(super) fn add(&mut self, asked: &[String], items: &[Item]) {
        for (kind, item) in asked.iter().zip(items) {
            let passed = usize::from(item.passed());
            match self.0.iter_mut().find(|(known, _)| known == kind) {
                Some((_, counts)) => *counts = [counts[0] + 1, counts[1] + passed],
                None => self.0.push((kind.clone(), [1, passed])),
            }
        }
    }

    fn counts(&self, kind: &str) -> Option<[usize; 2]> {
        self.0.iter().find(|(known, _)| known == kind).map(|(_, counts)| *counts)
    }

    fn all_pass(&self, kind: &str) -> bool {
        self.counts(kind).is_some_and(|[all, passed]| all == passed)
    }

    /// What can be said of the kinds of one part, `asked`.
    pub(super) fn findings(&self, asked: &[String]) -> Vec<String> {
        let failed = |kind: &str| self.counts(kind).is_some_and(|[all, passed]| passed < all);
        let mut found = Vec::new();
        for (whole, pieces) in MADE_OF {
            if !asked.iter().any(|kind| kind == whole) || !failed(whole) {
                continue;
            }
            let mut known = Vec::new();
            for &piece in *pieces {
                if self.counts(piece).is_some() {
                    known.push(piece);
                }
            }
            if !known.is_empty() && known.iter().all(|piece| self.all_pass(piece)) {
                let names = known.join(", ");
                found.push(format!("all cases of {names} pass: the error is in {whole} itself"));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::super::points::Points;
    use super::super::report_data::ItemKind;
    use super::super::standing::Standing;
    use super::*;

    fn item(passed: bool) -> Item {
        Item {
            name: String::new(),
            kind: ItemKind::Case,
            hidden: false,
            points: if passed { Points::one() } else { Points::zero() },
            out_of: Points::one(),
            met: None,
            standing: Standing::of("agrees").unwrap(),
            reason: None,
        }
    }

    #[test]
    fn a_block_is_blamed_only_where_its_pieces_are_right() {
        let asked = |kinds: &[&str]| kinds.iter().map(|kind| kind.to_string()).collect::<Vec<_>>();
        let said = |pairs: &[(&str, bool)]| {
            let mut seen = Seen::default();
            for &(kind, passed) in pairs {
                seen.add(&asked(&[kind]), &[item(passed)]);
            }
            seen.findings(&asked(&["model", "model through a cache"]))
        };
        let found = said(&[("attention", true), ("rms_norm", true), ("model", false)]);
        assert_eq!(found, ["all cases of rms_norm, attention pass: the error is in model itself"]);
        assert!(said(&[("attention", true), ("attention", false), ("model", false)]).is_empty());
        assert!(said(&[("model", false)]).is_empty() && said(&[("attention", true), ("model", true)]).is_empty());
        let found = said(&[("model", true), ("model through a cache", false)]);
        assert_eq!(found, ["all cases of model pass: the error is in model through a cache itself"]);
    }
}
