"""llama_numpy.py with a fault in decode: with the cache, positions restart at 0 in each call after the prompt's."""

import llama_numpy
import numpy as np
# llama_numpy has put the folder of this module on the path.
from goldref_candidate import serve


def generate(params, arrays, model):
    if not params["use_cache"] or not params["max_new_tokens"]:
        return llama_numpy.generate(params, arrays, model)
    model, new = llama_numpy.load(model), arrays["input_ids"]
    batch, length = new.shape
    cache = llama_numpy.Cache(model, batch, length + params["max_new_tokens"] - 1)
    tokens = []
    for _ in range(params["max_new_tokens"]):
        # The fault: the tokens in the cache are not counted.
        new = model.next_token(new, llama_numpy.positions_from(0, new), cache)
        tokens.append(new)
    return {"tokens": np.concatenate(tokens, axis=1)}


if __name__ == "__main__":
    serve(generate=generate, model=llama_numpy.model)
