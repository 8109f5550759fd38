//! Rounds and records at each site.

use super::{Counter, Intervention, Numerics, Operation, Role, Rounding, Trace, Work};
use crate::linalg::arrays::{assign, values};
use crate::linalg::convert::{from_f64, to_f64};
use crate::num::parallel::in_pieces;
use crate::num::{Dtype, RandomStream, Real, perturb_each, round_each, round_stochastic_each};
use ndarray::{Array, ArrayD, ArrayViewD, ArrayViewMutD, CowArray, Dimension};
use std::cell::Cell;

/// Carries the numerics of one evaluation through the operations, and its trace if there is one.
#[derive(Debug)]
pub struct Evaluator<'t> {
    numerics: Numerics,
    trace: Option<&'t mut Trace>,
    counter: Option<&'t Counter>,
    intervention: Option<&'t mut dyn Intervention>,
    layer: Option<usize>,
    /// `layers.3.` in layer 3, nothing outside.
    scope: String,
    first_key: usize,
    /// Tensors rounded with chance so far: each has random numbers of its own.
    streams: Cell<u64>,
}

/// How far the random numbers of an evaluation are used up: several calls of one request are one evaluation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Streams(u64);

impl<'t> Evaluator<'t> {
    /// An evaluator that only rounds.
    pub fn new(numerics: Numerics) -> Self {
        Self {
            numerics,
            trace: None,
            counter: None,
            intervention: None,
            layer: None,
            scope: String::new(),
            first_key: 0,
            streams: Cell::new(0),
        }
    }

    /// An evaluator that also records into `trace`.
    pub fn with_trace(numerics: Numerics, trace: &'t mut Trace) -> Self {
        Self::new(numerics).recorded_by(trace)
    }

    /// The same evaluator, which also records into `trace`.
    #[must_use]
    pub fn recorded_by(self, trace: &'t mut Trace) -> Self {
        Self { trace: Some(trace), ..self }
    }

    /// The same evaluator, which also tells `counter` what each operation does.
    #[must_use]
    pub fn counted_by(self, counter: &'t Counter) -> Self {
        Self { counter: Some(counter), ..self }
    }

    /// The same evaluator, in which `intervention` may change what passes the sites.
    #[must_use]
    pub fn changed_by(self, intervention: &'t mut dyn Intervention) -> Self {
        Self { intervention: Some(intervention), ..self }
    }

    /// The same evaluator, whose random numbers go on where those of `before` ended.
    #[must_use]
    pub fn after(self, before: Streams) -> Self {
        Self { streams: Cell::new(before.0), ..self }
    }

    /// How far its random numbers are used up.
    pub fn streams(&self) -> Streams {
        Streams(self.streams.get())
    }

    /// An operation says what it does, to whoever counts.
    pub fn count(&self, operation: Operation, work: Work) {
        if let Some(counter) = self.counter {
            counter.add(operation, work);
        }
    }

    /// Where this evaluation rounds.
    pub fn numerics(&self) -> &Numerics {
        &self.numerics
    }

    /// From here on, sites belong to this layer: `attn.q` becomes `layers.3.attn.q`.
    pub fn enter_layer(&mut self, layer: usize) {
        self.scope = format!("layers.{layer}.");
        self.layer = Some(layer);
    }

    /// From here on, sites belong to no layer.
    pub fn leave_layers(&mut self) {
        self.scope.clear();
        self.layer = None;
    }

    /// From here on, the first column of attention's stages is this key of the sequence (a ring forgets older ones).
    pub fn keys_start_at(&mut self, first: usize) {
        self.first_key = first;
    }

    /// Whether one of these sites must see its whole tensor: somebody asked for it, or it is rounded with chance, by the
    /// place of each element in the tensor. Where none must, an operation may go through its stages piece by piece.
    pub fn observes(&self, sites: &[&str]) -> bool {
        let traced = |site: &&str| self.trace.as_ref().is_some_and(|trace| trace.wants(&self.scope, site));
        let changed = |site: &&str| self.intervention.as_ref().is_some_and(|intervention| intervention.wants(site));
        self.numerics.rounding != Rounding::Nearest || sites.iter().any(|site| traced(site) || changed(site))
    }

    /// The random numbers of the next tensor; `None` where the numerics round to nearest.
    pub(crate) fn next_stream(&self) -> Option<RandomStream> {
        match self.numerics.rounding {
            Rounding::Nearest => None,
            Rounding::Perturbed { seed } => {
                let site = self.streams.replace(self.streams.get() + 1);
                Some(RandomStream::new(seed, site))
            }
        }
    }

