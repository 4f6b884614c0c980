//! The binary: guards the process, then hands the command line to `bot4::cli` with the tools of production.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Whichever verb it is, no key is read before.
    if let Err(error) = bot4::sys::process::guard() {
        eprintln!("bot4: this process could be dumped with its keys: {error}");
        return ExitCode::from(bot4::cli::exit::REFUSED);
    }
    ExitCode::from(bot4::cli::main(std::env::args_os(), &bot4::cli::Tools::production()))
}
