//! Whoever is asked, wherever its code runs.

use super::{Outcome, ProgramQuestion};
use crate::error::Result;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Somebody who is asked questions and answers with arrays.
///
/// A function in this process is one:
///
/// ```
/// use goldref::candidate::{Candidate, Outcome, ProgramQuestion};
/// use goldref::io::Array;
/// use std::collections::BTreeMap;
///
/// let mut doubled = |question: &ProgramQuestion| match question.inputs.get("x") {
///     Some(x) => Outcome::of(BTreeMap::from([("out".to_string(), Array::F64(x.to_f64() * 2.0))])),
///     None => Outcome::Unsupported("there is no x".to_string()),
/// };
/// let inputs = BTreeMap::from([("x".to_string(), Array::F64(ndarray::arr1(&[1.0, 2.0]).into_dyn()))]);
/// let question = ProgramQuestion { op: "double", params: &serde_json::Value::Null, model: None, inputs: &inputs };
/// assert!(matches!(doubled.answer(&question)?, Outcome::Answered { .. }));
/// # Ok::<(), goldref::error::Error>(())
/// ```
pub trait Candidate {
    /// Answers one question.
    ///
    /// # Errors
    /// The question could not be asked at all; whatever the candidate does is an [`Outcome`].
    fn answer(&mut self, question: &ProgramQuestion) -> Result<Outcome>;
}

/// A function of this process; a panic is an outcome like a crash.
impl<F: FnMut(&ProgramQuestion) -> Outcome> Candidate for F {
    fn answer(&mut self, question: &ProgramQuestion) -> Result<Outcome> {
        // What the function leaves half done is its own.
        let answered = catch_unwind(AssertUnwindSafe(|| self(question)));
        Ok(answered.unwrap_or_else(|panic| Outcome::Crashed(format!("it panicked: {}", message(panic.as_ref())))))
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_panic_is_an_outcome_and_the_next_question_is_asked() {
        let mut asked = 0;
        let mut candidate = |question: &ProgramQuestion| {
            asked += 1;
            assert!(question.op == "known", "no {}", question.op);
            Outcome::of(BTreeMap::new())
        };
        let inputs = BTreeMap::new();
        let question = |op| ProgramQuestion { op, params: &serde_json::Value::Null, model: None, inputs: &inputs };
        assert!(
            matches!(candidate.answer(&question("else")), Ok(Outcome::Crashed(why)) if why == "it panicked: no else")
        );
        assert!(matches!(candidate.answer(&question("known")), Ok(Outcome::Answered { .. })));
        assert_eq!(asked, 2);
    }
}
