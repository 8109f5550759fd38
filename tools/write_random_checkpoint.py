"""Writes a random Llama checkpoint of any size, for measurements: Llama-3 8B if nothing else is said.

    python tools/write_random_checkpoint.py FOLDER
    python tools/write_random_checkpoint.py FOLDER --hidden-size 64 --num-hidden-layers 2 --num-attention-heads 4 \\
        --num-key-value-heads 2 --intermediate-size 112 --vocab-size 320 --shards 2

The files are those of Hugging Face: config.json of LlamaForCausalLM, shards in safetensors and their index (one shard has no index).
The weights say nothing; they are normal with a standard deviation of 0.02, those of norms lie about 1, and the same options give the
same bytes. They come from one block of random numbers that each tensor goes through again and again, each time from another
place, so that no more than this block is held in memory, whatever the size of the model, and the disk sets the speed.
"""

import argparse
import json
import os
import shutil

import numpy as np

# Elements of the block. Odd, so that the rows of a matrix do not begin at the same places in each round.
BLOCK = (1 << 22) - 3
STD = 0.02
# Name in safetensors, name in config.json, bytes.
DTYPES = {"bf16": ("BF16", "bfloat16", 2), "f16": ("F16", "float16", 2), "f32": ("F32", "float32", 4)}


def stored(values, dtype):
    """f32 values in the format of the file, rounded to nearest even."""
    if dtype == "bf16":
        bits = values.view(np.uint32)
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")
    return values.astype("<f2" if dtype == "f16" else "<f4")


class Weights:
    """The block, once about 0 and once about 1."""

    def __init__(self, seed, dtype):
        self.generator = np.random.default_rng(seed)
        normal = STD * self.generator.standard_normal(BLOCK, dtype=np.float32)
        self.about_zero = stored(normal, dtype)
        self.about_one = stored(1 + normal, dtype)

    def write(self, file, name, shape):
        block = self.about_one if name.endswith("norm.weight") else self.about_zero
        left = int(np.prod(shape))
        while left > 0:
            start = int(self.generator.integers(BLOCK))
            for part in (block[start:], block[:start]):
                part = part[:left]
                file.write(part.data)
                left -= len(part)


def tensors(args):
    """Name and shape of each weight, in the order of the model."""
    q_width, kv_width = args.num_attention_heads * args.head_dim, args.num_key_value_heads * args.head_dim
    hidden, inner = args.hidden_size, args.intermediate_size
    yield "model.embed_tokens.weight", [args.vocab_size, hidden]
    for layer in range(args.num_hidden_layers):
        for name, shape in (
            ("self_attn.q_proj", [q_width, hidden]),
            ("self_attn.k_proj", [kv_width, hidden]),
            ("self_attn.v_proj", [kv_width, hidden]),
            ("self_attn.o_proj", [hidden, q_width]),
            ("mlp.gate_proj", [inner, hidden]),
            ("mlp.up_proj", [inner, hidden]),
            ("mlp.down_proj", [hidden, inner]),
            ("input_layernorm", [hidden]),
            ("post_attention_layernorm", [hidden]),
        ):
            yield f"model.layers.{layer}.{name}.weight", shape
    yield "model.norm.weight", [hidden]
    if not args.tie_word_embeddings:
        yield "lm_head.weight", [args.vocab_size, hidden]


def shards(sizes, wanted):
    """The tensors `(name, shape, bytes)` in lists of about equal bytes; fewer than wanted where tensors are too few."""
    total = sum(size for _, _, size in sizes)
    lists, before = [[]], 0
    for tensor in sizes:
        # The shard that the middle of the tensor falls into.
        if lists[-1] and (before + tensor[2] / 2) * wanted > total * len(lists):
            lists.append([])
        lists[-1].append(tensor)
        before += tensor[2]
    return lists


