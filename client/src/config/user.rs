//! In whose name the server is called, and with which key.

use secrecy::SecretString;
use shared::demo;

use super::{UsageError, Variables, model::MODEL_KEY_VARIABLE};

/// The variable that carries the key when no name is given.
const KEY_VARIABLE_WITHOUT_NAME: &str = "MCP_API_KEY";

/// Someone in whose name the server is called.
#[derive(Debug, Clone)]
pub struct User {
    /// The name given with `--as`, in lower case.
    pub name: Option<String>,
    /// The variable that the key is looked for in.
    pub key_variable: String,
    /// The key.
    pub key: Key,
}

/// A user's key, and where it came from.
#[derive(Debug, Clone)]
pub enum Key {
    /// The variable is set.
    Set(SecretString),
    /// The variable is not set, and the published demo key stands in for it: at a loopback address only.
    Demo(SecretString),
    /// There is none, because a token or a certificate stands in its place.
    Service,
    /// There is none.
    Missing,
}

impl Key {
    /// The key itself.
    #[must_use]
    pub const fn secret(&self) -> Option<&SecretString> {
        match self {
            Self::Set(key) | Self::Demo(key) => Some(key),
            Self::Service | Self::Missing => None,
        }
    }
}

impl User {
    pub(super) fn new(
        name: Option<&str>,
        loopback: bool,
        variables: &Variables<'_>,
    ) -> Result<Self, UsageError> {
        let name = name.map(checked_name).transpose()?;
        let key_variable = match &name {
            Some(name) => format!("{}_API_KEY", name.to_ascii_uppercase()),
            None => KEY_VARIABLE_WITHOUT_NAME.to_owned(),
        };
        if key_variable == MODEL_KEY_VARIABLE {
            let rule = format!(
                "{MODEL_KEY_VARIABLE} is the key of the model endpoint, which the server must not see"
            );
            return Err(UsageError::invalid("--as", rule));
        }
        let published = demo::KEYS.iter().find(|(of, _)| Some(*of) == name.as_deref());
        let demo_key = published.filter(|_| loopback).map(|(_, key)| *key);
        let key = match (variables.text(&key_variable)?, demo_key) {
            (Some(key), _) => Key::Set(key.into()),
            (None, Some(key)) => Key::Demo(key.into()),
            (None, None) => Key::Missing,
        };
        Ok(Self { name, key_variable, key })
    }

    /// The name for a heading: `Bob`.
    #[must_use]
    pub fn title(&self) -> String {
        let name = self.name.as_deref().unwrap_or("you");
        let mut characters = name.chars();
        characters
            .next()
            .map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + characters.as_str())
    }

    /// What to do when there is no key: which variable to set.
    #[must_use]
    pub fn how_to_set_the_key(&self) -> String {
        let variable = &self.key_variable;
        match self.name.as_deref() {
            Some(name) => format!("set {variable} in the environment or in .env to the key of {name}"),
            None => format!(
                "set {variable} to your key, or name a user with --as NAME, whose key is in NAME_API_KEY"
            ),
        }
    }
}

/// A name whose key variable can exist: letters, digits and underscores, and no digit first.
fn checked_name(name: &str) -> Result<String, UsageError> {
    let is_variable = !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_variable {
        return Ok(name.to_ascii_lowercase());
    }
    let rule = "the key of NAME is read from the variable NAME_API_KEY, so a name is made of letters, digits and \
                underscores and does not begin with a digit";
    Err(UsageError::invalid("--as", rule))
}
