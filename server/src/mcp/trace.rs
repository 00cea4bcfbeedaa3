//! The trace that a request is part of, where it says so (W3C Trace Context): in its header, or in `_meta`, where the
//! newest revision has it.

use serde::Deserialize;
use serde_json::value::RawValue;
use shared::mcp::object::object;

use super::Header;

/// The header, in lower case, and the member of `_meta`.
pub(super) const HEADER: &str = "traceparent";

/// The trace's id; `None` where there is none, or none that is well-formed.
pub(super) fn of(header: Header<'_>, params: Option<&RawValue>) -> Option<[u8; 16]> {
    match header {
        Header::Once(text) => id(str::from_utf8(text).ok()?),
        Header::Repeated => None,
        Header::Absent => id(&in_meta(params)?),
    }
}

fn in_meta(params: Option<&RawValue>) -> Option<String> {
    #[derive(Deserialize)]
    struct Params {
        #[serde(rename = "_meta", deserialize_with = "object")]
        meta: Meta,
    }
    #[derive(Deserialize)]
    struct Meta {
        traceparent: String,
    }
    let params = params.map(RawValue::get).filter(|params| params.contains(HEADER))?;
    serde_json::from_str::<Params>(params).ok().map(|params| params.meta.traceparent)
}

/// The trace's id in `version-traceid-parentid-flags`. One of zeros is none.
fn id(text: &str) -> Option<[u8; 16]> {
    let mut parts = text.trim().split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |part: &str, length| {
        part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let well_formed = is_hex(version, 2) && version != "ff" && is_hex(parent, 16) && is_hex(flags, 2);
    if !well_formed || !is_hex(trace, 32) || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let bytes = data_encoding::HEXLOWER.decode(trace.as_bytes()).ok()?;
    <[u8; 16]>::try_from(bytes).ok().filter(|id| id.iter().any(|byte| *byte != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_taken_from_the_header_or_from_meta_if_it_is_well_formed() {
        const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let found = id(GOOD).unwrap();
        assert_eq!(found[..2], [0x4b, 0xf9]);
        assert_eq!(of(Header::Once(GOOD.as_bytes()), None), Some(found));
        let params = RawValue::from_string(format!(r#"{{"_meta":{{"traceparent":"{GOOD}"}}}}"#)).unwrap();
        assert_eq!(of(Header::Absent, Some(&params)), Some(found));
        assert_eq!(of(Header::Repeated, Some(&params)), None);
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        ] {
            assert_eq!(id(bad), None, "{bad}");
        }
    }
}
