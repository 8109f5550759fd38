//! `goldref compare` as a user meets it: what agrees, what does not, what cannot be asked, and the words for each.

use assert_cmd::Command;
use goldref::io::{Array, npy, npz};
use goldref::report::CompareReport;
use ndarray::{ArrayD, arr1, arr2};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder with files of arrays.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn npz(&self, name: &str, arrays: &[(&str, Array)]) -> PathBuf {
        let arrays: BTreeMap<String, Array> =
            arrays.iter().map(|(name, array)| (name.to_string(), array.clone())).collect();
        npz::write(self.at(name), &arrays).unwrap();
        self.at(name)
    }

    fn npy(&self, name: &str, array: &Array) -> PathBuf {
        npy::write(self.at(name), array).unwrap();
        self.at(name)
    }
}

fn f32s(values: &[f32]) -> Array {
    Array::from(arr1(values).into_dyn())
}

/// Exit code, what was printed, and the message.
fn compare(actual: &Path, expected: &Path, more: &[&str]) -> (i32, String, String) {
    let mut command = Command::cargo_bin("goldref").unwrap();
    let output = command.env("NO_COLOR", "1").arg("compare").arg(actual).arg(expected).args(more).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn refusal(actual: &Path, expected: &Path, more: &[&str]) -> String {
    let (code, printed, message) = compare(actual, expected, more);
    assert_eq!((code, printed.as_str()), (2, ""), "{message}");
    assert!(message.starts_with("goldref: ") && message.trim_end().lines().count() == 1, "{message}");
    message
}

fn json(actual: &Path, expected: &Path, more: &[&str]) -> (i32, CompareReport) {
    let (code, printed, message) = compare(actual, expected, &[more, &["--format", "json"]].concat());
    (code, serde_json::from_str(&printed).unwrap_or_else(|e| panic!("{e}: {message}{printed}")))
}

#[test]
fn equal_files_agree_and_different_ones_do_not() {
    let files = Files::new();
    let expected = files.npz("e.npz", &[("x", f32s(&[1.0, 2.0, f32::NAN])), ("y", f32s(&[0.0]))]);
    let same = files.npz("s.npz", &[("x", f32s(&[1.0, 2.0, f32::NAN])), ("y", f32s(&[-0.0]))]);
    let (code, printed, _) = compare(&same, &expected, &[]);
    assert_eq!(code, 0, "{printed}");
    assert!(printed.ends_with("agrees: 2 of 2 arrays agree within 1e-3.\n"), "{printed}");

    let off = files.npz("o.npz", &[("x", f32s(&[1.0, 2.5, f32::NAN])), ("y", f32s(&[0.0]))]);
    let (code, printed, _) = compare(&off, &expected, &[]);
    assert_eq!(code, 1, "{printed}");
    for words in [
        "x  [3] f32   1e-5  66.6 %   1e-4  66.6 %   1e-3  66.6 %    DISAGREES: 1 of 3 beyond 1e-3",
        "|err| 0.5 at [1]   actual 2.5 (0x40200000)   expected 2.0 (0x40000000)",
        "1 element beyond 1e-5: one element",
        "DISAGREES: 1 of 2 arrays agree within 1e-3.",
    ] {
        assert!(printed.contains(words), "{words}\n{printed}");
    }
}

#[test]
fn the_last_tolerance_decides_and_tighter_misses_are_said() {
    let files = Files::new();
    let (actual, expected) = (files.npy("a.npy", &f32s(&[1.0005])), files.npy("e.npy", &f32s(&[1.0])));
    let (code, printed, _) = compare(&actual, &expected, &[]);
    assert_eq!(code, 0);
    assert!(printed.contains("not all agree at 1e-5"), "{printed}");
    assert_eq!(compare(&actual, &expected, &["--atol", "1e-4"]).0, 1);
    assert_eq!(compare(&actual, &expected, &["--rtol", "6e-4"]).0, 0);
    assert_eq!(compare(&actual, &expected, &["--atol", "1", "--max-ulps", "4"]).0, 1);
    // 1.0005 is 4194 gaps of f32 from 1, and not one of bf16.
    assert_eq!(compare(&actual, &expected, &["--max-ulps", "1", "--dtype", "bf16"]).0, 0);
    // A tolerance of 0 is 0 and not a default.
    assert_eq!(compare(&actual, &expected, &["--atol", "0", "--rtol", "0"]).0, 1);
    assert!(refusal(&actual, &expected, &["--atol", "nan"]).contains("a tolerance is a number of at least 0"));
    assert!(refusal(&actual, &expected, &["--rtol", "-1"]).contains("--rtol is -1"));
}

#[test]
fn nan_infinity_and_sign_are_no_rounding() {
    let files = Files::new();
    let inf = f32::INFINITY;
    for (actual, expected) in [
        (vec![f32::NAN; 4], vec![0.0, 1.0, 2.0, 3.0]),
        (vec![0.0], vec![f32::NAN]),
        (vec![inf], vec![-inf]),
        (vec![f32::MAX], vec![inf]),
        (vec![-1.0], vec![1.0]),
        (vec![0.0], vec![-inf]),
    ] {
        let (a, e) = (files.npy("a.npy", &f32s(&actual)), files.npy("e.npy", &f32s(&expected)));
        let (code, report) = json(&a, &e, &[]);
        assert_eq!((code, report.agrees), (1, false), "{actual:?} for {expected:?}");
    }
}

#[test]
fn names_are_matched_strictly() {
    let files = Files::new();
    let one = f32s(&[1.0]);
    let expected = files.npz("e.npz", &[("x", one.clone()), ("y", one.clone())]);
    let missing = files.npz("m.npz", &[("x", one.clone())]);
    let (code, printed, _) = compare(&missing, &expected, &[]);
    assert_eq!(code, 1);
    assert!(printed.contains(" y  missing: expected, and not in "), "{printed}");
    let surplus = files.npz("s.npz", &[("x", one.clone()), ("y", one.clone()), ("z", one.clone())]);
    let (code, printed, _) = compare(&surplus, &expected, &[]);
    assert_eq!(code, 1);
    assert!(printed.contains(" z  surplus: not expected, and in "), "{printed}");

    let other = files.npz("o.npz", &[("a", one.clone()), ("b", one.clone())]);
    let message = refusal(&other, &expected, &[]);
    assert!(message.contains(r#"no array is on both sides, and nothing compared is not a success: actual has "a", "b", expected has "x", "y""#), "{message}");
    assert_eq!(compare(&other, &expected, &["--map", "a=x,b=y"]).0, 0);
    assert_eq!(compare(&surplus, &expected, &["--map", "x=y,y=x,z=w"]).0, 1);
    assert!(refusal(&other, &expected, &["--map", "q=x"]).contains("--map names \"q\", which is not in"));
    assert!(refusal(&other, &expected, &["--map", "a"]).contains("is not of the form A=B"));
    assert!(refusal(&other, &expected, &["--map", "a=b"]).contains("two arrays of"));
    assert!(refusal(&other, &expected, &["--map", "a=x", "--logits", "q"]).contains("--logits names \"q\""));
}

#[test]
fn shapes_are_strict() {
    let files = Files::new();
    let row = Array::from(arr2(&[[1.0f32, 2.0]]).into_dyn());
    let column = Array::from(arr2(&[[1.0f32], [2.0]]).into_dyn());
    let (a, e) = (files.npy("a.npy", &row), files.npy("e.npy", &column));
    let (code, printed, _) = compare(&a, &e, &[]);
    assert_eq!(code, 1);
    assert!(printed.contains("e  wrong shape: actual [1, 2], expected [2, 1]"), "{printed}");
    // Nothing is broadcast either.
    let scalar = files.npy("s.npy", &Array::from(ndarray::arr0(1.0f32).into_dyn()));
    assert_eq!(compare(&scalar, &files.npy("o.npy", &f32s(&[1.0])), &[]).0, 1);
    assert_eq!(compare(&scalar, &scalar, &[]).0, 0);
}

#[test]
fn nothing_compared_is_not_a_success() {
    let files = Files::new();
    let empty = Array::from(ArrayD::<f32>::zeros(vec![0, 3]));
    let alone = files.npz("a.npz", &[("x", empty.clone())]);
    let (code, printed, _) = compare(&alone, &alone, &[]);
    assert_eq!(code, 1);
    assert!(
        printed.contains("no element to compare") && printed.contains("nothing compared is not a success"),
        "{printed}"
    );
    let beside = files.npz("b.npz", &[("x", empty), ("y", f32s(&[1.0]))]);
    assert_eq!(compare(&beside, &beside, &[]).0, 0);
    let none = files.npz("n.npz", &[]);
    assert!(refusal(&none, &none, &[]).contains("actual has no array, expected has no array"));
}

#[test]
fn folders_are_compared_file_by_file() {
    let files = Files::new();
    for side in ["a", "e"] {
        fs::create_dir_all(files.at(side).join("sub")).unwrap();
        files.npz(&format!("{side}/run.npz"), &[("logits", f32s(&[1.0, 2.0])), ("k", f32s(&[3.0]))]);
        files.npy(&format!("{side}/sub/v.npy"), &f32s(&[4.0]));
    }
    fs::write(files.at("a/notes.txt"), "").unwrap();
    let (code, report) = json(&files.at("a"), &files.at("e"), &[]);
    let names: Vec<&str> = report.set.arrays.iter().map(|array| array.name.as_str()).collect();
    assert_eq!((code, names), (0, vec!["run/k", "run/logits", "sub/v"]));
    assert_eq!(report.ignored_files, [1, 0]);
    let message = refusal(&files.at("a"), &files.at("e/run.npz"), &[]);
    assert!(message.contains("is a folder and") && message.contains("compare two files or two folders"), "{message}");
    assert!(refusal(&files.at("a"), &files.at("nowhere"), &[]).contains("nowhere: no such file or directory"));
    fs::write(files.at("a/broken.npy"), "x").unwrap();
    assert!(refusal(&files.at("a"), &files.at("e"), &[]).contains("a/broken.npy"));
}

#[test]
fn words_are_read_as_bf16_where_that_is_asked_for() {
    let files = Files::new();
    let words = |bits: &[u16]| Array::from(arr1(bits).into_dyn());
    let actual = files.npz("a.npz", &[("x", words(&[0x3f80, 0xc000])), ("n", words(&[7]))]);
    let expected = files.npz("e.npz", &[("x", f32s(&[1.0, -2.0])), ("n", words(&[7]))]);
    assert_eq!(compare(&actual, &expected, &[]).0, 1);
    let (code, printed, _) = compare(&actual, &expected, &["--as", "x=bf16"]);
    assert_eq!(code, 0, "{printed}");
    assert!(printed.contains("actual bf16, expected f32"), "{printed}");
    let (_, report) = json(&actual, &expected, &["--as", "bf16"]);
    assert!(report.set.arrays.iter().all(|array| array.actual_dtype.as_deref() == Some("bf16")));
    let message = refusal(&expected, &expected, &["--as", "x=bf16"]);
    assert!(message.contains("no array \"x\" of 16-bit words (uint16) is there"), "{message}");
    assert!(refusal(&actual, &expected, &["--as", "f16"]).contains("neither bf16 nor f8_e4m3"));
}

#[test]
fn logits_say_whether_the_argmax_flips() {
    let files = Files::new();
    let logits = |rows: [[f32; 3]; 2]| Array::from(arr2(&rows).into_dyn());
    let expected = files.npz("e.npz", &[("logits", logits([[1.0, 2.0, 0.0], [5.0, 1.0, 0.0]]))]);
    let actual = files.npz("a.npz", &[("logits", logits([[2.5, 2.0, 0.0], [5.0, 1.5, 0.0]]))]);
    let (_, printed, _) = compare(&actual, &expected, &[]);
    assert!(
        printed.contains(
            "argmax  flips in 1 of 2 rows; the closest margin is 0.667 × the error of its row, 1 row can flip"
        ),
        "{printed}"
    );
}

#[test]
fn the_first_failures_are_listed_and_their_place_told() {
    let files = Files::new();
    let expected = Array::from(ArrayD::<f32>::zeros(vec![4, 6, 4]));
    let mut wrong = ArrayD::<f32>::zeros(vec![4, 6, 4]);
    wrong.slice_mut(ndarray::s![.., 3, ..]).fill(1.0);
    let (a, e) = (files.npy("a.npy", &Array::from(wrong)), files.npy("e.npy", &expected));
    let (_, printed, _) = compare(&a, &e, &["--show", "2"]);
    assert!(printed.contains("16 elements beyond 1e-5: all 16 mismatches are in index 3 of axis 1"), "{printed}");
    assert!(printed.contains("[0, 3, 0]  actual 1.0") && printed.contains("[0, 3, 1]  actual 1.0"), "{printed}");
    assert!(!printed.contains("[0, 3, 2]  actual"), "{printed}");
    // ∞ and NaN read back from JSON.
    let (_, report) = json(&a, &e, &[]);
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<CompareReport>(&text).unwrap(), report);
    assert!(text.contains(r#""err":"inf""#), "{text}");
}

#[test]
fn help_has_examples() {
    let output = Command::cargo_bin("goldref").unwrap().args(["compare", "--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.contains("Examples:") && help.contains("LAST tolerance"), "{help}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_that_is_cut_short_while_it_is_read_is_told_in_a_sentence() {
    use std::io::Read;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("large.npy");
    let elements = 1u64 << 31;
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({elements},), }}\n");
    let mut start = b"\x93NUMPY\x01\x00".to_vec();
    start.extend((header.len() as u16).to_le_bytes());
    start.extend(header.as_bytes());
    fs::write(&path, &start).unwrap();
    // Without blocks on the disk: 8 GiB of zeros, which take a while to read.
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(start.len() as u64 + 4 * elements).unwrap();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_goldref"))
        .arg("compare")
        .args([&path, &path])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let maps = format!("/proc/{}/maps", child.id());
    while !fs::read_to_string(&maps).unwrap_or_default().contains("large.npy") {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it mapped its file");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    file.set_len(4096).unwrap();
    let status = child.wait().unwrap();
    let mut message = String::new();
    child.stderr.take().unwrap().read_to_string(&mut message).unwrap();
    assert_eq!(status.code(), Some(2), "{status}: {message}");
    // On a busy machine it may look at the length when the file is short already.
    let said = ["goldref: cannot read a file to its end", "goldref: cannot read /"]
        .iter()
        .any(|said| message.starts_with(said));
    assert!(said && message.lines().count() == 1, "{message}");
}
