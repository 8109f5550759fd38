//! What the facts of a comparison mean: one pair after the other, in plain words. The kernels equal it to the bit.

use super::operand::{Operand, Value};
use super::totals::{LANES, Rules, SUMS, Totals, keep_worst};
use crate::locate::finite_square;
use std::ops::Range;

/// The elements of a block, at most [`BLOCK`](super::totals::BLOCK).
pub(super) enum Indices<'a> {
    /// Consecutive ones.
    Run(Range<usize>),
    /// These.
    List(&'a [usize]),
}

/// Adds one block.
pub(super) fn add_block(totals: &mut Totals, actual: &Operand, expected: &Operand, indices: Indices, rules: &Rules) {
    let (mut missed, mut squares) = (Vec::new(), Vec::new());
    let mut lanes = [[0.0; LANES]; SUMS];
    let count = match &indices {
        Indices::Run(run) => run.len(),
        Indices::List(list) => list.len(),
    };
    for place in 0..count {
        let at = match &indices {
            Indices::Run(run) => run.start + place,
            Indices::List(list) => list[place],
        };
        let (a_stored, e_stored) = (actual.elements.value(at), expected.elements.value(at));
        let miss = add_pair(totals, &mut lanes, place, at, (a_stored, e_stored), rules);
        if miss.is_some() && totals.shown.len() < rules.show {
            totals.shown.push(at);
        }
        match (&indices, miss) {
            (Indices::Run(_), miss) => {
                missed.push(u8::from(miss.is_some()));
                squares.push(miss.map_or(0.0, finite_square));
            }
            (Indices::List(_), Some(err)) => totals.locator(rules).add(at, err),
            (Indices::List(_), None) => {}
        }
    }
    if let Indices::Run(run) = indices
        && missed.contains(&1)
    {
        totals.locator(rules).add_run(run.start, &missed, &squares);
    }
    totals.add_lanes(&lanes);
}

/// Adds one pair; its error if it misses the located rung.
fn add_pair(
    totals: &mut Totals,
    lanes: &mut [[f64; LANES]; SUMS],
    place: usize,
    at: usize,
    (a_stored, e_stored): (Value, Value),
    rules: &Rules,
) -> Option<f64> {
    let (a, e) = (a_stored.to_f64(), e_stored.to_f64());
    totals.compared += 1;
    if !(a.is_finite() && e.is_finite()) {
        let same = totals.add_non_finite(at, a, e);
        return (!same && rules.located < rules.rungs.len()).then_some(f64::INFINITY);
    }
    totals.finite += 1;
    totals.actual.count(a);
    totals.expected.count(e);
    if e.abs() > totals.scale {
        totals.scale = e.abs();
    }
    let difference = difference(a_stored, e_stored);
    let err = difference.abs();
    for (lane, term) in lanes.iter_mut().zip([difference * difference, e * e, a * a, a * e, difference]) {
        lane[place % LANES] += term;
    }
    if err == 0.0 {
        totals.bins.equal += 1;
        return None;
    }
    keep_worst(&mut totals.worst_abs, err, at);
    keep_worst(&mut totals.worst_rel, err / e.abs(), at);
    keep_worst(&mut totals.worst_ulps, err / rules.gap(e), at);
    totals.bins.add(err);
    let mut miss = None;
    for (number, rung) in rules.rungs.iter().enumerate() {
        if !rules.accepts(rung, err, e) {
            totals.misses[number] += 1;
            if number == rules.located {
                miss = Some(err);
            }
        }
    }
    miss
}

/// `actual - expected`, exact and then rounded once to f64: 64-bit integers do not pass through f64 first.
pub(super) fn difference(actual: Value, expected: Value) -> f64 {
    match (actual, expected) {
        (Value::Float(a), Value::Float(e)) => a - e,
        (Value::Whole(a), Value::Whole(e)) => (a - e) as f64,
        (Value::Whole(a), Value::Float(e)) => whole_less_float(a, e),
        (Value::Float(a), Value::Whole(e)) => -whole_less_float(e, a),
    }
}

/// `whole - x` of an integer of 64 bits at most and a finite number.
fn whole_less_float(whole: i128, x: f64) -> f64 {
    // Beyond 2^100 the integer is less than half a last place of x.
    if x.abs() >= 2f64.powi(100) {
        return whole as f64 - x;
    }
    // Below that the integer part is exact in 128 bits; a fraction is there only below 2^53.
    let rest = whole - x.trunc() as i128;
    rest as f64 - x.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_subtracted_before_they_are_rounded() {
        // Both are 2^63 in f64.
        assert_eq!(difference(Value::Whole(i128::from(i64::MAX)), Value::Whole(i128::from(i64::MAX) - 1)), 1.0);
        assert_eq!(difference(Value::Whole(i128::from(u64::MAX)), Value::Float(2f64.powi(64))), -1.0);
        assert_eq!(difference(Value::Float(0.25), Value::Whole(3)), -2.75);
        assert_eq!(difference(Value::Whole(-1), Value::Float(1e300)), -1e300);
        assert_eq!(
            difference(Value::Whole(i128::from(i64::MIN)), Value::Whole(i128::from(u64::MAX))),
            -(1.5 * 2f64.powi(64))
        );
    }
}
