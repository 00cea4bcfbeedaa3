//! The pepper of a server that was given none: made once, kept in a file of its own beside the database.
//!
//! It is never in the database: whoever steals that alone learns nothing about keys. It has to outlive a restart: with
//! another pepper every stored digest would be worthless and every session at an end.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use data_encoding::HEXLOWER;
use secrecy::SecretString;
use zeroize::Zeroizing;

/// How much randomness a pepper is made of.
const PEPPER_BYTES: usize = 32;

/// Why there is no pepper.
#[derive(Debug, thiserror::Error)]
pub enum PepperFileError {
    /// The file cannot be read or written: put its folder's permissions right, or set `KEY_PEPPER`.
    #[error("the key pepper in {path} cannot be read or made; set its permissions right, or set KEY_PEPPER")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The file is there, but is no pepper: bring it back from a backup. Without it, stored keys are unknown.
    #[error(
        "{path} holds no key pepper: restore it from a backup, or delete it to make all stored keys unknown"
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
    },
    /// The operating system has no randomness to give.
    #[error("no randomness for a key pepper")]
    Randomness(#[source] getrandom::Error),
}

/// The pepper beside `database`; `None` where none was made yet.
///
/// # Errors
/// [`PepperFileError`].
pub(super) fn pepper_beside(database: &Path) -> Result<Option<SecretString>, PepperFileError> {
    match read(beside(database)) {
        Err(PepperFileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// Makes the pepper beside `database`. Processes that do so at once agree on one.
///
/// # Errors
/// [`PepperFileError`].
pub(super) fn make_beside(database: &Path) -> Result<SecretString, PepperFileError> {
    let path = beside(database);
    make(&path)?;
    read(path)
}

fn beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".pepper");
    PathBuf::from(name)
}

/// When it returns the disk has the pepper's name too, whoever made it, where that folder can be synced: keys that are made
/// with the pepper would be lost with its name.
fn read(path: PathBuf) -> Result<SecretString, PepperFileError> {
    let text =
        fs::read_to_string(&path).map_err(|source| PepperFileError::Io { path: path.clone(), source })?;
    let text = Zeroizing::new(text);
    let pepper = text.trim();
    if pepper.len() != PEPPER_BYTES * 2 || !pepper.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(PepperFileError::Damaged { path });
    }
    warn_if_others_can_read(&path);
    if let Err(error) = sync_folder_of(&path) {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(error, path = %path.display(), "the folder of the key pepper cannot be synced");
    }
    Ok(SecretString::from(pepper))
}

/// Writes a whole pepper under another name and links it into place: nobody ever sees half a file, and of several
/// processes one wins. What is in it is on the disk by then.
fn make(path: &Path) -> Result<(), PepperFileError> {
    let mut random = Zeroizing::new([0; PEPPER_BYTES + 8]);
    getrandom::fill(&mut *random).map_err(PepperFileError::Randomness)?;
    let (pepper, suffix) = random.split_at(PEPPER_BYTES);
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}", HEXLOWER.encode(suffix)));
    let draft = PathBuf::from(draft);
    let linked = write_private(&draft, &Zeroizing::new(HEXLOWER.encode(pepper))).and_then(|()| {
        match fs::hard_link(&draft, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        }
    });
    // The draft may not exist; and what could not be removed is as private as the file itself.
    let _ = fs::remove_file(&draft);
    linked.map_err(|source| PepperFileError::Io { path: path.to_owned(), source })
}

#[cfg(unix)]
fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder_of(_path: &Path) -> io::Result<()> {
    Ok(())
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file: File = options.open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

#[cfg(unix)]
fn warn_if_others_can_read(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path).map(|metadata| metadata.permissions().mode()).unwrap_or_default();
    if mode & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "other users of this machine can read the key pepper; chmod 600 it");
    }
}

#[cfg(not(unix))]
fn warn_if_others_can_read(_path: &Path) {}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn it_is_made_once_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("p.db");
        assert!(pepper_beside(&database).unwrap().is_none(), "it is not made by looking for it");
        let first = make_beside(&database).unwrap();
        for again in [pepper_beside(&database).unwrap().unwrap(), make_beside(&database).unwrap()] {
            assert_eq!(again.expose_secret(), first.expose_secret());
        }
        let other = make_beside(&folder.path().join("q.db")).unwrap();
        assert_ne!(other.expose_secret(), first.expose_secret());
        let files: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(files.len(), 2, "a draft was left behind: {files:?}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(folder.path().join("p.db.pepper")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn processes_that_start_at_once_agree_on_one() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("p.db");
        let start = std::sync::Barrier::new(8);
        let peppers: std::collections::HashSet<String> = std::thread::scope(|scope| {
            let one = || {
                start.wait();
                make_beside(&database).unwrap().expose_secret().to_owned()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(peppers.len(), 1);
    }

    #[test]
    fn a_damaged_file_is_refused_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("p.db");
        let path = folder.path().join("p.db.pepper");
        for damaged in ["", "short", &"x".repeat(64)] {
            fs::write(&path, damaged).unwrap();
            assert!(matches!(pepper_beside(&database), Err(PepperFileError::Damaged { .. })), "{damaged}");
            assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
        }
    }
}
