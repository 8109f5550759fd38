//! `goldref grade trial`.

use super::args::{Args, Face};
use super::walls;
use crate::cli::exit_code;
use crate::cli::report::say;
use crate::error::{Error, Result};
use crate::report::{trial_json, trial_text};

/// Tries the walls and prints what each of them holds; whether all that is to be kept from submissions is.
pub(super) fn main(args: &Args) -> Result<u8> {
    let (_, tried) = walls(args)?;
    match args.format {
        Face::Text => say(&trial_text(&tried)),
        Face::Json => say(&trial_json(&tried)?),
        Face::Markdown | Face::Gradescope | Face::Prairielearn => {
            return Err(Error::ask("a trial is printed as text or json"));
        }
    }
    let held = crate::candidate::PROTECTIONS.iter().all(|protection| protection.is_held(&tried.standing));
    Ok(if held { exit_code::AGREED } else { exit_code::COULD_NOT_ASK })
}
