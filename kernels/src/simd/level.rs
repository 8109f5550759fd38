//! Which instruction set is worked with.

use std::sync::LazyLock;

/// The environment variable that names a level to be used instead of the best; for tests of equality and for
/// finding faults.
pub const ISA_VARIABLE: &str = "GOLDREF_ISA";

/// The environment asks for an instruction set that this CPU has not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownLevel {
    wanted: std::ffi::OsString,
    known: Vec<&'static str>,
}

impl std::fmt::Display for UnknownLevel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{ISA_VARIABLE} is {:?}; this CPU has {}", self.wanted, self.known.join(", "))
    }
}

impl std::error::Error for UnknownLevel {}

/// Instruction sets, plainest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// No kernel at all: the scalar definition.
    Definition,
    /// What every CPU of the architecture has: SSE2 on x86-64, NEON with FMA on 64-bit Arm.
    Baseline,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 F, BW, DQ and VL.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

static CHOSEN: LazyLock<Level> = LazyLock::new(|| Level::from_environment().unwrap_or(Level::best()));

impl Level {
    /// Levels that this CPU has, plainest first.
    pub fn all() -> Vec<Self> {
        #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut, reason = "x86-64 has more"))]
        let mut all = vec![Self::Definition, Self::Baseline];
        #[cfg(target_arch = "x86_64")]
        {
            let has_avx2 = std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma");
            let has_avx512 = has_avx2
                && std::arch::is_x86_feature_detected!("avx512f")
                && std::arch::is_x86_feature_detected!("avx512bw")
                && std::arch::is_x86_feature_detected!("avx512dq")
                && std::arch::is_x86_feature_detected!("avx512vl");
            all.extend(has_avx2.then_some(Self::Avx2));
            all.extend(has_avx512.then_some(Self::Avx512));
        }
        all
    }

    fn best() -> Self {
        Self::all().pop().unwrap_or(Self::Baseline)
    }

    /// The level of this process: the one that [`ISA_VARIABLE`] names if this CPU has it, else the best. Found once.
    pub fn chosen() -> Self {
        *CHOSEN
    }

    /// What [`ISA_VARIABLE`] asks for; the best where it is not set.
    ///
    /// # Errors
    /// A name that is no level of this CPU.
    pub fn from_environment() -> Result<Self, UnknownLevel> {
        let Some(wanted) = std::env::var_os(ISA_VARIABLE).filter(|wanted| !wanted.is_empty()) else {
            return Ok(Self::best());
        };
        let all = Self::all();
        all.iter().copied().find(|level| wanted == level.name()).ok_or_else(|| {
            let known = all.iter().map(|level| level.name()).collect();
            UnknownLevel { wanted, known }
        })
    }

    /// Whether a fused multiply-add is an instruction at this level and not a call.
    pub const fn has_fma(self) -> bool {
        match self {
            Self::Definition => false,
            Self::Baseline => cfg!(target_arch = "aarch64"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 | Self::Avx512 => true,
        }
    }

    /// As the environment variable names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Definition => "definition",
            #[cfg(target_arch = "aarch64")]
            Self::Baseline => "neon",
            #[cfg(not(target_arch = "aarch64"))]
            Self::Baseline => "baseline",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "avx512",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_ascend_and_have_names_of_their_own() {
        let all = Level::all();
        assert!(all.windows(2).all(|pair| pair[0] < pair[1] && pair[0].name() != pair[1].name()));
        assert!(all.contains(&Level::chosen()));
        assert_eq!(all[..2], [Level::Definition, Level::Baseline]);
    }
}
