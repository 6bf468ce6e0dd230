//! The program: parse, run, say what went wrong, exit. Nothing else.

use std::process::ExitCode;

/// Writing a mail takes and frees many small pieces; this is faster at it than
/// the system's own (docs/measurements/delivery.md).
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    backorderd::cli::main()
}
