//! Results of parts of a class, put together.

use super::read;
use crate::error::{Error, Result};
use crate::grade::report_data::GradeReport;
use crate::io::{self, disk, limits};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Files that speak of a whole folder, not of one submission; they are made anew.
const OF_ALL: &str = "class.csv";

/// Copies the results of `folders` into the new or empty folder `output`; the results, by name.
///
/// # Errors
/// Folders without results, results of several assignments, two different ones of one submission, a folder with files in it.
pub fn merged(folders: &[PathBuf], output: &Path) -> Result<Vec<GradeReport>> {
    let mut files: BTreeMap<String, (PathBuf, Vec<u8>)> = BTreeMap::new();
    // In the order of the names.
    let mut reports: Vec<(String, GradeReport)> = Vec::new();
    for folder in folders {
        let mut any = false;
        for entry in fs::read_dir(folder).map_err(|e| Error::read(folder, e))? {
            let path = entry.map_err(|e| Error::read(folder, e))?.path();
            let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            // A share may be empty: of it there is the table alone.
            any |= name == OF_ALL;
            if name == OF_ALL || name.starts_with(disk::HALF) {
                continue;
            }
            let bytes = disk::read_whole(&path, limits::JSON_BYTES)?;
            if let Some(submission) = name.strip_suffix(".json") {
                let report = read(&path)?;
                if let Some((_, other)) = reports.iter().find(|(_, other)| other.assignment != report.assignment) {
                    return Err(Error::read(
                        &path,
                        format!("it is of another assignment than that of {}", other.submission),
                    ));
                }
                match reports.binary_search_by(|(name, _)| name.as_str().cmp(submission)) {
                    Ok(at) => reports[at].1 = report,
                    Err(at) => reports.insert(at, (submission.to_string(), report)),
                }
                any = true;
            }
            match files.get(&name) {
                Some((other, known)) if *known != bytes => {
                    return Err(Error::read(
                        &path,
                        format!("{} is of the same submission and says something else", other.display()),
                    ));
                }
                Some(_) => (),
                None => {
                    files.insert(name, (path, bytes));
                }
            }
        }
        if !any {
            return Err(Error::read(folder, "it holds no results; name folders that `goldref grade --output` wrote"));
        }
    }
    if reports.is_empty() {
        return Err(Error::ask("none of the folders holds a result, and nothing merged is not a success"));
    }
    fs::create_dir_all(output).map_err(|e| Error::write(output, e))?;
    if fs::read_dir(output).map_err(|e| Error::read(output, e))?.next().is_some() {
        return Err(Error::write(output, "it holds files already; name another folder"));
    }
    for (name, (_, bytes)) in files {
        io::write_bytes(output.join(name), &bytes)?;
    }
    Ok(reports.into_iter().map(|(_, report)| report).collect())
}
