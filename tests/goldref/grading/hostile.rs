//! Hostile submissions: each gets its verdict, nothing outside is changed, nothing of it stays, nobody else is touched.

use super::{Desk, python_can, reasons};
use std::fs;
use std::path::Path;

/// Submissions and what may be said of each of their answers: the first where all walls stand, others where one of them is left out or the machine is slow.
const SAID: &[(&str, &[&str])] = &[
    ("all_nan", &["not finite; every element is NaN"]),
    ("answers_for_another", &["broke the protocol: it answered question \"999\""]),
    ("answers_twice", &["broke the protocol: it wrote a line that nobody asked for"]),
    (
        "claims_huge_shape",
        &["broke the protocol: cannot read outputs.npz: array \"out\" has the shape (1152921504606846976,)"],
    ),
    (
        "attacks_the_next_question",
        &[
            "failed: refused: link: Read-only file system, folder: Read-only",
            "failed: refused: link: Permission denied",
        ],
    ),
    ("exits_without_answer", &["crashed: exit status: 0"]),
    ("fifo_as_output", &["failed: [Errno 38] Function not implemented"]),
    ("fills_disk", &["failed: [Errno 28] No space left on device", OVER_DISK]),
    ("fills_disk_with_files", &["failed: dig: [Errno 28] No space left on device", OVER_DISK]),
    ("fills_disk_without_names", &["failed: [Errno 28] No space left on device", OVER_DISK]),
    ("fills_memory", &[OVER_MEMORY, "failed: MemoryError"]),
    ("float_that_lies", &["broke the protocol: cannot read outputs.npz: array \"out\" is a pickled object array"]),
    ("folder_swapped", &["failed: [Errno 30] Read-only file system", "failed: [Errno 13] Permission denied"]),
    ("forks_forever", &["failed: ", "over its limit: it used more than 30 processes and threads"]),
    ("hides_what_it_uses", &["failed: refused: shared memory: Function not implemented, memory of /dev/zero: "]),
    ("kills_parent", &["failed: refused: "]),
    ("leaves_daemon", &["failed: daemon left"]),
    ("new_namespaces", &["failed: refused: unshare user and mounts: ENOSYS"]),
    ("opens_socket", &["failed: tcp: [Errno 38] Function not implemented"]),
    ("prints_forever", &["broke the protocol: its line is longer than 64 KiB"]),
    ("prints_to_stderr_forever", &["over its limit: it used more than 1 MiB of standard error"]),
    ("reads_expected", &["failed: open: [Errno 2] No such file", "failed: open: [Errno 13] Permission denied"]),
    (
        "reads_other_submissions",
        &["failed: refused: read: [Errno 2] No such file", "failed: refused: read: [Errno 13]"],
    ),
    (
        "sleeps",
        &[
            "timed out: it did not answer within 10 s",
            "over its limit: it used more than 10 s for all questions together",
        ],
    ),
    ("spins", &[OVER_CPU, "timed out"]),
    ("steals_environment", &["failed: environment: nothing; the parent's: "]),
    ("symlink_as_output", &["broke the protocol: it said ok and wrote no file of outputs"]),
    ("writes_outside", &["failed: refused: append to"]),
    ("writes_too_much", &["broke the protocol: it wrote far more numbers than were asked"]),
    ("zip_bomb", &[OVER_CPU, "timed out"]),
];

const OVER_DISK: &str = "over its limit: it used more than 100 MiB or 500 files on disk";
const OVER_MEMORY: &str = "over its limit: it used more than 512 MiB of memory";
const OVER_CPU: &str = "over its limit: it used more than 2 s of CPU time";

/// The walls that a class of hostile submissions is graded behind.
pub(super) const WALLS: [&[&str]; 2] = [&[], &["--without", "namespaces", "--without", "control-group"]];

/// Memory is so much that thirty interpreters have room: a fork bomb passes the limit of tasks, and no other one before it.
const LIMITS: &str = "[limits]\nseconds = 10\nmemory = \"512 MiB\"\ncpu_seconds = 2\ntasks = 30\nfile = \"128 MiB\"\ndisk = \"100 MiB\"\n\
                      files = 500\noutput = \"1 MiB\"\n";

