//! Conditions on the arguments of a system call.
//!
//! The kernel reads most arguments as words of 32 bits and ignores what stands above them: a condition names the width that the kernel reads, or a bit above
//! it would turn a forbidden command into one that is not known.

use seccompiler::{BackendError, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};

/// A condition on one argument: the bits of `mask` are those of `value`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Condition {
    pub(super) argument: u8,
    pub(super) width: Width,
    pub(super) mask: u64,
    pub(super) value: u64,
}

/// How much of an argument the kernel reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    /// The lower 32 bits.
    Low,
    /// All 64 bits.
    Whole,
}

/// Conditions that all hold, or others that all hold.
pub(super) type Alternatives = &'static [&'static [Condition]];

/// When a call may be made.
#[derive(Debug, Clone, Copy)]
pub(super) enum When {
    Always,
    /// If this argument, of 32 bits, is one of the words.
    Words(u8, &'static [u32]),
    /// If all of one of the lists holds.
    Any(Alternatives),
}

/// The lower 32 bits are this.
pub(super) const fn low(argument: u8, value: u32) -> Condition {
    low_masked(argument, u32::MAX, value)
}

/// Of the lower 32 bits, those of the mask are those of the value.
pub(super) const fn low_masked(argument: u8, mask: u32, value: u32) -> Condition {
    Condition { argument, width: Width::Low, mask: mask as u64, value: value as u64 }
}

/// All 64 bits are this.
pub(super) const fn whole(argument: u8, value: u64) -> Condition {
    whole_masked(argument, u64::MAX, value)
}

/// Of all 64 bits, those of the mask are those of the value.
pub(super) const fn whole_masked(argument: u8, mask: u64, value: u64) -> Condition {
    Condition { argument, width: Width::Whole, mask, value }
}

impl When {
    /// As rules of which one must hold; none for a call that may always be made.
    pub(super) fn rules(self) -> Result<Vec<SeccompRule>, BackendError> {
        match self {
            Self::Always => Ok(Vec::new()),
            Self::Words(argument, words) => words.iter().map(|&word| rule(&[low(argument, word)])).collect(),
            Self::Any(alternatives) => alternatives.iter().map(|conditions| rule(conditions)).collect(),
        }
    }
}

fn rule(conditions: &[Condition]) -> Result<SeccompRule, BackendError> {
    let mut all = Vec::with_capacity(conditions.len());
    for condition in conditions {
        let width = match condition.width {
            Width::Low => SeccompCmpArgLen::Dword,
            Width::Whole => SeccompCmpArgLen::Qword,
        };
        let masked = SeccompCmpOp::MaskedEq(condition.mask);
        all.push(SeccompCondition::new(condition.argument, width, masked, condition.value)?);
    }
    SeccompRule::new(all)
}
