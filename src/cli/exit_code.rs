//! What the process says to a script.

/// Every variant agreed; nothing got worse; the file was converted.
pub(crate) const AGREED: u8 = 0;
/// Something disagreed, or got worse.
pub(crate) const DISAGREED: u8 = 1;
/// Could not ask: usage, unreadable input, nothing selected.
pub(crate) const COULD_NOT_ASK: u8 = 2;
