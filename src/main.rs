//! The binary: hands the command line to `bot4::cli` with the tools of production.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(bot4::cli::main(std::env::args_os(), &bot4::cli::Tools::production()))
}
