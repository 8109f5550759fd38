"""Times `goldref compare` against numpy.testing.assert_allclose and torch.testing.assert_close.

Two f32 arrays of 400 MB each, as .npy files that have just been written and so lie in the page cache. The three are run
in turn, the medians stand in the table. NumPy and PyTorch get the arrays in memory, loaded before the clock starts;
goldref starts as a process and maps the files. The read bandwidth is that of the same bytes, summed by all cores, mapped
and in anonymous memory. Memory beyond the mapping is RssAnon of /proc, sampled while goldref runs.

    cargo build --release && /path/to/python tools/bench_compare.py [--megabytes 400] [--runs 5] [--goldref target/release/goldref]
"""

import argparse
import ctypes
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
import torch

SUM = r"""
#include <stddef.h>
#include <stdint.h>
uint64_t sum(const uint64_t *p, size_t n) {
    uint64_t s[32] = {0};
    for (size_t i = 0; i + 32 <= n; i += 32)
        for (int l = 0; l < 32; l++) s[l] += p[i + l];
    uint64_t t = 0;
    for (int l = 0; l < 32; l++) t += s[l];
    return t;
}
"""


def sum_library(folder):
    """A streaming sum in C, as fast as the memory gives bytes; called from threads, for ctypes lets go of the lock."""
    source, library = os.path.join(folder, "sum.c"), os.path.join(folder, "sum.so")
    with open(source, "w") as file:
        file.write(SUM)
    subprocess.run(["cc", "-O3", "-march=native", "-shared", "-fPIC", source, "-o", library], check=True)
    loaded = ctypes.CDLL(library)
    loaded.sum.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    loaded.sum.restype = ctypes.c_uint64
    return loaded


def read_seconds(library, arrays):
    """Seconds to read all bytes of the arrays with all cores."""
    cores = os.cpu_count()
    parts = []
    for array in arrays:
        words = array.nbytes // 8
        step = -(-words // cores)
        for first in range(0, words, step):
            parts.append((array.ctypes.data + 8 * first, min(step, words - first)))
    per_core = [parts[core::cores] for core in range(cores)]
    work = lambda mine: [library.sum(address, words) for address, words in mine]
    threads = [threading.Thread(target=work, args=(mine,)) for mine in per_core]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begin


def clocked(work):
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def goldref_seconds(command):
    begin = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    seconds = time.perf_counter() - begin
    if done.returncode not in (0, 1):
        sys.exit(done.stderr)
    return seconds, done.stdout


def peak_beyond_mapping(command):
    """Largest VmRSS - RssFile in KiB, sampled; a run of its own, so that sampling costs the clocked ones nothing."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        try:
            with open(f"/proc/{process.pid}/status") as file:
                fields = dict(line.split(":", 1) for line in file if ":" in line)
            beyond = int(fields["VmRSS"].split()[0]) - int(fields["RssFile"].split()[0])
            peak = max(peak, beyond)
        except (OSError, KeyError):
            pass
    return peak


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--goldref", default="target/release/goldref")
    args = parser.parse_args()

    count = args.megabytes * 1_000_000 // 4
    generator = np.random.default_rng(0)
    expected = generator.standard_normal(count, dtype=np.float32)
    # Noise of rounding: a few last places.
    actual = expected + expected * np.float32(1e-7) * generator.standard_normal(count, dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        library = sum_library(folder)
        paths = [os.path.join(folder, name) for name in ("actual.npy", "expected.npy")]
        for path, array in zip(paths, (actual, expected)):
            np.save(path, array)
        # Read once, so that the clock does not meet the disk.
        for path in paths:
            with open(path, "rb") as file:
                while file.read(1 << 24):
                    pass
        command = [args.goldref, "compare", *paths]
        tensors = torch.from_numpy(actual), torch.from_numpy(expected)
        names = ("goldref compare", "numpy assert_allclose", "torch assert_close", "read, mapped", "read, anonymous")
        seconds = {name: [] for name in names}
        for _ in range(args.runs):
            took, printed = goldref_seconds(command)
            seconds[names[0]].append(took)
            seconds[names[1]].append(
                clocked(lambda: np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)))
            seconds[names[2]].append(
                clocked(lambda: torch.testing.assert_close(*tensors, rtol=1e-5, atol=1e-5)))
            # Mapped anew each time: goldref pays for its page faults too.
            seconds[names[3]].append(clocked_read(library, paths))
            seconds[names[4]].append(read_seconds(library, (actual, expected)))
        peak = max(peak_beyond_mapping(command) for _ in range(3))
    median = {name: statistics.median(times) for name, times in seconds.items()}
    ours, size = median[names[0]], 2 * actual.nbytes
    print(printed)
    print("| what | median s | range s | ratio to goldref | GB/s |")
    print("|---|---|---|---|---|")
    for name in names:
        times = seconds[name]
        print(f"| {name} | {median[name]:.4f} | {min(times):.4f} to {max(times):.4f} "
              f"| {median[name] / ours:.2f} | {size / median[name] / 1e9:.2f} |")
    print(f"\nshare of the read bandwidth: {median[names[3]] / ours:.0%} of mapped, {median[names[4]] / ours:.0%} of anonymous"
          f"\nresident memory beyond the mapping: {peak / 1024:.1f} MiB")


def clocked_read(library, paths):
    begin = time.perf_counter()
    arrays = [np.load(path, mmap_mode="r") for path in paths]
    read_seconds(library, arrays)
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
