//! The suites that goldref brings along.

use super::Store;
use crate::error::{Error, Result};

impl Store {
    /// Opens the bundled suites, which are unpacked into the user's cache folder at the first call: see
    /// [`goldref_fixtures::unpacked`].
    ///
    /// ```no_run
    /// let store = goldref::suite::Store::bundled()?;
    /// assert!(store.suites.iter().any(|suite| suite.name == "decode"));
    /// # Ok::<(), goldref::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no cache folder and none can be made.
    pub fn bundled() -> Result<Self> {
        let folder = goldref_fixtures::unpacked().map_err(|error| {
            Error::ask(format!(
                "cannot unpack the bundled suites: {error}; set {} to a folder that can be written, or name other suites",
                goldref_fixtures::CACHE_VARIABLE
            ))
        })?;
        Self::open(folder)
    }
}
