//! Numbers in the formats they are stored in, widened when they are used.

use super::Float;
use half::{bf16, f16};

/// A number as it is stored, of which the scalar that computes holds every value: f64 of all four formats, f32 of all but f64.
pub trait Stored<T: Float>: Copy + Send + Sync + std::fmt::Debug + 'static {
    /// The same value, exactly. A NaN is some NaN.
    fn widen(self) -> T;
}

impl Stored<f64> for f64 {
    #[inline(always)]
    fn widen(self) -> f64 {
        self
    }
}

impl<T: Float> Stored<T> for f32 {
    #[inline(always)]
    fn widen(self) -> T {
        T::from_f32(self)
    }
}

impl<T: Float> Stored<T> for bf16 {
    #[inline(always)]
    fn widen(self) -> T {
        // The upper half of an f32.
        T::from_f32(f32::from_bits(u32::from(self.to_bits()) << 16))
    }
}

impl<T: Float> Stored<T> for f16 {
    /// Integer operations and one product, which become vector code; the conversion of `half` asks for the CPU at each number.
    #[inline(always)]
    fn widen(self) -> T {
        let bits = u32::from(self.to_bits());
        // Exponent and significand in their places of an f32. The exponents are counted from 15 here and from 127 there:
        // 2^112 sets that right, for subnormal numbers too, and exactly.
        let magnitude = f32::from_bits((bits & 0x7fff) << 13) * f32::from_bits((112 + 127) << 23);
        // Infinities and NaN have all bits of the exponent set.
        let special = if bits & 0x7c00 == 0x7c00 { 0x7f80_0000 } else { 0 };
        T::from_f32(f32::from_bits(magnitude.to_bits() | special | ((bits & 0x8000) << 16)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_16_bit_number_is_widened_as_half_does() {
        for bits in 0..=u16::MAX {
            let (b, h) = (bf16::from_bits(bits), f16::from_bits(bits));
            let (wide_b, wide_h): (f32, f32) = (b.widen(), h.widen());
            assert!(wide_b.to_bits() == b.to_f32().to_bits() || (wide_b.is_nan() && b.is_nan()), "{bits:x}");
            assert!(wide_h.to_bits() == h.to_f32().to_bits() || (wide_h.is_nan() && h.is_nan()), "{bits:x}");
            let (wide_b, wide_h): (f64, f64) = (b.widen(), h.widen());
            assert!(wide_b == b.to_f64() || b.is_nan());
            assert!(wide_h == h.to_f64() || h.is_nan());
        }
    }
}
