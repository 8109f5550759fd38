"""What bench_peers.py measures: the rows, the machine and the versions. To be imported once the threads are set.

A row is measured in seconds, or in bytes in the group `memory`.
"""

import functools
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass
from typing import Callable

import numpy as np
import torch
import torch.nn.functional as F
from bench_peers_report import OWN, WITHOUT

MATMULS = [(1024, 1024, 1024), (2048, 2048, 64), (2048, 64, 2048), (16, 4096, 4096), (1, 4096, 4096)]
DTYPES = {"f64": torch.float64, "f32": torch.float32}
# Heads and their width; the length of the timed attention, and of the one whose memory is measured.
HEADS, HEAD_DIM, KEYS, MANY_KEYS = 8, 64, 4096, 32768
# Tokens that are there, and tokens that follow them one by one.
PAST, NEW = 10_000, 20
# The threads of OpenBLAS and OpenMP wait for more work in a loop, up to 200 ms; until then the next program would have
# to share the cores with them.
PAUSE = 0.25
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


@dataclass
class Row:
    name: str
    group: str
    # What each program took, and a note or "".
    measure: Callable
    runs: int


class Server:
    """The Rust programs: a line is a piece of work, the answer the seconds it took."""

    def __init__(self, path):
        if not os.path.exists(path):
            raise SystemExit(f"{path} is not there; run cargo build --release --manifest-path tools/peers/Cargo.toml")
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        try:
            return float(answer)
        except ValueError:
            raise SystemExit(f"the server says: {answer or 'nothing; it has ended'}")

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def clocked(work):
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def interleaved(runs, works):
    """Median seconds of each work: in each turn a pause, one run that warms up, and one that counts."""
    times = {name: [] for name in works}
    for _ in range(runs):
        for name, work in works.items():
            time.sleep(PAUSE)
            work()
            times[name].append(work())
    return {name: statistics.median(seconds) for name, seconds in times.items()}


class Llama:
    """A small Llama of random weights in transformers, and the folder where it lies for goldref."""

    def __init__(self):
        from transformers import LlamaConfig, LlamaForCausalLM

        torch.manual_seed(0)
        self.words = 4096
        config = LlamaConfig(hidden_size=512, num_hidden_layers=8, num_attention_heads=8, num_key_value_heads=4,
                             intermediate_size=1408, vocab_size=self.words, max_position_embeddings=16384,
                             bos_token_id=None, eos_token_id=None, attn_implementation="sdpa")
        self.model = LlamaForCausalLM(config).eval()
        self.folder = tempfile.TemporaryDirectory()
        self.model.save_pretrained(self.folder.name)

    def ids(self, length):
        return torch.tensor([[i * 37 % self.words for i in range(length)]])


