//! What judging costs beside the program that is judged: a case from its question to its verdict, less the time that the program itself says it took.
//!
//! The program is `tests/submissions/relu.py` in the sandbox, one process for all cases; it writes into each answer how long it took for the one before.
//! `cargo bench -- grading`; needs Linux and `python3`.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use goldref::candidate::{Lifetime, Outcome, Restarted, Sandbox, SandboxLimits, Surroundings, Walls, tried};
use goldref::check::{Ladder, Rung};
use goldref::io::Array;
use goldref::num::Dtype;
use goldref::suite::{Exam, NewCase, Store, write_suite};
use ndarray::ArrayD;
use serde_json::json;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Cases that do not count, and that do.
const CASES: [usize; 2] = [20, 400];

const RELU: &str = include_str!("../tests/submissions/relu.py");

/// The program, with its own time of the question before.
fn program() -> String {
    let timed = RELU
        .replace("import json\n", "import json\nimport time\n")
        .replace("def write(path, shape, numbers):\n", "own = 0.0\n\n\ndef write(path, shape, numbers):\n")
        .replace(
            "        archive.writestr(\"out.npy\", data",
            "        archive.writestr(\"own.npy\", b\"\\x93NUMPY\\x01\\x00\\x76\\x00\" + \
             repr({\"descr\": \"<f8\", \"fortran_order\": False, \"shape\": ()}).encode().ljust(117) + b\"\\n\" + struct.pack(\"<d\", own))\n        \
             archive.writestr(\"out.npy\", data",
        )
        .replace("for line in sys.stdin:\n", "for line in sys.stdin:\n    begin = time.perf_counter()\n");
    timed + "    own = time.perf_counter() - begin\n"
}

fn main() {
    let mut filters = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let asked = filters.next().is_none_or(|filter| filter == "grading");
    if asked && let Err(e) = print_medians() {
        println!("grading: not measured: {e}");
    }
}

/// Prints the median of a case and of the judge's part, for arrays of `side` by `side`.
fn print_medians() -> Result<(), Box<dyn std::error::Error>> {
    println!("grading           a case     the program   the judge   (medians; the slowest tenth of the judge)");
    for side in [4, 64] {
        let [whole, own, judge, tenth] = measured(side)?.map(|seconds| 1e3 * seconds);
        println!("  f32 {side:>2} × {side:<2}     {whole:.3} ms     {own:.3} ms      {judge:.3} ms    ({tenth:.3} ms)");
    }
    Ok(())
}

fn measured(side: usize) -> Result<[f64; 4], Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let submission = folder.path().join("submission");
    std::fs::create_dir(&submission)?;
    std::fs::write(submission.join("candidate.py"), program())?;
    let suite = folder.path().join("suite");
    let x = ArrayD::from_shape_fn(vec![side, side], |at| at[0] as f32 - at[1] as f32 / 3.0);
    let expected = x.mapv(|x| f64::from(x.max(0.0)));
    let case = NewCase {
        id: "case".to_string(),
        op: "relu".to_string(),
        params: json!({}),
        inputs: BTreeMap::from([("x".to_string(), Array::F32(x))]),
        expected: BTreeMap::from([("out".to_string(), expected)]),
        compare_where: None,
    };
    write_suite(&suite, "", vec![case], None)?;
    let store = Store::open(&suite)?;
    let exam = Exam::of(&store.suites[0].cases[0])?;
    let goldref = PathBuf::from(env!("CARGO_BIN_EXE_goldref"));
    let confinement = tried(&goldref, &Walls::new())?.confinement(SandboxLimits::default());
    let sandbox = Some(Sandbox { goldref, confinement });
    let surroundings = Surroundings { folder: Some(submission), environment: BTreeMap::new(), sandbox };
    let command = ["python3", "candidate.py"].map(OsString::from);
    let limit = Duration::from_secs(60);
    let mut asked = Restarted::of(&command, &surroundings, Lifetime::AllQuestions, limit);
    let ladder = Ladder(vec![Rung::absolute(1e-5), Rung::absolute(1e-4), Rung::absolute(1e-3)]);
    let [warm_up, count] = CASES;
    let mut walls = Vec::with_capacity(count);
    let mut owns = Vec::with_capacity(count);
    // One more, whose answer has the time of the last.
    for number in 0..=warm_up + count {
        let begin = Instant::now();
        let arrays = match exam.ask(&mut asked)? {
            Outcome::Answered { arrays, .. } => arrays,
            other => return Err(other.in_words().into()),
        };
        let own = arrays.get("own").map(Array::to_f64).and_then(|own| own.first().copied()).ok_or("no time")?;
        let answer = Exam::numbers(arrays, Dtype::F32)?;
        let passes = exam.compare(&answer, &ladder).passes(0);
        let wall = begin.elapsed().as_secs_f64();
        assert!(passes, "the program is right");
        if number >= warm_up && walls.len() < count {
            walls.push(wall);
        }
        if number > warm_up {
            owns.push(own);
        }
    }
    let mut judge: Vec<f64> = walls.iter().zip(&owns).map(|(wall, own)| wall - own).collect();
    let middle = |seconds: &mut Vec<f64>, share: f64| {
        seconds.sort_by(f64::total_cmp);
        seconds[(share * (seconds.len() - 1) as f64) as usize]
    };
    Ok([middle(&mut walls, 0.5), middle(&mut owns, 0.5), middle(&mut judge, 0.5), middle(&mut judge, 0.9)])
}
