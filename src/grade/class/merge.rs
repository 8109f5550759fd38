//! Results of parts of a class, put together.

use super::read;
use crate::error::{Error, Result};
use crate::grade::report_data::GradeReport;
use crate::io::{self, disk, limits};
use std::fs;
use std::path::{Path, PathBuf};

/// Files that speak of a whole folder, not of one submission; they are made anew.
const OF_ALL: &str = "class.csv";

/// Copies the results of `folders` into the new or empty folder `output`; the results, by name.
///
/// # Errors
/// Folders without results, results of several assignments, two different ones of one submission, a folder with files in it.
pub fn merged(folders: &[PathBuf], output: &Path) -> Result<Vec<GradeReport>> {
    // Both in the order of the names.
    let mut files: Vec<File> = Vec::new();
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
            match files.binary_search_by(|file| file.name.cmp(&name)) {
                Ok(at) if files[at].bytes != bytes => {
                    let other = files[at].path.display();
                    return Err(Error::read(
                        &path,
                        format!("{other} is of the same submission and says something else"),
                    ));
                }
                Ok(_) => (),
                Err(at) => files.insert(at, File { name, path, bytes }),
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
    for file in files {
        io::write_bytes(output.join(file.name), &file.bytes)?;
    }
    let mut merged = Vec::with_capacity(reports.len());
    for (_, report) in reports {
        merged.push(report);
    }
    Ok(merged)
}

/// A file of results, and where it was found.
struct File {
    name: String,
    path: PathBuf,
    bytes: Vec<u8>,
}
