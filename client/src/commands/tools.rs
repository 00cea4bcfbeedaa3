//! `client tools`: what the server offers.

use super::{Run, session::in_session};
use crate::{config::User, exit::Exit, terminal::Event};

pub(super) async fn run(run: &Run, user: &User) -> anyhow::Result<Exit> {
    in_session(run, user, async |session| {
        for tool in &session.tools.tools {
            run.terminal.show(&Event::Tool { tool });
        }
        if session.tools.tools.is_empty() {
            run.terminal.show(&Event::Notice { text: "The server offers no tools." });
        }
        Ok(Exit::Answered)
    })
    .await
}
