//! The `goldref` command line.

#![expect(clippy::print_stdout, reason = "this is the one place that may print")]

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
