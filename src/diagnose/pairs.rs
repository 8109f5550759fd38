//! Two faults at once.
//!
//! There are thousands of pairs, and all are tried on a few cases that no single fault explains; the best of them, and the pairs of the best single
//! faults, which may each show in cases of their own, are then scored over all cases.

use super::laboratory::{Laboratory, Prediction};
use super::naming::Hypothesis;
use super::score::{Observed, score};
use crate::error::Result;
use crate::fault::{Fault, Kind};
use rayon::prelude::*;
use std::collections::BTreeSet;

/// Cases on which all pairs are tried.
const PROBES: usize = 3;
/// Pairs of each sort that are scored over all cases.
const KEPT: usize = 40;
/// Single faults that may be one of the two for certain.
const SINGLES: usize = 4;
/// Cases on which a second fault is looked for beside those.
const OPEN: usize = 10;

/// The best pairs. `singles` are sorted by their score; `open` are the cases that the first of them does not explain.
pub(super) fn search(
    laboratory: &Laboratory,
    asked: &[usize],
    observed: &[Observed],
    singles: &[Hypothesis],
    open: &[usize],
) -> Result<Vec<Hypothesis>> {
    let usable: Vec<usize> = (0..singles.len()).filter(|&at| singles[at].faults[0].kind != Kind::Equivalent).collect();
    let ordered = |a: usize, b: usize| if a < b { (a, b) } else { (b, a) };
    let mut all = BTreeSet::new();
    for (at, &a) in usable.iter().enumerate() {
        all.extend(usable[at + 1..].iter().map(|&b| ordered(a, b)));
    }
    let trial = Trial { laboratory, asked, observed, singles };
    let beside: BTreeSet<Pair> = usable
        .iter()
        .take(SINGLES)
        .flat_map(|&a| usable.iter().filter(move |&&b| b != a).map(move |&b| ordered(a, b)))
        .collect();
    let cheapest = |places: &[usize], most: usize| {
        let mut places = places.to_vec();
        places.sort_by_key(|&place| laboratory.cost(&laboratory.questions[asked[place]]));
        places.truncate(most);
        places
    };
    let mut kept: BTreeSet<Pair> = trial.best(beside, &cheapest(open, OPEN), 1)?;
    kept.extend(trial.best(all, &trial.probes(), 4)?);
    kept.into_par_iter()
        .map(|pair| {
            let answers =
                (0..asked.len()).map(|place| trial.together(place, pair)).collect::<Result<Vec<Prediction>>>()?;
            let faults: Vec<&'static Fault> = [pair.0, pair.1].iter().map(|&at| singles[at].faults[0]).collect();
            Ok(Hypothesis::of(faults, answers, observed))
        })
        .collect()
}

/// Places of two faults among the single ones, the lower first.
type Pair = (usize, usize);

struct Trial<'a> {
    laboratory: &'a Laboratory,
    asked: &'a [usize],
    observed: &'a [Observed<'a>],
    singles: &'a [Hypothesis],
}

impl Trial<'_> {
    /// The best of some pairs on some cases, case by case; after each only one in `thinning` goes on.
    fn best(&self, pairs: BTreeSet<Pair>, places: &[usize], thinning: usize) -> Result<BTreeSet<Pair>> {
        let mut tried: Vec<(f64, Pair)> = pairs.into_iter().map(|pair| (0.0, pair)).collect();
        for &place in places {
            tried = tried
                .into_par_iter()
                .map(|(so_far, pair)| {
                    let left = self.observed[place].unexplained(&self.together(place, pair)?).unwrap_or(1.0);
                    Ok((so_far + score([left].into_iter()), pair))
                })
                .collect::<Result<_>>()?;
            tried.sort_by(|a, b| a.0.total_cmp(&b.0));
            // What explains nothing of one case is not tried on the next.
            tried.truncate((tried.len() / thinning).max(KEPT));
        }
        Ok(tried.into_iter().take(KEPT).map(|(_, pair)| pair).collect())
    }

    /// Both faults; where one has no place, the other.
    fn together(&self, place: usize, (a, b): Pair) -> Result<Prediction> {
        let (a, b) = (&self.singles[a], &self.singles[b]);
        match (&a.answers[place], &b.answers[place]) {
            (None, other) | (other, None) => Ok(other.clone()),
            (Some(one), Some(_)) => {
                let question = &self.laboratory.questions[self.asked[place]];
                let both = self.laboratory.predict(question, &[a.faults[0], b.faults[0]])?;
                Ok(Some(both.unwrap_or_else(|| one.clone())))
            }
        }
    }

    /// Cases that no single fault explains, the cheapest first, each of another model.
    fn probes(&self) -> Vec<usize> {
        let least = |place: usize| {
            let left = self.singles.iter().filter_map(|one| self.observed[place].unexplained(&one.answers[place]));
            left.fold(1.0, |least: f64, left| if left < least { left } else { least })
        };
        let question = |place: usize| &self.laboratory.questions[self.asked[place]];
        let mut open: Vec<usize> = (0..self.asked.len()).filter(|&place| self.observed[place].deviates).collect();
        // What is least explained by any one fault has most need of two.
        open.sort_by_key(|&place| (least(place) < 0.05, self.laboratory.cost(question(place))));
        let mut chosen: Vec<usize> = Vec::new();
        for place in open {
            let known = chosen.iter().any(|&other| question(other).checkpoint == question(place).checkpoint);
            if !known && chosen.len() < PROBES {
                chosen.push(place);
            }
        }
        chosen
    }
}
