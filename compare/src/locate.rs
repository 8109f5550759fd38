//! Where in an array the misses are: by index of each axis, told in words when they are concentrated.
//!
//! It knows indices and errors, and nothing of formats or tolerances.

use crate::num::json_number;
use serde::{Deserialize, Serialize};

/// An axis is counted in at most so many slices; longer ones in slices of several indices.
const SLICES: usize = 4096;
/// Chance that misses spread evenly over an axis would look concentrated; rarer than this is said.
const BY_CHANCE: f64 = 1e-3;

/// One thing that can be said of where the misses are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concentration {
    /// The axis it is said of; `None` for a single element.
    pub axis: Option<usize>,
    /// What the misses have in common.
    pub pattern: Pattern,
    /// The share of the misses that it holds for.
    #[serde(with = "json_number")]
    pub share: f64,
    /// The share of the squared error of all misses that those hold; `None` where no miss has a finite error.
    #[serde(with = "json_number::optional")]
    pub squared_error_share: Option<f64>,
    /// The same in words: "all 96 mismatches are in head 3".
    pub words: String,
}

/// What misses have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Pattern {
    /// There is one.
    OneElement {
        /// Its index.
        index: Vec<usize>,
    },
    /// They are in one index of the axis.
    OneIndex {
        /// The index.
        index: usize,
    },
    /// They are within a range of indices.
    Range {
        /// The first index with a miss.
        first: usize,
        /// The last.
        last: usize,
    },
    /// They are in every second index.
    EverySecond {
        /// 0: the even indices, 1: the odd ones.
        remainder: usize,
    },
    /// Their squared error grows along the axis.
    Grows,
}

/// Misses and squared error along one axis.
#[derive(Debug, Clone, PartialEq)]
struct Axis {
    length: usize,
    /// Elements from one index to the next.
    stride: usize,
    /// Indices in one slice.
    width: usize,
    misses: Vec<u64>,
    squared: Vec<f64>,
    by_parity: [u64; 2],
    first: usize,
    last: usize,
}

/// Collects misses.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Locator {
    axes: Vec<Axis>,
    misses: u64,
    squared: f64,
    /// Flat index of the first miss.
    first: usize,
}

impl Locator {
    pub(super) fn new(shape: &[usize]) -> Self {
        let mut stride = 1;
        let mut axes: Vec<Axis> = shape
            .iter()
            .rev()
            .map(|&length| {
                let width = length.div_ceil(SLICES).max(1);
                let slices = length.div_ceil(width);
                let axis = Axis {
                    length,
                    stride,
                    width,
                    misses: vec![0; slices],
                    squared: vec![0.0; slices],
                    by_parity: [0; 2],
                    first: usize::MAX,
                    last: 0,
                };
                stride *= length;
                axis
            })
            .collect();
        axes.reverse();
        Self { axes, misses: 0, squared: 0.0, first: usize::MAX }
    }

    /// One miss; an error that is not finite counts as a miss and not as squared error.
    pub(super) fn add(&mut self, at: usize, err: f64) {
        let squared = finite_square(err);
        self.begin(at, 1, squared);
        for axis in &mut self.axes {
            let index = at / axis.stride % axis.length;
            axis.add(index, 1, squared);
        }
    }

    /// Misses among consecutive elements from `start`: `missed[i]` is 1 or 0, and `squares[i]` is the squared error of
    /// a miss and 0 elsewhere.
    pub(super) fn add_run(&mut self, start: usize, missed: &[u8], squares: &[f64]) {
        let Some((inner, outer)) = self.axes.split_last_mut() else {
            // A single element without axes.
            return self.begin(start, counted(missed), squares.iter().sum());
        };
        let (mut at, mut misses_of_run, mut squared_of_run) = (0, 0, 0.0);
        let mut first_of_run = None;
        while at < missed.len() {
            let index = (start + at) % inner.length;
            let count = (inner.length - index).min(missed.len() - at);
            let (row, row_squares) = (&missed[at..at + count], &squares[at..at + count]);
            let misses = counted(row);
            if misses > 0 {
                let squared = inner.add_row(index, row, row_squares);
                let offset = row.iter().position(|&m| m != 0).unwrap_or(0);
                first_of_run.get_or_insert(start + at + offset);
                for axis in outer.iter_mut() {
                    axis.add((start + at) / axis.stride % axis.length, misses, squared);
                }
                misses_of_run += misses;
                squared_of_run += squared;
            }
            at += count;
        }
        if let Some(first) = first_of_run {
            self.begin(first, misses_of_run, squared_of_run);
        }
    }

