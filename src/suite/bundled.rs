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
        let cache = goldref_fixtures::cache_folder()
            .map_err(|error| Error::ask(format!("the bundled suites cannot be unpacked: {error}")))?;
        let folder = goldref_fixtures::unpacked_in(&cache).map_err(|error| {
            let variable = goldref_fixtures::CACHE_VARIABLE;
            Error::write(
                &cache,
                format!(
                    "the bundled suites are unpacked there ({error}); set {variable} to a folder that can be written"
                ),
            )
        })?;
        Self::open(folder)
    }
}
