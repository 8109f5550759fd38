//! How much a program may use, all its processes together.

use serde::{Deserialize, Serialize};

/// The limits. Time for one question is not among them: it is given with the question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SandboxLimits {
    /// Bytes of memory that no file stands behind.
    pub memory_bytes: u64,
    /// Seconds of CPU time.
    pub cpu_seconds: u64,
    /// Processes and threads.
    pub tasks: u64,
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Bytes of all files in its folder.
    pub folder_bytes: u64,
    /// Files and folders in its folder.
    pub folder_files: u64,
    /// Bytes on standard error, after which it is closed.
    pub output_bytes: u64,
}

impl Default for SandboxLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 4 << 30,
            cpu_seconds: 600,
            tasks: 256,
            file_bytes: 1 << 30,
            folder_bytes: 2 << 30,
            folder_files: 10_000,
            output_bytes: 64 << 20,
        }
    }
}

/// A limit that was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exceeded {
    /// [`SandboxLimits::memory_bytes`].
    Memory,
    /// [`SandboxLimits::cpu_seconds`].
    CpuTime,
    /// [`SandboxLimits::tasks`].
    Tasks,
    /// [`SandboxLimits::folder_bytes`] or [`SandboxLimits::folder_files`].
    Folder,
    /// [`SandboxLimits::file_bytes`].
    File,
    /// [`SandboxLimits::output_bytes`].
    Output,
}

impl Exceeded {
    /// What it used too much of, with the limit.
    pub fn in_words(self, limits: &SandboxLimits) -> String {
        let mib = |bytes: u64| format!("{} MiB", bytes.div_ceil(1 << 20));
        match self {
            Self::Memory => format!("more than {} of memory", mib(limits.memory_bytes)),
            Self::CpuTime => format!("more than {} s of CPU time", limits.cpu_seconds),
            Self::Tasks => format!("more than {} processes and threads", limits.tasks),
            Self::Folder => {
                format!("more than {} or {} files on disk", mib(limits.folder_bytes), limits.folder_files)
            }
            Self::File => format!("a file of more than {}", mib(limits.file_bytes)),
            Self::Output => format!("more than {} of standard error", mib(limits.output_bytes)),
        }
    }
}
