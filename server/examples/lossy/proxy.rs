//! A proxy that loses answers on purpose: armed with a word, it hangs up in place of an answer that has the word in it.
//! Whatever the server answers it has committed, so what is lost here is the answer alone.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

/// What is to be lost: answers with this word in them, so many of each.
type Armed = Arc<Mutex<Vec<(String, usize)>>>;

/// A proxy on a port of its own. It works for as long as the program does.
#[derive(Debug)]
pub(crate) struct Proxy {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    armed: Armed,
}

impl Proxy {
    /// A proxy before `server`, on this machine.
    ///
    /// # Errors
    /// When there is no port to be had.
    pub(crate) fn before(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (address, armed) = (listener.local_addr()?, Armed::default());
        let shared = Arc::clone(&armed);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let armed = Arc::clone(&shared);
                // Either side may hang up at any moment; that is what it is for.
                thread::spawn(move || drop(carry(&client, server, &armed)));
            }
        });
        Ok(Self { address, armed })
    }

    /// Loses the next `times` answers with `word` in them.
    pub(crate) fn lose(&self, word: &str, times: usize) {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner).push((word.to_owned(), times));
    }

    /// How many answers are still to be lost.
    pub(crate) fn left(&self) -> usize {
        let armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
        armed.iter().map(|(_, times)| times).sum()
    }
}

/// Carries one connection both ways until either side hangs up, or an answer is lost.
fn carry(client: &TcpStream, server: SocketAddr, armed: &Armed) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    let (mut asks, mut hears) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        drop(io::copy(&mut asks, &mut hears));
        hears.shutdown(Shutdown::Both)
    });
    let (mut answer, mut piece) = (String::new(), vec![0; 16 * 1024]);
    let (mut from_server, mut to_client) = (&server, client);
    loop {
        let length = from_server.read(&mut piece)?;
        let Some(bytes) = piece.get(..length).filter(|bytes| !bytes.is_empty()) else { break };
        answer.push_str(&String::from_utf8_lossy(bytes));
        if is_lost(&answer, armed) {
            break;
        }
        to_client.write_all(bytes)?;
        // The end of a body of its own length, and of one in chunks.
        if answer.ends_with('}') || answer.ends_with("\r\n0\r\n\r\n") {
            answer.clear();
        }
    }
    server.shutdown(Shutdown::Both)?;
    client.shutdown(Shutdown::Both)
}

fn is_lost(answer: &str, armed: &Armed) -> bool {
    let mut armed = armed.lock().unwrap_or_else(PoisonError::into_inner);
    match armed.iter_mut().find(|(word, times)| *times > 0 && answer.contains(word.as_str())) {
        Some((_, times)) => {
            *times = times.saturating_sub(1);
            true
        }
        None => false,
    }
}
