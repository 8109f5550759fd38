//! Loops that threads share. What comes out does not depend on how many threads there are.
//!
//! All of them are one instance of the thread pool's machinery: the work is called through a reference, once for each index or chunk and not for each number.
//! A parallel iterator instead would be compiled anew, with some 2000 lines of LLVM IR, for each closure.

use super::sort::sort_by;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Values below which threads cost more than they save.
const WORTH_THREADS: usize = 1 << 15;
/// Pieces for each thread, so that one that is late does not keep the others waiting.
const PIECES_A_THREAD: usize = 2;

/// Calls `work` with each index below `count`, in any order.
pub fn for_each_index(count: usize, work: &(dyn Fn(usize) + Sync)) {
    (0..count).into_par_iter().with_max_len(1).for_each(work);
}

/// What `work` says of each index below `count`, in the order of the indices.
pub fn map<R: Send>(count: usize, work: &(dyn Fn(usize) -> R + Sync)) -> Vec<R> {
    let results: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::with_capacity(count));
    for_each_index(count, &|index| {
        let result = work(index);
        results.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    sort_by(&mut results, &|a, b| a.0.cmp(&b.0));
    let mut ordered = Vec::with_capacity(count);
    for (_, result) in results {
        ordered.push(result);
    }
    ordered
}

/// What `work` says of some ranges that make up `0..count`, in their order: for items that are each less work than a thread is worth, or that
/// share memory.
pub fn map_ranges<R: Send>(count: usize, work: &(dyn Fn(Range<usize>) -> R + Sync)) -> Vec<R> {
    let len = count.div_ceil(rayon::current_num_threads() * PIECES_A_THREAD).max(1);
    map(count.div_ceil(len), &|number| work(number * len..((number + 1) * len).min(count)))
}

/// As [`map`], for work that can fail.
///
/// # Errors
/// That of the first index that has one; work behind it is left out where it has not begun.
pub fn try_map<R: Send, E: Send>(count: usize, work: &(dyn Fn(usize) -> Result<R, E> + Sync)) -> Result<Vec<R>, E> {
    let failed = AtomicUsize::new(usize::MAX);
    let results = map(count, &|index| {
        // What lies behind an error is not wanted any more.
        if failed.load(Ordering::Relaxed) < index {
            return None;
        }
        let result = work(index);
        if result.is_err() {
            failed.fetch_min(index, Ordering::Relaxed);
        }
        Some(result)
    });
    let mut all = Vec::with_capacity(count);
    for result in results.into_iter().flatten() {
        all.push(result?);
    }
    Ok(all)
}

/// Calls `work` with the number of each chunk of `len` values and the chunk itself; the last one may have fewer.
///
/// # Panics
/// If `len` is 0.
pub fn for_each_chunk<T: Send>(values: &mut [T], len: usize, work: &(dyn Fn(usize, &mut [T]) + Sync)) {
    // Each lock is taken once, by the one thread that works on the chunk.
    let chunks: Vec<Mutex<&mut [T]>> = values.chunks_mut(len).map(Mutex::new).collect();
    for_each_index(chunks.len(), &|number| {
        work(number, &mut chunks[number].lock().unwrap_or_else(PoisonError::into_inner));
    });
}

/// Calls `work` with each piece of `values` and the index of its first value. A piece is made of whole units of `unit`
/// values, such as the rows of an array; the last one may have fewer. Few values are one piece.
pub fn in_pieces<T: Send>(values: &mut [T], unit: usize, work: &(dyn Fn(usize, &mut [T]) + Sync)) {
    let threads = rayon::current_num_threads();
    if values.is_empty() || threads == 1 || values.len() < WORTH_THREADS {
        work(0, values);
        return;
    }
    let unit = unit.max(1);
    let len = values.len().div_ceil(unit).div_ceil(threads * PIECES_A_THREAD) * unit;
    for_each_chunk(values, len, &|number, piece| work(number * len, piece));
}

/// Things that are dear to make and serve one after the other, such as memory: as many as threads use at a time.
#[derive(Debug, Default)]
pub struct Pool<T>(Mutex<Vec<T>>);

impl<T: Default> Pool<T> {
    /// One that was given back, else a new one.
    pub fn take(&self) -> T {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// For whoever takes next.
    pub fn give_back(&self, thing: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(thing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;
    use std::time::{Duration, Instant};

    #[test]
    fn every_value_is_in_one_piece_of_whole_units() {
        for (len, unit) in [(0, 3), (7, 3), (WORTH_THREADS * 3, 100), (WORTH_THREADS + 5, 1), (WORTH_THREADS * 2, 0)] {
            let mut values = vec![0usize; len];
            in_pieces(&mut values, unit, &|first, piece| {
                assert!(first % unit.max(1) == 0);
                piece.iter_mut().zip(first..).for_each(|(value, index)| *value += index + 1);
            });
            assert!(values.into_iter().eq(1..=len));
        }
    }

    #[test]
    fn results_stand_in_the_order_of_the_indices_on_any_number_of_threads() {
        for threads in [1, 2, 7] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let squares = pool.install(|| map(1000, &|index| index * index));
            assert!(squares.into_iter().eq((0..1000).map(|index| index * index)));
        }
        assert!(map(0, &|index| index).is_empty());
    }

    #[test]
    fn ranges_make_up_the_whole_in_order() {
        for count in [0, 1, 3, 1000] {
            let ranges = map_ranges(count, &|range| range);
            assert!(ranges.into_iter().flatten().eq(0..count), "{count}");
        }
    }

    #[test]
    fn of_several_errors_the_first_is_told() {
        let of = |index: usize| if index % 10 == 7 { Err(index) } else { Ok(index) };
        assert_eq!(try_map(100, &of), Err(7));
        assert_eq!(try_map(7, &of), Ok((0..7).collect()));

        // The last one fails before the second has begun: work before an error is not left out.
        let last_failed = AtomicBool::new(false);
        let of = |index: usize| match index {
            0 => {
                let begin = Instant::now();
                while !last_failed.load(Ordering::Acquire) && begin.elapsed() < Duration::from_secs(10) {
                    std::thread::yield_now();
                }
                Ok(0)
            }
            1 => Err(1),
            99 => {
                last_failed.store(true, Ordering::Release);
                Err(99)
            }
            index => Ok(index),
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        assert_eq!(pool.install(|| try_map(100, &of)), Err(1));
    }

    #[test]
    fn chunks_are_whole_but_for_the_last() {
        let mut values = vec![0; 10];
        for_each_chunk(&mut values, 4, &|number, chunk| chunk.fill(10 * number + chunk.len()));
        assert_eq!(values, [4, 4, 4, 4, 14, 14, 14, 14, 22, 22]);
    }
}
