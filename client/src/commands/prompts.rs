//! `client prompts`: what the server prepared to be asked, and one of it filled in.

use std::collections::BTreeMap;

use shared::mcp::annotations::Role;

use super::{
    Run, readable,
    session::{Session, in_session},
};
use crate::{
    config::User,
    exit::Exit,
    terminal::{
        Event,
        style::{HEADING, Text},
    },
};

/// A prompt's name, and what is filled in.
type Filled = (String, BTreeMap<String, String>);

pub(super) async fn run(run: &Run, user: &User, prompt: Option<&Filled>) -> anyhow::Result<Exit> {
    in_session(run, user, async |session| match prompt {
        Some((name, arguments)) => fill_in(session, name, arguments).await,
        None => list(session).await,
    })
    .await
}

async fn list(session: &Session<'_>) -> anyhow::Result<Exit> {
    let terminal = &session.run.terminal;
    terminal.working("listing the prompts");
    let prompts = session.until_stopped(session.connection.list_prompts()).await?;
    prompts.iter().for_each(|prompt| terminal.show(&Event::Prompt { prompt }));
    if prompts.is_empty() {
        terminal.show(&Event::Notice { text: "The server offers no prompts." });
    }
    Ok(Exit::Answered)
}

async fn fill_in(
    session: &Session<'_>,
    name: &str,
    arguments: &BTreeMap<String, String>,
) -> anyhow::Result<Exit> {
    let terminal = &session.run.terminal;
    terminal.working(&format!("filling in {name}"));
    let result = session.connection.prompt(name, arguments.clone(), session.run.interrupts.stop()).await;
    let result = result.map_err(|error| session.failure_of_what_was_named(&error, "client prompts"))?;
    terminal.show(&Event::PromptFilled { name, arguments, result: &result });
    for message in &result.messages {
        let speaker = match message.role {
            Role::User => "user: ",
            Role::Assistant => "assistant: ",
        };
        let text = Text::new().styled(HEADING, speaker).block(&readable::block(&message.content)).end();
        terminal.print(&text);
    }
    Ok(Exit::Answered)
}