def write_shard(path, content, weights, dtype):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, shape, size in content:
        header[name] = {"dtype": DTYPES[dtype][0], "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    # Padded, so that the numbers are aligned.
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for name, shape, _ in content:
            weights.write(file, name, shape)


def config(args):
    # Llama 3 has 256 special tokens behind the others; the first two of them begin and end a text.
    special = args.vocab_size - 256
    return {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": special if special > 0 else None,
        "eos_token_id": special + 1 if special > 0 else None,
        "head_dim": args.head_dim,
        "hidden_act": "silu",
        "hidden_size": args.hidden_size,
        "initializer_range": STD,
        "intermediate_size": args.intermediate_size,
        "max_position_embeddings": args.max_position_embeddings,
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": args.num_attention_heads,
        "num_hidden_layers": args.num_hidden_layers,
        "num_key_value_heads": args.num_key_value_heads,
        "pretraining_tp": 1,
        "rms_norm_eps": 1e-05,
        "rope_scaling": None,
        "rope_theta": args.rope_theta,
        "tie_word_embeddings": args.tie_word_embeddings,
        "torch_dtype": DTYPES[args.dtype][1],
        "use_cache": True,
        "vocab_size": args.vocab_size,
    }


def write_json(path, value):
    with open(path, "w") as file:
        json.dump(value, file, indent=2)
        file.write("\n")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="where to write; must be empty or not yet there")
    parser.add_argument("--hidden-size", type=int, default=4096)
    parser.add_argument("--num-hidden-layers", type=int, default=32)
    parser.add_argument("--num-attention-heads", type=int, default=32)
    parser.add_argument("--num-key-value-heads", type=int, default=8)
    parser.add_argument("--head-dim", type=int, help="default: hidden size / heads")
    parser.add_argument("--intermediate-size", type=int, default=14336)
    parser.add_argument("--vocab-size", type=int, default=128256)
    parser.add_argument("--max-position-embeddings", type=int, default=8192)
    parser.add_argument("--rope-theta", type=float, default=500000.0)
    parser.add_argument("--tie-word-embeddings", action="store_true")
    parser.add_argument("--dtype", choices=DTYPES, default="bf16")
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.head_dim = args.head_dim or args.hidden_size // args.num_attention_heads
    sizes = (args.hidden_size, args.num_hidden_layers, args.num_attention_heads, args.num_key_value_heads, args.head_dim,
             args.intermediate_size, args.vocab_size, args.max_position_embeddings, args.shards)
    if min(sizes) < 1:
        parser.error("every size must be at least 1")
    if args.num_attention_heads % args.num_key_value_heads:
        parser.error(f"{args.num_attention_heads} query heads cannot share {args.num_key_value_heads} key and value heads equally")
    if args.head_dim % 2:
        parser.error(f"head_dim is {args.head_dim}; the rotary embedding needs an even one")
    return args


def main():
    args = arguments()
    os.makedirs(args.folder, exist_ok=True)
    if os.listdir(args.folder):
        raise SystemExit(f"{args.folder} is not empty; name a new folder")
    item = DTYPES[args.dtype][2]
    sizes = [(name, shape, item * int(np.prod(shape))) for name, shape in tensors(args)]
    total = sum(size for _, _, size in sizes)
    free = shutil.disk_usage(args.folder).free
    if total > free:
        raise SystemExit(f"{args.folder}: the weights take {total / 1e9:.1f} GB and {free / 1e9:.1f} GB are free; "
                         "name a folder on a larger disk or give smaller sizes")
    weights = Weights(args.seed, args.dtype)
    lists = shards(sizes, args.shards)
    files = [f"model-{i:05d}-of-{len(lists):05d}.safetensors" for i in range(1, len(lists) + 1)]
    if len(lists) == 1:
        files = ["model.safetensors"]
    else:
        index = {name: file for file, content in zip(files, lists) for name, _, _ in content}
        write_json(os.path.join(args.folder, "model.safetensors.index.json"),
                   {"metadata": {"total_size": total}, "weight_map": index})
    write_json(os.path.join(args.folder, "config.json"), config(args))
    for file, content in zip(files, lists):
        write_shard(os.path.join(args.folder, file), content, weights, args.dtype)
        print(f"{file}: {len(content)} tensors, {sum(size for _, _, size in content) / 1e6:.1f} MB", flush=True)


if __name__ == "__main__":
    main()
