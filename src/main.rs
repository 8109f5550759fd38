//! The `goldref` command line.

fn main() -> std::process::ExitCode {
    goldref::cli::main()
}
