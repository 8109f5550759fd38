//! Nothing of a hidden case gets out: what students read is a function of what the program said before it saw one, and of points and verdicts.

use super::{Desk, python_can, reasons};
use goldref::grade::{GradeReport, Hints};
use goldref::io::Array;
use goldref::report::{grade_markdown, grade_text, gradescope, prairielearn};
use goldref::suite::{NewCase, write_suite};
use ndarray::ArrayD;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The numbers of hidden cases, by what they depend on and their number.
const HIDDEN: [(u32, u32); 6] = [(1, 0), (1, 1), (1, 2), (5, 0), (5, 1), (5, 2)];

fn hidden_input((other, number): (u32, u32)) -> ArrayD<f32> {
    ArrayD::from_shape_fn(vec![3, 4], |at| {
        (at[0] * 4 + at[1]) as f32 - 5.5 + number as f32 / 8.0 + (other * (number + 1)) as f32 / 64.0
    })
}

/// Whether a page holds what a [`spy`] tells of a hidden case.
fn holds(page: &str, hidden: (u32, u32)) -> bool {
    let bytes = hidden_input(hidden).iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    let told: String = bytes.iter().take(16).map(|byte| format!("{:02x}", byte ^ 0x5a)).collect();
    page.contains(&told)
}

/// Hidden cases whose inputs depend on `other`, and nothing else does.
fn hide(desk: &Desk, suite: &str, other: u32) {
    let case = |number: u32| {
        let x = hidden_input((other, number));
        let expected = x.mapv(|x| f64::from(if x > 0.0 { x } else { 0.0 }));
        NewCase {
            id: format!("case_{number}"),
            op: "relu".to_string(),
            params: json!({}),
            inputs: BTreeMap::from([("x".to_string(), Array::F32(x))]),
            expected: BTreeMap::from([("out".to_string(), expected)]),
            compare_where: None,
        }
    };
    let folder = desk.staff().join(suite);
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    write_suite(&folder, "", (0..3).map(case).collect(), None).unwrap();
}

/// Remembers all it is asked, scrambled, in itself and in every place that it may write to, and tells it by `tells`.
fn spy(tells: &str) -> String {
    let relu = include_str!("../../submissions/relu.py");
    let head = &relu[..relu.find("for line in sys.stdin:").unwrap()];
    format!(
        "{head}\nimport os\nmark = int.from_bytes(os.urandom(4), 'big')\nseen = b''\nplace = os.path.join(os.environ.get('TMPDIR', '/tmp'), 'seen')\n\n\n\
         def data():\n    try:\n        left = open(place, 'rb').read()\n    except OSError:\n        left = b''\n    return bytes(b ^ 0x5a for b in left + seen)\n\n\n\
         def told():\n    return data()[-400:].hex()\n\n\n\
         def number(most):\n    return sum(data()) % most\n\n\n\
         def say(status, message):\n    print(json.dumps({{'id': question['id'], 'status': status, 'message': message}}), flush=True)\n\n\n\
         for line in sys.stdin:\n    question = json.loads(line)\n    with zipfile.ZipFile(question['inputs']) as archive:\n        \
         for name in archive.namelist():\n            seen += archive.read(name)[-48:]\n    try:\n        open(place, 'ab').write(seen[-48:])\n    \
         except OSError:\n        pass\n{}\n",
        tells.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
    )
}

/// Ways to tell what was seen.
const SPIES: &[(&str, &str)] = &[
    ("message", "say('error', told())"),
    ("unsupported", "say('unsupported', told())"),
    ("answers_another_question", "print(json.dumps({'id': told()[:200], 'status': 'ok'}), flush=True)"),
    ("exit_code_and_standard_error", "print(told(), file=sys.stderr, flush=True)\nos._exit(1 + number(100))"),
    (
        "shape",
        "write(question['outputs'], (100 + number(900), 1), [1.0] * (100 + number(900)))\n\
         print(json.dumps({'id': question['id'], 'status': 'ok'}), flush=True)",
    ),
    (
        "name_of_an_array",
        "write(question['outputs'], (2,), [1.0, 2.0])\n\
         with zipfile.ZipFile(question['outputs']) as archive:\n    out = archive.read('out.npy')\n\
         with zipfile.ZipFile(question['outputs'], 'w') as archive:\n    archive.writestr(told()[:100] + '.npy', out)\n\
         print(json.dumps({'id': question['id'], 'status': 'ok'}), flush=True)",
    ),
    (
        "scale_of_the_answer",
        "shape, numbers = read(question['inputs']) if question['op'] == 'relu' else ((1,), [1.0])\n\
         write(question['outputs'], shape, [max(x, 0.0) * (2 + number(1000)) for x in numbers])\n\
         print(json.dumps({'id': question['id'], 'status': 'ok'}), flush=True)",
    ),
    (
        "place_of_the_error",
        "shape, numbers = read(question['inputs']) if question['op'] == 'relu' else ((1,), [1.0])\n\
         answers = [max(x, 0.0) for x in numbers]\nanswers[number(len(answers))] += 7 + number(1000)\n\
         write(question['outputs'], shape, answers)\n\
         print(json.dumps({'id': question['id'], 'status': 'ok'}), flush=True)",
    ),
    (
        "which_limit",
        "import zlib\nif zlib.crc32(data()) % 2:\n    import signal; signal.signal(signal.SIGXFSZ, signal.SIG_DFL); open(place + '2', 'wb').write(bytes(5 << 20))\nelse:\n    sys.stderr.write('x' * (2 << 20)); sys.stderr.flush(); import time; time.sleep(5)\nsay('error', '')",
    ),
];

