//! The file `.env`: where it is, and whose it must be.
//!
//! It is looked for in folders where others may write, such as `/tmp`, and it may set everything, commands and addresses
//! among it. So it counts only where it comes from somebody who could do that anyway.

use std::{
    env,
    fs::File,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

const NAME: &str = ".env";

/// Why the settings of a file `.env` were not taken. No variant repeats a line: it may hold a key.
#[derive(Debug, thiserror::Error)]
pub enum DotEnvError {
    /// A line is not a setting.
    #[error("the file .env in this folder or above it cannot be read")]
    Unreadable,
    /// Whether there is one, or what is in it, is not for whoever runs the program to see.
    #[error("{path:?} cannot be looked at: {reason}")]
    OutOfReach {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        reason: ErrorKind,
    },
    /// Neither root, nor whoever runs the program, nor the owner of its folder put it there.
    #[error("{0:?} belongs to somebody else, who could set anything with it")]
    Foreign(PathBuf),
}

impl DotEnvError {
    /// What to do next.
    #[must_use]
    pub const fn next(&self) -> &'static str {
        match self {
            Self::Unreadable => "write each setting as NAME=value on a line of its own",
            Self::OutOfReach { .. } => {
                "start from a folder that you may enter, or make that file readable to you"
            }
            Self::Foreign(_) => "remove it, or write a .env of your own, in this folder",
        }
    }
}

/// Adds the settings of a file `.env`, in this folder or the nearest above that has one, to the environment. What is set
/// already stays; no such file is fine.
///
/// # Errors
/// [`DotEnvError`] when there is a file that cannot be read, or must not be.
pub fn load() -> Result<(), DotEnvError> {
    let folder = match env::current_dir() {
        Ok(folder) => folder,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(out_of_reach(Path::new(NAME), &error)),
    };
    match nearest(&folder)? {
        Some(file) => dotenvy::from_read(file).map_err(|_| DotEnvError::Unreadable),
        None => Ok(()),
    }
}

fn nearest(folder: &Path) -> Result<Option<File>, DotEnvError> {
    for folder in folder.ancestors() {
        let path = folder.join(NAME);
        match path.metadata() {
            Ok(found) if found.is_file() => {}
            Ok(_) => continue,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(out_of_reach(&path, &error)),
        }
        let file = File::open(&path).map_err(|error| out_of_reach(&path, &error))?;
        let counts = counts(&path, folder, &file).map_err(|error| out_of_reach(&path, &error))?;
        return if counts { Ok(Some(file)) } else { Err(DotEnvError::Foreign(path)) };
    }
    Ok(None)
}

fn out_of_reach(path: &Path, error: &io::Error) -> DotEnvError {
    DotEnvError::OutOfReach { path: path.to_owned(), reason: error.kind() }
}

/// Whether what was opened, and the link to it where it is one, is of somebody who has a say in `folder`.
#[cfg(unix)]
fn counts(path: &Path, folder: &Path, file: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;

    let trusted = [0, rustix::process::geteuid().as_raw(), folder.metadata()?.uid()];
    let owners = [path.symlink_metadata()?.uid(), file.metadata()?.uid()];
    Ok(owners.iter().all(|owner| trusted.contains(owner)))
}

#[cfg(not(unix))]
fn counts(_: &Path, _: &Path, _: &File) -> io::Result<bool> {
    Ok(true)
}