class Rows:
    """All rows, in the order of the tables. What several of them need is made when the first of them is measured."""

    def __init__(self, args):
        self.args = args
        torch.set_num_threads(args.threads)

    def __iter__(self):
        runs, bound = self.args.runs, functools.partial
        for dtype in DTYPES:
            for sizes in MATMULS:
                name = f"matmul {dtype} {'×'.join(map(str, sizes))}"
                yield Row(name, "products", bound(self.product, dtype, sizes), runs)
        for dtype in DTYPES:
            name = f"causal attention {dtype}, {HEADS} heads, {KEYS} keys, head_dim {HEAD_DIM}"
            yield Row(name, "attention", bound(self.attention, dtype), runs)
        yield Row("Llama shape f32, 20 tokens after 1000 with cache", "models", self.decode, runs)
        for dtype in ("f32", "f64"):
            yield Row(f"Llama shape {dtype}, prefill of 512", "models", bound(self.prefill, dtype), runs)
        name = "Llama shape, prefill of 512, bf16 variant against goldref's own f32"
        yield Row(name, "variants", self.bf16, runs)
        # Minutes long, so once.
        yield Row(f"Llama shape f32, {NEW} tokens after {PAST}, with cache over without", "cache", self.cache, 1)
        name = f"causal attention f32, {HEADS} heads, {MANY_KEYS} keys, head_dim {HEAD_DIM}, memory"
        yield Row(name, "memory", self.memory, 1)
        yield Row("goldref check", "check", self.check, runs)

    @functools.cached_property
    def server(self):
        return Server(self.args.server)

    @functools.cached_property
    def llama(self):
        return Llama()

    def close(self):
        # Only what was made.
        if "server" in vars(self):
            self.server.close()
        if "llama" in vars(self):
            self.llama.folder.cleanup()

    def interleaved(self, works):
        return interleaved(self.args.runs, works), ""

    def asks(self, line):
        return lambda: self.server.ask(line)

    def product(self, dtype, sizes):
        m, k, n = sizes
        a, b = torch.rand(m, k, dtype=DTYPES[dtype]), torch.rand(k, n, dtype=DTYPES[dtype])
        a_numpy, b_numpy = a.numpy(), b.numpy()
        return self.interleaved({
            OWN: self.asks(f"matmul {dtype} goldref {m} {k} {n}"),
            "PyTorch": lambda: clocked(lambda: a @ b),
            "faer": self.asks(f"matmul {dtype} faer {m} {k} {n}"),
            "NumPy": lambda: clocked(lambda: a_numpy @ b_numpy),
            "candle": self.asks(f"matmul {dtype} candle {m} {k} {n}"),
        })

    def attention(self, dtype):
        q, k, v = (torch.randn(1, HEADS, KEYS, HEAD_DIM, dtype=DTYPES[dtype]) for _ in range(3))
        sizes = f"{HEADS} {KEYS} {HEAD_DIM}"
        works = {
            OWN: self.asks(f"attention {dtype} goldref {sizes}"),
            "PyTorch": lambda: clocked(lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True)),
            "candle": self.asks(f"attention {dtype} candle {sizes}"),
        }
        if dtype == "f32":
            works["candle, one kernel"] = self.asks(f"attention {dtype} candle-flash {sizes}")
        return self.interleaved(works)

    def decode(self):
        llama, prompt = self.llama, self.llama.ids(1000)
        generate = lambda: llama.model.to(torch.float32).generate(prompt, max_new_tokens=20, do_sample=False, use_cache=True)
        return self.interleaved({
            OWN: self.asks(f"decode f32 {llama.folder.name} 1000 20"),
            "transformers": lambda: clocked(generate),
        })

    def prefill(self, dtype):
        llama, prompt = self.llama, self.llama.ids(512)
        model = llama.model.to(DTYPES[dtype])

        def forward():
            with torch.no_grad():
                model(prompt)

        return self.interleaved({
            OWN: self.asks(f"prefill {dtype} {llama.folder.name} 512"),
            "transformers": lambda: clocked(forward),
        })

    def bf16(self):
        folder = self.llama.folder.name
        return self.interleaved({
            OWN: self.asks(f"prefill bf16 {folder} 512"),
            "goldref f32": self.asks(f"prefill f32 {folder} 512"),
        })

    def cache(self):
        """The first token is chosen from what the prompt gave, so there are 19 calls of one token behind it."""
        folder, many = self.llama.folder.name, self.args.recomputed
        lengths = sorted({PAST + round(i * (NEW - 1) / (many - 1)) for i in range(many)})
        with_cache = lambda: self.server.ask(f"decode f32 {folder} {PAST} {NEW}")
        # Before and behind the minutes of the others, for a machine whose speed changes.
        before = with_cache()
        # One token each, of which no more than the last logits of the prompt are needed.
        seconds = [self.server.ask(f"decode f32 {folder} {length} 1") for length in lengths]
        behind = with_cache()
        without = sum(np.interp(range(PAST, PAST + NEW), lengths, seconds))
        note = (f"With cache: a prefill of {PAST} and {NEW - 1} calls of one token, the mean of two runs. "
                f"Without: all tokens anew for each of the {NEW}, ")
        left = NEW - len(lengths)
        note += f"{len(lengths)} lengths measured once and {left} on lines between them." if left else "each length once."
        return {OWN: (before + behind) / 2, WITHOUT: float(without)}, note

    def memory(self):
        """Inputs and result are among it, for PyTorch also its libraries."""
        server = Server(self.args.server)
        begin = server.ask("peak")
        server.ask(f"attention f32 goldref {HEADS} {MANY_KEYS} {HEAD_DIM}")
        own = server.ask("peak")
        server.close()
        answer = subprocess.run([sys.executable, "-c", TORCH_MEMORY], check=True, stdout=subprocess.PIPE, text=True)
        torch_begin, torch_peak = map(float, answer.stdout.split())
        note = (f"Of this, {begin / 1e6:.0f} MB of goldref and {torch_begin / 1e6:.0f} MB of PyTorch are there before the work. "
                f"The inputs and the result take {4 * 4 * HEADS * MANY_KEYS * HEAD_DIM / 1e6:.0f} MB, "
                f"a matrix of all scores would take {4 * HEADS * MANY_KEYS**2 / 1e6:.0f} MB.")
        return {OWN: own, "PyTorch": torch_peak}, note

    def check(self):
        if not os.path.exists(self.args.goldref):
            raise SystemExit(f"{self.args.goldref} is not there; run cargo build --release or name it by --goldref")
        command = [self.args.goldref, "check"]

        def check():
            done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            if done.returncode not in (0, 1):
                raise SystemExit(f"goldref check ended with {done.returncode}: {done.stderr}")

        return self.interleaved({OWN: lambda: clocked(check)})


