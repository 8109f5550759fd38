//! The tokens of one request, as every command that runs a checkpoint takes them.

use crate::error::{Error, Result};
use crate::io::npy;
use crate::model::{Call, PlannedRequest};
use crate::variant::Schedule;
use ndarray::{Array2, Axis, Ix2};
use std::path::{Path, PathBuf};

/// The arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Tokens {
    /// Token ids, whole numbers [batch, len] or [len]
    #[arg(long, value_name = "FILE.npy")]
    tokens: Option<PathBuf>,
    /// 1 for a real token, 0 for padding, [batch, len]
    #[arg(long, value_name = "FILE.npy")]
    attention_mask: Option<PathBuf>,
    /// Positions [batch, len] [default: the number of real tokens before each]
    #[arg(long, value_name = "FILE.npy")]
    position_ids: Option<PathBuf>,
    /// Prefill so many tokens, then decode the others one by one through the cache
    #[arg(long, value_name = "P")]
    prompt_len: Option<usize>,
}

impl Tokens {
    /// The request: a prefill and single tokens, or calls as `schedule` says.
    pub(super) fn request(&self, schedule: Schedule) -> Result<PlannedRequest> {
        let path = self.tokens.as_deref().ok_or_else(|| Error::ask("name a file of token ids with --tokens"))?;
        let input_ids = integers(path)?;
        if input_ids.is_empty() {
            return Err(Error::read(
                path,
                format!("its shape is {:?}; the prompt must have at least one token", input_ids.dim()),
            ));
        }
        let like = |path: &Option<PathBuf>| -> Result<Option<Array2<i64>>> {
            let Some(path) = path else { return Ok(None) };
            let array = integers(path)?;
            if array.dim() != input_ids.dim() {
                return Err(Error::read(
                    path,
                    format!("its shape is {:?}; the tokens are {:?}", array.dim(), input_ids.dim()),
                ));
            }
            Ok(Some(array))
        };
        let attention_mask = like(&self.attention_mask)?.map(|mask| mask.mapv(|x| x != 0));
        let position_ids = like(&self.position_ids)?;
        let tokens = Call {
            input_ids: &input_ids,
            attention_mask: attention_mask.as_ref(),
            position_ids: position_ids.as_ref(),
        };
        PlannedRequest::new("", &tokens, &self.calls(input_ids.ncols(), schedule, path)?)
    }

    /// Lengths of the calls.
    fn calls(&self, len: usize, schedule: Schedule, path: &Path) -> Result<Vec<usize>> {
        match self.prompt_len {
            None => Ok(schedule.calls(len, None)),
            Some(prompt) if (1..=len).contains(&prompt) => {
                Ok(std::iter::once(prompt).chain(std::iter::repeat_n(1, len - prompt)).collect())
            }
            Some(prompt) => Err(Error::ask(format!(
                "--prompt-len is {prompt}; it must be between 1 and the {len} tokens of {}",
                path.display()
            ))),
        }
    }
}

fn integers(path: &Path) -> Result<Array2<i64>> {
    let array = npy::read(path)?.to_i64().map_err(|e| Error::read(path, e))?;
    let shape = array.shape().to_vec();
    let array = if array.ndim() == 1 { array.insert_axis(Axis(0)) } else { array };
    array
        .into_dimensionality::<Ix2>()
        .map_err(|_| Error::read(path, format!("its shape is {shape:?}; it must be [batch, len] or [len]")))
}