    fn begin(&mut self, at: usize, misses: u64, squared: f64) {
        self.first = self.first.min(at);
        self.misses += misses;
        self.squared += squared;
    }

    pub(super) fn append(&mut self, other: &Self) {
        self.begin(other.first, other.misses, other.squared);
        for (axis, more) in self.axes.iter_mut().zip(&other.axes) {
            axis.misses.iter_mut().zip(&more.misses).for_each(|(sum, more)| *sum += more);
            axis.squared.iter_mut().zip(&more.squared).for_each(|(sum, more)| *sum += more);
            axis.by_parity.iter_mut().zip(more.by_parity).for_each(|(sum, more)| *sum += more);
            axis.first = axis.first.min(more.first);
            axis.last = axis.last.max(more.last);
        }
    }

    /// What can be said. `compared[axis][index]` is how many elements were compared there, where that differs between
    /// the indices; `names` are the axes' names, which may be fewer.
    pub(super) fn concentrations(&self, names: &[String], compared: Option<&[Vec<u64>]>) -> Vec<Concentration> {
        if self.misses == 1 {
            let index = self.axes.iter().map(|axis| axis.first).collect();
            return vec![Concentration {
                axis: None,
                pattern: Pattern::OneElement { index },
                share: 1.0,
                squared_error_share: (self.squared > 0.0).then_some(1.0),
                words: "one element".to_string(),
            }];
        }
        let mut said = Vec::new();
        for (number, axis) in self.axes.iter().enumerate() {
            let name = AxisName { number, name: names.get(number).map(String::as_str) };
            let weights = Weights { axis, compared: compared.and_then(|compared| compared.get(number)) };
            if let Some((pattern, share, words)) = self.of_axis(axis, &weights, &name) {
                let squared = match pattern {
                    // The share of the squared error is known by slice.
                    Pattern::OneIndex { index } => axis.squared[index / axis.width] / self.squared,
                    _ => 1.0,
                };
                let squared_error_share = (self.squared > 0.0).then_some(squared);
                said.push(Concentration { axis: Some(number), pattern, share, squared_error_share, words });
            }
        }
        said
    }

    fn of_axis(&self, axis: &Axis, weights: &Weights, name: &AxisName) -> Option<(Pattern, f64, String)> {
        let all = self.misses;
        let (first, last) = (axis.first, axis.last);
        // That the misses lie where elements were compared says nothing.
        let surprising = |from: usize, to: usize| weights.share(from, to).powf(all as f64) < BY_CHANCE;
        if first == last {
            let words = format!("all {all} mismatches are in {}", name.at(first));
            return surprising(first, first + 1).then_some((Pattern::OneIndex { index: first }, 1.0, words));
        }
        if axis.width == 1
            && let Some((index, &most)) =
                axis.misses.iter().enumerate().max_by_key(|(index, n)| (**n, usize::MAX - index))
        {
            let share = most as f64 / all as f64;
            if share >= 0.75 && axis.length >= 3 && weights.share(index, index + 1) < 0.5 && most >= 8 {
                let words =
                    format!("{:.0} % of the {all} mismatches are in {}", (100.0 * share).floor(), name.at(index));
                return Some((Pattern::OneIndex { index }, share, words));
            }
        }
        if first > 0 || last + 1 < axis.length {
            let range = Pattern::Range { first, last };
            if surprising(first, last + 1) {
                let words = if last + 1 == axis.length {
                    format!("only {} >= {first}{}", name.indices(), name.of())
                } else if first == 0 {
                    format!("only {} <= {last}{}", name.indices(), name.of())
                } else {
                    format!("only {} {first} to {last}{}", name.indices(), name.of())
                };
                return Some((range, 1.0, words));
            }
        }
        let parity = usize::from(axis.by_parity[0] == 0);
        if axis.by_parity[1 - parity] == 0 && weights.parity(parity).powf(all as f64) < BY_CHANCE {
            let words = format!(
                "every second {}{} ({})",
                if name.name.is_some() { name.singular() } else { "index" },
                name.of(),
                ["even", "odd"][parity]
            );
            return Some((Pattern::EverySecond { remainder: parity }, 1.0, words));
        }
        axis.grows().then(|| (Pattern::Grows, 1.0, format!("they grow with {}", name.whole())))
    }
}

/// How many are missed, each told by 1 or 0.
#[inline]
fn counted(missed: &[u8]) -> u64 {
    missed.iter().map(|&m| u64::from(m)).sum()
}

/// The squared error of a miss; one that is no number counts as a miss alone.
pub(super) fn finite_square(err: f64) -> f64 {
    let square = err * err;
    if square.is_finite() { square } else { 0.0 }
}

