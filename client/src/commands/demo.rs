//! `client`: the demo. Each user asks the same questions, in a session and a conversation of their own; then one pays
//! the other, where the server has tools for that, and both look again.

use shared::{demo, mcp::tools::Tool};

use super::{
    Run,
    answering::{self, Answering},
    asking::answers,
    session::in_session,
};
use crate::{
    agent::Model,
    config::User,
    exit::Exit,
    terminal::{
        Event,
        style::{self, Text},
    },
};

/// A key that is refused is one user's affair; everything else ends the demo, as the next user would meet it too.
pub(super) async fn run(run: &Run, users: &[User]) -> anyhow::Result<Exit> {
    let model = answering::model(run)?;
    let mut exit = Exit::Answered;
    let (mut pays, mut all_looked) = (false, true);
    for user in users {
        run.terminal.show(&Event::UserStarted { user: &user.title() });
        let looked = questions(run, user, model.as_ref(), &demo::QUESTIONS).await;
        match looked {
            Ok((outcome, can_pay)) => {
                exit = exit.or(outcome);
                pays |= can_pay;
            }
            Err(error) => {
                let outcome = run.report(&error);
                exit = exit.or(outcome);
                if outcome != Exit::Unauthorized {
                    return Ok(exit);
                }
                all_looked = false;
            }
        }
    }
    let [payer, payee] = users else { return Ok(exit) };
    // An answer that was cut off is an answer.
    if !(pays && all_looked && matches!(exit, Exit::Answered | Exit::StepLimit)) {
        return Ok(exit);
    }
    if !answers(run) {
        let remark = "left out: one user pays the other. A person has to confirm it: run this at a terminal, or with \
                      --confirm yes";
        run.terminal.remark(&Text::new().styled(style::WARNING, remark).end());
        return Ok(exit);
    }
    Ok(pay(run, [payer, payee], model.as_ref()).await?.or(exit))
}

/// One pays the other, and both see what is left.
async fn pay(run: &Run, [payer, payee]: [&User; 2], model: &dyn Model) -> anyhow::Result<Exit> {
    run.terminal.show(&Event::PaymentStarted { payer: &payer.title(), payee: &payee.title() });
    let (paid, _) = questions(run, payer, model, &[demo::PAYMENT, demo::BALANCE]).await?;
    let (seen, _) = questions(run, payee, model, &[demo::BALANCE]).await?;
    Ok(paid.or(seen))
}

/// Asks in a session of its own. Also tells whether the server has a tool that pays somebody.
async fn questions(
    run: &Run,
    user: &User,
    model: &dyn Model,
    questions: &[&str],
) -> anyhow::Result<(Exit, bool)> {
    let mut pays = false;
    let exit = in_session(run, user, async |session| {
        pays = session.tools.tools.iter().any(pays_somebody);
        let mut answering = Answering::new(session, model);
        let mut exit = Exit::Answered;
        for question in questions {
            exit = exit.or(answering.ask(question, run.interrupts.stop()).await?);
        }
        Ok(exit)
    })
    .await?;
    Ok((exit, pays))
}

/// It changes something, and has to be told to whom and how much.
fn pays_somebody(tool: &Tool) -> bool {
    let required = tool.input_schema.get("required").and_then(|required| required.as_array());
    let takes = |name: &str| required.is_some_and(|names| names.iter().any(|known| known == name));
    !tool.is_read_only() && takes("to") && takes("amount")
}
