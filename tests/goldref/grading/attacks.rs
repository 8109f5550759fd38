//! Attacks in a few lines each: what every one of them tries is refused or counted, behind all walls and behind the second one alone.

use super::hostile::{WALLS, processes_of};
use super::{Desk, python_can, reasons};
use std::fs;
use std::path::Path;

const LIMITS: &str = "[limits]\nseconds = 8\nmemory = \"256 MiB\"\ncpu_seconds = 20\ntasks = 30\ndisk = \"32 MiB\"\nfiles = 200\nfile = \"64 MiB\"\n";

/// Programs that say what came of it: each line of `tries` is a name and what is done; what does not fail is an attack that succeeded.
fn program(before: &str, tries: &[(&str, &str)]) -> String {
    let tries: String = tries.iter().map(|(name, how)| format!("    ({name:?}, lambda: {how}),\n")).collect();
    format!(
        "import ctypes, fcntl, json, mmap, os, socket, sys, threading, time\nlibc = ctypes.CDLL(None, use_errno=True)\n\n\n\
         def call(number, *words):\n    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in words]\n    \
         if libc.syscall(ctypes.c_long(number), *words) == -1:\n        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))\n\n\n\
         {before}\nTRIES = [\n{tries}]\n\n\
         for line in sys.stdin:\n    done = []\n    for name, how in TRIES:\n        try:\n            how()\n            done.append(name)\n        except OSError:\n            pass\n    \
         said = 'ATTACK SUCCEEDED: ' + ', '.join(done) if done else 'refused'\n    \
         print(json.dumps({{'id': json.loads(line)['id'], 'status': 'error', 'message': said}}), flush=True)\n"
    )
}

fn said(desk: &Desk, submission: &Path, walls: &[&str]) -> Vec<String> {
    let (report, _) = desk.graded(submission, &[walls, &["--hints", "full"]].concat());
    assert_eq!(report["isolation"], "sandbox", "{report}");
    reasons(&report)
}

#[test]
fn nobody_else_is_reached_and_no_command_passes_by_its_upper_bits() {
    if !python_can("import ctypes") {
        return;
    }
    let desk = Desk::with(0, 1, LIMITS, "");
    let reaches = program(
        "PAIR = socket.socketpair()\nfile = open(os.environ['TMPDIR'] + '/file', 'w+')\nLIMIT = (ctypes.c_long * 2)(1, 1)\n",
        &[
            ("a socket", "socket.socket(socket.AF_UNIX)"),
            ("a datagram pair", "socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)"),
            ("a network", "socket.socket(socket.AF_INET)"),
            ("netlink", "socket.socket(16, socket.SOCK_RAW, 0)"),
            ("an unconnected pair", "call(42, PAIR[0].fileno(), ctypes.create_string_buffer(16), 16)"),
            ("a bound pair", "PAIR[0].bind('\\0name')"),
            ("a message to a path", "PAIR[0].sendto(b'x', '/run/nothing')"),
            ("files by message", "PAIR[0].recvmsg(1, 100, socket.MSG_DONTWAIT)"),
            ("a smaller pipe", "fcntl.fcntl(0, 1031, 4096)"),
            ("a lease", "fcntl.fcntl(file.fileno(), 1024, 1)"),
            ("a lease by upper bits", "call(72, file.fileno(), 1024 | 1 << 32, 1)"),
            ("news of a folder by upper bits", "call(72, os.open('.', 0), 1026 | 1 << 33, 1)"),
            ("not to be looked at", "call(157, 4, 0)"),
            ("not to be looked at by upper bits", "call(157, 4 | 1 << 32, 0)"),
            ("not to end by upper bits", "call(157, 1 | 1 << 63, 0)"),
            ("a table of files", "call(436, 900, 901, 2)"),
            ("a table of files by upper bits", "call(436, 900, 901, 2 | 1 << 32)"),
            ("limits of another by upper bits", "call(302, 1 | 1 << 32, 7, LIMIT, 0)"),
            ("memory that is shared", "mmap.mmap(-1, 4096)"),
            ("memory of a device", "os.open('/dev/zero', os.O_RDWR)"),
            ("pages that others read", "os.preadv(file.fileno(), [bytearray(1)], 0, 8)"),
            ("a file system", "call(165, 0, 0, 0, 0, 0)"),
            ("x32", "call(1 << 30 | 39)"),
        ],
    );
    let reaches = desk.program("reaches", &reaches);
    for walls in WALLS {
        assert_eq!(said(&desk, &reaches, walls), ["failed: refused"], "{walls:?}");
    }
    desk.is_clean();
}

