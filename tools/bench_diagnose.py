"""How often `goldref diagnose` names the fault of a program: the table of docs/diagnose.md.

    cargo build --release && python tools/bench_diagnose.py --pairs 200

Candidates are programs that share no code with goldref: those of write_faulty_outputs.py, in NumPy, with one fault or two, or
with a coarser format at one place; and right ones, those of write_right_outputs.py: transformers, and JAX and onnxruntime
where they are installed.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import write_right_outputs
from rounded_models import NUMERICS
from write_right_outputs import Program

HERE = pathlib.Path(__file__).resolve().parent
EQUIVALENT = {"alibi-constant-offset", "mask-1e4-fill", "rope-both-off-by-one"}
# What a bf16 program does by right.
OF_BF16 = {"cache-dtype-truncated", "probs-cast-low", "rope-cos-sin-in-bf16"}


def write_faulty(out, *args):
    subprocess.run([sys.executable, HERE / "write_faulty_outputs.py", out, *args], check=True, stdout=subprocess.DEVNULL)


def diagnose(goldref, folders, stored):
    """The reports of goldref, and the seconds it took."""
    begin = time.monotonic()
    run = subprocess.run([goldref, "diagnose", "--stored", stored, "--format", "json", "--answers", *folders],
                         capture_output=True, text=True)
    if run.returncode not in (0, 1):
        raise SystemExit(run.stderr)
    return json.loads(run.stdout), time.monotonic() - begin


def found(report):
    """Sets of names, those that goldref holds for equally good."""
    if report["deviating"] == 0:
        return [{hint["fault"]} for hint in report["hints"]]
    return [set(suspect["faults"]) for suspect in report["suspects"][:report["tied"]]] if report["named"] else []


def row(title, reports, truths, seconds):
    """First, in a tie of at most three, otherwise; and how many were judged not to be rounding."""
    first, tied, not_rounding, rest = 0, 0, 0, []
    for report, truth in zip(reports, truths):
        names = found(report)
        not_rounding += report["deviating"] > 0
        if names and names[0] == truth and len(names) == 1:
            first += 1
        elif truth in names and len(names) <= 3:
            tied += 1
        else:
            nearest = " and ".join(sorted(names[0])) if names else "nothing"
            rest.append(f"{' and '.join(sorted(truth))} → {nearest}")
    total = len(truths)
    print(f"| {title} | {total} | {first} | {tied} | {100 * (first + tied) / total:.1f} % | {not_rounding} | {seconds / total:.1f} s |")
    return rest


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=0, help="random pairs of faults to try as well")
    parser.add_argument("--seed", type=int, default=2, help="of the pairs; the search was set on those of seed 1")
    parser.add_argument("--goldref", default=HERE.parent / "target/release/goldref")
    args = parser.parse_args()
    print("| candidates | programs | named alone | in a tie of 2 or 3 | together | judged not rounding | time each |")
    print("|---|---|---|---|---|---|---|")
    notes = {}
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        for stored in ("f32", "bf16"):
            out = scratch / stored
            write_faulty(out, "--stored", stored)
            left_out = EQUIVALENT | {"right"} | (OF_BF16 if stored == "bf16" else set())
            folders = [f for f in sorted(out.iterdir()) if f.is_dir() and f.name not in left_out]
            reports, seconds = diagnose(args.goldref, folders, stored)
            notes[stored] = row(f"NumPy, {stored}, one fault", reports, [{f.name} for f in folders], seconds)
        out = scratch / "numerics"
        write_faulty(out, "--stored", "f32", "--faults", ",".join(NUMERICS))
        reports, seconds = diagnose(args.goldref, [out / name for name in NUMERICS], "f32")
        title = f"NumPy, f32, one numerics of {len(NUMERICS)}"
        notes["numerics"] = row(title, reports, [{name} for name in NUMERICS], seconds)
        if args.pairs:
            out = scratch / "pairs"
            write_faulty(out, "--stored", "f32", "--pairs", str(args.pairs), "--seed", str(args.seed))
            folders = [f for f in sorted(out.iterdir()) if f.name.startswith("pair_")]
            reports, seconds = diagnose(args.goldref, folders, "f32")
            truths = [set(f.name.split("_", 2)[2].split("__")) for f in folders]
            notes["pairs"] = row("NumPy, f32, two faults", reports, truths, seconds)
        right = [Program("NumPy", stored, scratch / stored / "right") for stored in ("f32", "bf16")]
        written, absent = write_right_outputs.write_all(scratch / "right")
        right += written
        print("\n| right program | format | answers | cases beyond rounding | patterns found |\n|---|---|---|---|---|")
        for program in right:
            report = diagnose(args.goldref, [program.folder], program.stored)[0][0]
            hints = ", ".join(hint["fault"] for hint in report["hints"]) or "none"
            print(f"| {program.title} | {program.stored} | {program.answers()} | {report['deviating']} | {hints} |")
        print(f"\n{len(right)} right programs, {sum(program.answers() for program in right)} answers")
        for line in absent:
            print(line)
    for what, rest in notes.items():
        print(f"\nNot named, {what}:")
        for line in rest or ["–"]:
            print(f"* {line}")


if __name__ == "__main__":
    main()