/// Copies a hostile submission, with what it attacks.
fn copy(desk: &Desk, name: &str, targets: &[&Path]) {
    let from = crate::root().join("tests/submissions/hostile").join(name).join("candidate.py");
    let folder = desk.program(name, &fs::read_to_string(from).unwrap());
    let lines: String = targets.iter().map(|path| format!("{}\n", path.display())).collect();
    if !targets.is_empty() {
        fs::write(folder.join("target.txt"), lines).unwrap();
    }
}

/// Processes that have this path in their command or as their current folder.
pub(super) fn processes_of(folder: &Path) -> Vec<String> {
    let path = folder.to_str().unwrap();
    let all = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let command = fs::read(entry.path().join("cmdline")).ok()?;
        let at = fs::read_link(entry.path().join("cwd")).ok()?;
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        (command.contains(path) || at.starts_with(path)).then_some(command)
    });
    all.collect()
}

/// A process of somebody else, ended with this value.
struct Bystander(std::process::Child);

impl Bystander {
    fn new() -> Self {
        Self(std::process::Command::new("sleep").arg("600").stdin(std::process::Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn every_hostile_submission_is_contained_and_nobody_else_is_touched() {
    contained(WALLS[0]);
}

#[test]
fn the_second_wall_is_enough() {
    contained(WALLS[1]);
}

fn contained(walls: &[&str]) {
    if !python_can("import ctypes, zipfile") {
        return;
    }
    let desk = Desk::with(0, 2, LIMITS, "");
    let victim = desk.folder.path().join("victim");
    fs::create_dir(&victim).unwrap();
    let file = victim.join("file");
    fs::write(&file, "as it was\n").unwrap();
    let before = fs::metadata(&file).unwrap();
    let mut bystander = Bystander::new();
    let expected = desk.staff().join("secret/case_0/expected.npz");
    let other = desk.student("honest_first", "max(x, 0.0)").join("candidate.py");
    desk.student("zz_honest_last", "max(x, 0.0)");
    for (name, _) in SAID {
        let targets: Vec<&Path> = match *name {
            "writes_outside" => vec![&file, &victim],
            "attacks_the_next_question" => vec![&file],
            "reads_other_submissions" => vec![&other],
            "kills_parent" => vec![],
            _ => vec![&expected],
        };
        copy(&desk, name, &targets);
    }
    // It kills by number.
    fs::write(desk.class().join("kills_parent/target.txt"), format!("{}\n", bystander.0.id())).unwrap();
    let all = fs::read_dir(crate::root().join("tests/submissions/hostile")).unwrap().flatten();
    let folders = all.filter(|entry| entry.path().is_dir()).count();
    assert_eq!(folders, SAID.len(), "a hostile submission has no row here");

    let results = desk.folder.path().join("results");
    let graded = desk
        .grade()
        .arg("--submissions")
        .arg(desk.class())
        .arg("--output")
        .arg(&results)
        .args(["--jobs", "2"])
        .args(walls)
        .output();
    let graded = graded.unwrap();
    assert!(graded.status.success(), "{}", String::from_utf8_lossy(&graded.stderr));

    let read = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&fs::read(results.join(format!("{name}.json"))).unwrap()).unwrap()
    };
    let mut wrong = Vec::new();
    for (name, said) in SAID {
        let report = read(name);
        assert_eq!(report["isolation"], "sandbox");
        assert_eq!(report["points"], "0", "{name}: {report}");
        for reason in reasons(&report) {
            if !said.iter().any(|said| reason.starts_with(said)) || reason.contains("ATTACK SUCCEEDED") {
                wrong.push(format!("{name}: {reason}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for name in ["honest_first", "zz_honest_last"] {
        assert_eq!(read(name)["points"], "10", "{name}");
    }

    // Nothing outside has changed, nothing of them runs on, nothing of them is left.
    let after = fs::metadata(&file).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "as it was\n");
    assert_eq!((before.modified().unwrap(), before.permissions()), (after.modified().unwrap(), after.permissions()));
    assert_eq!(fs::read_dir(&victim).unwrap().count(), 1);
    assert!(bystander.0.try_wait().unwrap().is_none(), "somebody killed a process of somebody else");
    drop(bystander);
    assert_eq!(processes_of(desk.folder.path()), Vec::<String>::new());
    desk.is_clean();
    for (name, _) in SAID {
        let entries = fs::read_dir(desk.class().join(name)).unwrap().count();
        assert!(entries <= 2, "{name} has written into its own folder");
    }
}

/// The same attack without the sandbox: what the test above holds is the sandbox's doing.
#[test]
fn without_a_sandbox_expected_values_can_be_stolen_and_the_report_says_so() {
    if !python_can("import zipfile") {
        return;
    }
    let desk = Desk::with(0, 1, LIMITS, "");
    let expected = desk.staff().join("secret/case_0/expected.npz");
    copy(&desk, "reads_expected", &[&expected]);
    let thief = desk.class().join("reads_expected");
    let (report, _) = desk.graded(&thief, &["--no-sandbox"]);
    assert_eq!((report["points"].as_str(), report["isolation"].as_str()), (Some("10"), Some("no_sandbox")));
    let (report, _) = desk.graded(&thief, &[]);
    assert_eq!((report["points"].as_str(), report["isolation"].as_str()), (Some("0"), Some("sandbox")));
    let text = desk.grade().arg("--submission").arg(&thief).arg("--no-sandbox").output().unwrap();
    assert!(
        String::from_utf8(text.stdout)
            .unwrap()
            .contains("asked without a sandbox, with the rights of whoever graded it")
    );
}

#[test]
fn files_that_goldref_was_started_with_are_not_the_submission_s() {
    if !python_can("import zipfile") {
        return;
    }
    let desk = Desk::with(0, 1, LIMITS, "");
    let thief = desk.program(
        "thief",
        "import json, os, sys\nfor line in sys.stdin:\n    try:\n        said = f'ATTACK SUCCEEDED: {len(os.read(7, 10))} bytes'\n    \
         except OSError as error:\n        said = str(error)\n    print(json.dumps({'id': json.loads(line)['id'], 'status': 'error', 'message': said}), flush=True)\n",
    );
    let program = assert_cmd::cargo::cargo_bin("goldref");
    let script = format!(
        "exec 7<{}; exec {} grade {} --submission {} --format json",
        desk.staff().join("secret/case_0/expected.npz").display(),
        program.display(),
        desk.staff().display(),
        thief.display()
    );
    let said = |more: &str| {
        let output = std::process::Command::new("sh").arg("-c").arg(format!("{script} {more}")).output().unwrap();
        reasons(&serde_json::from_slice(&output.stdout).unwrap())
    };
    assert_eq!(said("--no-sandbox"), ["failed: ATTACK SUCCEEDED: 10 bytes"]);
    assert_eq!(said(""), ["failed: [Errno 9] Bad file descriptor"]);
}

#[test]
fn the_sandbox_ends_with_goldref() {
    if !python_can("import zipfile") {
        return;
    }
    let lines = "build = [\"cp\", \"candidate.py\", \"{build}/\"]\n[limits]\nseconds = 600\n";
    let desk = Desk::with(0, 1, lines, "");
    copy(&desk, "sleeps", &[]);
    let sleeper = desk.class().join("sleeps");
    let program = assert_cmd::cargo::cargo_bin("goldref");
    let mut goldref = std::process::Command::new(program)
        .arg("grade")
        .arg(desk.staff())
        .arg("--submission")
        .arg(&sleeper)
        .env("TMPDIR", desk.folder.path())
        .spawn()
        .unwrap();
    let runs = || {
        processes_of(&sleeper).iter().any(|command| command.contains("candidate.py") && !command.contains("sandbox-"))
    };
    let wait_until = |what: &dyn Fn() -> bool| {
        let begin = std::time::Instant::now();
        while !what() {
            assert!(begin.elapsed().as_secs() < 60, "{:?}", processes_of(&sleeper));
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    };
    wait_until(&runs);
    goldref.kill().unwrap();
    goldref.wait().unwrap();
    wait_until(&|| processes_of(&sleeper).is_empty());
    let rooms = || {
        fs::read_dir(desk.folder.path())
            .unwrap()
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("goldref-"))
            .count()
    };
    wait_until(&|| rooms() == 0);
}
