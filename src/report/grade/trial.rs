//! Which walls stand around programs on this machine, and what each of them holds.

use crate::candidate::{PROTECTIONS, Protection, Tried, Wall};
use crate::error::{Error, Result};
use serde::Serialize;

/// The value of `format` of the JSON.
const FORMAT: &str = "goldref-grade-trial/1";

/// For people: the walls, what they hold, and how to have those that do not stand.
pub fn trial_text(tried: &Tried) -> String {
    let mut text = String::from("walls\n");
    for wall in Wall::ALL {
        let stands = match tried.missing.get(&wall) {
            None => "stands".to_string(),
            Some(why) => format!("none: {}", crate::io::wording::reason(why)),
        };
        text += &format!("  {:<24}{stands}\n", wall.name());
    }
    text += "\nkept from a submission              by\n";
    for protection in PROTECTIONS {
        text += &format!("  {:<34}{}\n", protection.what, by(protection, tried));
    }
    if !tried.missing.is_empty() {
        text += "\nto have the others\n";
        for wall in tried.missing.keys() {
            text += &format!("  {:<24}{}\n", wall.name(), wall.how_to_have_it());
        }
    }
    text
}

fn by(protection: &Protection, tried: &Tried) -> String {
    let holding = protection.holding(&tried.standing);
    let names: Vec<&str> = holding.iter().map(|wall| wall.name()).collect();
    match (names.is_empty(), protection.otherwise) {
        (false, _) => names.join(", "),
        (true, Some(otherwise)) => otherwise.to_string(),
        (true, None) => "NOTHING: no submission is started".to_string(),
    }
}

/// For programs.
///
/// # Errors
/// Never: it is plain data.
pub fn trial_json(tried: &Tried) -> Result<String> {
    let wall = |wall: Wall| WallLine {
        wall,
        stands: tried.standing.contains(&wall),
        why_not: tried.missing.get(&wall).cloned(),
    };
    let held = |protection: &'static Protection| Held {
        what: protection.what,
        held: protection.is_held(&tried.standing),
        by: protection.holding(&tried.standing),
        otherwise: protection.otherwise,
    };
    let report = TrialReport {
        format: FORMAT,
        walls: Wall::ALL.map(wall).into(),
        protections: PROTECTIONS.iter().map(held).collect(),
    };
    Ok(crate::io::json::pretty(&report).map_err(Error::ask)? + "\n")
}

#[derive(Serialize)]
struct TrialReport {
    format: &'static str,
    walls: Vec<WallLine>,
    protections: Vec<Held>,
}

#[derive(Serialize)]
struct WallLine {
    wall: Wall,
    stands: bool,
    why_not: Option<String>,
}

#[derive(Serialize)]
struct Held {
    what: &'static str,
    held: bool,
    by: Vec<Wall>,
    otherwise: Option<&'static str>,
}