/// Three parts, visible cases and properties behind hidden ones, and a speed-up behind all.
fn desk() -> Desk {
    let model = crate::root().join("fixtures/decode/models/llama");
    let parts = format!(
        "properties = [\"softmax-sum\"]\npassed_at = \"0\"\n\
         [[part]]\nid = \"b\"\ntitle = \"again\"\npoints = 5\nrequires = [\"a\"]\npassed_at = \"0\"\nvisible = [\"public\"]\nhidden = [\"secret_b\"]\n\
         scoring = \"worst-case\"\nproperties = [\"rope-norm\"]\n\
         [[part]]\nid = \"c\"\ntitle = \"speed-up\"\npoints = 5\nrequires = [\"b\"]\n[part.speedup]\nmodel = \"{}\"\n\
         prompts = [4, 8]\ngenerate = 2\nrepeats = 1\nladder = {{ \"0.001\" = 1 }}\n",
        model.display()
    );
    let limits = "[limits]\nmemory = \"512 MiB\"\ndisk = \"16 MiB\"\nfile = \"4 MiB\"\noutput = \"1 MiB\"\n";
    let desk = Desk::with(2, 1, limits, &parts);
    for suite in ["secret", "secret_b"] {
        hide(&desk, suite, 0);
    }
    desk
}

/// Everything that a student may get.
fn student_files(report: &GradeReport) -> [String; 4] {
    [grade_markdown(report), grade_text(report), gradescope(report), prairielearn(report)]
}

fn graded(desk: &Desk, submission: &Path) -> GradeReport {
    let (report, _) = desk.graded(submission, &[]);
    serde_json::from_value(report).unwrap()
}

/// Points and verdicts of all items.
fn standings(report: &GradeReport) -> Vec<String> {
    let items = report.parts.iter().flat_map(|part| &part.items);
    items.map(|item| format!("{} {} {}", item.name, item.points, item.standing)).collect()
}

