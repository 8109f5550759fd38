//! The format in which a candidate stores, as every command takes it.

use crate::num::Dtype;
use clap::ValueEnum;

/// The formats.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Stored {
    /// IEEE 754 binary64
    F64,
    /// IEEE 754 binary32
    F32,
    /// bfloat16
    Bf16,
    /// IEEE 754 binary16
    F16,
}

impl From<Stored> for Dtype {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::F64 => Self::F64,
            Stored::F32 => Self::F32,
            Stored::Bf16 => Self::Bf16,
            Stored::F16 => Self::F16,
        }
    }
}
