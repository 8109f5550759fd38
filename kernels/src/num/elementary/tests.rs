//! Slices against CORE-MATH, element by element and bit by bit, at every level of this CPU.
//!
//! As part of `cargo test`: a fixed stride over all f32, random f64, special values. Where the environment variable
//! `GOLDREF_EXHAUSTIVE` names a file, at one level (the best, or that of `GOLDREF_ISA`): all 2^32 values in f32, and 2^27 in
//! f64 (or as many as `GOLDREF_EXHAUSTIVE_F64` says); a line each is added to the file.

use super::*;
use crate::num::RandomStream;
use crate::simd::dispatch;
use rayon::prelude::*;
use std::f64::consts::FRAC_PI_2;
use std::io::Write;

/// A scalar with its bits.
trait Bits: Float {
    fn same(self, other: Self) -> bool;
}

impl Bits for f32 {
    fn same(self, other: Self) -> bool {
        self.to_bits() == other.to_bits() || (self.is_nan() && other.is_nan())
    }
}

impl Bits for f64 {
    fn same(self, other: Self) -> bool {
        self.to_bits() == other.to_bits() || (self.is_nan() && other.is_nan())
    }
}

/// A function by its interval alone, as CPUs have it for which there is nothing by hand.
struct ByInterval<F>(PhantomData<F>);

impl<F: Function<T>, T: Float> Function<T> for ByInterval<F> {
    #[inline(always)]
    fn interval(x: T) -> (T, T) {
        F::interval(x)
    }

    fn correct(x: T) -> T {
        F::correct(x)
    }
}

/// The quick part alone: the bits of both ends of each interval.
struct Ends<'a, F, T>(&'a [T], PhantomData<F>);

impl<F: Function<T>, T: Float> Work for Ends<'_, F, T> {
    type Output = Vec<(T, T)>;

    #[inline(always)]
    fn run<I: Isa>(self) -> Vec<(T, T)> {
        // A plain loop: `collect` need not become part of this function, and so of its instruction set.
        let mut ends = vec![(T::ZERO, T::ZERO); self.0.len()];
        for (ends, &x) in ends.iter_mut().zip(self.0) {
            *ends = F::interval(x);
        }
        ends
    }
}

/// Inputs that are left to the scalar function; NaN always is, and is not counted.
fn doubts<F: Function<T>, T: Float>(level: Level, inputs: &[T]) -> usize {
    let mut count = 0;
    F::each(level, &mut inputs.to_vec(), |x| {
        count += usize::from(!x.is_nan());
        x
    });
    count
}

#[derive(Default, Clone, Copy)]
struct Counts {
    inputs: usize,
    doubts: usize,
}

/// The levels that use the quick part.
fn quick_levels() -> Vec<Level> {
    Level::all().into_iter().filter(|&level| level.has_fma()).collect()
}

fn assert_correct<F: Function<T>, T: Bits>(levels: &[Level], inputs: &[T]) -> Counts {
    let expected: Vec<T> = inputs.iter().map(|&x| F::correct(x)).collect();
    for &level in levels {
        let mut outputs = inputs.to_vec();
        each::<F, T>(level, &mut outputs);
        for ((x, y), expected) in inputs.iter().zip(outputs).zip(&expected) {
            assert!(y.same(*expected), "{}: of {x:?} it is {y:?}, not {expected:?}", level.name());
        }
    }
    Counts { inputs: inputs.len(), doubts: levels.last().map_or(0, |&level| doubts::<F, T>(level, inputs)) }
}

fn exhaustive() -> bool {
    std::env::var_os("GOLDREF_EXHAUSTIVE").is_some()
}

/// Adds a line to the file that the environment names, if it does.
fn report(line: String) {
    if let Some(path) = std::env::var_os("GOLDREF_EXHAUSTIVE") {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(file, "{line}").unwrap();
    }
}

/// Chunks of inputs, in parallel, at each level; at one level where all inputs are taken.
fn assert_chunks<F: Function<T>, T: Bits>(name: &str, chunks: usize, chunk: impl Fn(usize) -> Vec<T> + Sync) {
    let levels = &if exhaustive() { vec![Level::chosen()] } else { quick_levels() };
    let start = std::time::Instant::now();
    let total = (0..chunks)
        .into_par_iter()
        .map(|index| assert_correct::<F, T>(levels, &chunk(index)))
        .reduce(Counts::default, |a, b| Counts { inputs: a.inputs + b.inputs, doubts: a.doubts + b.doubts });
    report(format!(
        "{name} {}: {} inputs, {} doubts, {:.1} s",
        levels.iter().map(|level| level.name()).collect::<Vec<_>>().join(" "),
        total.inputs,
        total.doubts,
        start.elapsed().as_secs_f64()
    ));
}

