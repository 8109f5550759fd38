"""Counts the FLOPs of matrix products of every bundled model with PyTorch's FlopCounterMode.

    python tools/oracle_flops.py > tests/goldref/flops.json

For each checkpoint folder in fixtures/model/models: a prefill of 7 tokens for 2 requests and one more token behind it, through
transformers' own model with `eager` attention. Weights are not needed, a product takes as long whatever is in it. The product of
positions and frequencies inside rotary embeddings is left out: it is a table, not a layer.
"""

import json
import os
import sys

import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BATCH, PROMPT = 2, 7


def flops(counter):
    counts = counter.get_flop_counts()
    total = sum(counts["Global"].values())
    rotary = [sum(ops.values()) for name, ops in counts.items() if name.rsplit(".", 1)[-1].startswith("rotary_emb")]
    return total - sum(rotary)


def counted(folder):
    config = transformers.AutoConfig.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    ids = torch.zeros((BATCH, PROMPT), dtype=torch.long)
    with torch.no_grad(), FlopCounterMode(display=False) as prefill:
        past = model(ids, use_cache=True).past_key_values
    with torch.no_grad(), FlopCounterMode(display=False) as decode:
        model(ids[:, :1], past_key_values=past, use_cache=True)
    return {"prefill": flops(prefill), "decode": flops(decode)}


def main():
    models = os.path.join(ROOT, "fixtures", "model", "models")
    answer = {"torch": torch.__version__, "transformers": transformers.__version__, "batch": BATCH, "prompt": PROMPT}
    answer["models"] = {name: counted(os.path.join(models, name)) for name in sorted(os.listdir(models))}
    json.dump(answer, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
