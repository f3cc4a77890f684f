//! The binary: arguments to a command to an exit code. Owns the only `ExitCode` of the process.

fn main() -> std::process::ExitCode {
    jikimi::cli::main()
}
