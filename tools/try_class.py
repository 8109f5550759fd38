"""Does a class that is interrupted and resumed get the results of one that is not?

    cargo build --release && python3 tools/try_class.py
    python3 tools/try_class.py --count 24 --seed 7 --goldref PATH

Grades a class of sample submissions over 40 cases by two jobs, at one go. Then grades it again into another folder, ends
goldref by SIGKILL at three random moments, goes on with --resume each time, and holds all files of both folders to each
other. A result that was written before an end must be the same file afterwards, and no process may be left. Exit code 0
if all that is so, 1 if not, 2 if it could not be tried. Needs Python 3.11, a Linux with /proc, and python3 with NumPy
first on PATH, which submissions need.
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
# A process that is left after so many seconds stays.
PATIENCE = 5


def once(text, old, new):
    if text.count(old) != 1:
        raise ValueError(f"{old!r} is {text.count(old)} times in the assignment, not once")
    return text.replace(old, new)


def assignment():
    """The course without part d, the only one whose results have times in them, with more cases and absolute paths."""
    text = (FIXTURES / "course" / "assignment.toml").read_text(encoding="utf-8")
    text = text[:text.index('[[part]]\nid = "d"')]
    text = once(text, '"decode_peaked",', ", ".join(f'"{case}"' for case in ("decode_peaked", *MORE)) + ",")
    text = text.replace('"../', f'"{FIXTURES}/').replace("{assignment}", str(FIXTURES / "course"))
    parts = tomllib.loads(text)["part"]
    suites = [suite for part in parts for suite in part.get("visible", []) + part.get("hidden", [])]
    if (cases := sum(len(suite["cases"]) for suite in suites)) != CASES:
        raise ValueError(f"the assignment has {cases} cases, not {CASES}")
    return text


def processes_in(folder):
    """Those who were started in the folder, or have it in their arguments or variables."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        said = []
        for read in (lambda: (process / "cmdline").read_bytes(), lambda: (process / "environ").read_bytes(),
                     lambda: os.fsencode(os.readlink(process / "cwd"))):
            try:
                said.append(read())
            except OSError:
                pass  # It has ended, or is somebody else's.
        if any(os.fsencode(folder) in words for words in said):
            found.append(f"{process.name} {said[0].replace(bytes(1), b' ').decode(errors='replace')[:100]}")
    return found


def left_in(folder):
    """The processes that do not end, and how long the others took."""
    begin = time.monotonic()
    while (left := processes_in(folder)) and time.monotonic() - begin < PATIENCE:
        time.sleep(0.02)
    return left, time.monotonic() - begin


def done(results):
    """The files of all submissions that are done, and what tells whether they were written again."""
    names = [path.stem for path in results.glob("*.json")]
    files = [path for name in names for path in results.iterdir() if path.name.startswith(f"{name}.")]
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}, len(names)


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def row(*columns):
    print("| " + " | ".join(str(column) for column in columns) + " |", flush=True)


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
    row("submissions", "cases", "jobs", "seconds", "seconds a submission")
    row("---", "---", "---", "---", "---")
    row(count, CASES, 2, f"{seconds:.1f}", f"{seconds / count:.3f}")
    print()

    wrong, results = [], tmp / "interrupted"
    resume, known = grade + [results.name, "--resume"], {}

    def changed(since, when):
        now, number = done(results)
        wrong.extend(f"{name}: gone or written again {when}" for name in since if now.get(name) != since[name])
        return now, number

    row("SIGKILL", "after seconds", "results done", "processes then", "seconds until they were gone", "left in TMPDIR")
    row("---", "---", "---", "---", "---", "---")
    for kill in range(1, KILLS + 1):
        wait = rng.uniform(0, seconds / KILLS)
        running = subprocess.Popen(resume, stdout=subprocess.DEVNULL, **surroundings)
        try:
            running.wait(timeout=wait)
            wrong.append(f"run {kill}: it ended before it could be interrupted")
        except subprocess.TimeoutExpired:
            pass
        finally:
            before = processes_in(tmp)
            # goldref itself and nobody else: what it started must end by itself.
            running.kill()
            running.wait()
        left, gone = left_in(tmp)
        wrong += [f"run {kill}: a process is left: {process}" for process in left]
        known, number = changed(known, f"by run {kill}")
        row(kill, f"{wait:.1f}", number, len(before), f"{gone:.2f}", len(list((tmp / "tmp").iterdir())))
    print()
    subprocess.run(resume, check=True, **surroundings)
    changed(known, "by the last run")
    left, _ = left_in(tmp)
    wrong += [f"a process is left: {process}" for process in left]
    print("\nleft in TMPDIR:", ", ".join(sorted(path.name for path in (tmp / "tmp").iterdir())) or "nothing")

    one, other = files_of(tmp / "whole"), files_of(results)
    differing = [name for name in sorted({*one, *other}) if one.get(name) != other.get(name)]
    wrong += [f"{name}: {'other bytes' if name in one and name in other else 'in one folder only'}" for name in differing]
    print(f"identical: {len(one)} files" if not differing else f"differing: {len(differing)} files")
    return wrong


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
    print(f"seed {args.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="try-class-") as tmp:
        wrong = tried(pathlib.Path(tmp), args.goldref.resolve(), args.count, random.Random(args.seed))
    print("\n".join(wrong))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
