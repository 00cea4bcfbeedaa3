//! HTTP/1.1 by hand: exact bytes out, exact bytes in.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpSocket, TcpStream},
};

use super::{official::Conversation, soon};

/// A request as it will be written.
#[derive(Clone)]
pub(crate) struct Ask {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Ask {
    /// `POST /mcp` with what every client sends.
    pub(crate) fn post(body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", Some(body.into()))
            .with("content-type", "application/json")
            .with("accept", "application/json, text/event-stream")
    }

    /// `GET /mcp` for a stream.
    pub(crate) fn get() -> Self {
        Self::new("GET", None).with("accept", "text/event-stream")
    }

    /// `DELETE /mcp`.
    pub(crate) fn delete() -> Self {
        Self::new("DELETE", None)
    }

    /// Another method, with no header but the host.
    pub(crate) fn bare(method: &'static str) -> Self {
        Self::new(method, None)
    }

    fn new(method: &'static str, body: Option<Vec<u8>>) -> Self {
        Self { method, path: "/mcp".to_owned(), headers: Vec::new(), body }
    }

    /// The same to another path.
    pub(crate) fn to(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// One header more.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without this header.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(header, _)| !header.eq_ignore_ascii_case(name));
        self
    }

    /// With this header only once.
    pub(crate) fn instead(self, name: &str, value: &str) -> Self {
        self.without(name).with(name, value)
    }

    /// With another body.
    pub(crate) fn saying(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// With a key.
    pub(crate) fn key(self, key: &str) -> Self {
        self.instead("x-api-key", key)
    }

    /// In a session.
    pub(crate) fn session(self, id: &str) -> Self {
        self.instead("mcp-session-id", id)
    }

    /// The bytes on the wire.
    pub(crate) fn bytes(&self, address: SocketAddr) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        let named = |name: &str| self.headers.iter().any(|(header, _)| header.eq_ignore_ascii_case(name));
        if !named("host") {
            head.push_str(&format!("Host: {address}\r\n"));
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = &self.body
            && !named("content-length")
        {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(self.body.as_deref().unwrap_or_default());
        bytes
    }

    /// Sends it on a connection of its own and reads the whole answer.
    pub(crate) async fn send(&self, address: SocketAddr) -> Answer {
        let mut wire = Wire::connect(address).await;
        wire.write(&self.bytes(address)).await;
        // An answer that turns out to be a stream has no end of its own.
        soon("the whole answer", wire.answer()).await
    }
}

/// An answer, whole.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// The value of a header that is there at most once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values =
            self.headers.iter().filter(|(header, _)| header == name).map(|(_, value)| value.as_str());
        let first = values.next();
        assert!(values.next().is_none(), "{name} is there twice");
        first
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The JSON-RPC error's code, if the body is one.
    pub(crate) fn code(&self) -> Option<i64> {
        serde_json::from_str::<Value>(&self.body).ok()?["error"]["code"].as_i64()
    }

    /// Everything but what differs from one answer to the next: the date and the request's id.
    pub(crate) fn without_moment(mut self) -> Self {
        if let Some(id) = self.header("x-request-id").map(str::to_owned) {
            self.body = self.body.replace(&id, "ID");
        }
        self.headers.retain(|(name, _)| name != "date" && name != "x-request-id");
        self
    }
}

/// One connection.
pub(crate) struct Wire(BufReader<TcpStream>, Conversation);

impl Wire {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::over(soon("connecting", TcpStream::connect(address)).await.unwrap())
    }

    /// A connection of which little is kept that was not read yet.
    pub(crate) async fn with_little_room(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        Self::over(soon("connecting", socket.connect(address)).await.unwrap())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream), Conversation::default())
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.listen_in(bytes);
        soon("writing", self.0.write_all(bytes)).await.unwrap();
    }

    /// Takes note of a request, so that the answer can be held against the schema of its revision.
    fn listen_in(&mut self, bytes: &[u8]) {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let Some((head, body)) = end.and_then(|end| bytes.split_at_checked(end + 4)) else { return };
        for line in String::from_utf8_lossy(head).lines() {
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("mcp-protocol-version")
            {
                self.1.speaks(value.trim());
            }
        }
        self.1.other_side_said(body);
    }

    /// Writes what the server may not want to read.
    pub(crate) async fn try_write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        soon("writing", self.0.write_all(bytes)).await
    }

    /// Says that nothing more will be written, and goes on reading.
    pub(crate) async fn finish_writing(&mut self) {
        soon("half-closing", self.0.shutdown()).await.unwrap();
    }

    /// Status and headers of the next answer; the body is yet to be read.
    pub(crate) async fn head(&mut self) -> Answer {
        let status_line = self.line().await;
        let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("not a status line: {status_line:?}"));
        let mut headers = Vec::new();
        loop {
            let line = self.line().await;
            if line.is_empty() {
                return Answer { status, headers, body: String::new() };
            }
            let (name, value) = line.split_once(':').unwrap();
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// The next answer, whole.
    pub(crate) async fn answer(&mut self) -> Answer {
        let head = self.head().await;
        self.rest_of(head).await
    }

    /// The next answer, if it comes within that time.
    pub(crate) async fn answer_within(&mut self, patience: std::time::Duration) -> Option<Answer> {
        tokio::time::timeout(patience, self.answer()).await.ok()
    }

    /// The answer that begins with `answer`, whole.
    pub(crate) async fn rest_of(&mut self, mut answer: Answer) -> Answer {
        if answer.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk().await {
                answer.body.push_str(&chunk);
            }
        } else if let Some(length) = answer.header("content-length") {
            let mut body = vec![0; length.parse().unwrap()];
            soon("the body", self.0.read_exact(&mut body)).await.unwrap();
            answer.body = String::from_utf8(body).unwrap();
            self.1.said(&answer.body);
        }
        answer
    }

    /// The next chunk of a body that is a stream; `None` at its end, or when the connection is cut.
    pub(crate) async fn chunk(&mut self) -> Option<String> {
        let mut size = String::new();
        if soon("a chunk", self.0.read_line(&mut size)).await.unwrap_or(0) == 0 {
            return None;
        }
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let mut chunk = vec![0; size + 2];
        soon("a chunk", self.0.read_exact(&mut chunk)).await.unwrap();
        chunk.truncate(size);
        let chunk = String::from_utf8(chunk).unwrap();
        self.1.streamed(&chunk);
        (size > 0).then_some(chunk)
    }

    /// Reads until the server closes the connection; what it still said.
    pub(crate) async fn until_closed(&mut self) -> String {
        let mut rest = Vec::new();
        // A reset is an end too.
        let _ = soon("the end of the connection", self.0.read_to_end(&mut rest)).await;
        String::from_utf8(rest).unwrap()
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        soon("a line of the head", self.0.read_line(&mut line)).await.unwrap();
        assert!(line.ends_with("\r\n"), "the connection ended within a head: {line:?}");
        line.truncate(line.len() - 2);
        line
    }
}
