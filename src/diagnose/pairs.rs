//! Two faults at once.
//!
//! There are thousands of pairs, and all are tried on a few cases that no single fault explains; the best of them, and the pairs of the best single
//! faults, which may each show in cases of their own, are then scored over all cases.

use super::laboratory::{Laboratory, Prediction};
use super::naming::Hypothesis;
use super::score::{Observed, score};
use crate::error::Result;
use crate::fault::{Fault, Kind};
use crate::num::{parallel, sort};

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
    let (mut all, mut beside) = (Vec::new(), Vec::new());
    for (at, &a) in usable.iter().enumerate() {
        for &b in &usable[at + 1..] {
            all.push((a, b));
            if at < SINGLES {
                beside.push((a, b));
            }
        }
    }
    let trial = Trial { laboratory, asked, observed, singles };
    let cheapest = |places: &[usize], most: usize| {
        let mut places = places.to_vec();
        let cost = |place: usize| laboratory.cost(&laboratory.questions[asked[place]]);
        sort::sort_by(&mut places, &|&a, &b| cost(a).cmp(&cost(b)));
        places.truncate(most);
        places
    };
    let mut kept = trial.best(beside, &cheapest(open, OPEN), 1)?;
    kept.extend(trial.best(all, &trial.probes(), 4)?);
    sort::sort_by(&mut kept, &Pair::cmp);
    kept.dedup();
    parallel::try_map(kept.len(), &|at| {
        let mut answers = Vec::with_capacity(asked.len());
        for place in 0..asked.len() {
            answers.push(trial.together(place, kept[at])?);
        }
        let (a, b) = kept[at];
        let faults: Vec<&'static Fault> = vec![singles[a].faults[0], singles[b].faults[0]];
        Ok(Hypothesis::of(faults, answers, observed))
    })
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
    fn best(&self, pairs: Vec<Pair>, places: &[usize], thinning: usize) -> Result<Vec<Pair>> {
        let mut tried: Vec<(f64, Pair)> = Vec::with_capacity(pairs.len());
        for pair in pairs {
            tried.push((0.0, pair));
        }
        for &place in places {
            tried = parallel::try_map(tried.len(), &|at| {
                let (so_far, pair) = tried[at];
                let left = self.observed[place].unexplained(&self.together(place, pair)?).unwrap_or(1.0);
                Ok((so_far + score(&[left]), pair))
            })?;
            sort::sort_by(&mut tried, &|a, b| a.0.total_cmp(&b.0));
            // What explains nothing of one case is not tried on the next.
            tried.truncate((tried.len() / thinning).max(KEPT));
        }
        tried.truncate(KEPT);
        let mut best = Vec::with_capacity(tried.len());
        for (_, pair) in tried {
            best.push(pair);
        }
        Ok(best)
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
            let mut least = 1.0;
            for one in self.singles {
                let left = self.observed[place].unexplained(&one.answers[place]);
                least = left.filter(|left| *left < least).unwrap_or(least);
            }
            least
        };
        let question = |place: usize| &self.laboratory.questions[self.asked[place]];
        let mut open = Vec::new();
        for place in 0..self.asked.len() {
            if self.observed[place].deviates {
                // What is least explained by any one fault has most need of two.
                open.push((least(place) < 0.05, self.laboratory.cost(question(place)), place));
            }
        }
        let mut chosen: Vec<usize> = Vec::new();
        for at in sort::sorted_indices(open.len(), &|a, b| open[a].cmp(&open[b])) {
            let place = open[at].2;
            let known = chosen.iter().any(|&other| question(other).checkpoint == question(place).checkpoint);
            if !known && chosen.len() < PROBES {
                chosen.push(place);
            }
        }
        chosen
    }
}
