//! Arrays of other programs in the shapes of the sites.

use ndarray::{ArrayD, Axis, IxDyn, Slice};

/// The array in `shape`, where it is the same numbers laid out in another usual way: heads merged `[batch, len, heads · head_dim]` or behind the tokens
/// `[batch, len, heads, head_dim]`, keys repeated for each query head, tokens of a batch in one axis, no batch.
pub(super) fn fitted(array: ArrayD<f64>, shape: &[usize]) -> Option<ArrayD<f64>> {
    if array.shape() == shape {
        return Some(array);
    }
    let given = array.shape().to_vec();
    // One request alone often has no axis for it.
    if shape.first() == Some(&1) && given.as_slice() == &shape[1..] {
        return Some(array.insert_axis(Axis(0)));
    }
    match *shape {
        [batch, len, width] => {
            let merged = match *given {
                [b, l, h, d] => b == batch && l == len && h * d == width,
                [tokens, w] => tokens == batch * len && w == width,
                _ => false,
            };
            if merged { reshaped(&array, &[batch, len, width]) } else { None }
        }
        [batch, heads, len, width] => match *given {
            [b, l, merged] if b == batch && l == len && merged == heads * width => {
                Some(heads_first(reshaped(&array, &[batch, len, heads, width])?))
            }
            [tokens, merged] if tokens == batch * len && merged == heads * width => {
                Some(heads_first(reshaped(&array, &[batch, len, heads, width])?))
            }
            [b, l, h, w] if (b, l, h, w) == (batch, len, heads, width) => Some(heads_first(array)),
            // Each key head stands there once for each query head that reads it.
            [b, h, l, w] if (b, l, w) == (batch, len, width) && h > heads && h % heads == 0 => {
                let every = (h / heads) as isize;
                Some(array.slice_axis(Axis(1), Slice::from(..).step_by(every)).as_standard_layout().into_owned())
            }
            _ => None,
        },
        _ => None,
    }
}

fn reshaped(array: &ArrayD<f64>, shape: &[usize]) -> Option<ArrayD<f64>> {
    array.as_standard_layout().into_owned().into_shape_with_order(IxDyn(shape)).ok()
}

/// `[batch, len, heads, head_dim]` as `[batch, heads, len, head_dim]`.
fn heads_first(array: ArrayD<f64>) -> ArrayD<f64> {
    array.permuted_axes(IxDyn(&[0, 2, 1, 3])).as_standard_layout().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array4;

    fn site() -> ArrayD<f64> {
        Array4::from_shape_fn((2, 4, 3, 5), |(b, h, t, d)| (1000 * b + 100 * h + 10 * t + d) as f64).into_dyn()
    }

    #[test]
    fn usual_layouts_of_heads_are_the_same_site() {
        let site = site();
        let behind = site.clone().permuted_axes(IxDyn(&[0, 2, 1, 3])).as_standard_layout().into_owned();
        let merged = reshaped(&behind, &[2, 3, 20]).unwrap();
        let tokens = reshaped(&behind, &[6, 20]).unwrap();
        for given in [site.clone(), behind.clone(), merged.clone(), tokens] {
            assert_eq!(fitted(given, &[2, 4, 3, 5]).unwrap(), site);
        }
        // A stream that is not split.
        assert_eq!(fitted(behind, &[2, 3, 20]).unwrap(), merged);
    }

    #[test]
    fn repeated_heads_are_taken_once_and_a_single_request_needs_no_axis() {
        let site = site();
        let repeated = Array4::from_shape_fn((2, 8, 3, 5), |(b, h, t, d)| site[[b, h / 2, t, d]]).into_dyn();
        assert_eq!(fitted(repeated, &[2, 4, 3, 5]).unwrap(), site);
        let alone = site.index_axis(Axis(0), 1).to_owned();
        assert_eq!(fitted(alone.clone(), &[1, 4, 3, 5]).unwrap().index_axis(Axis(0), 0), alone);
    }

    #[test]
    fn what_has_other_numbers_does_not_fit() {
        for shape in [&[2, 4, 3, 6][..], &[4, 3, 5, 2], &[2, 60], &[120]] {
            assert_eq!(fitted(site(), shape), None, "{shape:?}");
        }
    }
}
