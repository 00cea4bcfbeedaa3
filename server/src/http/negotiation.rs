//! What the client can read, and what it sends: `Accept`, `Content-Type`, and how the body is coded.

use http::{HeaderMap, header};

/// What almost every MCP client sends, in the order of the specification.
const USUAL_ACCEPT: &[u8] = b"application/json, text/event-stream";

const USUAL_CONTENT_TYPE: &[u8] = b"application/json";

/// Whether a POST says that it can read both forms that an answer may have.
pub(super) fn accepts_an_answer(headers: &HeaderMap) -> bool {
    let usual = headers.get(header::ACCEPT).is_some_and(|value| value.as_bytes() == USUAL_ACCEPT);
    usual || (accepts(headers, "application", "json") && accepts_a_stream(headers))
}

/// Whether the client says that it can read a stream of events.
pub(super) fn accepts_a_stream(headers: &HeaderMap) -> bool {
    accepts(headers, "text", "event-stream")
}

/// Whether the client accepts `kind/form`: the most specific range that covers it decides, and weight 0 means no. A
/// client that says nothing accepts everything (RFC 9110, "Accept").
fn accepts(headers: &HeaderMap, kind: &str, form: &str) -> bool {
    if !headers.contains_key(header::ACCEPT) {
        return true;
    }
    let ranges = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    ranges
        .flat_map(|value| value.split(','))
        .filter_map(|range| {
            let (range, parameters) = range.split_once(';').unwrap_or((range, ""));
            let (its_kind, its_form) = range.trim().split_once('/')?;
            let specificity = if its_form.eq_ignore_ascii_case(form) && its_kind.eq_ignore_ascii_case(kind) {
                2
            } else if its_form == "*" && its_kind.eq_ignore_ascii_case(kind) {
                1
            } else if its_form == "*" && its_kind == "*" {
                0
            } else {
                return None;
            };
            Some((specificity, !has_weight_zero(parameters)))
        })
        .max()
        .is_some_and(|(_, wanted)| wanted)
}

fn has_weight_zero(parameters: &str) -> bool {
    parameters.split(';').filter_map(|parameter| parameter.split_once('=')).any(|(name, value)| {
        name.trim().eq_ignore_ascii_case("q") && value.trim().parse::<f32>().is_ok_and(|weight| weight <= 0.0)
    })
}

/// Whether the body is said to be JSON, in UTF-8 where a character set is named.
pub(super) fn sends_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    if value.as_bytes() == USUAL_CONTENT_TYPE {
        return true;
    }
    let Ok(value) = value.to_str() else { return false };
    let (essence, parameters) = value.split_once(';').unwrap_or((value, ""));
    let is_utf_8 = |parameter: &str| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    };
    essence.trim().eq_ignore_ascii_case("application/json") && parameters.split(';').all(is_utf_8)
}

/// Whether the body is in another form than the one in which it was written. Chunks are no other form.
pub(super) fn is_coded(headers: &HeaderMap) -> bool {
    let other = |name, plain: &str| {
        headers
            .get_all(name)
            .iter()
            .any(|value| !value.as_bytes().trim_ascii().eq_ignore_ascii_case(plain.as_bytes()))
    };
    other(header::CONTENT_ENCODING, "identity") || other(header::TRANSFER_ENCODING, "chunked")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn map(name: header::HeaderName, values: &[&str]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for value in values {
            map.append(&name, HeaderValue::from_str(value).unwrap());
        }
        map
    }

    #[test]
    fn a_post_must_accept_json_and_events() {
        for (accept, accepted) in [
            (&[][..], true),
            (&["application/json, text/event-stream"], true),
            (&["text/event-stream,application/json"], true),
            (&["Application/JSON;q=0.9, TEXT/event-stream ; q=0.1"], true),
            (&["application/json", "text/event-stream"], true),
            (&["*/*"], true),
            (&["application/*, text/*"], true),
            (&["text/html, */*;q=0.1"], true),
            (&["application/json"], false),
            (&["text/event-stream"], false),
            (&["text/html"], false),
            (&[""], false),
            (&["*/*;q=0"], false),
            (&["*/*, text/event-stream;q=0"], false),
            (&["*/*, text/event-stream;q=0.000"], false),
            (&["text/*;q=0, */*"], false),
            (&["application/json, text/event-streams"], false),
        ] {
            assert_eq!(accepts_an_answer(&map(header::ACCEPT, accept)), accepted, "{accept:?}");
        }
    }

    #[test]
    fn a_body_must_be_json_in_utf_8() {
        for (content_type, taken) in [
            (&["application/json"][..], true),
            (&["Application/Json; charset=UTF-8"], true),
            (&["application/json;charset=\"utf-8\"; version=1"], true),
            (&["application/json; charset=latin-1"], false),
            (&["application/jsonp"], false),
            (&["text/plain"], false),
            (&["application/x-www-form-urlencoded"], false),
            (&["application/json", "application/json"], false),
            (&[""], false),
            (&[], false),
        ] {
            assert_eq!(sends_json(&map(header::CONTENT_TYPE, content_type)), taken, "{content_type:?}");
        }
    }
}
