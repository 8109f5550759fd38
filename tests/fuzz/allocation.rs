//! How much memory a piece of code takes at most, counted by the allocator, for each thread on its own.
//!
//! The readers run on one thread; tests that run beside each other do not see each other's memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[global_allocator]
static COUNTING: Counting = Counting;

struct Counting;

thread_local! {
    // Without a destructor, so that they can be touched at any time in a thread's life.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    let live = LIVE.get() + bytes;
    LIVE.set(live);
    if live > PEAK.get() {
        PEAK.set(live);
    }
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches thread-local integers only and
// allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Old and new may stand beside each other while the bytes move.
        count(size as isize);
        count(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// What `work` gives, and the most bytes that it held at one time beyond those held before.
pub(crate) fn measured<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = LIVE.get();
    PEAK.set(before);
    let result = work();
    (result, (PEAK.get() - before).unsigned_abs())
}

#[test]
fn memory_is_counted_at_its_peak() {
    let (kept, most) = measured(|| {
        drop(vec![1u8; 5000]);
        vec![1u8; 3000]
    });
    assert_eq!((kept.len(), most), (3000, 5000));
    // Growing from 3000 to 4000 holds both for a moment.
    let (grown, most) = measured(|| {
        let mut bytes = Vec::<u8>::with_capacity(3000);
        bytes.extend([7; 3000]);
        bytes.reserve_exact(1000);
        bytes
    });
    assert_eq!((grown.capacity(), most), (4000, 7000));
}
