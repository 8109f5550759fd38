//! What the candidate adds at one site, beside what rounding adds.

use super::SiteError;
use super::follow::{Followed, Piece, beside, over_keys};
use super::place::{Place, Row};
use crate::num::{Dtype, round_f64};
use ndarray::{Array1, ArrayD, ArrayViewD};

/// Right programs add in another order and their elementary functions are off by a place or two: so many times what the reference is off by in f32.
const ORDER: f64 = 8.0;
/// A finite number from here down stands for a masked score.
const MASKED: f64 = -1e4;
/// An element is a part of a wrong row if it is off by so many times what the row may be.
const ELEMENT: f64 = 3.0;

/// What a right program rounds here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rounds {
    pub(super) stored: Dtype,
    pub(super) largest_position: f64,
    /// Roundings of a site and within it, in root mean square a third of a gap each: so many gaps of the format in all.
    pub(super) gaps: f64,
}

impl Rounds {
    /// The root mean square that a row may be off by; `local` is what the reference in f32 is off by in the worst row of the site.
    fn allowed(&self, site: &str, local: f64, size: f64) -> f64 {
        // The order of sums matters in the format that computes: f64, and f32 below it.
        let arithmetic = if self.stored == Dtype::F64 { Dtype::F64 } else { Dtype::F32 };
        let order = ORDER * local * arithmetic.eps() / Dtype::F32.eps();
        // An angle of `position` radians is rounded before its sine is taken.
        let angle = if site.ends_with("_rope") { self.largest_position * arithmetic.eps() } else { 0.0 };
        order + (self.gaps * self.stored.eps() + angle) * size + self.stored.smallest_subnormal()
    }
}

/// Sums over the compared elements of a site.
#[derive(Debug, Default)]
pub(super) struct Measured {
    pub(super) place: Place,
    total: Square,
    inherited: Square,
    introduced: Square,
    right: Square,
    /// What was added over what may be, in the worst row.
    worst: f64,
    /// Elements where one side is not finite.
    not_finite: bool,
    /// ⟨candidate, value⟩ and ‖value‖².
    along: f64,
    value: f64,
    candidate: Vec<f64>,
    computed: Vec<f64>,
}

/// A sum of squares and its terms.
#[derive(Debug, Default, Clone, Copy)]
struct Square(f64);

impl Square {
    fn add(&mut self, x: f64) {
        self.0 += x * x;
    }

    fn over(self, other: Self) -> Option<f64> {
        let share = (self.0 / other.0).sqrt();
        if self.0 == 0.0 { Some(0.0) } else { Some(share).filter(|share| share.is_finite()) }
    }
}

/// How two elements stand to each other.
enum Pair {
    Numbers,
    /// Both masked, or both the same infinity, or both no number.
    Alike,
    Unlike,
}

fn pair(candidate: f64, value: f64) -> Pair {
    if candidate.is_finite() && value.is_finite() {
        return Pair::Numbers;
    }
    let masked = value == f64::NEG_INFINITY && candidate <= MASKED;
    let alike = masked || candidate == value || (candidate.is_nan() && value.is_nan());
    if alike { Pair::Alike } else { Pair::Unlike }
}

/// Compares the candidate with what the oracle has from the candidate's inputs (`followed`, and in f32 `narrow`) and from its own (`right`).
pub(super) fn measure(
    followed: &Followed,
    narrow: &Followed,
    candidate: &ArrayD<f64>,
    right: &ArrayD<f64>,
    rounds: &Rounds,
) -> Measured {
    let mut measured = Measured::default();
    let local = followed.pieces.iter().zip(&narrow.pieces).map(|(wide, narrow)| worst_rounding(wide, narrow));
    let local = local.fold(0.0, |worst: f64, rms| if rms > worst { rms } else { worst });
    for piece in &followed.pieces {
        let (Some(candidate), Some(right)) = (beside(candidate, piece), beside(right, piece)) else { continue };
        let lanes = lanes(&candidate).zip(lanes(&piece.value.view())).zip(lanes(&right));
        for (at, ((candidate, value), right)) in rows(piece).into_iter().zip(lanes) {
            let Some(at) = at else { continue };
            let allowed = |size: f64| rounds.allowed(&followed.site, local, size);
            measured.add(at, [&candidate, &value, &right], real_keys(&followed.site, piece, at), allowed);
        }
    }
    measured
}

/// Root mean square of what f32 makes of a site, in its worst row.
fn worst_rounding(wide: &Piece, narrow: &Piece) -> f64 {
    let mut worst = 0.0;
    let lanes = lanes(&wide.value.view()).zip(lanes(&narrow.value.view()));
    for (_, (wide, narrow)) in rows(wide).into_iter().zip(lanes).filter(|(at, _)| at.is_some()) {
        let (mut sum, mut count) = (0.0, 0.0);
        for (a, b) in wide.iter().zip(&narrow).filter(|(a, b)| a.is_finite() && b.is_finite()) {
            sum += (a - b) * (a - b);
            count += 1.0;
        }
        if count > 0.0 && (sum / count).sqrt() > worst {
            worst = (sum / count).sqrt();
        }
    }
    worst
}

