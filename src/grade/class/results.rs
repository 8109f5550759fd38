//! The files of a result: `NAME.json`, and pages made of it.

use super::Faces;
use crate::error::{Error, Result};
use crate::grade::points::Points;
use crate::grade::report_data::{FORMAT, GradeReport, PartReport};
use crate::io::{self, disk, limits};
use std::fs;
use std::path::{Path, PathBuf};

/// A page made of a result: what follows the submission's name, such as `.md`, and the bytes; none: there is no such page.
pub type Page = (&'static str, Option<Vec<u8>>);

/// A result as it is written.
///
/// # Errors
/// Never: it is plain data.
pub fn json(report: &GradeReport) -> Result<Vec<u8>> {
    let text = crate::io::json::pretty(report).map_err(Error::ask)?;
    Ok(format!("{text}\n").into_bytes())
}

/// Reads a result, which must be of the submission that it is named after, and add up.
///
/// # Errors
/// A file that cannot be read, a link, no result, one that was renamed or edited.
pub fn read(path: &Path) -> Result<GradeReport> {
    if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink()) {
        return Err(Error::read(path, "it is a link, and links among results are not followed"));
    }
    let bytes = disk::read_whole(path, limits::JSON_BYTES)?;
    let report: GradeReport = serde_json::from_slice(&bytes)
        .map_err(|e| Error::read(path, format!("it is no result of `goldref grade`: {e}")))?;
    if report.format != FORMAT {
        return Err(Error::read(path, format!("its format is another one than \"{FORMAT}\"")));
    }
    if path.file_name().is_none_or(|name| *name != *format!("{}.json", report.submission)) {
        let of = &report.submission;
        return Err(Error::read(path, format!("it is the result of {of}; a result is named after its submission")));
    }
    adds_up(&report).map_err(|why| Error::read(path, format!("its numbers do not add up: {why}")))?;
    Ok(report)
}

/// Whether the points of a result are those of its parts, and the points of each part those of its items.
fn adds_up(report: &GradeReport) -> std::result::Result<(), String> {
    let sum = |of: &dyn Fn(&PartReport) -> &Points| report.parts.iter().map(of).sum::<Points>();
    let (points, out_of) = (sum(&|part| &part.points), sum(&|part| &part.out_of));
    if report.points != points || report.out_of != out_of {
        let (said, said_of) = (&report.points, &report.out_of);
        return Err(format!("it says {said} of {said_of} points, and its parts have {points} of {out_of}"));
    }
    for (at, part) in report.parts.iter().enumerate() {
        let wrong = |what: String| Err(format!("part {}: {what}", part.id));
        if let Some(need) = part.needs.iter().find(|need| report.parts[..at].iter().all(|before| before.id != **need)) {
            return wrong(format!("it needs {need}, which is no part before it"));
        }
        if part.points > part.out_of {
            return wrong(format!("it has {} of {} points", part.points, part.out_of));
        }
        let not_judged = !part.needs.is_empty() || report.failed.is_some();
        let nothing_measured = part.items.is_empty() && part.speed_up.is_none();
        if (not_judged || nothing_measured) && part.points != Points::zero() {
            return wrong(format!("nothing of it was judged, and it has {} points", part.points));
        }
        if part.items.is_empty() {
            continue;
        }
        if not_judged || part.items.len() != part.asks {
            return wrong(format!("it has {} items of {}", part.items.len(), part.asks));
        }
        if let Some(item) = part.items.iter().find(|item| item.points > item.out_of) {
            return wrong(format!("{} has {} of {} points", item.name, item.points, item.out_of));
        }
        let points: Points = part.items.iter().map(|item| &item.points).sum();
        let out_of: Points = part.items.iter().map(|item| &item.out_of).sum();
        // Questions that weigh nothing are out of nothing.
        if points != part.points || (out_of != part.out_of && out_of != Points::zero()) {
            return wrong(format!(
                "it says {} of {} points, and its items have {points} of {out_of}",
                part.points, part.out_of
            ));
        }
    }
    Ok(())
}

/// Where the result of a submission is.
pub(super) fn place(folder: &Path, submission: &str) -> PathBuf {
    folder.join(format!("{submission}.json"))
}

/// Makes the pages of a result what they must be: those that are missing or say something else are written, those of something that is not there
/// any more removed.
///
/// # Errors
/// A file that cannot be written; the others are.
pub(super) fn put_pages(folder: &Path, report: &GradeReport, faces: &Faces) -> Result<()> {
    let mut first = Ok(());
    for (ending, bytes) in faces(report) {
        let path = folder.join(format!("{}{ending}", report.submission));
        let put = match bytes {
            Some(bytes) if fs::read(&path).is_ok_and(|there| there == bytes) => Ok(()),
            Some(bytes) => io::write_bytes(&path, &bytes),
            None if fs::symlink_metadata(&path).is_err() => Ok(()),
            None => fs::remove_file(&path).map_err(|e| Error::write(&path, e)),
        };
        first = first.and(put);
    }
    first
}

/// Writes a result itself; it comes last, so that whoever has it has all.
///
/// # Errors
/// A file that cannot be written.
pub(super) fn put(folder: &Path, report: &GradeReport) -> Result<()> {
    io::write_bytes(place(folder, &report.submission), &json(report)?)
}