/// Every 2039th f32 (2039 is prime, so all exponents and endings occur), or all.
fn assert_f32<F: Function<f32>>(name: &str) {
    let (chunk, stride) = if exhaustive() { (1u64 << 16, 1) } else { (1 << 14, 2039) };
    let chunks = (1u64 << 32).div_ceil(chunk * stride);
    assert_chunks::<F, f32>(name, chunks as usize, |index| {
        let first = index as u64 * chunk;
        (first..first + chunk).map(|i| f32::from_bits((i * stride) as u32)).collect()
    });
}

/// Zeros, the smallest and largest numbers, infinities, NaN; and some numbers to both sides of each of `around`.
fn special_f64(around: &[f64]) -> Vec<f64> {
    let mut special = vec![0.0, f64::from_bits(1), f64::MIN_POSITIVE, f64::MAX, f64::INFINITY, f64::NAN];
    for &x in around {
        special.extend((0..2001).map(|i| f64::from_bits(x.to_bits() - 1000 + i)));
    }
    special.extend((-1074..1024).map(|e| 2f64.powi(e)));
    special.extend((0..2000).map(|i| f64::from(i) * std::f64::consts::LN_2 / 2.0));
    special.extend((0..2000).map(|i| f64::from(i) * FRAC_PI_2));
    special.iter().flat_map(|&x| [x, -x]).collect()
}

/// The interval itself does not depend on the instruction set: without FMA in hardware it is made by a software one.
fn assert_same_ends<F: Function<T>, T: Bits>(inputs: &[T]) {
    let plain = dispatch(Level::Baseline, Ends::<F, T>(inputs, PhantomData));
    for level in Level::all() {
        let ends = dispatch(level, Ends::<F, T>(inputs, PhantomData));
        for ((x, (low, high)), plain) in inputs.iter().zip(ends).zip(&plain) {
            assert!(low.same(plain.0) && high.same(plain.1), "{}: of {x:?}", level.name());
        }
    }
}

fn assert_special<F: Function<f64> + Function<f32>>(around: &[f64]) {
    let inputs = special_f64(around);
    let narrow: Vec<f32> = inputs.iter().map(|&x| x as f32).collect();
    assert_correct::<F, f64>(&Level::all(), &inputs);
    assert_correct::<F, f32>(&Level::all(), &narrow);
    // Every length, so every tail of a block.
    for len in 0..2 * BLOCK + 3 {
        assert_correct::<F, f64>(&Level::all(), &inputs[..len]);
        assert_correct::<F, f32>(&Level::all(), &narrow[..len]);
    }
    assert_same_ends::<F, f64>(&inputs);
    assert_same_ends::<F, f32>(&narrow);
}

/// Random f64: as many of any bits as in each range.
fn assert_f64<F: Function<f64>>(name: &str, ranges: &[(f64, f64)]) {
    let given = std::env::var("GOLDREF_EXHAUSTIVE_F64").ok().map(|count| count.parse().unwrap());
    let count: usize = given.unwrap_or(if exhaustive() { 1 << 27 } else { 1 << 18 });
    let chunk = 1 << 14;
    assert_chunks::<F, f64>(name, count / chunk, |index| {
        let random = RandomStream::new(6, index as u64);
        (0..chunk)
            .map(|i| match ranges.get(i % (ranges.len() + 1)) {
                None => f64::from_bits(random.bits(i as u64)),
                Some(&(low, high)) => low + (high - low) * random.uniform(i as u64),
            })
            .collect()
    });
}

#[test]
fn exp_is_correctly_rounded_for_f32() {
    assert_f32::<Exp>("exp f32");
}

#[test]
fn exp_by_interval_is_correctly_rounded_for_f32() {
    assert_f32::<ByInterval<Exp>>("exp by interval f32");
}

#[test]
fn tanh_is_correctly_rounded_for_f32() {
    assert_f32::<Tanh>("tanh f32");
}

#[test]
fn erfc_is_correctly_rounded_for_f32() {
    assert_f32::<Erfc>("erfc f32");
}

#[test]
fn sin_is_correctly_rounded_for_f32() {
    assert_f32::<Sin>("sin f32");
}

#[test]
fn cos_is_correctly_rounded_for_f32() {
    assert_f32::<Cos>("cos f32");
}

#[test]
fn exp_is_correctly_rounded_for_f64() {
    assert_f64::<Exp>("exp f64", &[(-1.0, 1.0), (-40.0, 0.0), (-745.2, 709.9), (-1e-3, 1e-3)]);
}

