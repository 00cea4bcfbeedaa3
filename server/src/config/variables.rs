//! The environment as a table of texts, and the ways in which a setting is read from one.

use std::{ffi::OsString, fmt, ops::RangeInclusive};

use secrecy::SecretString;

use super::ConfigError;

/// Where the values of variables come from. Values that are empty count as not set.
pub(super) struct Variables<'a>(&'a dyn Fn(&str) -> Option<OsString>);

impl<'a> Variables<'a> {
    /// Variables whose values `lookup` knows.
    pub(super) fn new(lookup: &'a dyn Fn(&str) -> Option<OsString>) -> Self {
        Self(lookup)
    }

    /// The value as it is, for others to read.
    pub(super) fn raw(&self, variable: &str) -> Option<OsString> {
        (self.0)(variable)
    }

    /// The value, without spaces around it.
    pub(super) fn text(&self, variable: &'static str) -> Result<Option<String>, ConfigError> {
        let Some(value) = (self.0)(variable) else { return Ok(None) };
        let Ok(text) = value.into_string() else {
            return Err(wrong(variable, "text in UTF-8", "value"));
        };
        let text = text.trim();
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    /// The value, as it is, kept out of sight.
    pub(super) fn secret(&self, variable: &'static str) -> Result<Option<SecretString>, ConfigError> {
        Ok(self.text(variable)?.map(SecretString::from))
    }

    /// The value as `parse` reads it, or `default`.
    pub(super) fn parsed<T>(
        &self,
        variable: &'static str,
        rule: &str,
        example: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
        default: T,
    ) -> Result<T, ConfigError> {
        match self.text(variable)? {
            None => Ok(default),
            Some(text) => parse(&text).ok_or_else(|| wrong(variable, rule, example)),
        }
    }

    /// A whole number within `range`, or `default`.
    pub(super) fn number(
        &self,
        variable: &'static str,
        range: RangeInclusive<u64>,
        example: &'static str,
        default: u64,
    ) -> Result<u64, ConfigError> {
        let rule = format!("a whole number from {} to {}", range.start(), range.end());
        let parse = |text: &str| text.parse().ok().filter(|number| range.contains(number));
        self.parsed(variable, &rule, example, parse, default)
    }

    /// One of a few words in lower case, or `default`.
    pub(super) fn one_of<T: Copy>(
        &self,
        variable: &'static str,
        words: &[(&'static str, T)],
        default: T,
    ) -> Result<T, ConfigError> {
        let names = words.iter().map(|(word, _)| *word);
        let rule = names.clone().collect::<Vec<_>>().join(" or ");
        let parse = |text: &str| words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        self.parsed(variable, &rule, names.last().unwrap_or_default(), parse, default)
    }

    /// The entries of a list with commas between them, empty ones left out.
    pub(super) fn list(&self, variable: &'static str) -> Result<Option<Vec<String>>, ConfigError> {
        let entries = |text: String| {
            text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
        };
        Ok(self.text(variable)?.map(entries))
    }
}

impl fmt::Debug for Variables<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Variables(..)")
    }
}

fn wrong(variable: &'static str, rule: &str, example: &'static str) -> ConfigError {
    ConfigError::Wrong { variable, rule: rule.to_owned(), example }
}
