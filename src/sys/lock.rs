//! One engine per state directory: an advisory lock that the kernel drops with the process, however it ends. Taken by
//! `main` before any network (SAFETY L9).

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use thiserror::Error;

/// Held for as long as the value lives.
#[derive(Debug)]
pub struct InstanceLock {
    _file: File,
}

/// Why the lock was not taken.
#[derive(Debug, Error)]
pub enum LockError {
    #[error(
        "another instance (process {holder}) holds {path}: stop it, or give this one another state directory"
    )]
    Held { path: PathBuf, holder: String },
    #[error("instance lock {path}: {source}")]
    File { path: PathBuf, source: io::Error },
}

impl InstanceLock {
    /// Takes the lock `dir/lock`; makes the directory when it is missing. Does not wait.
    ///
    /// # Errors
    /// Someone holds it (with the process id that they left), or the file cannot be written.
    pub fn take(dir: &Path) -> Result<Self, LockError> {
        let path = dir.join("lock");
        let failed = |source| LockError::File { path: path.clone(), source };
        std::fs::create_dir_all(dir).map_err(failed)?;
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(&path).map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(LockError::Held { path, holder: holder(&mut file) });
            }
            Err(errno) => return Err(failed(errno.into())),
        }
        sign(&mut file).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

/// Leaves our process id for the message of whoever comes second.
fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    write!(file, "{}", std::process::id())
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(20).read_to_string(&mut text);
    let id = text.trim();
    if read.is_ok() && id.parse::<u32>().is_ok() { id.to_owned() } else { "unknown".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_is_first_and_the_lock_ends_with_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("state");
        let first = InstanceLock::take(&dir).unwrap();
        let error = InstanceLock::take(&dir).unwrap_err().to_string();
        assert!(error.contains(&format!("process {})", std::process::id())), "{error}");
        drop(first);
        InstanceLock::take(&dir).unwrap();
    }

    #[test]
    fn a_directory_that_cannot_be_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = InstanceLock::take(&file).unwrap_err();
        assert!(matches!(&error, LockError::File { path, .. } if path.ends_with("file/lock")), "{error}");
    }
}
