"""Writes goldref suites so that the same numbers always give the same bytes.

Only the standard library and NumPy. Every generator in this folder uses it; it knows nothing about operations.

    suite = Suite("fixtures/ops", "ops", "one sentence")
    suite.add("softmax_one_key", "softmax", {"axis": -1}, {"x": x}, {"out": y}, catches=["softmax-twice"],
              computed_by="mpmath ...", attested_by="NumPy ...", distance=1e-16, seed=7001)
    suite.close()
"""

import hashlib
import io
import json
import math
import pathlib
import re
import shutil
import zipfile

import numpy as np

# The date of every zip member: the earliest one the zip format can hold.
ZIP_DATE = (1980, 1, 1, 0, 0, 0)
DTYPES = {"float64", "float32", "float16", "bool", "int64", "uint16", "uint8"}
CASE_ID = re.compile(r"[a-z0-9_]+\Z")


def write_npz(path, arrays, compress=False):
    """Writes arrays by sorted name and returns the sha256 of the file.

    Stored is the default: deflate differs in its bytes between zlib builds, and random floats hardly shrink.
    """
    method = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name in sorted(arrays):
            # np.ascontiguousarray would turn a scalar into one element of rank 1.
            array = np.asarray(arrays[name], order="C")
            if array.dtype.name not in DTYPES:
                raise TypeError(f"{path}: array {name} has dtype {array.dtype}")
            member = io.BytesIO()
            np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", ZIP_DATE)
            info.compress_type = method
            info.external_attr = 0o644 << 16
            info.create_system = 3
            archive.writestr(info, member.getvalue(), compresslevel=9 if compress else None)
    data = buffer.getvalue()
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def write_json(path, value):
    """JSON with one space of indent, keys in the order given, no NaN, one newline at the end."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    # Lists of plain values on one line: shorter and easier to read.
    text = re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda m: "[" + re.sub(r",\s*\n\s*", ", ", m.group(1)) + "]", text)
    json.loads(text)
    pathlib.Path(path).write_text(text + "\n", encoding="utf-8")


def bf16_words(x):
    """Rounds to bfloat16, nearest even, and returns the 16-bit words (NumPy has no such dtype)."""
    # f64 to f32 first would round twice, so the rounding is done on exact f32 values only.
    x = np.asarray(x)
    f = x.astype(np.float32)
    if not np.array_equal(f.astype(np.float64), x.astype(np.float64), equal_nan=True):
        raise ValueError("bf16_words needs values that f32 holds exactly")
    bits = f.view(np.uint32).astype(np.uint64)
    words = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(f), np.uint16(0x7FC0), words)


def bf16_values(words):
    """The f32 values of bfloat16 words."""
    return (np.asarray(words, dtype=np.uint16).astype(np.uint32) << 16).view(np.float32)


def distance(a, b):
    """Largest |a - b| over two dicts of arrays; equal infinities are 0 apart, an unmatched NaN or infinity is infinite."""
    worst = 0.0
    if set(a) != set(b):
        raise ValueError(f"arrays differ: {sorted(a)} and {sorted(b)}")
    for name in a:
        x, y = np.asarray(a[name]), np.asarray(b[name])
        if x.shape != y.shape:
            raise ValueError(f"{name}: shape {x.shape} and {y.shape}")
        if x.size == 0:
            continue
        x, y = x.astype(np.float64), y.astype(np.float64)
        same = (x == y) | (np.isnan(x) & np.isnan(y))
        with np.errstate(all="ignore"):
            gap = np.where(same, 0.0, np.abs(x - y))
        gap = np.where(np.isnan(gap), np.inf, gap)
        worst = max(worst, float(gap.max()))
    return worst


class Suite:
    """One suite folder. `close` writes suite.json, drops folders of cases that are gone, prints a table."""

    def __init__(self, folder, name, about, notice=None, compress=False):
        self.folder = pathlib.Path(folder)
        self.compress = compress
        self.head = {"format": "goldref-suite/1", "name": name, "about": about}
        if notice is not None:
            self.head["notice"] = notice
        self.cases = []
        self.ids = set()

    def add(self, case_id, op, params, inputs, expected, *, computed_by=None, attested_by=None, distance=None,
            seed=None, catches=(), flags=(), dtypes=None, tolerance=None, baseline=None, compare_where=None):
        if not CASE_ID.match(case_id):
            raise ValueError(f"case id {case_id!r} may hold a-z, 0-9 and _ only")
        if case_id in self.ids or case_id == "models":
            raise ValueError(f"case id {case_id!r} is taken")
        if not expected:
            raise ValueError(f"{case_id}: nothing expected")
        if distance is not None and not math.isfinite(distance):
            raise ValueError(f"{case_id}: distance {distance}")
        self.ids.add(case_id)
        case = {"id": case_id, "op": op, "params": params}
        for key, value in (("dtypes", dtypes), ("tolerance", tolerance), ("flags", list(flags)),
                           ("catches", list(catches))):
            if value:
                case[key] = value
        if computed_by is not None:
            case["oracle"] = {"computed_by": computed_by, "attested_by": attested_by, "distance": distance}
        case["seed"] = seed
        if baseline:
            case["baseline"] = {k: float(f"{v:.3g}") for k, v in baseline.items()}
        if compare_where is not None:
            case["compare_where"] = compare_where
        # A program's answer to an operation is `out` (docs/candidates.md); it may leave out what the operation has beside it.
        # Of a model the sites are optional without being named.
        if op != "model" and "out" in expected and len(expected) > 1:
            case["optional"] = sorted(set(expected) - {"out"})
        case["sha256"] = {}
        if inputs:
            case["sha256"]["inputs.npz"] = write_npz(self.folder / case_id / "inputs.npz", inputs, self.compress)
        case["sha256"]["expected.npz"] = write_npz(self.folder / case_id / "expected.npz", expected, self.compress)
        self.cases.append(case)

    def close(self):
        if not self.cases:
            raise ValueError(f"{self.folder}: no case")
        # A renamed case leaves its folder behind; only folders that hold nothing but a case's files are removed.
        for old in self.folder.iterdir():
            if old.is_dir() and old.name not in self.ids and old.name != "models":
                if all(f.name in ("inputs.npz", "expected.npz") for f in old.iterdir()):
                    shutil.rmtree(old)
        write_json(self.folder / "suite.json", {**self.head, "cases": self.cases})
        size = sum(f.stat().st_size for f in self.folder.rglob("*") if f.is_file())
        known = [(c["oracle"]["distance"], c["id"]) for c in self.cases
                 if c.get("oracle", {}).get("distance") is not None]
        worst = max(known) if known else (None, "none attested")
        print(f"{'suite':<12} {'cases':>5} {'attested':>8} {'worst distance':>14} {'bytes':>9}  worst case")
        shown = "-" if worst[0] is None else f"{worst[0]:.1e}"
        print(f"{self.head['name']:<12} {len(self.cases):>5} {len(known):>8} {shown:>14} {size:>9}  {worst[1]}")
        return self.cases
