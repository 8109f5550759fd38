//! Where a program runs: its folder, its environment, and what confines it.

use super::sandbox::{Confinement, Order, Sandbox, WARDEN, readable};
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The surroundings of a program.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Its current folder; `None`: that of goldref.
    pub folder: Option<PathBuf>,
    /// Variables. A confined program has no others but `PATH`, `LANG`, `HOME` and `TMPDIR`; another one has goldref's too.
    pub environment: BTreeMap<String, String>,
    /// What confines it; `None`: it has the rights of whoever runs goldref.
    pub sandbox: Option<Sandbox>,
}

/// Files and folders around a running program.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// The folder that it may write.
    pub(super) scratch: PathBuf,
    /// The folder with what it is asked.
    pub(super) questions: PathBuf,
    /// Where a warden says that it begins.
    pub(super) ready: PathBuf,
    /// Where a warden says how it ended.
    pub(super) end: PathBuf,
}

impl Surroundings {
    /// How `command` is started.
    pub(super) fn starting(&self, command: &[OsString], places: &Places) -> Result<Command> {
        let [program, args @ ..] = command else { return Err(Error::ask("no program was named")) };
        let Some(sandbox) = &self.sandbox else {
            let mut starting = Command::new(program);
            starting.args(args).envs(&self.environment);
            if let Some(folder) = &self.folder {
                starting.current_dir(folder);
            }
            return Ok(starting);
        };
        let mut order = self.order(command, sandbox, places)?;
        order.confinement.read.push(places.questions.clone());
        let order = crate::io::json::line(&order).map_err(Error::ask)?;
        let mut starting = Command::new(&sandbox.goldref);
        starting.args([WARDEN, &order]);
        Ok(starting)
    }

    /// What the program may do in its sandbox.
    pub(super) fn confinement(&self) -> Option<&Confinement> {
        self.sandbox.as_ref().map(|sandbox| &sandbox.confinement)
    }

    /// How much it may write to standard error.
    pub(super) fn output_bytes(&self) -> u64 {
        self.confinement().map_or(u64::MAX, |confinement| confinement.limits.output_bytes)
    }

    /// What a confined `command` may read; `None` where nothing confines it.
    ///
    /// # Errors
    /// A folder that cannot be named.
    pub fn readable(&self, command: &[OsString]) -> Result<Option<Vec<PathBuf>>> {
        let Some(sandbox) = &self.sandbox else { return Ok(None) };
        let nowhere = || PathBuf::from("/");
        let places = Places { scratch: nowhere(), questions: nowhere(), ready: nowhere(), end: nowhere() };
        Ok(Some(readable(&self.order(command, sandbox, &places)?)))
    }

    fn order(&self, command: &[OsString], sandbox: &Sandbox, places: &Places) -> Result<Order> {
        let text = |word: &OsString| {
            let word = word.clone().into_string();
            word.map_err(|word| {
                Error::ask(format!("{} is no text in UTF-8, which a confined program needs", word.display()))
            })
        };
        let absolute = |path: &Path| std::path::absolute(path).map_err(|e| Error::read(path, e));
        let folder = match &self.folder {
            Some(folder) => absolute(folder)?,
            None => std::env::current_dir().map_err(|e| Error::read(".", e))?,
        };
        let mut environment = usual(&places.scratch);
        for (name, value) in &self.environment {
            environment.insert(name.clone(), value.clone());
        }
        Ok(Order {
            command: command.iter().map(text).collect::<Result<_>>()?,
            folder,
            environment,
            scratch: places.scratch.clone(),
            ready: places.ready.clone(),
            end: places.end.clone(),
            confinement: sandbox.confinement.clone(),
        })
    }
}

/// What programs expect to find.
fn usual(scratch: &Path) -> BTreeMap<String, String> {
    // Interpreters that the user put first are those that are meant.
    let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".to_string());
    let scratch = scratch.display().to_string();
    let variables = [("PATH", path), ("LANG", "C.UTF-8".to_string()), ("HOME", scratch.clone()), ("TMPDIR", scratch)];
    let mut environment = BTreeMap::new();
    for (name, value) in variables {
        environment.insert(name.to_string(), value);
    }
    environment
}
