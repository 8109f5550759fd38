//! A speed-up is not had for nothing: programs that cheat, each in its own way, earn nothing, and an honest one loses no token.

use super::{Desk, python_can};
use serde_json::Value;
use std::fs;

/// Around each cheat: `right(ids, count, use_cache)` computes as an honest submission does.
const AROUND: &str = "
import sys, time
import numpy as np
import real
from goldref_candidate import serve

def right(ids, count, use_cache, model):
    return real.generate({'max_new_tokens': count, 'use_cache': use_cache}, {'input_ids': ids}, model)['tokens']

state = {}

def generate(params, arrays, model):
    ids, count, cached = arrays['input_ids'], params['max_new_tokens'], params['use_cache']
";

/// Programs whose tokens are not all right, and what must be said of each.
const WRONG_TOKENS: &[(&str, &str, &str)] = &[
    ("zeros at once", "return {'tokens': np.zeros((1, count), np.int64)}", "with the cache, token "),
    (
        "zeros at once, but for the prefill and without the cache",
        "return {'tokens': np.zeros((1, count), np.int64) if cached and count > 1 else right(ids, count, cached, model)}",
        "with the cache, token ",
    ),
    (
        "the first token, then others",
        "if not cached: return {'tokens': right(ids, count, False, model)}\n    first = right(ids, 1, True, model)\n    return {'tokens': np.concatenate([first, np.zeros((1, count - 1), np.int64)], axis=1)}",
        "with the cache, token ",
    ),
    (
        "the first half, then its last token",
        "if not cached: return {'tokens': right(ids, count, False, model)}\n    half = right(ids, (count + 1) // 2, True, model)\n    rest = np.repeat(half[:, -1:], count - half.shape[1], axis=1)\n    \
         return {'tokens': np.concatenate([half, rest], axis=1)}",
        "with the cache, token ",
    ),
    (
        "the first half, again",
        "if not cached: return {'tokens': right(ids, count, False, model)}\n    half = right(ids, (count + 1) // 2, True, model)\n    return {'tokens': np.concatenate([half, half], axis=1)[:, :count]}",
        "with the cache, token ",
    ),
    (
        "the first token again and again",
        "if not cached: return {'tokens': right(ids, count, False, model)}\n    return {'tokens': np.repeat(right(ids, 1, True, model), count, axis=1)}",
        "with the cache, token ",
    ),
    (
        "a table of earlier prompts, by their first token",
        "key = (int(ids[0, 0]) % 2, ids.shape[1], count)\n    if key not in state: state[key] = right(ids, count, cached, model)\n    \
         return {'tokens': state[key]}",
        "the cache, token ",
    ),
    (
        "the answer of the prefill before",
        "if count == 1: state['prompt'] = ids\n    return {'tokens': right(state['prompt'], count, cached, model)}",
        "with the cache, token ",
    ),
    (
        "right with the cache only",
        "return {'tokens': right(ids, count, True, model) if cached else np.full((1, count), 7, np.int64)}",
        "without the cache, token ",
    ),
    (
        "right without the cache only",
        "return {'tokens': np.full((1, count), 7, np.int64) if cached and count > 1 else right(ids, count, cached, model)}",
        "with the cache, token ",
    ),
    (
        "the last 16 tokens alone, with the cache",
        "return {'tokens': right(ids[:, -16:] if cached and count > 1 else ids, count, cached, model)}",
        "behind a prompt of 120 is wrong",
    ),
    (
        "right until the last question",
        "state['asked'] = state.get('asked', 0) + 1\n    tokens = right(ids, count, cached, model)\n    \
         if state['asked'] == 18: tokens[0, -1] = (tokens[0, -1] + 1) % 43\n    return {'tokens': tokens}",
        "without the cache, token 10 of 10 behind a prompt of 120 is wrong",
    ),
    (
        "wrong only while it warms up",
        "state['asked'] = state.get('asked', 0) + 1\n    tokens = right(ids, count, cached, model)\n    \
         if state['asked'] == 2: tokens[0, -1] = (tokens[0, -1] + 1) % 43\n    return {'tokens': tokens}",
        "with the cache, token 10 of 10 behind a prompt of 12 is wrong",
    ),
    (
        "a draft whose last token nobody checks",
        "tokens = right(ids, count, cached, model)\n    if count > 1: tokens[0, -1] = tokens[0, -2]\n    return {'tokens': tokens}",
        "token 10 of 10 behind a prompt of ",
    ),
];

/// Answers that are no tokens.
const NO_TOKENS: &[(&str, &str, &str)] = &[
    ("floats", "return {'tokens': right(ids, count, cached, model) + 1e-7}", "they must be integers"),
    (
        "floats that are whole",
        "return {'tokens': right(ids, count, cached, model).astype(float)}",
        "they must be integers",
    ),
    ("truths", "return {'tokens': right(ids, count, cached, model) > 0}", "they must be integers"),
    (
        "eight bits too few",
        "return {'tokens': (right(ids, count, cached, model) + 250).astype(np.int8)}",
        "none of the vocabulary's",
    ),
    ("negative", "return {'tokens': right(ids, count, cached, model) - 43}", "none of the vocabulary's"),
    ("beyond the vocabulary", "return {'tokens': right(ids, count, cached, model) + 43}", "none of the vocabulary's"),
    (
        "beyond 64 bits",
        "return {'tokens': right(ids, count, cached, model).astype(np.uint64) + np.uint64(1 << 63)}",
        "they must be integers",
    ),
    ("one too few", "return {'tokens': right(ids, count, cached, model)[:, 1:]}", "they must be [1, "),
    ("one too many", "return {'tokens': right(ids, count + 1, cached, model)}", "they must be [1, "),
    ("without the batch", "return {'tokens': right(ids, count, cached, model)[0]}", "they must be [1, "),
    ("under another name", "return {'token': right(ids, count, cached, model)}", "no array \"tokens\""),
];

