//! Products of goldref, faer and candle.

use crate::numbers::numbers;
use candle_core::{Device, Tensor, WithDType};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatRef, Par};
use goldref::linalg::ProductRules;
use goldref::num::Real;
use ndarray::Array2;
use std::collections::HashMap;
use std::hint::black_box;
use std::time::Instant;

/// The operands of earlier lines, by sizes.
#[derive(Default)]
pub struct Products {
    doubles: HashMap<[usize; 3], Operands<f64>>,
    singles: HashMap<[usize; 3], Operands<f32>>,
}

impl Products {
    /// One product; `None` for a peer or a format that is not known.
    pub fn seconds(&mut self, dtype: &str, peer: &str, sizes: [usize; 3]) -> Option<f64> {
        match dtype {
            "f64" => self.doubles.entry(sizes).or_insert_with(|| Operands::new(sizes)).seconds(peer),
            "f32" => self.singles.entry(sizes).or_insert_with(|| Operands::new(sizes)).seconds(peer),
            _ => None,
        }
    }
}

/// a `[m, k]` and b `[k, n]`, for candle once more.
struct Operands<T> {
    a: Array2<T>,
    b: Array2<T>,
    of_candle: Option<[Tensor; 2]>,
}

impl<T: Real + faer::traits::ComplexField + WithDType> Operands<T> {
    fn new([m, k, n]: [usize; 3]) -> Self {
        Self { a: numbers(m, k), b: numbers(k, n), of_candle: None }
    }

    fn seconds(&mut self, peer: &str) -> Option<f64> {
        match peer {
            "goldref" => {
                let begin = Instant::now();
                black_box(goldref::linalg::matmul(self.a.view(), self.b.view(), ProductRules::exact_operands::<T>()));
                Some(begin.elapsed().as_secs_f64())
            }
            "faer" => {
                let begin = Instant::now();
                // Row by row as the others have it.
                let mut out = faer::Mat::<T>::zeros(self.b.ncols(), self.a.nrows());
                let (a, b) = (of_faer(&self.a), of_faer(&self.b));
                let threads = Par::rayon(rayon::current_num_threads());
                matmul(out.as_mut(), Accum::Replace, b.transpose(), a.transpose(), goldref::num::Float::from_f64(1.0), threads);
                black_box(out);
                Some(begin.elapsed().as_secs_f64())
            }
            "candle" => {
                if self.of_candle.is_none() {
                    self.of_candle = Some([of_candle(&self.a)?, of_candle(&self.b)?]);
                }
                let [a, b] = self.of_candle.as_ref()?;
                let begin = Instant::now();
                black_box(a.matmul(b).ok()?);
                Some(begin.elapsed().as_secs_f64())
            }
            _ => None,
        }
    }
}

fn of_faer<T>(x: &Array2<T>) -> MatRef<'_, T> {
    // SAFETY: the array is in standard layout, so element (i, j) lies at i · columns + j; it is borrowed as long as the view.
    unsafe { MatRef::from_raw_parts(x.as_ptr(), x.nrows(), x.ncols(), x.ncols() as isize, 1) }
}

fn of_candle<T: WithDType>(x: &Array2<T>) -> Option<Tensor> {
    Tensor::from_slice(x.as_slice()?, x.dim(), &Device::Cpu).ok()
}
