use std::process::ExitCode;

fn main() -> ExitCode {
    starr::cli::main()
}
