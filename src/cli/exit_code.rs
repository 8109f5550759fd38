//! What the process says to a script.

/// Every variant agreed.
pub(crate) const AGREED: u8 = 0;
/// Something disagreed.
pub(crate) const DISAGREED: u8 = 1;
/// Could not ask: usage, unreadable input, nothing selected.
pub(crate) const COULD_NOT_ASK: u8 = 2;
