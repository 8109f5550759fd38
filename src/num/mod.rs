//! Scalars: formats and their constants, rounding, ulps, correctly rounded elementary functions, the defined sums.
//!
//! The lowest layer. Knows nothing of arrays, files or models.

mod double_double;
mod dtype;
mod elementary;
pub mod json_number;
mod memory;
pub mod parallel;
mod quotients;
mod real;
mod rounding;
pub mod sort;
mod stochastic;
mod stored;
mod sum;
mod ulp;

pub use double_double::DoubleDouble;
pub use dtype::Dtype;
pub(crate) use memory::zeros;
pub use quotients::divide_each;
pub use real::Real;
pub use rounding::{round_each, round_f32, round_f64, saturate_round_f64};
pub use stochastic::{RandomStream, perturb, round_stochastic};
pub(crate) use stochastic::{perturb_each, round_stochastic_each};
pub use stored::Stored;
pub use sum::{maximum, mean, mean_square, sum};
pub use ulp::{ulp, ulp_distance};
