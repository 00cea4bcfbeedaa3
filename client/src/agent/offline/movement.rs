//! Money on its way from one to another, told as a person would: "25 USD from bob to alice, for lunch: succeeded".
//!
//! Known by the names of its members, not by the tool that gave it.

use super::datum::Datum;
use super::words::split_name;

/// Members that the sentence has said, or that a person does not need once it is decided.
const SAID: [&str; 7] = ["amount", "currency", "from", "to", "memo", "status", "createdAt"];

/// The sentence, if these are the members of a movement of money.
pub(super) fn sentence(members: &[(String, Datum)]) -> Option<String> {
    let member = |name: &str| members.iter().find(|(known, _)| known == name).map(|(_, value)| value);
    let text = |name: &str| match member(name)? {
        Datum::Text(_) => member(name).map(Datum::inline),
        Datum::Null | Datum::Plain(_) | Datum::List(_) | Datum::Record(_) => None,
    };
    let Some(Datum::Plain(amount)) = member("amount") else { return None };
    let (from, to, status) = (text("from")?, text("to")?, text("status")?);
    let currency = text("currency").map(|code| format!(" {code}")).unwrap_or_default();
    let memo = text("memo").map(|memo| format!(", memo \u{201c}{memo}\u{201d}")).unwrap_or_default();
    let others: Vec<String> = members
        .iter()
        .filter(|(name, value)| !SAID.contains(&name.as_str()) && *value != Datum::Null)
        .map(|(name, value)| format!("{}: {}", split_name(name).join(" "), value.inline()))
        .collect();
    let others = if others.is_empty() { String::new() } else { format!(" ({})", others.join(", ")) };
    Some(format!("{amount}{currency} from {from} to {to}{memo}: {}{others}.", status.replace('_', " ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::mcp::tools::CallToolResult;

    use super::*;

    fn told(structured: serde_json::Value) -> Option<String> {
        let result = CallToolResult { structured_content: Some(structured), ..Default::default() };
        match Datum::of(&result) {
            Datum::Record(members) => sentence(&members),
            Datum::Null | Datum::Plain(_) | Datum::Text(_) | Datum::List(_) => None,
        }
    }

    #[test]
    fn who_pays_whom_how_much_and_how_it_stands_is_one_sentence() {
        let paid = json!({
            "paymentId": "pay_1", "status": "partially_refunded", "from": "bob", "to": "alice", "amount": 25,
            "currency": "USD", "memo": "lunch", "createdAt": "2026-01-01T00:00:00Z", "refundedAmount": 5.5,
        });
        let sentence = told(paid).unwrap();
        assert!(
            sentence
                .starts_with("25 USD from bob to alice, memo \u{201c}lunch\u{201d}: partially refunded (")
        );
        assert!(
            sentence.contains("payment id: pay_1") && sentence.contains("refunded amount: 5.5"),
            "{sentence}"
        );
    }

    #[test]
    fn what_lacks_a_party_or_a_status_is_no_movement() {
        assert_eq!(told(json!({ "from": "bob", "to": "alice", "amount": 25 })), None);
        assert_eq!(told(json!({ "from": "bob", "status": "paid", "amount": 25 })), None);
        assert_eq!(told(json!({ "from": "bob", "to": "alice", "status": "paid", "amount": "25" })), None);
    }
}
