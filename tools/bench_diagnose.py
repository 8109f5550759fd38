"""How often `goldref diagnose` names the fault of a program: the table of docs/diagnose.md.

    cargo build --release && python tools/bench_diagnose.py --pairs 200

Candidates are programs that share no code with goldref: those of write_faulty_outputs.py, in NumPy, with one fault or two,
and right ones, PyTorch and transformers in three formats, by two kinds of attention and in three ways.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
EQUIVALENT = {"alibi-constant-offset", "mask-1e4-fill", "rope-both-off-by-one"}
# What a bf16 program does by right.
OF_BF16 = {"cache-dtype-truncated", "probs-cast-low", "rope-cos-sin-in-bf16"}


def write_faulty(out, *args):
    subprocess.run([sys.executable, HERE / "write_faulty_outputs.py", out, *args], check=True, stdout=subprocess.DEVNULL)


WAYS = ("whole", "row by row", "cached")


def write_right(out, dtype, attention):
    """Answers of transformers to every case, in float32 files: a folder for each way to compute them."""
    import oracle_models_torch as oracle
    import write_faulty_outputs as faulty
    for case in faulty.read_cases():
        model = oracle.load_dtype(case.model, oracle.DTYPES[dtype], attention)
        if model is None:
            continue
        each = [list(oracle.evaluations(model, request.ids, request.mask, request.positions)) for request in case.requests]
        # Some families have no way through a cache.
        for way, logits in zip(WAYS, zip(*each)):
            path = out / way / f"{case.name}.npz"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(path, **{name: y.float().numpy() for name, y in zip(case.expected, logits)})


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
        if args.pairs:
            out = scratch / "pairs"
            write_faulty(out, "--stored", "f32", "--pairs", str(args.pairs), "--seed", "1")
            folders = [f for f in sorted(out.iterdir()) if f.name.startswith("pair_")]
            reports, seconds = diagnose(args.goldref, folders, "f32")
            truths = [set(f.name.split("_", 2)[2].split("__")) for f in folders]
            notes["pairs"] = row("NumPy, f32, two faults", reports, truths, seconds)
        accused = []
        right = [("NumPy", "f32", scratch / "f32/right"), ("NumPy", "bf16", scratch / "bf16/right")]
        for stored in ("f32", "bf16", "f16"):
            for attention in ("eager", "sdpa"):
                out = scratch / f"{stored}_{attention}"
                write_right(out, stored, attention)
                right += [(f"transformers, {attention}, {way}", stored, out / way) for way in WAYS]
        for name, stored, folder in right:
            report = diagnose(args.goldref, [folder], stored)[0][0]
            accused.append((name, stored, report["deviating"], [hint["fault"] for hint in report["hints"]]))
    print("\n| right program | format | cases beyond rounding | patterns found |\n|---|---|---|---|")
    for name, stored, deviating, hints in accused:
        print(f"| {name} | {stored} | {deviating} | {', '.join(hints) or 'none'} |")
    for what, rest in notes.items():
        print(f"\nNot named, {what}:")
        for line in rest or ["–"]:
            print(f"* {line}")


if __name__ == "__main__":
    main()