impl Axis {
    fn add(&mut self, index: usize, misses: u64, squared: f64) {
        let slice = index / self.width;
        self.misses[slice] += misses;
        self.squared[slice] += squared;
        self.by_parity[index % 2] += misses;
        self.first = self.first.min(index);
        self.last = self.last.max(index);
    }

    /// A part of one row of the innermost axis, from `index`; its squared error.
    fn add_row(&mut self, index: usize, missed: &[u8], squares: &[f64]) -> f64 {
        let mut even = 0;
        let mut squared = 0.0;
        if self.width == 1 {
            let slots = self.misses[index..].iter_mut().zip(&mut self.squared[index..]);
            for ((misses, sum), (&m, &square)) in slots.zip(missed.iter().zip(squares)) {
                *misses += u64::from(m);
                *sum += square;
            }
            squared = squares.iter().fold(squared, |sum, square| sum + square);
        } else {
            let mut at = 0;
            while at < missed.len() {
                let slice = (index + at) / self.width;
                let end = ((slice + 1) * self.width - index).min(missed.len());
                self.misses[slice] += counted(&missed[at..end]);
                let part = squares[at..end].iter().fold(0.0, |sum, square| sum + square);
                self.squared[slice] += part;
                squared += part;
                at = end;
            }
        }
        let mut all = 0;
        for pair in missed.chunks(2) {
            even += u64::from(pair[0]);
            all += counted(pair);
        }
        self.by_parity[index % 2] += even;
        self.by_parity[1 - index % 2] += all - even;
        if let Some(first) = missed.iter().position(|&m| m != 0) {
            self.first = self.first.min(index + first);
        }
        if let Some(last) = missed.iter().rposition(|&m| m != 0) {
            self.last = self.last.max(index + last);
        }
        squared
    }

    /// Whether the squared error of each quarter is larger than that of the one before, and that of the last at least
    /// four times that of the first.
    fn grows(&self) -> bool {
        let slices = self.squared.len();
        if slices < 8 {
            return false;
        }
        let mut quarters = [0.0; 4];
        for (quarter, mean) in quarters.iter_mut().enumerate() {
            let part = &self.squared[quarter * slices / 4..(quarter + 1) * slices / 4];
            *mean = part.iter().sum::<f64>() / part.len() as f64;
        }
        quarters.windows(2).all(|pair| pair[1] > pair[0]) && quarters[3] >= 4.0 * quarters[0]
    }
}

/// How much of what was compared lies where.
struct Weights<'a> {
    axis: &'a Axis,
    compared: Option<&'a Vec<u64>>,
}

impl Weights<'_> {
    /// Of every `step`th index from `from` to `to`, which are `evenly` of them.
    fn of(&self, from: usize, to: usize, step: usize, evenly: usize) -> f64 {
        match self.compared {
            None => evenly as f64 / self.axis.length as f64,
            Some(compared) => {
                let (mut all, mut here) = (0, 0);
                for (index, count) in compared.iter().enumerate() {
                    all += count;
                    if (from..to).contains(&index) && (index - from).is_multiple_of(step) {
                        here += count;
                    }
                }
                here as f64 / all.max(1) as f64
            }
        }
    }

    fn share(&self, from: usize, to: usize) -> f64 {
        self.of(from, to, 1, to - from)
    }

    fn parity(&self, parity: usize) -> f64 {
        self.of(parity, usize::MAX, 2, (self.axis.length + 1 - parity) / 2)
    }
}

/// How an axis is spoken of.
struct AxisName<'a> {
    number: usize,
    name: Option<&'a str>,
}

