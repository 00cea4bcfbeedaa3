//! The whole server: any body, in a session and without one, is answered, and never with a fault of the server's.
#![no_main]

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{LazyLock, Mutex},
};

use libfuzzer_sys::fuzz_target;
use server::{app::Application, config::Config};
use shared::demo::BOB_API_KEY;

struct Server {
    address: SocketAddr,
    session: String,
    connection: Mutex<TcpStream>,
}

static SERVER: LazyLock<Server> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let application = runtime.block_on(Application::build(Config::ephemeral().unwrap())).unwrap();
    let address = application.address();
    runtime.spawn(application.run(std::future::pending()));
    // It serves until the process ends.
    Box::leak(Box::new(runtime));
    let connection = Mutex::new(TcpStream::connect(address).unwrap());
    let mut server = Server { address, session: String::new(), connection };
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"f","version":"1"}}}"#;
    let answer = server.post("", initialize.as_bytes());
    let id = answer.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).unwrap();
    server.session = format!("MCP-Session-Id: {}\r\n", id.trim());
    server
});

impl Server {
    /// The head of the answer. The answer's body is read to its end, unless it is a stream.
    fn post(&self, headers: &str, body: &[u8]) -> String {
        let mut connection = self.connection.lock().unwrap();
        let head = format!(
            "POST /mcp HTTP/1.1\r\nHost: {}\r\nX-API-Key: {BOB_API_KEY}\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\n{headers}Content-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        connection.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut answer = Vec::new();
        let mut piece = [0; 4096];
        loop {
            let read = match connection.read(&mut piece) {
                // By the fuzzer's own clock.
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                read => read.unwrap(),
            };
            answer.extend_from_slice(&piece[..read]);
            let text = String::from_utf8_lossy(&answer);
            let Some((head, rest)) = text.split_once("\r\n\r\n") else {
                assert!(read > 0, "no answer");
                continue;
            };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
            let is_over = read == 0 || head.contains("chunked") || rest.len() >= length;
            if is_over {
                let closes = read == 0 || head.contains("chunked") || head.contains("connection: close");
                let head = head.to_owned();
                if closes {
                    *connection = TcpStream::connect(self.address).unwrap();
                }
                return head;
            }
        }
    }
}

fuzz_target!(|body: &[u8]| {
    let server = &*SERVER;
    let modern =
        "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: getAccountBalance\r\n";
    for headers in [server.session.as_str(), "", modern] {
        let head = server.post(headers, body);
        let status = head.split(' ').nth(1).unwrap();
        assert!(!status.starts_with('5'), "{head}");
    }
});
