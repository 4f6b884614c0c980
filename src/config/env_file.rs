//! Secrets: read from `.env` or from systemd's credentials directory, handed over by type, never exported to the
//! environment. Refuses a file that others could have read or written, and keys that must never be on this machine.
//! Errors name keys and lines, never values.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;
use zeroize::Zeroizing;

use super::TradingMode;
use crate::sys::process;
use crate::types::Secret;
use crate::venue::{Secrets, Venue};

/// Largest file of secrets, bytes.
const FILE_MAX: u64 = 64 << 10;
/// Key of the database's URL.
const DATABASE_URL: &str = "DATABASE_URL";
/// Ends of the names of keys that can move money out; they belong on another machine (SAFETY 5.1).
const NEVER_HERE: [&str; 2] = ["PRIMARY_KEY", "PRIVATE_KEY"];

/// What the engine may know. No `Debug`.
pub struct Credentials {
    /// By `VenueId`. Empty in paper mode.
    pub venues: Vec<Secrets>,
    pub database_url: Option<Secret>,
}

/// Why there are no credentials. Never holds a value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SecretError {
    #[error("{path}: cannot be read: {why}; copy .env.example, fill it in and chmod 600 it")]
    Unreadable { path: PathBuf, why: String },
    #[error("{path}: is not a regular file, or a symbolic link; give the file itself with --env-file")]
    NotAFile { path: PathBuf },
    #[error("{path}: mode is {mode:03o}, others can read it; run: chmod 600 {path}")]
    OpenToOthers { path: PathBuf, mode: u32 },
    #[error(
        "{path}: lies in the git work tree {root}, from which a key is soon published; move it out \
         and give its place with --env-file"
    )]
    InWorkTree { path: PathBuf, root: PathBuf },
    #[error("{path}: belongs to user {owner}, not to {user} who runs bot4; run: chown {user} {path}")]
    NotOurs { path: PathBuf, owner: u32, user: u32 },
    #[error("{path}: is larger than 64 KiB, which no file of credentials is")]
    TooLarge { path: PathBuf },
    #[error("{path}:{line}: is not KEY=value; quote values that hold blanks or #")]
    Malformed { path: PathBuf, line: usize },
    #[error("{path}: {key} stands twice; remove one")]
    Twice { path: PathBuf, key: String },
    #[error(
        "{path}: {key} must never be on this machine; remove it, and make a new key: this one was exposed"
    )]
    NeverHere { path: PathBuf, key: String },
    #[error("{path}: {key} is no key of {venue}; its keys are {known}")]
    Unknown { path: PathBuf, key: String, venue: &'static str, known: String },
    #[error("{path}: {key} is missing; add a line {key}=… (see .env.example)")]
    Missing { path: PathBuf, key: String },
}

/// Raw keys and values of one source.
type Raw = BTreeMap<String, Zeroizing<String>>;

/// Reads the secrets from systemd's credentials directory when there is one, else from the `.env` file. In paper mode
/// a source that is absent is no error, and no venue's keys are kept.
pub fn load(
    env_file: &Path,
    credentials_dir: Option<&Path>,
    mode: TradingMode,
    registry: &[Venue],
) -> Result<Credentials, SecretError> {
    let source = credentials_dir.unwrap_or(env_file);
    if mode == TradingMode::Paper && !source.exists() {
        return Ok(Credentials {
            venues: registry.iter().map(|_| Secrets::default()).collect(),
            database_url: None,
        });
    }
    let raw = match credentials_dir {
        Some(dir) => read_dir(dir, registry)?,
        None => parse(env_file, &read_file(env_file)?)?,
    };
    check_keys(source, &raw, registry)?;
    let secrets = |venue: &Venue| match mode {
        TradingMode::Paper => Ok(Secrets::default()),
        TradingMode::Live => secrets_of(source, &raw, venue),
    };
    Ok(Credentials {
        venues: registry.iter().map(secrets).collect::<Result<_, _>>()?,
        database_url: raw.get(DATABASE_URL).filter(|url| !url.is_empty()).map(|url| keep(url)),
    })
}

