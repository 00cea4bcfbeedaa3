//! `client`: the demo. Each user asks the same questions, in a session and a conversation of their own.

use shared::demo::QUESTIONS;

use super::{
    Run,
    answering::{self, Answering},
    session::in_session,
};
use crate::{agent::Model, config::User, exit::Exit, terminal::Event};

/// A key that is refused is one user's affair; everything else ends the demo, as the next user would meet it too.
pub(super) async fn run(run: &Run, users: &[User]) -> anyhow::Result<Exit> {
    let model = answering::model(run)?;
    let mut exit = Exit::Answered;
    for user in users {
        run.terminal.show(&Event::UserStarted { user: &user.title() });
        match questions(run, user, model.as_ref()).await {
            Ok(outcome) => exit = exit.or(outcome),
            Err(error) => {
                let outcome = run.report(&error);
                exit = exit.or(outcome);
                if outcome != Exit::Unauthorized {
                    break;
                }
            }
        }
    }
    Ok(exit)
}

async fn questions(run: &Run, user: &User, model: &dyn Model) -> anyhow::Result<Exit> {
    in_session(run, user, async |session| {
        let mut answering = Answering::new(session, model);
        let mut exit = Exit::Answered;
        for question in QUESTIONS {
            exit = exit.or(answering.ask(question, run.interrupts.stop()).await?);
        }
        Ok(exit)
    })
    .await
}
