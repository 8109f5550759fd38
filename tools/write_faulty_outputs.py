"""Writes what programs with known faults answer to every case of fixtures/model and fixtures/decode.

    python tools/write_faulty_outputs.py OUT --stored f32 [--faults a,b,c]
    python tools/write_faulty_outputs.py OUT --stored bf16 --pairs 200 --seed 1
    python tools/write_faulty_outputs.py --list

OUT/<fault>/<suite>/<case>.npz holds `logits`, or `logits.0`, `logits.1`, … for several requests; OUT/right is
the program without a fault in the same storage. Where a model has no place for a fault, or the fault would end in a
crash, the right answer stands in its folder too. Rows of padding hold what was computed; bf16 values are stored as f32.

Without --faults they are the wrong ones of faulty_models.py; those of rounded_models.py, right but for a coarser
format at one place, are asked for by name.

With --pairs each program has two faults at once, and its folder is pair_<number>_<fault>__<fault>.

OUT/index.json has the cases where a fault has its place, for two at once those where each shows beside the other;
OUT/distances.json how far each answer is from that of `right`, null where one is not finite.
"""

import os

# One thread; before NumPy is loaded.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import dataclasses
import itertools
import json
import math
import pathlib
import time

import numpy as np

import faulty_models
import oracle_models_numpy
from npz_write import write_npz

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures"
SUITES = ("model", "decode")
# The measure of generate_models.py: a fault is seen if it moves a logit by more than 4 times PyTorch's own error.
SEEN = 4
ALL = sorted(faulty_models.EDITS.keys() | faulty_models.ELSEWHERE)
# Not among ALL, so that the pairs of a seed stay the same.
NUMERICS = sorted(faulty_models.NUMERICS)


@dataclasses.dataclass
class Case:
    """One case of a suite: its folder of weights, its requests, their expected logits by name."""
    name: str
    model: pathlib.Path
    requests: list
    expected: dict
    baseline: dict


def read_cases():
    for suite in SUITES:
        for case in json.loads((FIXTURES / suite / "suite.json").read_text())["cases"]:
            folder = FIXTURES / suite / case["id"]
            inputs, expected = np.load(folder / "inputs.npz"), np.load(folder / "expected.npz")
            names = sorted(name for name in expected if name.split(".")[0] == "logits")
            steps = case["params"].get("steps")
            requests = []
            for number, name in enumerate(names):
                suffix = name.removeprefix("logits")
                ids, mask, positions = (inputs[key] if key in inputs else None for key in (
                    stem + suffix for stem in ("input_ids", "attention_mask", "position_ids")))
                requests.append(faulty_models.Request(ids, mask, positions, steps[number] if suffix else steps))
            yield Case(f"{suite}/{case['id']}", FIXTURES / suite / case["params"]["model"], requests,
                       {name: expected[name] for name in names}, case["baseline"])


def answer(case, faults, stored):
    """Logits of each request, or None where there are none with these faults: no place for one of them, or
    shapes that do not fit."""
    try:
        model = faulty_models.Faulty(*oracle_models_numpy.read_checkpoint(case.model), faults, stored)
        with np.errstate(all="ignore"):
            logits = [model.request(request) for request in case.requests]
    except (faulty_models.NotHere, ValueError, IndexError):
        return None
    assert all(y.dtype == faulty_models.STORED[stored][0] for y in logits), (case.name, faults)
    return logits


def gap(case, actual, expected, relative):
    """Largest |actual − expected| of the compared rows, over 1 + |expected| if `relative`; infinite if not finite."""
    worst = 0.0
    for one, other, request in zip(actual, expected, case.requests):
        one, other = one.astype(np.float64), other.astype(np.float64)
        with np.errstate(all="ignore"):
            error = np.abs(one - other) / (1 + np.abs(other) if relative else 1)
        error = error if request.mask is None else error[np.asarray(request.mask) != 0]
        worst = max(worst, float(error.max()) if np.isfinite(error).all() else math.inf)
    return worst