#[test]
fn student_files_do_not_depend_on_hidden_inputs() {
    if !python_can("import zipfile") {
        return;
    }
    for lifetime in ["all-questions", "one-question"] {
        let desk = desk();
        let toml = desk.staff().join("assignment.toml");
        let text = fs::read_to_string(&toml).unwrap();
        fs::write(&toml, text.replace("files = [", &format!("lifetime = \"{lifetime}\"\nfiles = ["))).unwrap();
        // A process a question keeps nothing: a few ways to tell are enough.
        let spies = if lifetime == "one-question" { &SPIES[..4] } else { SPIES };
        let mut wrong = Vec::new();
        for (name, tells) in spies {
            let submission = desk.program(name, &spy(tells));
            let mut reports = Vec::new();
            for other in [1, 5] {
                for suite in ["secret", "secret_b"] {
                    hide(&desk, suite, other);
                }
                reports.push(graded(&desk, &submission));
            }
            assert_eq!(standings(&reports[0]), standings(&reports[1]), "{name}");
            for hints in [Hints::None, Hints::Category] {
                for report in &mut reports {
                    report.hints = hints;
                }
                let [one, other] = [&reports[0], &reports[1]].map(student_files);
                for (one, other) in one.iter().zip(&other) {
                    assert!(!HIDDEN.iter().any(|hidden| holds(one, *hidden) || holds(other, *hidden)), "{name}");
                    // What a speed-up is asked is drawn anew each time, and may be told.
                    let drawn = |line: &str| line.contains("no speed-up: ");
                    let both = one.lines().zip(other.lines());
                    for (one, other) in both.filter(|(one, other)| one != other && !(drawn(one) && drawn(other))) {
                        wrong.push(format!("{lifetime} {name} {hints:?}\n  {one}\n  {other}"));
                    }
                    assert_eq!(one.lines().count(), other.lines().count());
                }
            }
            // Under `full` they do: the program has told what it saw.
            for report in &mut reports {
                report.hints = Hints::Full;
            }
            let told = student_files(&reports[0]) != student_files(&reports[1]);
            if *name == "message" && lifetime == "all-questions" {
                let page = &student_files(&reports[0])[0];
                assert!(HIDDEN.iter().any(|hidden| holds(page, *hidden)), "it would be seen: {page}");
            }
            // The name of an array that is none of those asked for is not even told there.
            assert!(told || *name == "name_of_an_array", "{name} tells nothing");
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        desk.is_clean();
    }
}

#[test]
fn what_students_have_is_asked_first_and_by_another_process() {
    if !python_can("import zipfile") {
        return;
    }
    let desk = desk();
    let counts =
        "count = len(seen) // 48\nsay('error', f'{count} questions, {len(data()) // 48 - count} of others, {mark}')";
    let (report, _) = desk.graded(&desk.program("counts", &spy(counts)), &[]);
    let said: Vec<Vec<u64>> = reasons(&report)
        .iter()
        .filter(|why| why.starts_with("failed: "))
        .map(|why| why.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect())
        .collect();
    // Part a: two visible cases, three hidden ones; b: the same.
    let counts: Vec<[u64; 2]> = said.iter().map(|numbers| [numbers[0], numbers[1]]).collect();
    assert_eq!(counts.len(), 10, "{report}");
    let hidden = |at: usize| (2..5).contains(&(at % 5));
    let first_hidden = counts[2][0];
    assert_eq!(first_hidden, 1, "the process of the hidden cases has seen nothing before: {said:?}");
    for (at, [count, others]) in counts.iter().enumerate() {
        // The temporary folder holds what this process has written, which it has in mind as well.
        assert_eq!(others, count, "{said:?}");
        assert_eq!(said[at][2] == said[2][2], hidden(at), "{said:?}");
    }
    desk.is_clean();
}

#[test]
fn a_hidden_checkpoint_is_read_by_nobody_who_speaks_to_students() {
    if !python_can("import zipfile") {
        return;
    }
    let fixtures = crate::root().join("fixtures/model");
    let set = |case: &str| format!("[{{ suite = \"{}\", cases = [\"{case}\"] }}]", fixtures.display());
    let [open, closed] = ["llama_mha", "llama_gqa_biased"];
    let desk = Desk::with(1, 0, "build = [\"sh\", \"-c\", \"cat $(cat closed.txt) && exit 1; exit 0\"]\n", "");
    let toml = desk.staff().join("assignment.toml");
    let mut text = fs::read_to_string(&toml).unwrap();
    text += &format!(
        "[[part]]\nid = \"m\"\ntitle = \"model\"\npoints = 4\nvisible = {}\nhidden = {}\nproperties = [\"causal\"]\n\
         [[part]]\nid = \"n\"\ntitle = \"hidden model\"\npoints = 4\nhidden = {}\nproperties = [\"causal\"]\n",
        set(open),
        set(closed),
        set(closed)
    );
    fs::write(&toml, text).unwrap();
    let reads = "import os\nif 'model' not in question or not question['model']: say('error', 'no model')\nelse:\n    \
                 try:\n        open(open('closed.txt').read().strip()).read(1); can = 'it reads the hidden one'\n    except OSError as e:\n        can = str(e.strerror)\n    \
                 say('error', can)";
    let submission = desk.program("reads", &spy(reads));
    fs::write(
        submission.join("closed.txt"),
        format!("{}\n", fixtures.join(format!("models/{closed}/config.json")).display()),
    )
    .unwrap();
    let (report, _) = desk.graded(&submission, &[]);
    let said = reasons(&report);
    assert_eq!(report["refused"], serde_json::Value::Null, "the build has read it: {report}");
    // Not there, or where Landlock stands alone not to be read.
    assert!(["failed: No such file or directory", "failed: Permission denied"].contains(&said[1].as_str()), "{said:?}");
    assert_eq!(said[2], "failed: it reads the hidden one", "{said:?}");
    assert!(said[4].ends_with("it reads the hidden one"), "{said:?}");
    // The property of the second part can be asked about the hidden checkpoint alone: what comes of it is for staff.
    for hints in [Hints::None, Hints::Category] {
        let mut report: GradeReport = serde_json::from_value(report.clone()).unwrap();
        report.hints = hints;
        for page in student_files(&report) {
            assert!(!page.contains("it reads the hidden one") && page.contains("causal"), "{page}");
        }
    }
}
