//! Two faults at once.
//!
//! There are thousands of pairs, and all are tried on a few cases that no single fault explains; the best of them, and the pairs of the best single
//! faults, which may each show in cases of their own, are then scored over all cases.

use super::laboratory::{Laboratory, Prediction};
use super::naming::Hypothesis;
use super::score::{Observed, score};
use crate::error::Result;
use crate::fault::Fault;
use rayon::prelude::*;
use std::collections::BTreeSet;

/// Cases on which all pairs are tried.
const PROBES: usize = 3;
/// Pairs that are scored over all cases.
const KEPT: usize = 60;
/// Single faults whose pairs are scored in any case.
const SINGLES: usize = 10;

/// The best pairs; `singles` are sorted by their score.
pub(super) fn search(
    laboratory: &Laboratory,
    asked: &[usize],
    observed: &[Observed],
    singles: &[Hypothesis],
) -> Result<Vec<Hypothesis>> {
    let faults = singles.len();
    let mut tried: Vec<(f64, (usize, usize))> =
        (0..faults).flat_map(|a| (a + 1..faults).map(move |b| (0.0, (a, b)))).collect();
    for place in probes(laboratory, asked, observed, singles) {
        tried = tried
            .into_par_iter()
            .map(|(so_far, (a, b))| {
                let answer = together(laboratory, asked[place], place, &singles[a], &singles[b])?;
                let left = observed[place].unexplained(&answer).unwrap_or(1.0);
                Ok((so_far + score([left].into_iter()), (a, b)))
            })
            .collect::<Result<_>>()?;
        tried.sort_by(|a, b| a.0.total_cmp(&b.0));
        // What explains nothing of one case is not tried on the next.
        tried.truncate((tried.len() / 4).max(KEPT));
    }
    let of_best = (0..SINGLES.min(faults)).flat_map(|a| (a + 1..SINGLES.min(faults)).map(move |b| (a, b)));
    let kept: BTreeSet<(usize, usize)> = tried.into_iter().take(KEPT).map(|(_, pair)| pair).chain(of_best).collect();
    kept.into_par_iter()
        .map(|(a, b)| {
            let answers = (0..asked.len())
                .map(|place| together(laboratory, asked[place], place, &singles[a], &singles[b]))
                .collect::<Result<Vec<Prediction>>>()?;
            let faults: Vec<&'static Fault> =
                [&singles[a], &singles[b]].iter().map(|single| single.faults[0]).collect();
            Ok(Hypothesis::of(faults, answers, observed))
        })
        .collect()
}

/// Both faults; where one has no place, the other.
fn together(laboratory: &Laboratory, case: usize, place: usize, a: &Hypothesis, b: &Hypothesis) -> Result<Prediction> {
    match (&a.answers[place], &b.answers[place]) {
        (None, other) | (other, None) => Ok(other.clone()),
        (Some(one), Some(_)) => {
            let both = laboratory.predict(&laboratory.questions[case], &[a.faults[0], b.faults[0]])?;
            Ok(Some(both.unwrap_or_else(|| one.clone())))
        }
    }
}

/// Cases that no single fault explains, the cheapest first, and each of another model as long as there are such.
fn probes(laboratory: &Laboratory, asked: &[usize], observed: &[Observed], singles: &[Hypothesis]) -> Vec<usize> {
    let least = |place: usize| {
        let left = singles.iter().filter_map(|single| observed[place].unexplained(&single.answers[place]));
        left.fold(1.0, |least: f64, left| if left < least { left } else { least })
    };
    let mut open: Vec<usize> = (0..asked.len()).filter(|&place| observed[place].deviates).collect();
    // What is least explained by any one fault has most need of two.
    let question = |place: usize| &laboratory.questions[asked[place]];
    open.sort_by_key(|&place| (least(place) < 0.05, laboratory.cost(question(place))));
    let mut chosen: Vec<usize> = Vec::new();
    for &place in &open {
        let known = chosen.iter().any(|&other| question(other).checkpoint == question(place).checkpoint);
        if !known && chosen.len() < PROBES {
            chosen.push(place);
        }
    }
    chosen
}
