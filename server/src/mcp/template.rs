//! URI templates with plain variables (RFC 6570, level 1), matched strictly.

use super::resource::Variables;

/// A template in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Variable(String),
}

impl Template {
    /// Reads a template; `None` when it has no variable, two without text between them, or something else in braces.
    pub(super) fn parse(template: &str) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut rest = template;
        while let Some((text, after)) = rest.split_once('{') {
            let (name, behind) = after.split_once('}')?;
            let is_name =
                !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            let follows_variable = text.is_empty() && matches!(pieces.last(), Some(Piece::Variable(_)));
            if !is_name || follows_variable {
                return None;
            }
            if !text.is_empty() {
                pieces.push(Piece::Text(text.to_owned()));
            }
            pieces.push(Piece::Variable(name.to_owned()));
            rest = behind;
        }
        if pieces.is_empty() || rest.contains('}') {
            return None;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Some(Self(pieces))
    }

    /// The values that the variables have in `uri`: not empty, decoded, without a slash. `None` when it does not fit.
    pub(super) fn matches(&self, uri: &str) -> Option<Variables> {
        let mut variables = Variables::new();
        let mut rest = uri;
        let mut pieces = self.0.iter().peekable();
        while let Some(piece) = pieces.next() {
            match piece {
                Piece::Text(text) => rest = rest.strip_prefix(text.as_str())?,
                Piece::Variable(name) => {
                    let end = match pieces.peek() {
                        Some(Piece::Text(text)) => rest.find(text.as_str())?,
                        Some(Piece::Variable(_)) | None => rest.len(),
                    };
                    let (value, after) = rest.split_at_checked(end)?;
                    if value.is_empty() || value.contains(['/', '?', '#']) {
                        return None;
                    }
                    variables.insert(name.clone(), decoded(value)?);
                    rest = after;
                }
            }
        }
        rest.is_empty().then_some(variables)
    }

    /// The names of the variables.
    pub(super) fn variables(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Variable(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }
}

/// A value without its percent-encoding; `None` where that is broken or no UTF-8.
fn decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        if *byte == b'%' {
            let (digits, behind) = after.split_first_chunk::<2>()?;
            let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let [high, low] = *digits;
            bytes.push(digit(high)?.checked_mul(16)?.checked_add(digit(low)?)?);
            rest = behind;
        } else {
            bytes.push(*byte);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(template: &str, uri: &str) -> Option<Vec<(String, String)>> {
        Template::parse(template).unwrap().matches(uri).map(|variables| variables.into_iter().collect())
    }

    #[test]
    fn a_uri_fits_wholly_or_not_at_all() {
        let one = |value: &str| Some(vec![("id".to_owned(), value.to_owned())]);
        for (uri, expected) in [
            ("t://a/123/data", one("123")),
            ("t://a/x%20y%C3%A4/data", one("x yä")),
            ("t://a//data", None),
            ("t://a/1/2/data", None),
            ("t://a/1/data/", None),
            ("T://a/1/data", None),
            ("t://a/1?x/data", None),
            ("t://a/%zz/data", None),
            ("t://a/%ff/data", None),
            ("t://a/%2", None),
            ("", None),
        ] {
            assert_eq!(matched("t://a/{id}/data", uri), expected, "{uri}");
        }
        assert_eq!(matched("t://{a}-{b}", "t://1-2").unwrap().len(), 2);
    }

    #[test]
    fn only_plain_variables_make_a_template() {
        for template in ["t://a", "t://{}", "t://{a", "t://a}", "t://{+a}", "t://{a}{b}", "t://{a}}"] {
            assert_eq!(Template::parse(template), None, "{template}");
        }
        assert_eq!(Template::parse("{a}/{b}").unwrap().variables().collect::<Vec<_>>(), ["a", "b"]);
    }

    proptest::proptest! {
        #[test]
        fn any_uri_is_matched_or_not_without_a_panic(uri in ".*") {
            let _ = matched("t://a/{id}/data", &uri);
        }
    }
}
