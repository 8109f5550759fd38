//! Somebody who stands at the sites and may put other values there.

use ndarray::ArrayD;
use std::fmt::Debug;

/// Sees what passes chosen sites, before it is rounded, and may change it.
///
/// So a wrong formula is put beside the right one without a branch in the reference, and a site is computed from somebody else's inputs.
pub trait Intervention: Debug {
    /// Whether it wants to see this site: `attn.scores`, in whatever layer.
    fn wants(&self, site: &str) -> bool;

    /// The tensor that passes `site` in `layer`, `None` outside the layers, exactly widened. What is left in `value` goes on, in the scalar that
    /// computes.
    fn at(&mut self, layer: Option<usize>, site: &str, value: &mut ArrayD<f64>);
}