#[test]
fn what_a_process_holds_is_counted_when_its_first_thread_has_ended() {
    if !python_can("import ctypes") {
        return;
    }
    let desk = Desk::with(0, 1, LIMITS, "");
    let held = |how: &str| {
        format!(
            "import ctypes, json, os, sys, threading, time\nlibc = ctypes.CDLL(None)\nlibc.prctl(15, b'RssAnon: 0', 0, 0, 0)\nline = sys.stdin.readline()\nkept = []\n\n\n\
             def work():\n    time.sleep(0.3)\n    try:\n        for piece in range(600):\n            {how}\n            time.sleep(0.002)\n    except (OSError, MemoryError):\n        said = 'held'\n    else:\n        said = 'ATTACK SUCCEEDED'\n    \
             print(json.dumps({{'id': json.loads(line)['id'], 'status': 'error', 'message': said}}), flush=True)\n    time.sleep(60)\n\n\n\
             threading.Thread(target=work).start()\nlibc.syscall(60, 0)\n"
        )
    };
    let memory = desk.program("memory", &held("kept.append(bytearray(b'x') * (1 << 20))"));
    let disk = desk.program(
        "disk",
        &held("file = open(os.environ['TMPDIR'] + '/x', 'wb'); file.write(bytes(1 << 20)); file.flush(); os.unlink(file.name); kept.append(file)"),
    );
    for walls in WALLS {
        for (submission, over) in [
            (&memory, "over its limit: it used more than 256 MiB of memory"),
            (&disk, "over its limit: it used more than 32 MiB"),
        ] {
            let said = said(&desk, submission, walls);
            assert!(said[0].starts_with(over) || said == ["failed: held"], "{walls:?} {said:?}");
        }
    }
    desk.is_clean();
}

#[test]
fn what_was_built_may_link_to_nobody_s_program() {
    let desk = Desk::with(0, 1, "", "");
    let toml = desk.staff().join("assignment.toml");
    let build = "command = [\"{build}/candidate\"]\nbuild = [\"sh\", \"build.sh\", \"{build}/candidate\"]";
    let text = fs::read_to_string(&toml).unwrap().replace("command = [\"python3\", \"candidate.py\"]", build);
    fs::write(&toml, text).unwrap();
    let says = |whose: &str| {
        format!(
            "#!/bin/sh\nwhile read -r line; do echo '{{\"id\": \"1\", \"status\": \"error\", \"message\": \"{whose}\"}}'; done\n"
        )
    };
    let other = desk.folder.path().join("other/bin");
    fs::create_dir_all(&other).unwrap();
    fs::create_dir_all(desk.folder.path().join("other/lib")).unwrap();
    let theirs = other.join("program");
    fs::write(&theirs, says("theirs")).unwrap();
    fs::set_permissions(&theirs, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let own = desk.program("own", &says("mine"));
    fs::write(own.join("build.sh"), "cp candidate.py \"$1\"\n").unwrap();
    let thief = desk.program("thief", "");
    fs::write(thief.join("build.sh"), format!("ln -s {} \"$1\"\n", theirs.display())).unwrap();
    let secret = desk.program("secret", "");
    let expected = desk.staff().join("secret/case_0/expected.npz");
    fs::write(secret.join("build.sh"), format!("ln -s {} \"$1\"\n", expected.display())).unwrap();
    for walls in WALLS {
        assert_eq!(said(&desk, &own, walls), ["failed: mine"]);
        for other in [&thief, &secret] {
            let said = said(&desk, other, walls);
            assert!(said[0].starts_with("crashed: ") && !said[0].contains("theirs"), "{said:?}");
        }
    }
    desk.is_clean();
}

#[test]
fn nothing_of_a_program_outlives_a_warden_that_was_killed() {
    if !python_can("import zipfile") {
        return;
    }
    let desk = Desk::with(0, 1, "[limits]\nseconds = 20\n", "");
    let leaves =
        "import os, sys, time\nos.fork()\nos.fork()\nopen(os.environ['TMPDIR'] + '/begun', 'w')\ntime.sleep(600)\n";
    let submission = desk.program("leaves", leaves);
    for walls in WALLS {
        let mut grade = std::process::Command::new(assert_cmd::cargo::cargo_bin("goldref"));
        grade.arg("grade").arg(desk.staff()).arg("--submission").arg(&submission).args(walls);
        let mut grade = grade.env("TMPDIR", desk.folder.path()).stdout(std::process::Stdio::null()).spawn().unwrap();
        let begin = std::time::Instant::now();
        let mut killed = 0;
        while grade.try_wait().unwrap().is_none() {
            assert!(begin.elapsed().as_secs() < 120, "{:?}", processes_of(&submission));
            let all = fs::read_dir("/proc").unwrap().flatten();
            for entry in all {
                let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
                let command = String::from_utf8_lossy(&command).replace('\0', " ");
                let ours = command.contains("sandbox-warden") && command.contains(submission.to_str().unwrap());
                // A child of the grader, and not process 1 of the namespaces.
                let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
                let parent = format!("PPid:\t{}", grade.id());
                if ours && status.lines().any(|line| line == parent) && processes_of(&submission).len() >= 4 {
                    let number = entry.file_name();
                    let kill = std::process::Command::new("kill").arg("-9").arg(number).status().unwrap();
                    killed += usize::from(kill.success());
                }
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert!(killed > 0);
        assert_eq!(processes_of(&submission), Vec::<String>::new(), "{walls:?}");
    }
}
