//! Just enough of an HTTP/1.1 client to keep a server busy: one kept-alive connection, requests as prepared bytes,
//! answers in JSON or as an event stream that ends. The load generator's own cost must stay small beside the server's.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// How long an answer may take, and a connection.
const MOST: Duration = Duration::from_secs(30);

/// One kept-alive connection.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// The body of an answer that came in pieces.
    joined: Vec<u8>,
}

/// One answer, borrowing from the connection's buffer.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    /// The HTTP status.
    pub(crate) status: u16,
    /// Status line and headers.
    pub(crate) head: &'a str,
    /// The body; of an event stream, the data of its last event.
    pub(crate) body: &'a str,
}

impl Answer<'_> {
    /// The value of a header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(self.head, name)
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

impl Wire {
    /// Connects.
    pub(crate) async fn connect(address: &str) -> anyhow::Result<Self> {
        let connected = timeout(MOST, TcpStream::connect(address)).await;
        let stream = connected.map_err(anyhow::Error::from).and_then(|stream| Ok(stream?));
        let stream = stream.with_context(|| format!("cannot reach {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 * 1024), joined: Vec::new() })
    }

    /// Connects anew, for after an answer that went wrong there may be the rest of it to come.
    pub(crate) async fn reconnect(&mut self) -> anyhow::Result<()> {
        *self = Self::connect(&self.stream.peer_addr()?.to_string()).await?;
        Ok(())
    }

    /// Sends a request and waits for its answer, which may take 30 seconds.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<Answer<'_>> {
        timeout(MOST, self.send_and_read(request)).await.context("no answer within 30 s")?
    }

    async fn send_and_read(&mut self, request: &[u8]) -> anyhow::Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let head_end = loop {
            self.read_more().await?;
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end + 4;
            }
        };
        let head = std::str::from_utf8(self.buffer.get(..head_end).unwrap_or_default())?;
        let status = head.get(9..12).context("no status line")?.parse()?;
        let chunked = header(head, "transfer-encoding").is_some_and(|coding| coding.ends_with("chunked"));
        let events = header(head, "content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
        let body = if chunked {
            self.join_chunks(head_end).await?;
            std::str::from_utf8(&self.joined)?
        } else {
            let length: usize = match header(head, "content-length") {
                Some(length) => length.parse()?,
                None if matches!(status, 202 | 204) => 0,
                None => bail!("an answer without Content-Length: {head}"),
            };
            while self.buffer.len() < head_end + length {
                self.read_more().await?;
            }
            std::str::from_utf8(self.buffer.get(head_end..head_end + length).unwrap_or_default())?
        };
        let body = if events { last_event(body).context("an event stream without data")? } else { body };
        let head = std::str::from_utf8(self.buffer.get(..head_end).unwrap_or_default())?;
        Ok(Answer { status, head, body })
    }

    async fn read_more(&mut self) -> anyhow::Result<()> {
        ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the server closed the connection");
        Ok(())
    }

    /// Reads chunks up to the empty one (RFC 9112, 7.1) and joins what they hold.
    async fn join_chunks(&mut self, from: usize) -> anyhow::Result<()> {
        self.joined.clear();
        let mut at = from;
        loop {
            let line = loop {
                match find(self.buffer.get(at..).unwrap_or_default(), b"\r\n") {
                    Some(line) => break line,
                    None => self.read_more().await?,
                }
            };
            let size = std::str::from_utf8(self.buffer.get(at..at + line).unwrap_or_default())?;
            let size = usize::from_str_radix(size, 16).with_context(|| format!("{size:?} is no size"))?;
            let data = at + line + 2;
            while self.buffer.len() < data + size + 2 {
                self.read_more().await?;
            }
            if size == 0 {
                return Ok(());
            }
            self.joined.extend_from_slice(self.buffer.get(data..data + size).unwrap_or_default());
            at = data + size + 2;
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// The data of the last event that has any.
fn last_event(stream: &str) -> Option<&str> {
    stream.lines().rev().find_map(|line| {
        let data = line.strip_prefix("data:")?.trim_start();
        (!data.is_empty()).then_some(data)
    })
}

/// A POST to `/mcp` as bytes.
pub(crate) fn post(host: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    request("POST", host, headers, body)
}

/// A request to `/mcp` as bytes.
pub(crate) fn request(method: &str, host: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut request = format!(
        "{method} /mcp HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        request.extend([name, ": ", value, "\r\n"]);
    }
    request.push_str("\r\n");
    request.push_str(body);
    request.into_bytes()
}

/// A GET of another path.
pub(crate) fn get(host: &str, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::{Wire, last_event};

    #[tokio::test]
    async fn a_server_that_never_answers_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let mut wire = Wire::connect(&address).await.expect("a connection");
        // From here on time passes as soon as there is nothing to do but wait.
        tokio::time::pause();
        let error = wire.exchange(b"GET / HTTP/1.1\r\n\r\n").await.expect_err("nobody answers");
        assert_eq!(error.to_string(), "no answer within 30 s");
    }

    #[test]
    fn the_last_event_with_data_is_the_answer() {
        let stream = "id: 0\nretry: 3000\ndata: \n\nid: 1\ndata: {\"id\":1}\n\n";
        assert_eq!(last_event(stream), Some("{\"id\":1}"));
        assert_eq!(last_event("id: 0\ndata:\n\n"), None);
    }
}
