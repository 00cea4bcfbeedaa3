//! `client ask`: one question.

use super::{
    Run,
    answering::{self, Answering},
    session::in_session,
};
use crate::{config::User, exit::Exit};

pub(super) async fn run(run: &Run, user: &User, question: &str) -> anyhow::Result<Exit> {
    let model = answering::model(run)?;
    in_session(run, user, async |session| {
        Answering::new(session, model.as_ref()).ask(question, run.interrupts.stop()).await
    })
    .await
}
