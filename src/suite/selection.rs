//! Which cases and variants a run covers.

use super::case::{Case, Suite};
use super::store::Store;
use crate::error::{Error, Result};
use crate::eval::matches_pattern;
use crate::variant::{self, Variant};

/// What a run covers. Empty lists mean everything; `*` in a pattern stands for any run of characters.
#[derive(Debug, Clone, Default)]
pub struct Selected {
    /// Names of suites.
    pub suites: Vec<String>,
    /// Names of variants.
    pub variants: Vec<String>,
    /// `suite/id`, or `id` alone.
    pub cases: Vec<String>,
}

/// How many cases a selection covers, for a progress bar.
///
/// # Errors
/// As [`run`](super::run).
pub fn count_cases(store: &Store, selected: &Selected) -> Result<usize> {
    Ok(select_cases(&select_suites(store, &selected.suites)?, &selected.cases)?.len())
}

/// The selected cases.
///
/// # Errors
/// As [`run`](super::run).
pub fn selected_cases<'s>(store: &'s Store, selected: &Selected) -> Result<Vec<&'s Case>> {
    select_cases(&select_suites(store, &selected.suites)?, &selected.cases)
}

pub(super) fn select_variants(patterns: &[String]) -> Result<Vec<&'static Variant>> {
    if let Some(unknown) =
        patterns.iter().find(|pattern| !variant::ALL.iter().any(|v| matches_pattern(pattern, v.name)))
    {
        return Err(variant::unknown(unknown));
    }
    let chosen = |v: &&Variant| patterns.is_empty() || patterns.iter().any(|pattern| matches_pattern(pattern, v.name));
    Ok(variant::ALL.iter().filter(chosen).collect())
}

/// The one variant that answers are judged as; `why` it must be one.
pub(super) fn select_variant(patterns: &[String], why: &str) -> Result<&'static Variant> {
    let variants = select_variants(patterns)?;
    match variants[..] {
        [variant] => Ok(variant),
        _ => Err(Error::ask(format!("{} variants are selected; {why}, so name it with --variant", variants.len()))),
    }
}

pub(super) fn select_suites<'s>(store: &'s Store, patterns: &[String]) -> Result<Vec<&'s Suite>> {
    if let Some(unknown) =
        patterns.iter().find(|pattern| !store.suites.iter().any(|s| matches_pattern(pattern, &s.name)))
    {
        let there: Vec<&str> = store.suites.iter().map(|s| s.name.as_str()).collect();
        return Err(Error::ask(format!("no suite is called \"{unknown}\"; there are: {}", there.join(", "))));
    }
    let chosen = |s: &&Suite| patterns.is_empty() || patterns.iter().any(|pattern| matches_pattern(pattern, &s.name));
    Ok(store.suites.iter().filter(chosen).collect())
}

pub(super) fn select_cases<'s>(suites: &[&'s Suite], patterns: &[String]) -> Result<Vec<&'s Case>> {
    let mut all = Vec::new();
    for suite in suites {
        all.extend(&suite.cases);
    }
    let fits =
        |pattern: &String, case: &Case| matches_pattern(pattern, &case.name) || matches_pattern(pattern, &case.id);
    if let Some(unknown) = patterns.iter().find(|pattern| !all.iter().any(|case| fits(pattern, case))) {
        return Err(Error::ask(format!(
            "no case is called \"{unknown}\" in {}",
            suites.iter().map(|s| s.name.as_str()).collect::<Vec<_>>().join(", ")
        )));
    }
    let mut cases: Vec<&Case> = all;
    cases.retain(|case| patterns.is_empty() || patterns.iter().any(|pattern| fits(pattern, case)));
    if cases.is_empty() {
        return Err(Error::ask("no case is selected, and nothing run is not a success"));
    }
    Ok(cases)
}
