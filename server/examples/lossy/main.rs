//! A proxy for the walkthrough that loses answers: `lossy 127.0.0.1:8080 lunch=1` hangs up in place of the first answer
//! that has "lunch" in it, after the server has done what it was asked. It says where it listens and runs until it is
//! ended.

use std::{io::Write as _, net::SocketAddr, thread};

use anyhow::Context as _;
use proxy::Proxy;

mod proxy;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let server: SocketAddr = arguments.next().context("name the server's address")?.parse()?;
    let proxy = Proxy::before(server)?;
    for argument in arguments {
        let (word, times) = argument.rsplit_once('=').context("say what to lose as WORD=TIMES")?;
        proxy.lose(word, times.parse()?);
    }
    let mut output = std::io::stdout();
    writeln!(output, "a proxy that loses {} answers listens before {server}", proxy.left())?;
    writeln!(output, "listening on http://{}/mcp", proxy.address)?;
    output.flush()?;
    loop {
        thread::park();
    }
}
