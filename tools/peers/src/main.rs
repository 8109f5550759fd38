//! Answers one line of standard input after the other with the seconds that a piece of work took.
//!
//! A line: `matmul f64 goldref M K N` or `matmul f32 faer M K N`. The work is done once on data that stay from line to
//! line, so that runs of several programs can be interleaved by whoever asks.

use faer::linalg::matmul::matmul;
use faer::{Accum, Par};
use goldref::linalg::ProductRules;
use goldref::num::Real;
use ndarray::Array2;
use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::time::Instant;

/// Numbers of no meaning in (-1, 1), the same in each run.
fn numbers<T: Real>(rows: usize, columns: usize) -> Array2<T> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    Array2::from_shape_simple_fn((rows, columns), || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        T::from_f64((state >> 11) as f64 / (1u64 << 52) as f64 - 1.0)
    })
}

struct Operands<T> {
    known: HashMap<[usize; 3], (Array2<T>, Array2<T>)>,
}

impl<T: Real + faer::traits::ComplexField> Operands<T> {
    fn time(&mut self, peer: &str, [m, k, n]: [usize; 3]) -> Option<f64> {
        let (a, b) = self.known.entry([m, k, n]).or_insert_with(|| (numbers(m, k), numbers(k, n)));
        let begin;
        match peer {
            "goldref" => {
                begin = Instant::now();
                std::hint::black_box(goldref::linalg::matmul(a.view(), b.view(), ProductRules::exact_operands::<T>()));
            }
            "faer" => {
                let view = |x: &'_ Array2<T>| unsafe {
                    // SAFETY: a standard array of this shape, borrowed during the product.
                    faer::MatRef::from_raw_parts(x.as_ptr(), x.nrows(), x.ncols(), x.ncols() as isize, 1)
                };
                begin = Instant::now();
                // Row by row as the others have it.
                let mut out = faer::Mat::<T>::zeros(n, m);
                let one = T::from_f64(1.0);
                let threads = Par::rayon(rayon::current_num_threads());
                matmul(out.as_mut(), Accum::Replace, view(b).transpose(), view(a).transpose(), one, threads);
                std::hint::black_box(out);
            }
            _ => return None,
        }
        Some(begin.elapsed().as_secs_f64())
    }
}

fn main() {
    let mut doubles = Operands::<f64> { known: HashMap::new() };
    let mut singles = Operands::<f32> { known: HashMap::new() };
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        let words: Vec<&str> = line.split_whitespace().collect();
        let seconds = match words[..] {
            ["matmul", dtype, peer, m, k, n] => {
                let sizes = [m, k, n].map(|size| size.parse().unwrap_or(0));
                if dtype == "f64" { doubles.time(peer, sizes) } else { singles.time(peer, sizes) }
            }
            _ => None,
        };
        match seconds {
            Some(seconds) => println!("{seconds}"),
            None => println!("unknown: {line}"),
        }
        let _ = std::io::stdout().flush();
    }
}
