//! Which pairs of a block miss which rung.

#![expect(clippy::neg_cmp_op_on_partial_ord, reason = "predicates are written so that NaN falls on the failing side")]

use super::kernel::{Extremes, count};
use super::totals::{BLOCK, Rules, Totals};
use super::worst::{gap_factor, scaled};
use crate::ladder::Rung;
use crate::locate::finite_square;

/// Counts the misses of each rung and marks those of the located one; whether there are any of these.
#[inline(always)]
pub(super) fn misses(
    totals: &mut Totals,
    e: &[f64],
    err: &[f64],
    extremes: &Extremes,
    missed: &mut [u8; BLOCK],
    rules: &Rules,
) -> bool {
    let mut located = false;
    for (number, rung) in rules.rungs.iter().enumerate() {
        let absolute = rung.rtol == 0.0 && rung.max_ulps.is_none();
        if absolute && extremes.err <= rung.atol {
            continue;
        }
        let marked = (number == rules.located).then_some(&mut *missed);
        let is_located = marked.is_some();
        let found = if absolute {
            let atol = rung.atol;
            misses_of(e, err, marked, |err, _| err > 0.0 && !(err <= atol))
        } else {
            let Rung { atol, rtol, max_ulps } = *rung;
            match (max_ulps, rules.places) {
                (None, _) => misses_of(e, err, marked, |err, e| err > 0.0 && !(err <= atol + rtol * e.abs())),
                (Some(max), None) => {
                    misses_of(e, err, marked, |err, e| err > 0.0 && !(err <= atol + rtol * e.abs()) && !(err <= max))
                }
                (Some(max), Some(dtype)) => {
                    let (smallest, factor) = gap_factor(dtype);
                    misses_of(e, err, marked, |err, e| {
                        err > 0.0 && !(err <= atol + rtol * e.abs()) && !(scaled(err, e, smallest) * factor <= max)
                    })
                }
            }
        };
        totals.misses[number] += found;
        located |= is_located && found > 0;
    }
    located
}

/// How many pairs are misses, which are marked if there is somewhere to mark them.
#[inline(always)]
fn misses_of(
    e: &[f64],
    err: &[f64],
    marked: Option<&mut [u8; BLOCK]>,
    is_miss: impl Fn(f64, f64) -> bool + Copy,
) -> u64 {
    let found = count(err, e, is_miss);
    if let Some(marked) = marked.filter(|_| found > 0) {
        for ((marked, &err), &e) in marked.iter_mut().zip(err).zip(e) {
            *marked |= u8::from(is_miss(err, e));
        }
    }
    found
}

/// Hands the marked misses over. The errors become squares of those that are marked.
#[inline(always)]
pub(super) fn locate(totals: &mut Totals, err: &mut [f64], missed: &[u8], start: usize, rules: &Rules) {
    for (err, &missed) in err.iter_mut().zip(missed) {
        *err = if missed != 0 { finite_square(*err) } else { 0.0 };
    }
    totals.locator(rules).add_run(start, missed, &err[..missed.len()]);
    if totals.shown.len() < rules.show {
        for (place, &missed) in missed.iter().enumerate() {
            if missed != 0 && totals.shown.len() < rules.show {
                totals.shown.push(start + place);
            }
        }
    }
}
