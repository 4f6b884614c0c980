//! The production binary as it is, built with this package so that both sides of the comparison come from one build.

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Err(error) = bot4::sys::process::guard() {
        eprintln!("bot4: this process could be dumped with its keys: {error}");
        return ExitCode::from(bot4::cli::exit::REFUSED);
    }
    ExitCode::from(bot4::cli::main(std::env::args_os(), &bot4::cli::Tools::production()))
}
