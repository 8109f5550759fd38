//! The stages in which a submission is asked, each by a process of its own, and what of it may be told.
//!
//! What a program says goes to its student only if the process that said it had seen nothing hidden. So what students have is asked first; then that
//! process ends. A measured speed-up is asked by a process of its own too, for its numbers are shown.

use super::report_data::Audience;

/// A stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Visible cases and properties, of all parts.
    Visible,
    /// Hidden cases, and properties of hidden checkpoints.
    Hidden,
    /// A speed-up.
    SpeedUp,
}

impl Stage {
    /// Who may read what is said in it.
    pub(super) fn audience(self) -> Audience {
        match self {
            Self::Visible | Self::SpeedUp => Audience::Everyone,
            Self::Hidden => Audience::Full,
        }
    }
}
