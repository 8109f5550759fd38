//! Numbers in two parts, `high + low` with a low part of some 2^-53 of the high one: what the intervals in f64 are made
//! of. An operation is off by a few 2^-104, relatively to its largest term. (`DoubleDouble` is exacter, and slower.)

/// `high + low`
#[derive(Clone, Copy)]
pub(super) struct Parts {
    pub(super) high: f64,
    pub(super) low: f64,
}

impl Parts {
    #[inline(always)]
    pub(super) const fn new(high: f64, low: f64) -> Self {
        Self { high, low }
    }

    #[inline(always)]
    pub(super) fn times(self, other: Self) -> Self {
        let high = self.high * other.high;
        let low = self.high.mul_add(other.high, -high);
        Self { high, low: self.high.mul_add(other.low, self.low.mul_add(other.high, low)) }
    }

    /// `self + other`, where `|other| ≤ |self|` (Dekker).
    #[inline(always)]
    pub(super) fn plus_smaller(self, other: Self) -> Self {
        let high = self.high + other.high;
        Self { high, low: ((self.high - high) + other.high) + (self.low + other.low) }
    }

    /// `self + other`, where either may be the larger (Knuth).
    #[inline(always)]
    pub(super) fn plus(self, other: Self) -> Self {
        let high = self.high + other.high;
        let part = high - self.high;
        let low = (self.high - (high - part)) + (other.high - part);
        Self { high, low: low + (self.low + other.low) }
    }

    /// `self / divisor`, where both high parts are normal numbers.
    #[inline(always)]
    pub(super) fn over(self, divisor: Self) -> Self {
        // A first quotient, and what is left over.
        let inverse = 1.0 / divisor.high;
        let high = self.high * inverse;
        let left = high.mul_add(-divisor.high, self.high) + high.mul_add(-divisor.low, self.low);
        Self { high, low: left * inverse }
    }

    /// `self + x · tail`, where the product is much smaller, so that the tail need not have two parts.
    #[inline(always)]
    pub(super) fn plus_small_product(self, x: Self, tail: f64) -> Self {
        let high = tail.mul_add(x.high, self.high);
        Self { high, low: tail.mul_add(x.high, self.high - high) + tail.mul_add(x.low, self.low) }
    }

    /// The numbers by so much, relatively, below and above, rounded.
    #[inline(always)]
    pub(super) fn ends(self, error: f64) -> (f64, f64) {
        (self.high + self.high.mul_add(-error, self.low), self.high + self.high.mul_add(error, self.low))
    }
}