/// Refuses a file of secrets that lies in a git work tree (SAFETY 5.2): whoever adds everything publishes it. For keys
/// of real money only; those of a simulation and of test networks lie in checkouts.
///
/// # Errors
/// With the work tree.
pub fn refuse_work_tree(path: &Path) -> Result<(), SecretError> {
    let Ok(whole) = fs::canonicalize(path) else { return Ok(()) };
    match whole.ancestors().skip(1).find(|dir| dir.join(".git").exists()) {
        Some(root) => Err(SecretError::InWorkTree { path: path.to_owned(), root: root.to_owned() }),
        None => Ok(()),
    }
}

/// Reads a file that only we can read. Its bytes are wiped when the result is dropped. Also for key files.
pub fn read_file(path: &Path) -> Result<Zeroizing<String>, SecretError> {
    let unreadable = |why: std::io::Error| match why.raw_os_error() {
        Some(libc::ELOOP) => SecretError::NotAFile { path: path.to_owned() },
        _ => SecretError::Unreadable { path: path.to_owned(), why: why.to_string() },
    };
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let mut file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(unreadable)?;
    check_file(path, &file)?;
    let mut text = Zeroizing::new(String::with_capacity(FILE_MAX as usize + 1));
    (&mut file).take(FILE_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > FILE_MAX {
        return Err(SecretError::TooLarge { path: path.to_owned() });
    }
    Ok(text)
}

/// The checks are made on the open file, so that it cannot be exchanged between the check and the reading.
fn check_file(path: &Path, file: &File) -> Result<(), SecretError> {
    let path = path.to_owned();
    let meta = match file.metadata() {
        Ok(meta) => meta,
        Err(why) => return Err(SecretError::Unreadable { path, why: why.to_string() }),
    };
    let user = process::own_uid();
    if !meta.is_file() {
        return Err(SecretError::NotAFile { path });
    }
    if meta.uid() != user {
        return Err(SecretError::NotOurs { path, owner: meta.uid(), user });
    }
    if meta.mode() & 0o077 != 0 {
        return Err(SecretError::OpenToOthers { path, mode: meta.mode() & 0o777 });
    }
    Ok(())
}

/// Parses `KEY=value` lines. The parser's own error repeats the line, so only its number is kept.
fn parse(path: &Path, text: &str) -> Result<Raw, SecretError> {
    let mut raw = Raw::new();
    for item in dotenvy::from_read_iter(text.as_bytes()) {
        let (key, value) = match item {
            Ok(pair) => pair,
            Err(dotenvy::Error::LineParse(part, _)) => {
                let part = Zeroizing::new(part);
                let line = text.lines().position(|line| line.contains(part.trim())).map_or(0, |at| at + 1);
                return Err(SecretError::Malformed { path: path.to_owned(), line });
            }
            Err(_) => return Err(SecretError::Malformed { path: path.to_owned(), line: 0 }),
        };
        if raw.insert(key.clone(), Zeroizing::new(value)).is_some() {
            return Err(SecretError::Twice { path: path.to_owned(), key });
        }
    }
    Ok(raw)
}

/// One file per key, as systemd lays them down; the kernel guards the directory, so its files' modes are systemd's.
fn read_dir(dir: &Path, registry: &[Venue]) -> Result<Raw, SecretError> {
    let mut raw = Raw::new();
    let mut names: Vec<String> = registry.iter().flat_map(all_keys).collect();
    names.push(DATABASE_URL.to_owned());
    for venue in registry {
        names.extend(NEVER_HERE.iter().map(|end| format!("{}_{end}", venue.env_prefix)));
    }
    for name in names {
        let path = dir.join(&name);
        match fs::read_to_string(&path).map(Zeroizing::new) {
            Ok(text) => drop(raw.insert(name, Zeroizing::new(text.trim_end_matches('\n').to_owned()))),
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => {}
            Err(why) => return Err(SecretError::Unreadable { path, why: why.to_string() }),
        }
    }
    Ok(raw)
}

fn all_keys(venue: &Venue) -> Vec<String> {
    let keys = venue.required_secrets.iter().chain(venue.optional_secrets);
    keys.map(|key| format!("{}_{key}", venue.env_prefix)).collect()
}

/// Refuses keys that must not be here and keys of a venue that nobody reads (a misspelt one would be missed).
fn check_keys(path: &Path, raw: &Raw, registry: &[Venue]) -> Result<(), SecretError> {
    let path = path.to_owned();
    for key in raw.keys() {
        let venue = registry
            .iter()
            .find_map(|venue| Some((venue, key.strip_prefix(venue.env_prefix)?.strip_prefix('_')?)));
        let Some((venue, rest)) = venue else { continue };
        if NEVER_HERE.contains(&rest) {
            return Err(SecretError::NeverHere { path, key: key.clone() });
        }
        let known = all_keys(venue);
        if !known.contains(key) {
            return Err(SecretError::Unknown {
                path,
                key: key.clone(),
                venue: venue.title,
                known: known.join(", "),
            });
        }
    }
    Ok(())
}

/// A secret whose pages no dump shows. Where the system refuses that, the process is not dumpable all the same.
fn keep(value: &str) -> Secret {
    let secret = Secret::new(value.to_owned());
    let _refused = process::leave_out_of_dumps(secret.expose().as_bytes());
    secret
}

fn secrets_of(path: &Path, raw: &Raw, venue: &Venue) -> Result<Secrets, SecretError> {
    let mut secrets = BTreeMap::new();
    for key in venue.required_secrets.iter().chain(venue.optional_secrets) {
        let name = format!("{}_{key}", venue.env_prefix);
        match raw.get(&name).filter(|value| !value.is_empty()) {
            Some(value) => drop(secrets.insert(*key, keep(value))),
            None if venue.required_secrets.contains(key) => {
                return Err(SecretError::Missing { path: path.to_owned(), key: name });
            }
            None => {}
        }
    }
    Ok(Secrets(secrets))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::sys::fuzz::fuzz;
    use crate::venue::vest;

    const CANARY: &str = "c4n4ry-0f-a-s3cret";

    fn registry() -> [Venue; 1] {
        [Venue { required_secrets: &["API_KEY"], optional_secrets: &["EXPIRY"], ..vest::VENUE }]
    }

    fn file(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".env");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    fn live(path: &Path) -> Result<Credentials, SecretError> {
        load(path, None, TradingMode::Live, &registry())
    }

    fn refused(text: &str) -> String {
        let (_dir, path) = file(text, 0o600);
        let said = live(&path).err().unwrap().to_string();
        assert!(!said.contains(CANARY), "{said}");
        said.replace(path.to_str().unwrap(), ".env")
    }

    #[test]
    fn keys_are_read_without_prefix() {
        let (_dir, path) = file(&format!("VEST_API_KEY={CANARY}\nDATABASE_URL=\nOTHER=1\n"), 0o600);
        let credentials = live(&path).ok().unwrap();
        assert_eq!(credentials.venues[0].get("API_KEY").ok().unwrap().expose(), CANARY);
        assert!(credentials.venues[0].get("EXPIRY").is_err());
        assert!(credentials.database_url.is_none());
        assert!(std::env::var_os("VEST_API_KEY").is_none(), "never exported");
    }

    #[test]
    fn others_must_not_be_able_to_read() {
        for mode in [0o640, 0o604, 0o660] {
            let (_dir, path) = file(&format!("VEST_API_KEY={CANARY}\n"), mode);
            let error = live(&path).err().unwrap();
            assert_eq!(error, SecretError::OpenToOthers { path, mode });
        }
    }

    #[test]
    fn a_file_in_a_work_tree_is_found_from_any_depth() {
        let (dir, path) = file("VEST_API_KEY=x\n", 0o600);
        assert_eq!(refuse_work_tree(&path), Ok(()));
        let deep = dir.path().join("a/b/.env");
        fs::create_dir_all(deep.parent().unwrap()).unwrap();
        fs::copy(&path, &deep).unwrap();
        let root = dir.path().canonicalize().unwrap();
        // A folder in a clone, a file in a linked work tree.
        for made in
            [fs::create_dir as fn(PathBuf) -> std::io::Result<()>, |path| fs::write(path, "gitdir: x")]
        {
            made(root.join(".git")).unwrap();
            for path in [&path, &deep] {
                let found = SecretError::InWorkTree { path: path.clone(), root: root.clone() };
                assert_eq!(refuse_work_tree(path), Err(found));
            }
            let _folder = fs::remove_dir(root.join(".git")).or_else(|_| fs::remove_file(root.join(".git")));
        }
    }

    #[test]
    fn only_a_regular_file_is_taken() {
        let (dir, path) = file("VEST_API_KEY=x\n", 0o600);
        let link = dir.path().join("link");
        symlink(&path, &link).unwrap();
        for other in [link, dir.path().to_owned()] {
            assert_eq!(live(&other).err().unwrap(), SecretError::NotAFile { path: other });
        }
    }

    #[test]
    fn what_is_wrong_is_named_without_values() {
        assert_eq!(
            refused("A=1\n"),
            ".env: VEST_API_KEY is missing; add a line VEST_API_KEY=… (see .env.example)"
        );
        assert_eq!(
            refused(&format!("VEST_PRIMARY_KEY={CANARY}\n")),
            ".env: VEST_PRIMARY_KEY must never be on this machine; remove it, and make a new key: this \
            one was exposed"
        );
        assert_eq!(
            refused(&format!("VEST_API_KEI={CANARY}\n")),
            ".env: VEST_API_KEI is no key of Vest; its keys are VEST_API_KEY, VEST_EXPIRY"
        );
        assert_eq!(
            refused(&format!("A=1\nVEST_API_KEY={CANARY} x y\n")),
            ".env:2: is not KEY=value; quote values that hold blanks or #"
        );
        assert_eq!(refused("A=1\nA=2\n"), ".env: A stands twice; remove one");
    }

    #[test]
    fn systemd_credentials_have_the_same_names() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("VEST_API_KEY"), format!("{CANARY}\n")).unwrap();
        let credentials =
            load(Path::new("absent"), Some(dir.path()), TradingMode::Live, &registry()).ok().unwrap();
        assert_eq!(credentials.venues[0].get("API_KEY").ok().unwrap().expose(), CANARY);
        fs::write(dir.path().join("VEST_PRIVATE_KEY"), CANARY).unwrap();
        let error =
            load(Path::new("absent"), Some(dir.path()), TradingMode::Live, &registry()).err().unwrap();
        assert!(matches!(error, SecretError::NeverHere { .. }), "{error}");
    }

    #[test]
    fn paper_keeps_no_key() {
        let (_dir, path) = file(&format!("VEST_API_KEY={CANARY}\n"), 0o600);
        let credentials = load(&path, None, TradingMode::Paper, &registry()).ok().unwrap();
        assert!(credentials.venues[0].get("API_KEY").is_err());
        assert!(load(Path::new("absent"), None, TradingMode::Paper, &registry()).is_ok());
    }

    #[test]
    fn no_damaged_file_of_secrets_panics() {
        let text =
            format!("# keys\nVEST_API_KEY='{CANARY} #'\nA=\"x\\n\"\nDATABASE_URL=postgres://u:p@h/d\n");
        let path = Path::new(".env");
        fuzz("file of secrets", &[text.into_bytes()], |bytes| {
            let raw = parse(path, &String::from_utf8_lossy(bytes));
            raw.and_then(|raw| check_keys(path, &raw, &registry())).is_ok()
        });
    }
}