#[test]
fn exp_by_interval_is_correctly_rounded_for_f64() {
    assert_f64::<ByInterval<Exp>>("exp by interval f64", &[(-1.0, 1.0), (-40.0, 0.0), (-745.2, 709.9), (-1e-3, 1e-3)]);
}

#[test]
fn tanh_is_correctly_rounded_for_f64() {
    assert_f64::<Tanh>("tanh f64", &[(-1.0, 1.0), (-4.0, 4.0), (-20.0, 20.0), (-1e-3, 1e-3)]);
}

#[test]
fn erfc_is_correctly_rounded_for_f64() {
    assert_f64::<Erfc>("erfc f64", &[(-1.0, 1.0), (-6.0, 6.0), (0.0, 28.0), (-1e-3, 1e-3)]);
}

#[test]
fn sin_is_correctly_rounded_for_f64() {
    assert_f64::<Sin>("sin f64", &[(-1.0, 1.0), (-100.0, 100.0), (-1e7, 1e7), (-1e-3, 1e-3)]);
}

#[test]
fn cos_is_correctly_rounded_for_f64() {
    assert_f64::<Cos>("cos f64", &[(-1.0, 1.0), (-100.0, 100.0), (-1e7, 1e7), (-1e-3, 1e-3)]);
}

#[test]
fn special_values_and_the_ends_of_the_range_are_right() {
    // Where exp overflows, becomes subnormal and 0, in f64 and in f32; where the quick parts end.
    assert_special::<Exp>(&[709.782712893384, 708.396418532264, 745.133219101941, 709.5, 708.0, 746.0]);
    assert_special::<Exp>(&[88.72283905206835, 87.3365447505531, 103.97207708399179, 150.0]);
    // Where those by registers end.
    assert_special::<Exp>(&[660.0, 87.25, 104.0, 89.0]);
    assert_special::<Tanh>(&[9.010913347279288, 12.0, 19.061547465398, 25.0, 1e-270]);
    assert_special::<Erfc>(&[10.054, 9.19, 10.25, 26.543, 27.226, 3.83, 5.86, 0.75, 1.5, 6.0, 27.3]);
    // Multiples of π/2 small and large, the end of the quick range, and 2^-28 beside 0.
    let multiples = [1.0, 2.0, 3.0, 4.0, 1000.0, 355.0, 5_340_353.0, 5_340_354.0].map(|n: f64| n * FRAC_PI_2);
    for around in [&multiples[..], &[8_388_608.0, 1e-270, 3.725290298461914e-9, FRAC_PI_2 / 2.0]] {
        assert_special::<Sin>(around);
        assert_special::<Cos>(around);
    }
}

/// `GOLDREF_EXHAUSTIVE=FILE cargo test --release --lib -- --ignored nanoseconds_per_element`
#[test]
#[ignore = "a measurement"]
fn nanoseconds_per_element() {
    fn measure<F: Function<T>, T: Float>(name: &str, low: f64, high: f64) {
        let random = RandomStream::new(6, 0);
        let inputs: Vec<T> = (0..4096).map(|i| T::from_f64(low + (high - low) * random.uniform(i))).collect();
        let mut values = inputs.clone();
        for level in Level::all() {
            let mut times: Vec<f64> = (0..9)
                .map(|_| {
                    let start = std::time::Instant::now();
                    for _ in 0..50 {
                        values.copy_from_slice(&inputs);
                        each::<F, T>(level, std::hint::black_box(&mut values));
                    }
                    start.elapsed().as_secs_f64() * 1e9 / (50 * inputs.len()) as f64
                })
                .collect();
            times.sort_by(f64::total_cmp);
            let doubts = doubts::<F, T>(level, &inputs);
            report(format!(
                "{name} {:?} {}: {:.2} ns, {doubts} doubts of {}",
                (low, high),
                level.name(),
                times[4],
                inputs.len()
            ));
        }
    }
    measure::<Exp, f32>("exp f32", -20.0, 0.0);
    measure::<Exp, f64>("exp f64", -20.0, 0.0);
    measure::<Tanh, f32>("tanh f32", -3.0, 3.0);
    measure::<Tanh, f64>("tanh f64", -3.0, 3.0);
    measure::<Erfc, f32>("erfc f32", -3.0, 3.0);
    measure::<Erfc, f64>("erfc f64", -3.0, 3.0);
    measure::<Sin, f32>("sin f32", -100.0, 100.0);
    measure::<Sin, f64>("sin f64", -100.0, 100.0);
    measure::<Cos, f32>("cos f32", -100.0, 100.0);
    measure::<Cos, f64>("cos f64", -100.0, 100.0);
}