    /// Rounds a tensor to `dtype` as [`Rounding`] says: what a site does, for values that are stored inside an operation.
    pub fn round<T: Real>(&self, mut array: ArrayViewMutD<T>, dtype: Dtype) {
        if let Some(values) = array.as_slice_mut() {
            return self.round_each(values, dtype);
        }
        // Elements are counted by their indices, wherever they lie.
        let mut in_order = values(&array).into_owned();
        self.round_each(&mut in_order, dtype);
        let rounded = ArrayViewD::from_shape(array.shape(), &in_order).expect("as many values as before");
        assign(array.view_mut(), rounded);
    }

    /// [`Self::round`] of values in the order of their indices.
    pub fn round_each<T: Real>(&self, values: &mut [T], dtype: Dtype) {
        let narrower = dtype.precision() < T::DTYPE.precision();
        let stream = self.next_stream();
        if stream.is_none() && !narrower {
            return;
        }
        in_pieces(values, 1, &|first, values| match stream {
            None => round_each(values, dtype),
            Some(stream) if narrower => round_stochastic_each(values, dtype, stream, first as u64),
            Some(stream) => perturb_each(values, stream, first as u64),
        });
    }

    /// The tensor `value` passes the site `name`: it comes back rounded as the numerics say of `role`.
    pub fn at<T: Real, D: Dimension>(&mut self, name: &str, role: Role, mut value: Array<T, D>) -> Array<T, D> {
        match self.passed(name, role, value.view_mut().into_dyn(), D::NDIM) {
            Some(changed) => changed.into_dimensionality().unwrap_or(value),
            None => value,
        }
    }

    /// The tensor `value` passes the site `name` where it lies, unless somebody makes another one of it, of `axes` axes if these
    /// are given.
    fn passed<T: Real>(
        &mut self,
        name: &str,
        role: Role,
        mut value: ArrayViewMutD<T>,
        axes: Option<usize>,
    ) -> Option<ArrayD<T>> {
        let mut changed = self.intervene(name, &|| to_f64(&value)).map(|changed| from_f64(&changed));
        changed = changed.filter(|changed| axes.is_none_or(|axes| changed.ndim() == axes));
        let mut tensor = changed.as_mut().map_or_else(|| value.view_mut(), |changed| changed.view_mut());
        let dtype = self.numerics.dtype_of(role);
        self.round(tensor.view_mut(), dtype);
        self.record(name, role, &|| to_f64(&tensor));
        changed
    }

