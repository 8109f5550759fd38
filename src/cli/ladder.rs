//! The tolerances of a command line, for every command that takes some.

use crate::check::{Ladder, Rung};
use crate::error::{Error, Result};

/// Absolute tolerances, a relative one beside each, and last places.
#[derive(Debug, clap::Args)]
pub(crate) struct Tolerances {
    /// Absolute tolerances, one column each [default: 1e-5,1e-4,1e-3]
    #[arg(long, value_name = "LIST", value_delimiter = ',', allow_negative_numbers = true)]
    atol: Vec<f64>,
    /// Relative tolerance, added to each absolute one
    #[arg(long, value_name = "RTOL", default_value = "0", allow_negative_numbers = true)]
    rtol: f64,
    /// One more column: within so many last places of the expected format
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    max_ulps: Option<f64>,
}

impl Tolerances {
    /// The checked ladder, in the order the tolerances were named.
    pub(crate) fn ladder(&self) -> Result<Ladder> {
        let usable = |what: &str, value: f64| {
            if value >= 0.0 && value.is_finite() {
                Ok(())
            } else {
                Err(Error::ask(format!("{what} is {value}; a tolerance is a number of at least 0")))
            }
        };
        self.atol.iter().try_for_each(|&atol| usable("--atol", atol))?;
        usable("--rtol", self.rtol)?;
        self.max_ulps.iter().try_for_each(|&n| usable("--max-ulps", n))?;

        let mut rungs = match (self.atol.is_empty(), self.rtol > 0.0) {
            // --rtol alone asks for a relative tolerance alone.
            (true, true) => vec![Rung { rtol: self.rtol, ..Rung::default() }],
            (true, false) => Ladder::default().0,
            (false, _) => self.atol.iter().map(|&atol| Rung { atol, rtol: self.rtol, max_ulps: None }).collect(),
        };
        rungs.extend(self.max_ulps.map(|max_ulps| Rung { max_ulps: Some(max_ulps), ..Rung::default() }));
        Ok(Ladder(rungs))
    }
}
