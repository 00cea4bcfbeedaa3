//! What the risk service said, held against what it may say. Anything else is no verdict.

use serde::Deserialize;
use shared::mcp::{content::ContentBlock, object::object, tools::CallToolResult};

use super::{Verdict, attempt::Failed};
use crate::text;

/// The most that is kept of what the other server wrote, in characters.
const TEXT_MAX: usize = 200;

/// An answer that is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It was assessed.
    Verdict(Verdict),
    /// Nothing is reserved for it any more.
    Released,
}

#[derive(Deserialize)]
struct Said {
    payment: String,
    decision: String,
    #[serde(default)]
    reason: Option<String>,
}

/// Reads the answer to a question about `payment`.
///
/// # Errors
/// [`Failed::Declined`] when the tool did not do it; [`Failed::Nonsense`] for everything that is no answer to it.
pub(super) fn read(payment: &str, is_release: bool, result: CallToolResult) -> Result<Answer, Failed> {
    if result.is_error == Some(true) {
        let text = result.content.into_iter().find_map(|block| match block {
            ContentBlock::Text(text) => Some(text.text),
            _ => None,
        });
        return Err(Failed::Declined(cleaned(text.as_deref().unwrap_or("it does not say why"))));
    }
    let nonsense = |text: &str| Failed::Nonsense(text.to_owned());
    let structured = result.structured_content.ok_or_else(|| nonsense("there is no structured content"))?;
    let said: Said = object(structured)
        .map_err(|_| nonsense("`payment` and `decision` are not there, or are no texts"))?;
    if said.payment != payment {
        return Err(nonsense("it is about another payment"));
    }
    let reason = said.reason.as_deref().map(cleaned).filter(|reason| !reason.is_empty());
    match (said.decision.as_str(), is_release, reason) {
        ("released", true, _) => Ok(Answer::Released),
        ("approved", false, None) => Ok(Answer::Verdict(Verdict::Approved)),
        ("refused", false, Some(reason)) => Ok(Answer::Verdict(Verdict::Refused { reason })),
        ("approved", false, Some(_)) => Err(nonsense("it is approved, and yet there is a reason not to")),
        ("refused", false, None) => Err(nonsense("it is refused without a reason")),
        (other, ..) => Err(Failed::Nonsense(format!("the decision is `{}`", cleaned(other)))),
    }
}

/// The words of another server, of bounded length, and harmless wherever they are shown: letters, digits and the signs
/// of ASCII; anything else becomes one space.
pub(super) fn cleaned(text: &str) -> String {
    let plain = |char| if text::is_plain(char) { char } else { ' ' };
    let shortened: String = text.chars().take(TEXT_MAX).map(plain).collect();
    shortened.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn outcome(is_release: bool, result: Value) -> String {
        match read("pay_1", is_release, serde_json::from_value(result).unwrap()) {
            Ok(Answer::Verdict(Verdict::Approved)) => "approved".to_owned(),
            Ok(Answer::Verdict(Verdict::Refused { reason })) => format!("refused: {reason}"),
            Ok(Answer::Released) => "released".to_owned(),
            Err(Failed::Nonsense(text)) => format!("nonsense: {text}"),
            Err(Failed::Declined(text)) => format!("declined: {text}"),
            Err(Failed::NoAnswer(error)) => error.to_string(),
        }
    }

    #[test]
    fn an_answer_is_taken_and_everything_else_is_nonsense() {
        let structured = |value: Value| json!({ "content": [], "structuredContent": value });
        let of = |decision: &str| structured(json!({ "payment": "pay_1", "decision": decision }));
        let because = |decision: &str, reason: &str| {
            structured(json!({ "payment": "pay_1", "decision": decision, "reason": reason }))
        };
        for (result, expected) in [
            (of("approved"), "approved"),
            (because("refused", "too much"), "refused: too much"),
            (of("released"), "nonsense: the decision is `released`"),
            (of("refused"), "nonsense: it is refused without a reason"),
            (because("refused", "\u{202e}\u{7}"), "nonsense: it is refused without a reason"),
            (because("approved", "but"), "nonsense: it is approved, and yet there is a reason not to"),
            (of("APPROVED"), "nonsense: the decision is `APPROVED`"),
            (of("\u{1b}[31mapproved"), "nonsense: the decision is `[31mapproved`"),
            (
                structured(json!({ "payment": "pay_2", "decision": "approved" })),
                "nonsense: it is about another payment",
            ),
            (
                structured(json!({ "payment": "pay_1", "decision": true })),
                "nonsense: `payment` and `decision` are not there, or are no texts",
            ),
            (
                structured(json!(["pay_1", "approved"])),
                "nonsense: `payment` and `decision` are not there, or are no texts",
            ),
            (
                structured(json!({ "decision": "approved" })),
                "nonsense: `payment` and `decision` are not there, or are no texts",
            ),
            (
                json!({ "content": [{ "type": "text", "text": "approved" }] }),
                "nonsense: there is no structured content",
            ),
            (
                json!({ "content": [{ "type": "text", "text": "no\nway" }], "isError": true }),
                "declined: no way",
            ),
        ] {
            assert_eq!(outcome(false, result.clone()), expected, "{result}");
        }
        assert_eq!(outcome(true, of("released")), "released");
        assert_eq!(outcome(true, of("approved")), "nonsense: the decision is `approved`");
    }

    #[test]
    fn the_words_of_another_server_are_short_and_harmless() {
        assert_eq!(cleaned("Zoë:\t\u{1b}]0;x\u{7} 100 % \u{202e}do\u{3164}ne"), "Zoë: ]0;x 100 % do ne");
        assert_eq!(cleaned(&"ä".repeat(10_000)).chars().count(), TEXT_MAX);
    }
}
