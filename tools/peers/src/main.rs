//! Answers one line of standard input after the other with one number: the seconds that a piece of work took.
//!
//! | line | work |
//! |---|---|
//! | `matmul DTYPE PEER M K N` | a product; PEER is `goldref`, `faer` or `candle` |
//! | `attention DTYPE PEER HEADS LENGTH HEAD_DIM` | causal attention; PEER is `goldref`, `candle` or `candle-flash` |
//! | `prefill VARIANT FOLDER PROMPT` | a prompt in one call of goldref's model |
//! | `decode VARIANT FOLDER PROMPT TOKENS` | the prompt, then tokens one by one with a cache, greedy |
//! | `peak` | no work: the most memory that this process has had resident, in bytes |
//!
//! The work is done once, on data that stay from line to line but for the tensors of attention, so that runs of several programs
//! can be interleaved by whoever asks.

mod attention;
mod matmul;
mod models;
mod numbers;

use std::io::{BufRead, Write};

/// A size, at least 1.
fn size(word: &str) -> usize {
    word.parse().ok().filter(|&size| size > 0).unwrap_or(1)
}

/// The peak of the resident memory as Linux counts it.
fn peak_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024.0)
}

fn main() {
    let mut products = matmul::Products::default();
    let mut models = models::Models::default();
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match words[..] {
            ["matmul", dtype, peer, m, k, n] => products.seconds(dtype, peer, [m, k, n].map(size)),
            ["attention", dtype, peer, heads, len, dim] => attention::seconds(dtype, peer, [heads, len, dim].map(size)),
            ["prefill", variant, folder, prompt] => models.seconds(variant, folder, size(prompt), 0),
            ["decode", variant, folder, prompt, tokens] => models.seconds(variant, folder, size(prompt), size(tokens)),
            ["peak"] => peak_bytes(),
            _ => None,
        };
        match answer {
            Some(answer) => println!("{answer}"),
            None => println!("cannot answer: {line}"),
        }
        let _ = std::io::stdout().flush();
    }
}
