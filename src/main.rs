//! The binary `sim`.

fn main() -> std::process::ExitCode {
    kubesim::cli::main()
}
