//! The lines that a program reads and writes: candidate protocol 1.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;

/// The version of the protocol.
pub(super) const PROTOCOL: u32 = 1;

/// A question as the line has it.
#[derive(Debug, Serialize)]
pub(super) struct QuestionLine<'a> {
    pub(super) protocol: u32,
    pub(super) id: &'a str,
    pub(super) op: &'a str,
    pub(super) params: &'a Value,
    pub(super) model: Option<&'a Path>,
    pub(super) inputs: &'a Path,
    pub(super) outputs: &'a Path,
}

/// An answer as the line has it. Fields of later versions are not looked at.
#[derive(Debug, Deserialize)]
pub(super) struct AnswerLine {
    pub(super) id: String,
    pub(super) status: Status,
    #[serde(default)]
    pub(super) message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Ok,
    Unsupported,
    Error,
}

impl AnswerLine {
    /// The line, which must answer the question `id`; `Err` says what is wrong with it.
    pub(super) fn read(line: &[u8], id: &str) -> Result<Self, String> {
        let shown = || {
            let start: String = String::from_utf8_lossy(line).chars().take(60).collect();
            format!("{start:?}")
        };
        let answer: Self = serde_json::from_slice(line)
            .map_err(|_| format!(r#"the line {} is not {{"id": …, "status": "ok"}}"#, shown()))?;
        if answer.id != id {
            let earlier =
                answer.id.parse::<u64>().ok().zip(id.parse().ok()).is_some_and(|(it, now): (u64, u64)| it < now);
            if earlier {
                // It came too late to be seen with the answer before.
                return Err("it wrote a line that nobody asked for".to_string());
            }
            return Err(format!("it answered question {:?} when {id:?} was asked", shortened(&answer.id)));
        }
        Ok(answer)
    }
}

/// Messages of a program are shown, and so must not be endless.
pub(super) fn shortened(message: &str) -> String {
    const MOST: usize = 2000;
    match message.char_indices().nth(MOST) {
        None => message.to_string(),
        Some((end, _)) => format!("{}…", &message[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_must_answer_the_question_that_was_asked() {
        let read = |line: &str| AnswerLine::read(line.as_bytes(), "3");
        assert_eq!(read(r#"{"id": "3", "status": "ok", "later": 1}"#).unwrap().status, Status::Ok);
        let answer = read(r#"{"id": "3", "status": "unsupported", "message": "no rope"}"#).unwrap();
        assert_eq!((answer.status, answer.message.as_str()), (Status::Unsupported, "no rope"));
        assert!(read(r#"{"id": "4", "status": "ok"}"#).unwrap_err().contains(r#""4" when "3""#));
        assert!(read(r#"{"id": "2", "status": "ok"}"#).unwrap_err().contains("nobody asked for"));
        for wrong in ["loaded the model", r#"{"id": "3"}"#, r#"{"id": "3", "status": "fine"}"#, ""] {
            assert!(read(wrong).unwrap_err().contains("is not {"), "{wrong}");
        }
    }

    #[test]
    fn a_message_ends() {
        assert_eq!(shortened("é"), "é");
        assert_eq!(shortened(&"é".repeat(3000)).chars().count(), 2001);
    }
}