    /// The tensor `value` is read at the site `name`: it was rounded when it was stored. A trace keeps the last call's, which holds those of
    /// earlier calls.
    pub fn read<'a, T: Real, D: Dimension>(&mut self, name: &str, value: CowArray<'a, T, D>) -> CowArray<'a, T, D> {
        let value = match self.intervene(name, &|| to_f64(&value)) {
            Some(changed) => from_f64(&changed).into_dimensionality().map_or(value, CowArray::from),
            None => value,
        };
        if let Some(trace) = self.trace.as_deref_mut()
            && trace.wants(&self.scope, name)
        {
            trace.record_whole(format!("{}{name}", self.scope), to_f64(&value));
        }
        value
    }

    /// What the intervention makes of a site that it wants.
    fn intervene(&mut self, name: &str, widened: &dyn Fn() -> ArrayD<f64>) -> Option<ArrayD<f64>> {
        let intervention = self.intervention.as_deref_mut().filter(|intervention| intervention.wants(name))?;
        let mut value = widened();
        intervention.at(self.layer, name, &mut value);
        Some(value)
    }

    fn record(&mut self, name: &str, role: Role, widened: &dyn Fn() -> ArrayD<f64>) {
        if let Some(trace) = self.trace.as_deref_mut()
            && trace.wants(&self.scope, name)
        {
            let site = format!("{}{name}", self.scope);
            match role {
                Role::Scores | Role::Probs => trace.record_keys(site, widened(), self.first_key),
                _ => trace.record(site, widened()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, Array2, array};

    const SEEDS: std::ops::Range<u64> = 0..16;

    #[test]
    fn with_chance_a_narrow_site_keeps_what_is_exact_and_gives_neighbours_of_the_rest() {
        let inf = f32::INFINITY;
        // 1 + 2^-8 lies in the middle of bf16's 1 and 1 + 2^-7.
        let x = array![1.0f32, -0.0, 1.0 + 2f32.powi(-8), -inf, f32::NAN, 0.0, 256.0];
        let mut seen = Vec::new();
        for seed in SEEDS {
            let y =
                Evaluator::new(Numerics::stored_in(Dtype::Bf16).perturbed(seed)).at("x", Role::Activation, x.clone());
            let exact = |i: usize| y[i].to_bits() == x[i].to_bits();
            assert!([0, 1, 3, 5, 6].into_iter().all(exact) && y[4].is_nan(), "{y}");
            assert!(y[2] == 1.0 || y[2] == 1.0 + 2f32.powi(-7), "{y}");
            seen.push(y[2]);
        }
        // All 16 alike: once in 2^15.
        assert!(seen.iter().any(|y| *y != seen[0]), "{seen:?}");
    }

    #[test]
    fn with_chance_the_scalars_own_site_moves_by_a_gap_at_most_and_leaves_masks_alone() {
        let x = array![1.7f32, f32::NEG_INFINITY, 0.0, f32::NAN];
        let mut seen = Vec::new();
        for seed in SEEDS {
            let y = Evaluator::new(Numerics::plain(Dtype::F32).perturbed(seed)).at("x", Role::Scores, x.clone());
            assert!((y[0] - x[0]).abs() <= 2f32.powi(-23), "{y}");
            assert!(y[1] == f32::NEG_INFINITY && y[2].to_bits() == 0 && y[3].is_nan(), "{y}");
            seen.push(y[0]);
        }
        assert!(seen.iter().any(|y| *y != seen[0]), "{seen:?}");
    }

    #[test]
    fn an_element_has_its_number_wherever_it_lies() {
        let x = Array2::from_shape_fn((5, 70), |(i, j)| (i as f32 - 2.3) * (j as f32 + 0.7));
        for numerics in [Numerics::plain(Dtype::F32), Numerics::stored_in(Dtype::F16)] {
            for numerics in [numerics, numerics.perturbed(4)] {
                let in_order = Evaluator::new(numerics).at("x", Role::Activation, x.clone());
                let lying_across = x.t().as_standard_layout().into_owned().reversed_axes();
                assert!(lying_across.as_slice().is_none());
                assert_eq!(Evaluator::new(numerics).at("x", Role::Activation, lying_across), in_order);
                // Only f32 without chance changes nothing.
                let untouched = numerics == Numerics::plain(Dtype::F32);
                assert_eq!(in_order == x, untouched, "{numerics:?}");
            }
        }
    }

    /// Adds 1/512 at the site `x` and remembers where it was asked.
    #[derive(Debug, Default)]
    struct Shift(Vec<(Option<usize>, String)>);

    impl Intervention for Shift {
        fn wants(&self, site: &str) -> bool {
            site == "x"
        }

        fn at(&mut self, layer: Option<usize>, site: &str, value: &mut ArrayD<f64>) {
            self.0.push((layer, site.to_string()));
            *value += 1.0 / 512.0;
        }
    }

    #[test]
    fn an_intervention_changes_a_site_before_it_is_rounded_and_no_other() {
        let mut shift = Shift::default();
        let mut eval = Evaluator::new(Numerics::stored_in(Dtype::Bf16)).changed_by(&mut shift);
        assert!(eval.observes(&["x"]) && !eval.observes(&["y"]));
        // 1 + 1/512 is no bf16 number, 1/512 is.
        assert_eq!(eval.at("x", Role::Activation, array![1.0f32, 0.0]), array![1.0f32, 1.0 / 512.0]);
        assert_eq!(eval.at("y", Role::Activation, array![1.0f32, 0.0]), array![1.0f32, 0.0]);
        eval.enter_layer(3);
        // What is read was rounded when it was stored.
        let read = eval.read("x", CowArray::from(array![1.0f32]));
        assert_eq!(read, array![1.0f32 + 1.0 / 512.0]);
        assert_eq!(shift.0, [(None, "x".to_string()), (Some(3), "x".to_string())]);
    }

    #[test]
    fn of_what_is_read_a_trace_keeps_the_last() {
        let mut trace = Trace::of(["layers.0.keys"]);
        let mut eval = Evaluator::with_trace(Numerics::plain(Dtype::F64), &mut trace);
        eval.enter_layer(0);
        eval.read("keys", CowArray::from(array![[1.0f64]]));
        eval.read("keys", CowArray::from(array![[1.0f64], [2.0]]));
        assert_eq!(trace.into_arrays()["layers.0.keys"], array![[1.0], [2.0]].into_dyn());
    }

    #[test]
    fn each_site_and_each_element_has_numbers_of_its_own() {
        let x = Array1::from_elem(64, 1.5f64);
        let mut eval = Evaluator::new(Numerics::plain(Dtype::F64).perturbed(9));
        let (first, second) = (eval.at("a", Role::Activation, x.clone()), eval.at("a", Role::Activation, x.clone()));
        assert_ne!(first, second);
        assert!(first.iter().any(|y| *y != first[0]));
        let again = Evaluator::new(Numerics::plain(Dtype::F64).perturbed(9)).at("b", Role::Norm, x.clone());
        assert_eq!(first, again);
        let nearest = Evaluator::new(Numerics::plain(Dtype::F64)).at("a", Role::Activation, x.clone());
        assert_eq!(nearest, x);
    }
}
