"""llama_numpy.py with a cache in name only: `use_cache` changes nothing, each token costs a whole pass."""

import llama_numpy
# llama_numpy has put the folder of this module on the path.
from goldref_candidate import serve


def generate(params, arrays, model):
    return llama_numpy.generate({**params, "use_cache": False}, arrays, model)


if __name__ == "__main__":
    serve(generate=generate, model=llama_numpy.model)