def draw_pairs(cases, faults, count, seed, stored):
    """(two faults, cases where each of them shows beside the other), in random order. Judged in f64."""
    right = {case.name: answer(case, (), "f64") for case in cases}
    alone = {fault: {case.name: answer(case, (fault,), "f64") for case in cases} for fault in faults}

    def seen(case, one, other):
        limit = SEEN * case.baseline.get(stored, case.baseline["f32"])
        return one is not None and limit < gap(case, one, other, relative=False) < math.inf

    def both_show(case, pair):
        singles = [alone[fault][case.name] for fault in pair]
        if not all(seen(case, single, right[case.name]) for single in singles):
            return False
        together = answer(case, pair, "f64")
        return all(seen(case, together, single) for single in singles)

    chosen = []
    possible = list(itertools.combinations(faults, 2))
    for number in np.random.default_rng(seed).permutation(len(possible)):
        pair = possible[number]
        edits = [faulty_models.EDITS.get(fault) for fault in pair]
        # Two edits of the same thing: the second one may undo the first.
        if edits[0] is not None and edits[0] is edits[1]:
            continue
        where = [case.name for case in cases if both_show(case, pair)]
        if where:
            chosen.append((pair, where))
        if len(chosen) == count:
            break
    return chosen


def write(out, name, case, logits):
    write_npz(out / name / f"{case.name}.npz", dict(zip(case.expected, logits)))


def write_program(out, name, faults, cases, right, stored):
    """The answers of one program to all cases. Returns the cases with a place for a fault of it, and the distances."""
    places, distances = [], {}
    for case in cases:
        logits = answer(case, faults, stored)
        if logits is None and len(faults) > 1:
            # Of two faults the one that has a place.
            singles = [answer(case, (fault,), stored) for fault in faults]
            logits = next((single for single in singles if single is not None), None)
        if logits is not None:
            places.append(case.name)
            distances[case.name] = gap(case, logits, right[case.name], relative=True)
        write(out, name, case, right[case.name] if logits is None else logits)
    return places, distances


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", nargs="?", type=pathlib.Path)
    parser.add_argument("--stored", choices=list(faulty_models.STORED), help="what is kept between two steps")
    parser.add_argument("--faults", type=lambda text: text.split(","), default=ALL, help="only these, by commas")
    parser.add_argument("--pairs", type=int, help="so many random pairs of faults at once, instead of single ones")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--list", action="store_true", help="name the faults and stop")
    args = parser.parse_args()
    if args.list:
        print("\n".join(ALL + NUMERICS))
        return
    if args.out is None or args.stored is None:
        parser.error("OUT and --stored are needed")
    unknown = sorted(set(args.faults) - set(ALL) - set(NUMERICS))
    if unknown:
        parser.error(f"no such fault: {', '.join(unknown)}")

    begin, used = time.monotonic(), time.process_time()
    cases = list(read_cases())
    right = {case.name: answer(case, (), args.stored) for case in cases}
    for case in cases:
        write(args.out, "right", case, right[case.name])
    away = max((gap(case, right[case.name], case.expected.values(), relative=True), case.name) for case in cases)
    print(f"right in {args.stored}: {away[0]:.1e} from what is expected, at {away[1]}\n")

    if args.pairs is None:
        programs = [(fault, (fault,), None) for fault in args.faults]
    else:
        pairs = draw_pairs(cases, args.faults, args.pairs, args.seed, args.stored)
        programs = [(f"pair_{n:03}_{a}__{b}", (a, b), where) for n, ((a, b), where) in enumerate(pairs)]
    index, distances = {}, {}
    print("largest |faulty − right| / (1 + |right|), cases with a place for the fault")
    for name, faults, where in programs:
        places, distances[name] = write_program(args.out, name, faults, cases, right, args.stored)
        index[name] = places if where is None else where
        worst = max(((far, at) for at, far in distances[name].items()), default=(0.0, "no case has a place for it"))
        print(f"{name:<45} {worst[0]:8.1e} {len(index[name]):4}  {worst[1]}", flush=True)
    distances = {name: {at: far if math.isfinite(far) else None for at, far in by_case.items()}
                 for name, by_case in distances.items()}
    for file, value in (("index", index), ("distances", distances)):
        (args.out / f"{file}.json").write_text(json.dumps(value, indent=1) + "\n")
    print(f"\n{len(programs)} programs, {len(cases)} cases: {time.monotonic() - begin:.0f} s, "
          f"{time.process_time() - used:.0f} s of them computing")


if __name__ == "__main__":
    main()
