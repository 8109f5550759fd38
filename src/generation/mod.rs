//! Generated tokens held against the reference: every token, not the first alone, and each behind the candidate's own tokens.
//!
//! An answer is read as whole numbers within the vocabulary ([`read_tokens`]), and one pass over prompt and answer gives the logits that each
//! token was chosen from ([`TokenJudge`]). Tokens are judged by how far their logits lie apart, not by equality: rounding may swap two
//! that lie close, and whatever comes behind such a token is another text, in which the candidate is right again or is not.
//! Knows models and noise floors; knows nothing of suites, programs or points.

mod judge;
mod judgement;
mod tokens;

pub use judge::{EVALUATIONS, TokenJudge, Way};
pub use judgement::{TokenJudgement, WrongToken};
pub use tokens::{read_tokens, repeats_itself};
