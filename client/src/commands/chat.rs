//! `client chat`: one session and one conversation, for as long as somebody types.

use super::{
    Run,
    answering::{self, Answering},
    session::{Session, in_session},
};
use crate::{
    agent::Model,
    config::User,
    exit::Exit,
    terminal::{
        Event,
        prompt::{Input, Prompt},
    },
};

const HELP: &str = "\
Type a question and press Enter. What was said before is remembered.
  /tools  what the server offers
  /help   this text
  /quit   end the conversation; so does Ctrl-D
Ctrl-C ends a question that is being worked on, and not the conversation.";

const HOW_TO_QUIT: &str = "To end the conversation press Ctrl-D or type /quit.";

pub(super) async fn run(run: &Run, user: &User) -> anyhow::Result<Exit> {
    let model = answering::model(run)?;
    in_session(run, user, async |session| converse(session, model.as_ref()).await).await
}

/// Ends well when the input ends. At a prompt the person saw what failed; from a pipe the first failure is the exit.
async fn converse(session: &Session<'_>, model: &dyn Model) -> anyhow::Result<Exit> {
    let run = session.run;
    let typed = run.terminal.look().typed;
    let mut prompt = if typed {
        run.terminal.show(&Event::Notice { text: "Type /help for help, /quit to end." });
        Prompt::edited(format!("{}> ", session.user.name.as_deref().unwrap_or("you")))?
    } else {
        Prompt::plain()
    };
    let mut answering = Answering::new(session, model);
    let mut exit = Exit::Answered;
    loop {
        let input = tokio::select! {
            biased;
            () = run.interrupts.stop().cancelled() => return Ok(exit.or(Exit::Interrupted)),
            input = prompt.next() => input,
        };
        let line = match input {
            Input::Line(line) => line,
            Input::Interrupted => {
                run.terminal.show(&Event::Notice { text: HOW_TO_QUIT });
                continue;
            }
            Input::End => break,
            Input::Broken(reason) => anyhow::bail!("the input cannot be read: {reason}"),
        };
        match line.trim() {
            "" => {}
            "/quit" | "/exit" => break,
            "/help" => run.terminal.show(&Event::Notice { text: HELP }),
            "/tools" => session.tools.tools.iter().for_each(|tool| run.terminal.show(&Event::Tool { tool })),
            command if command.starts_with('/') => {
                run.terminal.show(&Event::Notice {
                    text: &format!("There is no command {command}; /help lists them."),
                });
            }
            question => {
                let call = run.interrupts.own_call();
                let outcome = answering.ask(question, call.token()).await;
                drop(call);
                exit = exit.or(outcome.unwrap_or_else(|error| run.report(&error)));
            }
        }
    }
    Ok(if typed { Exit::Answered } else { exit })
}
