//! The file `HALT` in the state directory: the latch that needs no engine that listens. Whoever makes it (`touch`,
//! a script, `bot4 flatten`) halts a running engine and every later one; `bot4 unlatch` takes it away. `main` looks
//! at it; its text is for people and decides nothing.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const NAME: &str = "HALT";

/// Where the file is, whether or not it is there.
#[derive(Clone, Debug)]
pub struct HaltFile {
    path: PathBuf,
}

impl HaltFile {
    /// The one of this state directory (the journal's).
    pub fn of(state_dir: &Path) -> Self {
        Self { path: state_dir.join(NAME) }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Anything of that name counts, a directory too: a halt is never missed for a formality. What cannot be looked at
    /// counts as absent, since the engine could not write its journal there either.
    pub fn is_there(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok()
    }

    /// Makes it, with a line that says who did and why; one that is there already is left as it is.
    ///
    /// # Errors
    /// When the directory cannot be made or written.
    pub fn write(&self, why: &str) -> io::Result<()> {
        if let Some(dir) = self.path.parent() {
            fs::create_dir_all(dir)?;
        }
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.path) {
            Ok(mut file) => writeln!(file, "{why}"),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Takes it away. True when it was there.
    ///
    /// # Errors
    /// When it stays.
    pub fn remove(&self) -> io::Result<bool> {
        match fs::remove_file(&self.path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once_and_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let file = HaltFile::of(&dir.path().join("state"));
        assert!(!file.is_there() && !file.remove().unwrap());
        file.write("first").unwrap();
        file.write("second").unwrap();
        assert_eq!(fs::read_to_string(file.path()).unwrap(), "first\n");
        assert!(file.is_there() && file.remove().unwrap() && !file.is_there());
    }

    #[test]
    fn whatever_bears_the_name_halts() {
        let dir = tempfile::tempdir().unwrap();
        let file = HaltFile::of(dir.path());
        fs::create_dir(file.path()).unwrap();
        assert!(file.is_there());
        assert!(file.remove().is_err(), "a directory is for a person");
    }
}