/// The rows of an array in order.
fn lanes(array: &ArrayViewD<f64>) -> std::vec::IntoIter<Array1<f64>> {
    let [outer @ .., width] = array.shape() else { return Vec::new().into_iter() };
    let elements: Vec<f64> = array.iter().copied().collect();
    let mut rows = Vec::new();
    for row in 0..outer.iter().product() {
        rows.push(Array1::from(elements[row * width..][..*width].to_vec()));
    }
    rows.into_iter()
}

/// The place of each row, in order; `None` where its token is padding.
fn rows(piece: &Piece) -> Vec<Option<Row>> {
    let shape = piece.value.shape();
    let [outer @ .., len, _] = shape else { return Vec::new() };
    let each: usize = outer.iter().skip(1).product();
    (0..outer.iter().product::<usize>() * len)
        .map(|number| {
            let batch = if outer.is_empty() { 0 } else { number / (each * len) };
            let head = (outer.len() == 2).then(|| number / len % each);
            let row = Row { batch, head, row: piece.first_row + number % len };
            is_real(piece, batch, row.row).then_some(row)
        })
        .collect()
}

/// Whether a token is no padding. Rotary tables have one row for all requests.
fn is_real(piece: &Piece, batch: usize, token: usize) -> bool {
    piece.real.get((batch, token)).copied().unwrap_or(true)
}

/// Which columns are real tokens, where columns are keys.
fn real_keys(site: &str, piece: &Piece, at: Row) -> Option<Vec<bool>> {
    let columns = piece.value.shape().last().copied().unwrap_or(0);
    over_keys(site).then(|| (0..columns).map(|key| is_real(piece, at.batch, key)).collect())
}

impl Measured {
    fn add(
        &mut self,
        at: Row,
        [candidate, value, right]: [&Array1<f64>; 3],
        real_keys: Option<Vec<bool>>,
        allowed: impl Fn(f64) -> f64,
    ) {
        let compared = |column: usize| real_keys.as_ref().is_none_or(|real| real[column]);
        let (mut sum, mut size, mut count, mut unlike) = (0.0, 0.0, 0.0, false);
        for (column, (&c, &v)) in candidate.iter().zip(value).enumerate().filter(|(column, _)| compared(*column)) {
            match pair(c, v) {
                Pair::Alike => {}
                Pair::Unlike => unlike = true,
                Pair::Numbers => {
                    sum += (c - v) * (c - v);
                    size += v * v;
                    count += 1.0;
                    self.introduced.add(c - v);
                    self.along += c * v;
                    self.value += v * v;
                    self.candidate.push(c);
                    self.computed.push(v);
                    let r = right[column];
                    if r.is_finite() {
                        self.right.add(r);
                        self.total.add(c - r);
                        self.inherited.add(v - r);
                    }
                }
            }
        }
        let (may, is) = if count > 0.0 { (allowed((size / count).sqrt()), (sum / count).sqrt()) } else { (1.0, 0.0) };
        let times = is / may;
        let fits = times <= 1.0;
        // What is no number is the worst.
        self.worst = if times <= self.worst { self.worst } else { times };
        self.not_finite |= unlike;
        let wrong = unlike || !fits;
        self.place.row(at, wrong);
        if wrong {
            for (column, (&c, &v)) in candidate.iter().zip(value).enumerate() {
                let off = match pair(c, v) {
                    Pair::Numbers => (c - v).abs() > ELEMENT * may,
                    Pair::Alike => false,
                    Pair::Unlike => true,
                };
                self.place.column(column, compared(column) && off);
            }
        }
    }

    pub(super) fn diverges(&self) -> bool {
        let fits = self.worst <= 1.0;
        self.not_finite || !fits
    }

    pub(super) fn site_error(&self, followed: &Followed) -> SiteError {
        let finite = |share: Option<f64>| share.filter(|_| !self.not_finite);
        SiteError {
            site: followed.site.clone(),
            request: followed.request.clone(),
            total: finite(self.total.over(self.right)),
            inherited: self.inherited.over(self.right),
            introduced: finite(self.introduced.over(self.right)),
            times_allowed: finite(Some(self.worst)),
            diverges: self.diverges(),
        }
    }

    /// What the values themselves tell: a factor, a coarser format.
    pub(super) fn remarks(&self, stored: Dtype) -> Vec<String> {
        let mut remarks = Vec::new();
        if self.not_finite {
            remarks.push("some values are infinite or no numbers where the others are finite".to_string());
        }
        let factor = self.along / self.value;
        let left: f64 =
            self.candidate.iter().zip(&self.computed).map(|(c, v)| (c - factor * v) * (c - factor * v)).sum();
        if factor.is_finite() && left < 1e-4 * self.introduced.0 {
            remarks.push(format!("all values are {factor:.4} times what they must be"));
        }
        let coarser = [Dtype::F8E4M3, Dtype::Bf16, Dtype::F16, Dtype::Tf32];
        let holds = |dtype: &Dtype, values: &[f64]| values.iter().all(|&x| round_f64(x, *dtype) == x);
        let rounded = coarser.into_iter().filter(|dtype| dtype.precision() < stored.precision());
        if let Some(dtype) =
            rounded.into_iter().find(|dtype| holds(dtype, &self.candidate) && !holds(dtype, &self.computed))
        {
            remarks.push(format!("every value is a {} number: it was rounded there", dtype.name()));
        }
        remarks
    }
}
