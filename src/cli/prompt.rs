//! Reading a key from a person or a file: never from an argument, never echoed, wiped after use.

use std::io::{self, BufRead, Write};
use std::path::Path;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::Failure;
use crate::config::env_file::read_file;
use crate::types::Secret;

/// Longest key taken, bytes.
const KEY_MAX: u64 = 4 << 10;

/// The key in this file (only we may read it), or typed at the terminal without echo.
pub(super) fn key(file: Option<&Path>, prompt: &str) -> Result<Secret, Failure> {
    let text = match file {
        Some(path) => read_file(path).map_err(Failure::failed)?,
        None => typed(prompt)?,
    };
    let key = text.trim();
    if key.is_empty() {
        return Err(Failure::failed("key: got nothing, wanted one line; type it, or give --key-file"));
    }
    Ok(Secret::new(key.to_owned()))
}

/// One line from stdin. The prompt and the line's end go to stderr: stdout is for the result.
fn typed(prompt: &str) -> Result<Zeroizing<String>, Failure> {
    write!(io::stderr(), "{prompt}: ")?;
    let mut line = Zeroizing::new(String::with_capacity(KEY_MAX as usize));
    {
        let _silence = Silence::begin();
        io::Read::take(io::stdin().lock(), KEY_MAX)
            .read_line(&mut line)
            .map_err(|error| Failure::failed(format!("key: cannot be read: {error}")))?;
    }
    writeln!(io::stderr())?;
    Ok(line)
}

/// A terminal that does not echo, until dropped. Nothing to silence when stdin is a pipe.
struct Silence(Option<Termios>);

impl Silence {
    fn begin() -> Self {
        let before = tcgetattr(io::stdin()).ok();
        if let Some(mut silent) = before.clone() {
            silent.local_modes.remove(LocalModes::ECHO);
            // A terminal that cannot be silenced still takes the key; the person sees that it echoes.
            let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &silent);
        }
        Self(before)
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(io::stdin(), OptionalActions::Flush, before);
        }
    }
}
