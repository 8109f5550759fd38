//! Scalars: formats and their constants, rounding, ulps, correctly rounded elementary functions, the defined sums.
//!
//! The lowest layer. Knows nothing of arrays, files or models.

mod arithmetic;
pub mod core_math;
mod double_double;
mod dtype;
mod elementary;
mod float;
pub mod json_number;
mod memory;
pub mod parallel;
mod quotients;
mod rounding;
mod slices;
mod softmax_rows;
pub mod sort;
mod stochastic;
mod stored;
mod sum;
mod ulp;

pub use double_double::DoubleDouble;
pub use dtype::Dtype;
pub use float::Float;
pub use memory::{xor_all, zeros};
pub use rounding::{round_f32, round_f64, saturate_round_f64};
pub use slices::{
    divide_each, maximum, mean_square, perturb_each, round_each, round_stochastic_each, rounded_sum, scale_each,
    softmax_each_row, subtract_each,
};
pub use stochastic::{RandomStream, perturb, round_stochastic};
pub use stored::Stored;
pub use sum::{mean, sum};
pub use ulp::{ulp, ulp_distance};
