//! Memory for large arrays.

use super::Float;

/// Bytes from which large pages are worth asking for, as in NumPy: two of them at least.
const LARGE: usize = 4 << 20;

/// Zeros. A large array lies in large pages where the system has some, so that writing it first and reading it again
/// costs a five-hundredth of the page faults and address translations.
pub fn zeros<T: Float>(len: usize) -> Vec<T> {
    let zeros = vec![T::ZERO; len];
    if size_of_val(zeros.as_slice()) >= LARGE {
        ask_for_large_pages(&zeros);
    }
    zeros
}

#[cfg(target_os = "linux")]
fn ask_for_large_pages<T>(memory: &[T]) {
    use rustix::mm::{Advice, madvise};
    let page = rustix::param::page_size();
    let (first, bytes) = (memory.as_ptr().cast::<u8>(), size_of_val(memory));
    let skipped = first.align_offset(page).min(bytes);
    let whole = (bytes - skipped) / page * page;
    // SAFETY: the range lies within the slice, and the advice changes the size of its pages, nothing that can be read.
    // It is a wish: a system without large pages says no, and nothing is different.
    let _ = unsafe { madvise(first.add(skipped).cast_mut().cast(), whole, Advice::LinuxHugepage) };
}

#[cfg(not(target_os = "linux"))]
fn ask_for_large_pages<T>(_: &[T]) {}

/// The exclusive or of all words: each is read, and the registers have next to nothing else to do. For measuring how fast memory is read.
pub fn xor_all(words: &[u64]) -> u64 {
    const LANES: usize = 16;
    let (blocks, rest) = words.as_chunks::<LANES>();
    let mut all = [0; LANES];
    for block in blocks {
        for (lane, word) in all.iter_mut().zip(block) {
            *lane ^= word;
        }
    }
    all.iter().chain(rest).fold(0, |all, word| all ^ word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_of_any_number_are_zeros() {
        for len in [0, 1, 7, LARGE / 8 - 1, LARGE / 8, LARGE / 8 + 1, 5 * LARGE / 8 + 3] {
            let mut numbers = zeros::<f64>(len);
            assert!(numbers.len() == len && numbers.iter().all(|x| x.to_bits() == 0));
            numbers.iter_mut().zip(0u32..).for_each(|(x, i)| *x = f64::from(i));
            assert!(numbers.iter().zip(0u32..).all(|(x, i)| *x == f64::from(i)));
        }
    }
}
