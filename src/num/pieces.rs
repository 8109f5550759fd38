//! Long arrays in pieces that threads work on side by side. What comes out does not depend on how many there are.

use rayon::prelude::*;

/// Values below which threads cost more than they save.
const WORTH_THREADS: usize = 1 << 15;
/// Pieces for each thread, so that one that is late does not keep the others waiting.
const PIECES_A_THREAD: usize = 2;

/// Calls `work` with each piece of `values` and the index of its first value. A piece is made of whole units of `unit`
/// values, such as the rows of an array; the last one may have fewer.
pub(crate) fn in_pieces<T: Send>(values: &mut [T], unit: usize, work: impl Fn(usize, &mut [T]) + Sync) {
    let threads = rayon::current_num_threads();
    if values.is_empty() || threads == 1 || values.len() < WORTH_THREADS {
        work(0, values);
        return;
    }
    let unit = unit.max(1);
    let len = values.len().div_ceil(unit).div_ceil(threads * PIECES_A_THREAD) * unit;
    values.par_chunks_mut(len).enumerate().for_each(|(number, piece)| work(number * len, piece));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_one_piece_of_whole_units() {
        for (len, unit) in [(0, 3), (7, 3), (WORTH_THREADS * 3, 100), (WORTH_THREADS + 5, 1), (WORTH_THREADS * 2, 0)] {
            let mut values = vec![0usize; len];
            in_pieces(&mut values, unit, |first, piece| {
                assert!(first % unit.max(1) == 0);
                piece.iter_mut().zip(first..).for_each(|(value, index)| *value += index + 1);
            });
            assert!(values.into_iter().eq(1..=len));
        }
    }
}