/// An assignment whose one measured part earns all its points for next to no speed-up.
fn desk(part: &str) -> Desk {
    let part = format!(
        "[[part]]\nid = \"d\"\ntitle = \"speed-up\"\npoints = 10\n[part.speedup]\nmodel = \"{}\"\nrepeats = 2\n{part}\n",
        crate::root().join("fixtures/decode/models/llama").display()
    );
    let desk = Desk::with(1, 0, "read = [\"lib\"]\nenvironment = { PYTHONPATH = \"{assignment}/lib\" }", &part);
    let lib = desk.staff().join("lib");
    fs::create_dir(&lib).unwrap();
    for (from, to) in
        [("tools/goldref_candidate.py", "goldref_candidate.py"), ("tests/submissions/llama_numpy.py", "real.py")]
    {
        fs::copy(crate::root().join(from), lib.join(to)).unwrap();
    }
    desk
}

const QUICK: &str = "prompts = [12, 120]\ngenerate = 10\nladder = { \"0.01\" = 1 }";

/// What is said of the measured part.
fn graded(desk: &Desk, body: &str) -> Value {
    let program = format!("{AROUND}    {body}\n\nserve(generate=generate)\n");
    let (report, _) = desk.graded(&desk.program("student", &program), &[]);
    report["parts"][1].clone()
}

#[test]
fn whoever_is_quick_with_other_tokens_earns_nothing() {
    if !python_can("import numpy") {
        return;
    }
    let desk = desk(QUICK);
    for (name, body, said) in WRONG_TOKENS {
        let part = graded(&desk, body);
        let in_short = part["in_short"].as_str().unwrap();
        assert_eq!(part["points"], "0", "{name}: {part}");
        assert!(in_short.contains(said) && in_short.contains(" is wrong: "), "{name}: {in_short}");
    }
}

#[test]
fn whoever_answers_without_tokens_earns_nothing() {
    if !python_can("import numpy") {
        return;
    }
    let desk = desk(QUICK);
    for (name, body, said) in NO_TOKENS {
        let part = graded(&desk, body);
        let in_short = part["in_short"].as_str().unwrap();
        assert_eq!(part["points"], "0", "{name}: {part}");
        assert!(in_short.starts_with("no speed-up: ") && in_short.contains(said), "{name}: {in_short}");
    }
}

#[test]
fn of_an_honest_program_every_token_is_right() {
    if !python_can("import numpy") {
        return;
    }
    let part = graded(&desk(QUICK), "return {'tokens': right(ids, count, cached, model)}");
    // 2 prompts, 3 runs of one token, 10 with the cache and 10 without.
    let tokens = part["speed_up"]["tokens"].as_str().unwrap();
    assert!(tokens.starts_with("126 tokens of 18 answers judged: all right, "), "{part}");
    assert!(
        part["speed_up"]["seed"].as_u64().is_some() && part["in_short"].as_str().unwrap().contains(" × at 120 tokens")
    );
}

#[test]
fn waiting_earns_nothing() {
    if !python_can("import numpy") {
        return;
    }
    // A cache could have a ratio of 12; without one no more of a pass is believed than goldref takes itself.
    let desk = desk("prompts = [12, 600]\ngenerate = 12\nslow_factor = 1\nladder = { \"6\" = 1 }");
    for (name, body) in [
        (
            "without the cache slowed",
            "begin = time.monotonic()\n    tokens = right(ids, count, False, model)\n    \
             if not cached: time.sleep(20 * (time.monotonic() - begin))\n    return {'tokens': tokens}",
        ),
        (
            "the prefill slowed as well",
            "if cached: return {'tokens': right(ids, max(count, 12), False, model)[:, :count]}\n    \
             tokens = right(ids, count, False, model)\n    time.sleep(1.5)\n    return {'tokens': tokens}",
        ),
        (
            "slow behind the short prompt, so that nothing grows",
            "tokens = right(ids, count, False, model)\n    \
             if ids.shape[1] == 12: time.sleep(0.01 * count)\n    elif not cached: time.sleep(0.5)\n    return {'tokens': tokens}",
        ),
    ] {
        let part = graded(&desk, body);
        assert_eq!(part["points"], "0", "{name}: {part}");
        assert!(!part["speed_up"].is_null(), "{name}: {part}");
    }
}

#[test]
fn too_short_to_tell_earns_nothing_and_says_so() {
    if !python_can("import numpy") {
        return;
    }
    // One prompt cannot tell how times grow.
    let desk = desk("prompts = [40]\ngenerate = 4\nladder = { \"0.001\" = 1 }");
    let part = graded(&desk, "return {'tokens': right(ids, count, cached, model)}");
    assert_eq!(part["points"], "0");
    let said = part["in_short"].as_str().unwrap();
    assert!(
        said.starts_with("the prompts of the assignment are too short to tell") && said.contains("longer ones would"),
        "{said}"
    );
}

#[test]
fn a_speed_up_that_tells_nothing_is_refused() {
    let refused = |part: &str| {
        let desk = desk(part);
        let output = desk.grade().arg("--submission").arg(desk.program("student", "")).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{part}");
        String::from_utf8(output.stderr).unwrap()
    };
    let said = refused("prompts = [2, 7]\ngenerate = 4\nladder = { \"2\" = 1 }");
    assert!(
        said.contains("a prompt of 7 tokens, of a vocabulary of 43, is so short that a table could hold all answers"),
        "{said}"
    );
    let said = refused("prompts = [12]\ngenerate = 4\nslow_factor = -1\nladder = { \"2\" = 1 }");
    assert!(said.contains("slow_factor is -1"), "{said}");
}