impl AxisName<'_> {
    /// "head 3", "index 3 of axis 1".
    fn at(&self, index: usize) -> String {
        match self.name {
            Some(name) => format!("{name} {index}"),
            None => format!("index {index} of axis {}", self.number),
        }
    }

    fn singular(&self) -> &str {
        self.name.unwrap_or("index")
    }

    /// "indices", "rows".
    fn indices(&self) -> String {
        self.name.map_or_else(|| "indices".to_string(), |name| format!("{name}s"))
    }

    /// " of axis 1", and nothing where the axis has a name.
    fn of(&self) -> String {
        if self.name.is_some() { String::new() } else { format!(" of axis {}", self.number) }
    }

    fn whole(&self) -> String {
        self.name.map_or_else(|| format!("axis {}", self.number), str::to_string)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(shape: &[usize], missed: impl Fn(&[usize]) -> bool) -> Vec<String> {
        weighted(shape, &[], |index| if missed(index) { 1.0 } else { 0.0 })
    }

    /// The words for these errors, which must not depend on the way the misses are handed over.
    fn weighted(shape: &[usize], names: &[&str], err: impl Fn(&[usize]) -> f64) -> Vec<String> {
        let errors = ndarray::ArrayD::from_shape_fn(shape, |index| {
            use ndarray::Dimension;
            err(index.slice())
        });
        let errors: Vec<f64> = errors.iter().copied().collect();
        let (mut one_by_one, mut in_runs) = (Locator::new(shape), Locator::new(shape));
        for (at, &err) in errors.iter().enumerate().filter(|(_, err)| **err > 0.0) {
            one_by_one.add(at, err);
        }
        for (number, run) in errors.chunks(7).enumerate() {
            let missed: Vec<u8> = run.iter().map(|err| u8::from(*err > 0.0)).collect();
            let squares: Vec<f64> = run.iter().map(|err| err * err).collect();
            in_runs.add_run(number * 7, &missed, &squares);
        }
        assert_eq!(one_by_one, in_runs);
        let (left, right) = errors.split_at(errors.len() / 2);
        let mut halves = Locator::new(shape);
        for (offset, part) in [(0, left), (left.len(), right)] {
            let mut half = Locator::new(shape);
            part.iter().enumerate().filter(|(_, err)| **err > 0.0).for_each(|(at, &err)| half.add(at + offset, err));
            halves.append(&half);
        }
        assert_eq!(one_by_one, halves);
        let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
        one_by_one.concentrations(&names, None).into_iter().map(|said| said.words).collect()
    }

    #[test]
    fn one_index_of_an_axis() {
        assert_eq!(words(&[4, 6, 4, 4], |i| i[1] == 3), ["all 64 mismatches are in index 3 of axis 1"]);
        let named = weighted(&[4, 6, 4, 4], &["batch", "head"], |i| if i[1] == 3 { 1.0 } else { 0.0 });
        assert_eq!(named, ["all 64 mismatches are in head 3"]);
    }

    #[test]
    fn a_range_of_an_axis() {
        assert_eq!(words(&[33, 5], |i| i[0] >= 17), ["only indices >= 17 of axis 0"]);
        assert_eq!(words(&[5, 33], |i| i[1] <= 16), ["only indices <= 16 of axis 1"]);
        assert_eq!(words(&[33, 5], |i| (4..9).contains(&i[0])), ["only indices 4 to 8 of axis 0"]);
        let named = weighted(&[33, 5], &["row"], |i| if i[0] >= 17 { 1.0 } else { 0.0 });
        assert_eq!(named, ["only rows >= 17"]);
    }

    #[test]
    fn every_second_index() {
        assert_eq!(words(&[3, 4, 16], |i| i[2] % 2 == 1), ["every second index of axis 2 (odd)"]);
        assert_eq!(words(&[16, 3], |i| i[0] % 2 == 0), ["every second index of axis 0 (even)"]);
    }

    #[test]
    fn one_element() {
        assert_eq!(words(&[8, 8], |i| i == [3, 4]), ["one element"]);
    }

    #[test]
    fn most_in_one_index() {
        let found = words(&[10, 20], |i| i[0] == 7 || i == [2, 2]);
        assert_eq!(found, ["95 % of the 21 mismatches are in index 7 of axis 0"]);
    }

    #[test]
    fn growth_along_an_axis() {
        assert_eq!(weighted(&[3, 32], &[], |i| (i[1] + 1) as f64), ["they grow with axis 1"]);
    }

    #[test]
    fn what_chance_explains_is_not_said() {
        // Everywhere; and two misses of which both happen to be in the upper half.
        assert!(words(&[6, 6], |_| true).is_empty());
        assert!(words(&[6, 6], |i| i == [3, 1] || i == [5, 4]).is_empty());
    }

    #[test]
    fn where_only_some_rows_were_compared_their_index_says_nothing() {
        let mut locator = Locator::new(&[4, 8]);
        (8..16).for_each(|at| locator.add(at, 1.0));
        let compared = [vec![0, 8, 0, 0], vec![1; 8]];
        assert_eq!(locator.concentrations(&[], Some(&compared)), []);
        assert_eq!(locator.concentrations(&[], None).len(), 1);
    }

    #[test]
    fn a_long_axis_keeps_its_exact_ends() {
        let found = words(&[20_011], |i| i[0] >= 10_007);
        assert_eq!(found, ["only indices >= 10007 of axis 0"]);
        assert_eq!(words(&[20_011], |i| i[0] % 2 == 1), ["every second index of axis 0 (odd)"]);
    }
}
