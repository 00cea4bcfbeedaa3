//! `client resources`: what the server lets be read, and what is in it.

use super::{
    Run, readable,
    session::{Session, in_session},
};
use crate::{
    config::User,
    exit::Exit,
    terminal::{Event, style::Text},
};

pub(super) async fn run(run: &Run, user: &User, uri: Option<&str>) -> anyhow::Result<Exit> {
    in_session(run, user, async |session| match uri {
        Some(uri) => read(session, uri).await,
        None => list(session).await,
    })
    .await
}

async fn list(session: &Session<'_>) -> anyhow::Result<Exit> {
    let terminal = &session.run.terminal;
    terminal.working("listing the resources");
    let resources = session.until_stopped(session.connection.list_resources()).await?;
    let templates = session.until_stopped(session.connection.list_resource_templates()).await?;
    resources.iter().for_each(|resource| terminal.show(&Event::Resource { resource }));
    templates.iter().for_each(|template| terminal.show(&Event::ResourceTemplate { template }));
    if resources.is_empty() && templates.is_empty() {
        terminal.show(&Event::Notice { text: "The server offers no resources." });
    }
    Ok(Exit::Answered)
}

async fn read(session: &Session<'_>, uri: &str) -> anyhow::Result<Exit> {
    let terminal = &session.run.terminal;
    terminal.working(&format!("reading {uri}"));
    let result = session.connection.read_resource(uri, session.run.interrupts.stop()).await;
    let result = result.map_err(|error| session.failure_of_what_was_named(&error, "client resources"))?;
    terminal.show(&Event::ResourceRead { uri, result: &result });
    for contents in &result.contents {
        terminal.print(&Text::new().block(&readable::contents(contents)).end());
    }
    Ok(Exit::Answered)
}