# A process of its own, so that nothing else is in its peak.
TORCH_MEMORY = f"""
import os, re, torch
import torch.nn.functional as F
def peak():
    with open("/proc/self/status") as file:
        return 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", file.read())[1])
torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
begin = peak()
q, k, v = (torch.randn(1, {HEADS}, {MANY_KEYS}, {HEAD_DIM}) for _ in range(3))
F.scaled_dot_product_attention(q, k, v, is_causal=True)
print(begin, peak())
"""


def machine(threads):
    """The processor as Linux names it, with the numbers that tell apart those of the same name."""
    fields = {}
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as file:
            pairs = (line.split(":", 1) for line in file.read().split("\n\n")[0].splitlines() if ":" in line)
            fields = {key.strip(): value.strip() for key, value in pairs}
    model = fields.get("model name", platform.processor() or platform.machine())
    numbers = f" (family {fields['cpu family']}, model {fields['model']})" if "cpu family" in fields else ""
    plural = "s" if threads > 1 else ""
    return f"{model}{numbers}, {platform.machine()}, {os.cpu_count()} cores, {threads} thread{plural}"


def blas():
    """The library of NumPy's products, with the kernels it chose if threadpoolctl is there to ask."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        built = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
        return f"{built['name']} {built['version']}"
    infos = [info for info in threadpool_info() if info["user_api"] == "blas" and "numpy" in info["filepath"]]
    return ", ".join(f"{info['internal_api']} {info['version']}, kernels {info.get('architecture')}" for info in infos)


def versions():
    import transformers

    with open(os.path.join(ROOT, "tools/peers/Cargo.lock"), "rb") as file:
        locked = {package["name"]: package["version"] for package in tomllib.load(file)["package"]}
    mkl = re.search(r"Math Kernel Library Version (\S+)", torch.__config__.show())
    return {
        "goldref": locked["goldref"],
        "PyTorch": torch.__version__ + (f" (MKL {mkl[1]})" if mkl else " (without MKL)"),
        "transformers": transformers.__version__,
        "faer": locked["faer"],
        "NumPy": f"{np.__version__} ({blas()})",
        "candle": locked["candle-core"],
    }
