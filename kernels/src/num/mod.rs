//! Scalars: formats and their constants, rounding, ulps, correctly rounded elementary functions, the defined sums.
//!
//! The lowest layer. Knows nothing of arrays, files or models.

pub mod core_math;
mod double_double;
mod dtype;
mod elementary;
mod float;
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
pub use memory::zeros;
pub use rounding::{round_f32, round_f64, saturate_round_f64};
pub use slices::{
    divide_each, mean_square, perturb_each, round_each, round_stochastic_each, scale_each, softmax_each_row,
};
pub use stochastic::{RandomStream, perturb, round_stochastic};
pub use stored::Stored;
pub use sum::{maximum, mean, sum};
pub use ulp::{ulp, ulp_distance};
