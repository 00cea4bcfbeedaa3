//! One request of MCP as bytes, and what its answer must be.

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use shared::{
    demo::BOB_API_KEY,
    headers::{API_KEY, METHOD, NAME, PROTOCOL_VERSION, SESSION_ID},
};

use crate::http::{Answer, Wire, post};

/// In which way a server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Era {
    /// Revision 2025-11-25, in a session.
    Sessions,
    /// Revision 2025-11-25, each request by itself.
    Sessionless,
    /// Revision 2026-07-28.
    Modern,
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    /// What is wanted of the server.
    pub(crate) method: &'a str,
    /// The tool, or the resource.
    pub(crate) name: &'a str,
    /// The arguments of a tool, in JSON.
    pub(crate) arguments: Option<&'a str>,
    /// Whose it is.
    pub(crate) key: &'a str,
    /// In which session.
    pub(crate) session: Option<&'a str>,
    /// In which way.
    pub(crate) era: Era,
}

impl<'a> Ask<'a> {
    /// A call of a tool, by Bob.
    pub(crate) const fn tool(name: &'a str, arguments: &'a str) -> Self {
        let (method, arguments) = ("tools/call", Some(arguments));
        Self { method, name, arguments, key: BOB_API_KEY, session: None, era: Era::Sessions }
    }

    /// The reading of a resource, by Bob.
    pub(crate) const fn resource(uri: &'a str) -> Self {
        let method = "resources/read";
        Self { method, name: uri, arguments: None, key: BOB_API_KEY, session: None, era: Era::Sessions }
    }

    /// The bytes of it.
    pub(crate) fn request(&self, address: &str, id: u64) -> Vec<u8> {
        let Self { method, name, .. } = self;
        let mut headers = vec![(API_KEY, self.key)];
        if let Some(session) = self.session {
            headers.push((SESSION_ID, session));
        }
        let meta = if self.era == Era::Modern {
            headers.extend([(PROTOCOL_VERSION, "2026-07-28"), (METHOD, *method), (NAME, *name)]);
            META
        } else {
            headers.push((PROTOCOL_VERSION, "2025-11-25"));
            ""
        };
        let params = match self.arguments {
            Some(arguments) => format!(r#""name":"{name}","arguments":{arguments}{meta}"#),
            None => format!(r#""uri":"{name}"{meta}"#),
        };
        // The id comes last: no other run of nine such digits can stand after it.
        let body = format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{{{params}}},"id":{id}}}"#);
        post(address, &headers, &body)
    }
}

/// What every request of 2026-07-28 says about its sender.
const META: &str = r#","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

/// One request that is sent again and again, and the answer it must bring.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    /// The request, up to the digits of its JSON-RPC id.
    before_id: Vec<u8>,
    /// The request after them.
    after_id: Vec<u8>,
    /// The body of its answer, around the same digits.
    answer: (String, String),
    expected: Expected,
}

/// What an answer must be that is not the first one, byte for byte.
#[derive(Debug, Clone)]
enum Expected {
    /// The same result, with its members in whatever order.
    Same(Value),
    /// So many records of the audit trail, which are others from call to call.
    Records(usize),
}

/// How many digits every JSON-RPC id has, so that `Content-Length` never changes.
const ID_DIGITS: usize = 9;

/// The id of the call that shows what the answers are.
const FIRST_ID: u64 = 111_111_111;

impl Work {
    /// Sends a request, whose answer must say something, and learns from it what every answer must be.
    pub(crate) async fn learn(
        wire: &mut Wire,
        ask: &Ask<'_>,
        address: &str,
        must_say: &str,
    ) -> anyhow::Result<Self> {
        let request = ask.request(address, FIRST_ID);
        let first_id = FIRST_ID.to_string();
        let answer = wire.exchange(&request).await?;
        ensure!(answer.status == 200, "{} was answered with {}: {}", ask.name, answer.status, answer.body);
        let result = result(answer.body, FIRST_ID)?;
        let has_failed = result.get("isError").and_then(Value::as_bool).unwrap_or_default();
        ensure!(!has_failed && answer.body.contains(must_say), "{} was answered with {result}", ask.name);
        let parts = answer.body.split_once(&first_id).context("the answer lost its id")?;
        let parts = (parts.0.to_owned(), parts.1.to_owned());
        let at = request.windows(ID_DIGITS).rposition(|window| window == first_id.as_bytes());
        let (before_id, rest) = request.split_at(at.context("the request lost its id")?);
        let after_id = rest.get(ID_DIGITS..).unwrap_or_default().to_vec();
        Ok(Self { before_id: before_id.to_vec(), after_id, answer: parts, expected: Expected::Same(result) })
    }

    /// The same, if the answer lists so many transactions.
    pub(crate) fn that_lists(self, transactions: usize) -> anyhow::Result<Self> {
        let Expected::Same(result) = &self.expected else { bail!("nothing is known of the answer") };
        let listed = result.pointer("/structuredContent/transactions").and_then(Value::as_array);
        let listed = listed.map_or(0, Vec::len);
        ensure!(listed == transactions, "{listed} transactions are listed instead of {transactions}");
        Ok(self)
    }

    /// The same, whose answers are so many records of the audit trail, others from call to call.
    #[must_use]
    pub(crate) fn with_records(self, many: usize) -> Self {
        Self { expected: Expected::Records(many), ..self }
    }

    /// Sends it under an id of its own and checks the answer.
    pub(crate) async fn call(&self, wire: &mut Wire, id: u64, request: &mut Vec<u8>) -> anyhow::Result<()> {
        let digits = id.to_string();
        ensure!(digits.len() == ID_DIGITS, "too many calls for the width of an id");
        request.clear();
        request.extend_from_slice(&self.before_id);
        request.extend_from_slice(digits.as_bytes());
        request.extend_from_slice(&self.after_id);
        self.check(&wire.exchange(request).await?, id, &digits)
    }

    fn check(&self, answer: &Answer<'_>, id: u64, digits: &str) -> anyhow::Result<()> {
        ensure!(answer.status == 200, "a call was answered with {}: {}", answer.status, answer.body);
        let (before, after) = &self.answer;
        let rest = answer.body.strip_prefix(before.as_str()).and_then(|rest| rest.strip_prefix(digits));
        if rest == Some(after) {
            return Ok(());
        }
        let message: Value = serde_json::from_str(answer.body)?;
        ensure!(
            message.get("id").and_then(Value::as_u64) == Some(id),
            "another call's answer: {}",
            answer.body
        );
        let is_right = match &self.expected {
            Expected::Same(result) => message.get("result") == Some(result),
            Expected::Records(many) => {
                let records = message.pointer("/result/structuredContent/records").and_then(Value::as_array);
                records.is_some_and(|records| records.len() == *many)
            }
        };
        ensure!(is_right, "a wrong answer: {}", answer.body);
        Ok(())
    }
}

/// The `result` of the answer to the request with this id.
pub(crate) fn result(body: &str, id: u64) -> anyhow::Result<Value> {
    let mut message: Value = serde_json::from_str(body).with_context(|| format!("not JSON: {body}"))?;
    ensure!(message.get("id").and_then(Value::as_u64) == Some(id), "another call's answer: {body}");
    match message.get_mut("result") {
        Some(result) => Ok(result.take()),
        None => bail!("no result: {body}"),
    }
}
