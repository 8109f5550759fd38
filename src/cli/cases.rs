//! Which cases of which suites, as every command asks for them.

use crate::error::Result;
use crate::suite::{Selected, Store};
use std::path::PathBuf;

/// The arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Cases {
    /// Folder with a suite.json, or of such folders [default: the bundled fixtures]
    #[arg(long, value_name = "DIR")]
    pub(super) fixtures: Option<PathBuf>,
    /// Only these suites (`*` matches any characters)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    suite: Vec<String>,
    /// Only these cases, as suite/id or id (`*` matches any characters)
    #[arg(long, value_name = "CASE", value_delimiter = ',')]
    case: Vec<String>,
}

impl Cases {
    /// Whether anything is said of suites or cases.
    pub(super) fn are_named(&self) -> bool {
        !(self.suite.is_empty() && self.case.is_empty())
    }

    /// The suites.
    pub(super) fn store(&self) -> Result<Store> {
        match &self.fixtures {
            Some(folder) => Store::open(folder),
            None => Store::bundled(),
        }
    }

    /// What is selected of them, and of `variants`.
    pub(super) fn selected(&self, variants: &[String]) -> Selected {
        Selected { suites: self.suite.clone(), variants: variants.to_vec(), cases: self.case.clone() }
    }
}
