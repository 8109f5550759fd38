//! Two sets of sites, without a model.

use super::fit::fitted;
use super::follow::{Followed, Piece};
use super::measure::{Rounds, measure};
use super::{Divergence, LeftOut, first_divergence};
use crate::error::{Error, Result};
use crate::model::order_of;
use crate::num::{Dtype, sort};
use ndarray::{Array2, ArrayD};
use std::collections::BTreeMap;

/// Roundings add up from site to site, and without a model nobody can tell how far: so many gaps of the format are taken for rounding.
const GAPS: f64 = 32.0;

/// Where the sites of two executions first differ by more than 32 gaps of `stored`, in the order of the forward pass. What was inherited cannot be known
/// without the model.
///
/// # Errors
/// No name that both have.
pub fn compare_sites(
    actual: BTreeMap<String, ArrayD<f64>>,
    expected: BTreeMap<String, ArrayD<f64>>,
    stored: Dtype,
) -> Result<Divergence> {
    let (mut sites, mut left_out, mut first) = (Vec::new(), Vec::new(), None);
    let mut absent: Vec<String> = expected.keys().filter(|name| !actual.contains_key(*name)).cloned().collect();
    sort::sort_by(&mut absent, &|a, b| order_of(a).cmp(&order_of(b)));
    let mut actual: Vec<(String, ArrayD<f64>)> = actual.into_iter().collect();
    sort::sort_by(&mut actual, &|(a, _), (b, _)| order_of(a).cmp(&order_of(b)));
    for (name, array) in actual {
        let Some(right) = expected.get(&name) else {
            left_out.push(LeftOut { name, reason: "the other file has no such array".to_string() });
            continue;
        };
        let shape = array.shape().to_vec();
        let Some(array) = fitted(array, right.shape()).filter(|array| array.ndim() > 1) else {
            let reason = format!("its shape is {shape:?}; the other's is {:?}", right.shape());
            left_out.push(LeftOut { name, reason });
            continue;
        };
        let piece = || Piece { value: right.clone(), first_row: 0, real: Array2::from_elem((0, 0), true) };
        let followed = || Followed { site: name.clone(), request: String::new(), pieces: vec![piece()] };
        let rounds = Rounds { stored, largest_position: 0.0, gaps: GAPS };
        let measured = measure(&followed(), &followed(), &array, right, &rounds);
        let mut site = measured.site_error(&followed());
        site.inherited = None;
        site.introduced = None;
        sites.push(site);
        if measured.diverges() && first.is_none() {
            first = Some(first_divergence(&followed(), &measured, stored, Vec::new()));
        }
    }
    if sites.is_empty() {
        return Err(Error::ask(
            "the two files have no array of one name and shape, and nothing compared is not a success",
        ));
    }
    Ok(Divergence { stored: stored.name(), sites, first, left_out, absent })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn sites(probs: f64) -> BTreeMap<String, ArrayD<f64>> {
        let named = |(name, x): (&str, f64)| (name.to_string(), array![[[1.0, 2.0], [x, 4.0]]].into_dyn());
        [("logits", 9.0 + probs), ("layers.0.attn.probs", 3.0 + probs), ("layers.0.attn.q", 3.0)]
            .into_iter()
            .map(named)
            .collect()
    }

    #[test]
    fn the_first_site_is_the_one_that_the_forward_pass_comes_by_first() {
        let found = compare_sites(sites(0.1), sites(0.0), Dtype::F32).unwrap();
        let first = found.first.unwrap();
        assert_eq!(
            (first.site.as_str(), first.carried_by),
            ("layers.0.attn.probs", vec!["token 1 of 2".to_string(), "key 0 of 2".to_string()])
        );
        let names: Vec<&str> = found.sites.iter().map(|site| site.site.as_str()).collect();
        assert_eq!(names, ["layers.0.attn.q", "layers.0.attn.probs", "logits"]);
        assert_eq!(found.sites.iter().map(|site| site.diverges).collect::<Vec<_>>(), [false, true, true]);
    }

    #[test]
    fn rounding_is_no_divergence_and_nothing_in_common_is_refused() {
        assert!(compare_sites(sites(1e-6), sites(0.0), Dtype::F32).unwrap().first.is_none());
        assert!(compare_sites(sites(1e-6), sites(0.0), Dtype::F64).unwrap().first.is_some());
        assert!(compare_sites(sites(f64::NAN), sites(0.0), Dtype::Bf16).unwrap().first.is_some());
        assert!(compare_sites(sites(0.0), BTreeMap::new(), Dtype::F32).is_err());
    }
}
