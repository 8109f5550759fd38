//! Results of parts of a class, put together.

use super::{Faces, SKIPPED, results};
use crate::error::{Error, Result};
use crate::grade::report_data::GradeReport;
use crate::io::{disk, limits};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The table of a whole folder, which is made anew.
const OF_ALL: &str = "class.csv";
/// Pages of results, which are made anew as well.
const PAGES: [&str; 2] = [".md", ".svg"];

/// What merging gave.
#[derive(Debug)]
pub struct Merged {
    /// The results, by name.
    pub reports: Vec<GradeReport>,
    /// What a reader of the merged folder should know, a line each.
    pub notes: Vec<String>,
    /// The rows of what was skipped, each once.
    pub skipped: Vec<String>,
}

/// Writes the results of `folders`, with pages made of them, into the new or empty folder `output`.
///
/// # Errors
/// Folders without results; links among them; results that do not add up, are not named after their submission, or are of several assignments; two
/// different ones of one submission; a folder with files in it.
pub fn merged(folders: &[PathBuf], output: &Path, faces: &Faces) -> Result<Merged> {
    let mut found: BTreeMap<String, (PathBuf, GradeReport)> = BTreeMap::new();
    let (mut notes, mut skipped) = (Vec::new(), Vec::new());
    for folder in folders {
        let mut any = false;
        for name in names(folder)? {
            let path = folder.join(&name);
            if fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_symlink()) {
                return Err(Error::read(&path, "it is a link, and links among results are not followed; remove it"));
            }
            // A share may be empty: of it there is the table alone.
            any |= name == OF_ALL || name == SKIPPED;
            if name == SKIPPED {
                skipped.extend(rows(&path)?);
            }
            if name.ends_with(".json") {
                any = true;
                let report = results::read(&path)?;
                fits(found.values().next(), &path, &report)?;
                match found.get(&report.submission) {
                    Some((other, known)) if *known != report => {
                        let other = other.display();
                        let why = format!("{other} is of the same submission and says something else");
                        return Err(Error::read(&path, why));
                    }
                    Some((other, _)) => {
                        notes.push(format!("{} is the same as {}, and counts once", path.display(), other.display()));
                    }
                    None => {
                        found.insert(report.submission.clone(), (path, report));
                    }
                }
            } else if !is_known(&name, &path) {
                notes.push(format!("{} is no result and is left out", path.display()));
            }
        }
        if !any {
            return Err(Error::read(folder, "it holds no results; name folders that `goldref grade --output` wrote"));
        }
    }
    if found.is_empty() {
        return Err(Error::ask("none of the folders holds a result, and nothing merged is not a success"));
    }
    fs::create_dir_all(output).map_err(|e| Error::write(output, e))?;
    if fs::read_dir(output).map_err(|e| Error::read(output, e))?.next().is_some() {
        return Err(Error::write(output, "it holds files already; name another folder"));
    }
    let mut reports = Vec::with_capacity(found.len());
    for (_, report) in found.into_values() {
        results::put_pages(output, &report, faces)?;
        results::put(output, &report)?;
        reports.push(report);
    }
    skipped.sort_unstable();
    skipped.dedup();
    Ok(Merged { reports, notes, skipped })
}

/// The names in a folder, in order.
fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| Error::read(folder, e))? {
        let name = entry.map_err(|e| Error::read(folder, e))?.file_name();
        let name = name.into_string().map_err(|name| {
            Error::read(folder, format!("the name of {} is not text in UTF-8; it is no result", name.display()))
        })?;
        names.push(name);
    }
    names.sort_unstable();
    Ok(names)
}

/// Whether it is a table, a page of a result beside it, or half of a file that was about to be written.
fn is_known(name: &str, path: &Path) -> bool {
    let page = PAGES.iter().any(|ending| {
        name.strip_suffix(ending).is_some_and(|submission| path.with_file_name(format!("{submission}.json")).exists())
    });
    page || name == OF_ALL || name == SKIPPED || name.starts_with(disk::HALF)
}

/// The rows of a table without its header.
fn rows(path: &Path) -> Result<Vec<String>> {
    let bytes = disk::read_whole(path, limits::JSON_BYTES)?;
    let text = String::from_utf8(bytes).map_err(|_| Error::read(path, "it is no text in UTF-8"))?;
    Ok(text.lines().skip(1).map(String::from).collect())
}

/// That a result is of the same assignment as the others, with the same parts.
fn fits(other: Option<&(PathBuf, GradeReport)>, path: &Path, report: &GradeReport) -> Result<()> {
    let Some((_, other)) = other else { return Ok(()) };
    if other.assignment != report.assignment {
        let of = &other.submission;
        return Err(Error::read(path, format!("it is of another assignment than that of {of}")));
    }
    let same = other.parts.len() == report.parts.len()
        && other
            .parts
            .iter()
            .zip(&report.parts)
            .all(|(one, part)| (&one.id, &one.out_of, one.asks) == (&part.id, &part.out_of, part.asks));
    if !same {
        return Err(Error::read(path, format!("its parts are others than those of {}", other.submission)));
    }
    Ok(())
}
