//! How much a submission may use.

use crate::candidate::SandboxLimits;
use std::time::Duration;

/// The limits of an assignment.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// For one question.
    pub seconds: Duration,
    /// For a question at most so many times as long as goldref takes for it, though never less than a second; `None`: not asked.
    pub slow_factor: Option<f64>,
    /// For building.
    pub build_seconds: Duration,
    /// Threads that numeric libraries are told to use.
    pub threads: u64,
    /// Of all its processes together.
    pub sandbox: SandboxLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            seconds: Duration::from_secs(60),
            slow_factor: None,
            build_seconds: Duration::from_secs(300),
            threads: 1,
            sandbox: SandboxLimits::default(),
        }
    }
}

/// What a question may take where goldref takes next to nothing.
const LEAST: Duration = Duration::from_secs(1);

impl Limits {
    /// The time for a question for which goldref takes `own`.
    pub fn for_question(&self, own: Option<Duration>) -> Duration {
        let factor = self.slow_factor.zip(own);
        let slow = factor.and_then(|(factor, own)| Duration::try_from_secs_f64(factor * own.as_secs_f64()).ok());
        slow.map_or(self.seconds, |slow| slow.max(LEAST).min(self.seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_shortens_the_time_but_not_below_a_second() {
        let limits = Limits { slow_factor: Some(100.0), ..Limits::default() };
        let milliseconds = |own| limits.for_question(Some(Duration::from_millis(own))).as_millis();
        assert_eq!([1, 50, 10_000].map(milliseconds), [1000, 5000, 60_000]);
        assert_eq!(limits.for_question(None), limits.seconds);
        assert_eq!(Limits::default().for_question(Some(Duration::from_millis(1))), limits.seconds);
    }
}
