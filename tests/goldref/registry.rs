//! Nothing without a row, no row without a case, no file that nothing uses.

use super::layers::rust_files;
use goldref::{ops, variant};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

fn text(path: &str) -> String {
    fs::read_to_string(super::root().join(path)).unwrap()
}

fn stems(folder: &str) -> Vec<String> {
    let folder = super::root().join(folder);
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_string();
    rust_files(&folder).into_iter().map(stem).filter(|stem| stem != "mod").collect()
}

#[test]
fn every_operation_file_has_a_row() {
    let table = text("reference/src/ops/mod.rs");
    let modules: Vec<&str> = table
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'))
        // What operations share is none itself.
        .filter(|module| !["parameters", "question", "weight"].contains(module))
        .collect();
    assert_eq!(
        modules.len() + 4,
        fs::read_dir(super::root().join("reference/src/ops")).unwrap().count(),
        "a file is no module"
    );
    for module in modules {
        assert!(table.contains(&format!("{module}::ask")), "reference/src/ops/{module}.rs has no row in ops::ALL");
    }
}

#[test]
fn every_report_and_command_file_is_used() {
    let sources = |folder: &str| -> Vec<(String, String)> {
        let paths = rust_files(&super::root().join(folder));
        paths.iter().map(|path| (path.display().to_string(), fs::read_to_string(path).unwrap())).collect()
    };
    let (commands, formats) = (sources("src/cli"), sources("src/report"));
    for module in stems("src/report") {
        // A command prints it, or another format is made of it.
        let printed = commands.iter().any(|(_, text)| text.contains(&format!("report::{module}(")));
        let shared = formats
            .iter()
            .any(|(_, text)| ["super", "report"].iter().any(|from| text.contains(&format!("{from}::{module}::"))));
        // A part of a format is handed out by its folder, or used by the file beside it.
        let shared = shared
            || formats
                .iter()
                .any(|(_, text)| ["pub use", "\nuse"].iter().any(|used| text.contains(&format!("{used} {module}::"))));
        assert!(printed || shared, "nothing uses src/report/{module}.rs");
    }
    for module in stems("src/cli") {
        let is_module = commands.iter().any(|(_, text)| text.contains(&format!("\nmod {module};\n")));
        assert!(is_module, "{module}.rs of the command line is not a module");
    }
}

#[test]
fn every_operation_has_a_case_and_every_case_an_operation() {
    let store = super::store();
    let asked: BTreeSet<&str> =
        store.suites.iter().flat_map(|suite| &suite.cases).map(|case| case.op.as_str()).collect();
    for op in ops::ALL {
        assert!(asked.contains(op.name), "no bundled case asks for {}", op.name);
    }
    for op in asked {
        assert!(op == "model" || op == "generate" || ops::find(op).is_some(), "{op} is no operation");
    }
}

#[test]
fn names_are_unique_and_twins_exist() {
    let names = variant::names();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    for v in variant::ALL {
        if let Some(original) = v.twin_of {
            let original = variant::find(original).unwrap();
            assert_eq!(original.numerics, v.numerics, "{} must round as its original does", v.name);
            assert!(original.twin_of.is_none());
        }
    }
    let ops: BTreeSet<&str> = ops::ALL.iter().map(|op| op.name).collect();
    assert_eq!(ops.len(), ops::ALL.len());
}

#[test]
fn every_fixture_file_belongs_to_a_case_and_is_hashed() {
    for suite in super::store().suites {
        let mut listed: BTreeSet<PathBuf> = [suite.folder.join("suite.json")].into();
        listed.extend(suite.notice.iter().map(|notice| suite.folder.join(notice)));
        for case in &suite.cases {
            assert!(case.sha256.contains_key("expected.npz"), "{} has no hash", case.name);
            for file in case.sha256.keys() {
                let folder = if file.contains('/') { suite.folder.clone() } else { case.folder() };
                listed.insert(folder.join(file));
            }
        }
        let mut present = BTreeSet::new();
        let mut folders = vec![suite.folder.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { present.insert(path).then_some(()).unwrap() }
            }
        }
        assert_eq!(present, listed, "files of {} and what its cases list differ", suite.name);
    }
}

#[test]
fn every_bundled_case_names_its_oracle_and_its_faults() {
    let readme = text("fixtures/README.md");
    let mut unknown = BTreeMap::new();
    for case in super::store().suites.iter().flat_map(|suite| &suite.cases) {
        let oracle = case.oracle.as_ref().unwrap_or_else(|| panic!("{} names no oracle", case.name));
        assert!(!oracle.computed_by.is_empty() && oracle.attested_by.is_some(), "{}", case.name);
        assert!(oracle.distance.is_some_and(|distance| distance >= 0.0), "{} has no distance", case.name);
        for fault in case.catches.iter().filter(|fault| !readme.contains(&format!("`{fault}`"))) {
            unknown.insert(fault.clone(), case.name.clone());
        }
    }
    assert!(unknown.is_empty(), "faults that fixtures/README.md does not explain: {unknown:?}");
}

#[test]
fn the_bundled_fixtures_stay_small() {
    let mut folders = vec![super::root().join("fixtures")];
    let mut bytes = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.path().is_dir() { folders.push(entry.path()) } else { bytes += entry.metadata().unwrap().len() }
        }
    }
    assert!(bytes <= 10_000_000, "{bytes} bytes");
}
