//! Imports point in one direction: a module uses only those above it in `lib.rs`.

use std::fs;
use std::path::{Path, PathBuf};

/// The sources of the packages.
fn sources() -> [PathBuf; 5] {
    ["src", "reference/src", "compare/src", "kernels/src", "fixtures/src"].map(|folder| super::root().join(folder))
}

/// Modules of lower packages that a package's `lib.rs` names, and its own in their order.
fn order(source: &Path) -> (Vec<String>, Vec<String>) {
    let lib = fs::read_to_string(source.join("lib.rs")).unwrap();
    let (mut lower, mut own) = (Vec::new(), Vec::new());
    for line in lib.lines() {
        let line = line.trim_start_matches("pub ");
        if let Some(module) = line.strip_prefix("mod ").and_then(|line| line.strip_suffix(';')) {
            own.push(module.to_string());
        } else if let Some((_, names)) = line.strip_prefix("use goldref_").and_then(|line| line.split_once("::")) {
            let names = names.trim_matches(|c| "{};".contains(c));
            lower.extend(names.split(", ").map(String::from));
        }
    }
    (lower, own)
}

pub(super) fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Module names behind `prefix` in `text`: `crate::num::Real`, `use crate::num`.
fn mentions(text: &str, prefix: &str) -> Vec<String> {
    text.match_indices(prefix)
        .map(|(at, _)| {
            text[at + prefix.len()..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
        })
        .collect()
}

#[test]
fn every_module_uses_only_those_above_it() {
    let mut wrong = Vec::new();
    for (source, modules) in sources().iter().zip([8, 12, 6, 3, 0]) {
        let (lower, order) = order(source);
        assert!(order.len() >= modules, "{order:?}");
        let rank = |module: &str| order.iter().position(|known| known == module);
        for (own, module) in order.iter().enumerate() {
            let folder = source.join(module);
            let files = if folder.is_dir() { rust_files(&folder) } else { vec![folder.with_extension("rs")] };
            assert!(!files.is_empty(), "{module} has no files");
            for file in files {
                let text = fs::read_to_string(&file).unwrap();
                let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
                let used = mentions(&code.join("\n"), "crate::");
                for used in used.into_iter().filter(|used| !lower.contains(used)) {
                    match rank(&used) {
                        Some(rank) if rank <= own => {}
                        Some(_) => wrong.push(format!("{} uses {used}, which stands below {module}", file.display())),
                        None => {
                            wrong.push(format!("{} uses crate::{used}, which lib.rs does not list", file.display()))
                        }
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_below_the_command_line_prints() {
    for file in sources().iter().flat_map(|source| rust_files(source)) {
        if file.components().any(|part| part.as_os_str() == "cli") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        for forbidden in ["println!", "eprintln!", "print!(", "dbg!", "stdout()", "stderr()"] {
            assert!(!text.contains(forbidden), "{} contains {forbidden}", file.display());
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for file in sources().iter().flat_map(|source| rust_files(source)) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//! "), "{} does not start with its purpose", file.display());
    }
}
