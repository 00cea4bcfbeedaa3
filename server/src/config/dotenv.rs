//! The file `.env`: where it is, and whose it must be.
//!
//! It is looked for in folders where others may write, such as `/tmp`, and it may set everything, the database and who is
//! trusted among it. So it counts only where it comes from somebody who could do that anyway.

use std::{
    env,
    fs::File,
    io::{self, ErrorKind},
    path::Path,
};

use super::ConfigError;

const NAME: &str = ".env";

/// Adds the settings of a file `.env`, in this folder or the nearest above that has one, to the environment. What is
/// set already stays; no such file is fine.
///
/// # Errors
/// [`ConfigError::DotEnv`] when a line is not a setting. It is not shown: it may hold a key.
/// [`ConfigError::DotEnvOutOfReach`] when the folder may not be entered, or the file not be read.
/// [`ConfigError::ForeignDotEnv`] when neither root, nor whoever runs the program, nor the owner of its folder wrote it.
pub fn load_dotenv() -> Result<(), ConfigError> {
    let folder = match env::current_dir() {
        Ok(folder) => folder,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(out_of_reach(Path::new(NAME), &error)),
    };
    match nearest(&folder)? {
        Some(file) => dotenvy::from_read(file).map_err(|_| ConfigError::DotEnv),
        None => Ok(()),
    }
}

fn nearest(folder: &Path) -> Result<Option<File>, ConfigError> {
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
        return if counts { Ok(Some(file)) } else { Err(ConfigError::ForeignDotEnv(path)) };
    }
    Ok(None)
}

fn out_of_reach(path: &Path, error: &io::Error) -> ConfigError {
    ConfigError::DotEnvOutOfReach { path: path.to_owned(), reason: error.kind() }
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
