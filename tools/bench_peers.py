"""Times goldref beside NumPy, PyTorch, transformers and faer, in one run with the same number of threads.

The programs are run in turn on the same shapes, and the medians stand in a Markdown table with the ratio of goldref to
the fastest other: above 1 goldref is the faster one. goldref and faer are served by the package in tools/peers.

    cargo build --release --manifest-path tools/peers/Cargo.toml
    python tools/bench_peers.py [--runs 7] [--only matmul] [--server tools/peers/target/release/peers]
"""

import argparse
import os
import platform
import statistics
import subprocess
import tempfile
import time
from datetime import date

import numpy as np
import torch
import torch.nn.functional as F

MATMULS = [(1024, 1024, 1024), (2048, 2048, 64), (2048, 64, 2048), (16, 4096, 4096), (1, 4096, 4096)]
DTYPES = {"f64": torch.float64, "f32": torch.float32}


class Server:
    """The Rust programs: a line is a piece of work, the answer the seconds it took."""

    def __init__(self, path, threads):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, "RAYON_NUM_THREADS": str(threads)})

    def seconds(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        try:
            return float(answer)
        except ValueError:
            raise SystemExit(f"the server says: {answer or 'nothing; it has ended'}")


def clocked(work):
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


# The threads of OpenBLAS and OpenMP wait for more work in a loop, up to 200 ms; until then the next program would have
# to share the cores with them.
PAUSE = 0.25


def interleaved(runs, works):
    """Median seconds of each work: in each turn a pause, one run that warms up, and one that counts."""
    times = {name: [] for name in works}
    for _ in range(runs):
        for name, work in works.items():
            time.sleep(PAUSE)
            work()
            times[name].append(work())
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def matmuls(server):
    for dtype, torch_dtype in DTYPES.items():
        for m, k, n in MATMULS:
            a, b = torch.rand(m, k, dtype=torch_dtype), torch.rand(k, n, dtype=torch_dtype)
            a_numpy, b_numpy = a.numpy(), b.numpy()
            yield f"matmul {dtype} {m}×{k}×{n}", {
                "goldref": lambda: server.seconds(f"matmul {dtype} goldref {m} {k} {n}"),
                "faer": lambda: server.seconds(f"matmul {dtype} faer {m} {k} {n}"),
                "PyTorch": lambda: clocked(lambda: a @ b),
                "NumPy": lambda: clocked(lambda: a_numpy @ b_numpy),
            }


def attentions(server):
    heads, length, dim = 8, 4096, 64
    for dtype, torch_dtype in DTYPES.items():
        q, k, v = (torch.randn(1, heads, length, dim, dtype=torch_dtype) for _ in range(3))
        yield f"causal attention {dtype}, {heads} heads, {length} keys, head_dim {dim}", {
            "goldref": lambda: server.seconds(f"attention {dtype} {heads} {length} {dim}"),
            "PyTorch": lambda: clocked(lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True)),
        }


def models(server, folder):
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(hidden_size=512, num_hidden_layers=8, num_attention_heads=8, num_key_value_heads=4,
                         intermediate_size=1408, vocab_size=4096, max_position_embeddings=16384,
                         bos_token_id=None, eos_token_id=None, attn_implementation="sdpa")
    model = LlamaForCausalLM(config).eval()
    model.save_pretrained(folder)
    ids = lambda length: torch.tensor([[i * 37 % config.vocab_size for i in range(length)]])
    with torch.no_grad():
        prompt = ids(1000)
        generate = lambda: model.generate(prompt, max_new_tokens=20, do_sample=False, use_cache=True)
        yield "Llama shape f32, 20 tokens after 1000 with cache", {
            "goldref": lambda: server.seconds(f"decode f32 {folder} 1000 20"),
            "transformers": lambda: clocked(generate),
        }
        for dtype in ("f32", "f64"):
            model = model.to(DTYPES[dtype])
            prefill = ids(512)
            yield f"Llama shape {dtype}, prefill of 512", {
                "goldref": lambda: server.seconds(f"prefill {dtype} {folder} 512"),
                "transformers": lambda: clocked(lambda: model(prefill)),
            }
    yield "Llama shape, prefill of 512, bf16 variant against goldref's own f32", {
        "goldref": lambda: server.seconds(f"prefill bf16 {folder} 512"),
        "goldref f32": lambda: server.seconds(f"prefill f32 {folder} 512"),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only", default="", help="rows that contain this text")
    parser.add_argument("--server", default="tools/peers/target/release/peers")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    server = Server(args.server, args.threads)
    print(f"{date.today()}, {platform.machine()}, {args.threads} threads, medians of {args.runs} runs in turn; "
          f"NumPy {np.__version__}, PyTorch {torch.__version__}\n")
    print("| work | goldref ms | others ms | ratio |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for works in (matmuls(server), attentions(server), models(server, folder)):
            for name, programs in works:
                if args.only not in name:
                    continue
                seconds = interleaved(args.runs, programs)
                own = seconds.pop("goldref")
                others = ", ".join(f"{peer} {time * 1e3:.2f}" for peer, time in seconds.items())
                print(f"| {name} | {own * 1e3:.2f} | {others} | {min(seconds.values()) / own:.2f} |", flush=True)


if __name__ == "__main__":
    main()
