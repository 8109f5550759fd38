"""Does a class that is interrupted and resumed get the results of one that is not?

    cargo build --release && python3 tools/try_class.py [--count 300] [--seed 1] [--goldref target/release/goldref]

Grades a class of sample submissions over 40 cases by two jobs, in one go. Then grades it again into another folder, ends goldref
by SIGKILL at three random moments, goes on with --resume each time, and holds all files of both folders to each other. A result
that was there must not be written again, and no process may be left. Exit code 0 if all that is so, 1 if not, 2 if it could not
be tried. Needs a Linux, Python 3.11, and python3 with NumPy first on PATH, for the submissions.
"""

import argparse
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
FIXTURES = HERE.parent / "fixtures"
CASES = 40
# Beside those of the course, which are 35. The right submission answers them.
MORE = ("head_dim_1", "equal_keys", "v_wider_than_q", "scores_rise_with_the_key", "keys_not_a_multiple_of_a_tile")
KILLS = 3
PATIENCE = 5  # seconds in which processes must end


def assignment():
    """The course without part d, the only one whose results have times in them, with more cases and absolute paths."""
    text = (FIXTURES / "course" / "assignment.toml").read_text(encoding="utf-8")
    text = text[:text.index('[[part]]\nid = "d"')]
    text = text.replace('"decode_peaked",', "".join(f'"{case}", ' for case in ("decode_peaked", *MORE)))
    text = text.replace('"../', f'"{FIXTURES}/').replace("{assignment}", str(FIXTURES / "course"))
    parts = tomllib.loads(text)["part"]
    cases = sum(len(suite["cases"]) for part in parts for suite in part.get("visible", []) + part.get("hidden", []))
    if cases != CASES:
        raise ValueError(f"the assignment has {cases} cases, not {CASES}")
    return text


def processes_in(folder):
    """Those who were started in the folder, or have it in their arguments or variables."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            said = command + (process / "environ").read_bytes() + os.fsencode(os.readlink(process / "cwd"))
        except OSError:
            continue  # It has ended, or is somebody else's.
        if os.fsencode(folder) in said:
            found.append(f"{process.name} {command.replace(bytes(1), b' ').decode(errors='replace')[:100]}")
    return found


def left_in(folder):
    """The processes that do not end by themselves, and how long it took to see."""
    begin = time.monotonic()
    while (left := processes_in(folder)) and time.monotonic() - begin < PATIENCE:
        time.sleep(0.02)
    return left, time.monotonic() - begin


def done(results):
    """The files of all submissions that are done, and what tells whether they were written again."""
    names = [path.stem for path in results.glob("*.json")]
    files = [path for name in names for path in results.iterdir() if path.name.startswith(f"{name}.")]
    return len(names), {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def row(*columns):
    print("| " + " | ".join(str(column) for column in columns) + " |")


def tried(tmp, goldref, count, rng):
    """What is wrong, a line each."""
    (tmp / "assignment.toml").write_text(assignment(), encoding="utf-8")
    subprocess.run([sys.executable, HERE / "wrong_submissions.py", tmp / "class", "--count", str(count)], check=True)
    (tmp / "tmp").mkdir()
    surroundings = {"cwd": tmp, "env": {**os.environ, "TMPDIR": str(tmp / "tmp")}}
    grade = [goldref, "grade", "assignment.toml", "--submissions", "class", "--jobs", "2", "--output"]

    begin = time.monotonic()
    subprocess.run(grade + ["whole"], check=True, **surroundings)
    seconds = time.monotonic() - begin
    row("submissions", "cases", "seconds of the whole run", "seconds a submission")
    row(*["---"] * 4)
    row(count, CASES, f"{seconds:.1f}", f"{seconds / count:.3f}")
    print()

    wrong, known, results = [], {}, tmp / "interrupted"
    resume = grade + [results.name, "--resume"]
    row("SIGKILL", "after seconds", "results done", "processes then", "seconds until they were gone", "left in TMPDIR")
    row(*["---"] * 6)
    for kill in range(1, KILLS + 1):
        wait = rng.uniform(0, seconds / KILLS)
        running = subprocess.Popen(resume, stdout=subprocess.DEVNULL, **surroundings)
        time.sleep(wait)
        before = processes_in(tmp)
        if running.poll() is not None:
            wrong.append(f"run {kill}: it ended before it could be interrupted")
        # goldref itself and nobody else: what it started must end by itself.
        running.kill()
        running.wait()
        left, gone = left_in(tmp)
        wrong += [f"run {kill}: a process is left: {process}" for process in left]
        number, now = done(results)
        wrong += [f"{name}: gone or written again by run {kill}" for name in known if now.get(name) != known[name]]
        known = now
        row(kill, f"{wait:.1f}", number, len(before), f"{gone:.2f}", len(list((tmp / "tmp").iterdir())))
    print()
    subprocess.run(resume, check=True, **surroundings)
    _, now = done(results)
    wrong += [f"{name}: gone or written again by the last run" for name in known if now.get(name) != known[name]]
    wrong += [f"last run: a process is left: {process}" for process in left_in(tmp)[0]]
    print("left in TMPDIR:", ", ".join(sorted(path.name for path in (tmp / "tmp").iterdir())) or "nothing")

    one, other = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in (tmp / "whole", results))
    differing = [name for name in sorted({*one, *other}) if one.get(name) != other.get(name)]
    print(f"differing: {len(differing)} files" if differing else f"identical: {len(one)} files")
    return wrong + [f"{name}: {'other bytes' if {name} <= one.keys() & other.keys() else 'in one folder only'}"
                    for name in differing]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--goldref", type=pathlib.Path, default=HERE.parent / "target/release/goldref")
    parser.add_argument("--count", type=int, default=300, help="submissions")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    args = parser.parse_args()
    if not args.goldref.is_file():
        parser.error(f"no goldref at {args.goldref}; cargo build --release, or name one by --goldref")
    if subprocess.run(["python3", "-c", "import numpy"], capture_output=True).returncode != 0:
        parser.error("python3 has no NumPy; put one that has it first on PATH: tools/README.md, Install")
    # What goldref says stands between these lines in a file too.
    sys.stdout.reconfigure(line_buffering=True)
    print(f"seed {args.seed}")
    with tempfile.TemporaryDirectory(prefix="try-class-") as tmp:
        wrong = tried(pathlib.Path(tmp), args.goldref.resolve(), args.count, random.Random(args.seed))
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        print(f"try_class: {error}", file=sys.stderr)
        sys.exit(2)
