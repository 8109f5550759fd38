//! How long work takes at least: the roofline (Williams, Waterman & Patterson, Commun. ACM 52(4), 2009).
//!
//! ```text
//! seconds ≥ max(FLOPs / peak, bytes / bandwidth)        ridge = peak / bandwidth
//! ```
//! Work with fewer FLOPs a byte than the ridge point is bound by memory.

use serde::Serialize;

/// What bounds some work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// Reading and writing memory.
    Memory,
    /// Arithmetic.
    Compute,
}

/// A peak and a bandwidth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Roofline {
    /// FLOP/s.
    pub peak: f64,
    /// Bytes/s.
    pub bandwidth: f64,
}

impl Roofline {
    /// FLOPs a byte from which arithmetic is the bound.
    pub fn ridge(&self) -> f64 {
        self.peak / self.bandwidth
    }

    /// The least seconds for some work.
    pub fn seconds(&self, flops: u128, bytes: u128) -> f64 {
        (flops as f64 / self.peak).max(bytes as f64 / self.bandwidth)
    }

    /// Which of the two takes longer.
    pub fn bound(&self, flops: u128, bytes: u128) -> Bound {
        if flops as f64 / self.peak > bytes as f64 / self.bandwidth { Bound::Compute } else { Bound::Memory }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slower_of_both_counts_and_the_ridge_parts_them() {
        let roofline = Roofline { peak: 100.0, bandwidth: 10.0 };
        assert_eq!(roofline.ridge(), 10.0);
        assert_eq!((roofline.seconds(900, 100), roofline.bound(900, 100)), (10.0, Bound::Memory));
        assert_eq!((roofline.seconds(1100, 100), roofline.bound(1100, 100)), (11.0, Bound::Compute));
    }
}
