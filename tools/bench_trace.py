"""How often `goldref trace` names the site at which something is wrong, and that it names none in right programs.

    cargo build --release
    python tools/write_traced_outputs.py OUT --stored f32 --count 300 --seed 1 && python tools/bench_trace.py --outputs OUT

Candidates are those of write_traced_outputs.py, in NumPy; they share no code with goldref. A wrong program counts as found
if the first site is the one where the wrong value was planted, in whichever request. One process at a time.
"""

import argparse
import json
import pathlib
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent


def first_site(goldref, case, sites, stored):
    """The first site that goldref names, None if it names none; why there is no answer, if there is none."""
    run = subprocess.run([goldref, "trace", "--case", case, "--sites", sites, "--stored", stored, "--format", "json"],
                         capture_output=True, text=True)
    if run.returncode not in (0, 1):
        return f"failed: {(run.stderr.strip().splitlines() or [f'exit code {run.returncode}'])[0]}"
    report = json.loads(run.stdout)
    if not report["sites"]:
        return "failed: no site was compared"
    return report["first"] and report["first"]["site"]


def row(*columns):
    print("| " + " | ".join(str(column) for column in columns) + " |")


def share(hits, total):
    return f"{100 * hits / total:.1f} %" if total else "–"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path, default=HERE.parent / "target/release/goldref")
    parser.add_argument("--outputs", type=pathlib.Path, required=True, help="the folder of write_traced_outputs.py")
    args = parser.parse_args()
    index = json.loads((args.outputs / "index.json").read_text())
    stored = index[0]["stored"]

    begin, hits, misses = time.monotonic(), {}, []
    for program in index:
        case = program["case"]
        found = first_site(args.binary, case, args.outputs / program["program"] / f"{case}.npz", stored)
        hits.setdefault((program["model"], program["kind"]), []).append(found == program["site"])
        if found != program["site"]:
            misses.append(f"{program['program']} {case}: {program['site']}, {program['planted']} → {found or 'nothing'}")
    seconds = (time.monotonic() - begin) / len(index)
    right = {}
    for path in sorted((args.outputs / "right").glob("*/*.npz")):
        case = f"{path.parent.name}/{path.stem}"
        right[case] = first_site(args.binary, case, path, stored)

    kinds = sorted({kind for _, kind in hits})
    row("model", "planted", "programs", f"site named, {stored}", "share")
    row("---", "---", "---", "---", "---")
    for (model, kind), of_row in sorted(hits.items()):
        row(model, kind, len(of_row), sum(of_row), share(sum(of_row), len(of_row)))
    for kind in kinds + ["anything"]:
        both = [hit for (_, other), of_row in hits.items() if kind in (other, "anything") for hit in of_row]
        row("all", kind, len(both), sum(both), share(sum(both), len(both)))
    clear = sum(first is None for first in right.values())
    row("all", "nothing", len(right), f"{clear} without a site", share(clear, len(right)))
    print(f"\n{seconds:.2f} s each")

    print("\nAnother site or none:")
    print("\n".join(f"* {miss}" for miss in misses) or "* –")
    print("\nRight programs with a site:")
    print("\n".join(f"* {case} → {first}" for case, first in right.items() if first is not None) or "* –")


if __name__ == "__main__":
    main()
