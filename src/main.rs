//! The program: parse, run, say what went wrong, exit. Nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    backorderd::cli::main()
}
