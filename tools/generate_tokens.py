"""Writes fixtures/generate: greedy tokens behind prompts, with a KV cache and without.

    python tools/generate_tokens.py [DST]

Tokens come from NumPy in f64 (oracle_models_numpy.py), which computes everything anew for each token and has no cache; the same model through a
cache, call by call (faulty_models.py without a fault), attests them. Checkpoints are those
of fixtures/decode. Every token leads by a margin that no f32 rounding bridges, so that an f32 program has one answer.
"""

import hashlib
import pathlib
import shutil
import sys

import numpy as np

import faulty_models
from npz_write import Suite
from oracle_models_numpy import Model, read_checkpoint

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures"
ABOUT = ("Greedy tokens behind prompts, with the cache and without: each is the largest logit behind the prompt and the tokens before it; "
         "a token that rounding cannot bring about is wrong")
# Between the two largest logits, at least: hundreds of times what f32 moves them by.
MARGIN = 0.02
DRAFT = 4


def last_logits(model, ids):
    return model.forward(ids)["logits"][:, -1]


def greedy(model, prompt, count):
    """The tokens, and the smallest margin between the two largest logits."""
    ids, margin = prompt, np.inf
    for _ in range(count):
        logits = last_logits(model, ids)
        two = np.sort(logits, axis=-1)[:, -2:]
        margin = min(margin, (two[:, 1] - two[:, 0]).min())
        ids = np.concatenate([ids, logits.argmax(axis=-1)[:, None]], axis=1)
    return ids[:, prompt.shape[1]:], margin


def sloppy(model, draft, prompt, count):
    """A drafting decoder that also accepts the second-best token: what must not pass."""
    ids, end = prompt, prompt.shape[1] + count
    while ids.shape[1] < end:
        ahead, _ = greedy(draft, ids, DRAFT)
        for token in ahead[0]:
            logits = last_logits(model, ids)[0]
            accepted = token in np.argsort(logits)[-2:]
            ids = np.concatenate([ids, [[token if accepted else logits.argmax()]]], axis=1)
            if not accepted:
                break
    return ids[:, prompt.shape[1]:end]


def told(tokens):
    """Not the same few tokens again and again: the last half has several."""
    return all(len(set(row[len(row) // 2:])) >= 4 for row in tokens)


def drawn(model, shape, count, seed):
    """The first random prompt behind which every token has its margin."""
    rng = np.random.default_rng(seed)
    while True:
        prompt = rng.integers(0, model.c["vocab_size"], shape)
        tokens, margin = greedy(model, prompt, count)
        if margin >= MARGIN and told(tokens):
            return prompt, tokens


def drawn_late(model, draft, length, count, seed):
    """The first random prompt behind which the sloppy decoder is right for long and then is not."""
    rng = np.random.default_rng(seed)
    while True:
        prompt = rng.integers(0, model.c["vocab_size"], (1, length))
        slips = np.flatnonzero((sloppy(model, draft, prompt, count) != (tokens := greedy(model, prompt, count))[0])[0])
        if tokens[1] >= MARGIN and told(tokens[0]) and slips.size and slips[0] >= count * 2 // 3:
            return prompt, tokens[0], int(slips[0])


def attested(folder, prompt, tokens):
    """How far the tokens through a cache are from these, largest difference: 0 or the run ends."""
    ids, length = np.concatenate([prompt, tokens[:, :-1]], axis=1), prompt.shape[1]
    steps = [length] + [1] * (tokens.shape[1] - 1)
    logits, = faulty_models.run(folder, None, [faulty_models.Request(ids, steps=steps)])
    distance = np.abs(logits[:, length - 1:].argmax(axis=-1) - tokens).max()
    assert distance == 0, folder
    return float(distance)


def main(destination):
    suite = Suite(destination, "generate", ABOUT)
    models = {}
    for name in ("llama", "gpt2"):
        folder = pathlib.Path(destination) / "models" / name
        shutil.copytree(FIXTURES / "decode" / "models" / name, folder, dirs_exist_ok=True)
        models[name] = (Model(*read_checkpoint(folder)), {
            f"models/{name}/{file.name}": hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())})

    def add(case_id, name, prompt, tokens, use_cache, seed, flags=()):
        suite.add(case_id, "generate", {"model": f"models/{name}", "max_new_tokens": tokens.shape[1], "use_cache": use_cache},
                  {"input_ids": prompt.astype(np.int64)}, {"tokens": tokens.astype(np.int64)}, seed=seed, flags=flags,
                  computed_by=f"NumPy {np.__version__} f64, tools/oracle_models_numpy.py",
                  attested_by=f"NumPy {np.__version__} f64 through a cache, tools/faulty_models.py",
                  distance=attested(pathlib.Path(destination) / "models" / name, prompt, tokens))
        suite.cases[-1]["sha256"].update(models[name][1])

    llama, gpt2 = models["llama"][0], models["gpt2"][0]
    for use_cache, words in ((True, "with_cache"), (False, "without_cache")):
        prompt, tokens = drawn(llama, (2, 11), 12, 9801)
        add(f"two_prompts_{words}", "llama", prompt, tokens, use_cache, 9801)
    prompt, tokens = drawn(llama, (1, 1), 16, 9802)
    add("one_token_with_cache", "llama", prompt, tokens, True, 9802)
    prompt, tokens = drawn(gpt2, (1, 6), 10, 9803)
    add("learned_positions_with_cache", "gpt2", prompt, tokens, True, 9803)
    draft = Model(*read_checkpoint(pathlib.Path(destination) / "models" / "llama"))
    draft.layers = 1
    prompt, tokens, slip = drawn_late(llama, draft, 14, 18, 9804)
    add("draft_that_is_second_best_late", "llama", prompt, tokens, True, 9804, flags=[f"slips_at_token_{slip + 1}"])
    suite.close()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else FIXTURES / "generate")
