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

/// Where the lines come from.
enum Lines<'a> {
    /// A person at a terminal, whom the server may ask in between.
    Typed {
        run: &'a Run,
        prompt: String,
        editor: Option<Prompt>,
        before: Vec<String>,
    },
    Piped(Prompt),
}

impl<'a> Lines<'a> {
    fn of(session: &Session<'a>) -> Self {
        let run = session.run;
        if !run.terminal.look().typed {
            return Self::Piped(Prompt::plain());
        }
        run.terminal.show(&Event::Notice { text: "Type /help for help, /quit to end." });
        let prompt = format!("{}> ", session.user.name.as_deref().unwrap_or("you"));
        Self::Typed { run, prompt, editor: None, before: Vec::new() }
    }

    /// The next line. Ctrl-C does not end the wait for a line that is typed, not even while no editor has the terminal.
    async fn next(&mut self) -> anyhow::Result<Input> {
        let (run, prompt, editor, before) = match self {
            Self::Typed { run, prompt, editor, before } => (run, prompt, editor, before),
            Self::Piped(lines) => return Ok(lines.next().await),
        };
        let waiting = run.interrupts.own_call();
        tokio::select! {
            biased;
            () = waiting.token().cancelled() => Ok(Input::Interrupted),
            input = typed(run, prompt, editor, before) => input,
        }
    }
}

/// The next line that is typed. Where the server asks meanwhile, what was typed of it is given up, and the prompt comes
/// again once the question is answered.
async fn typed(
    run: &Run,
    prompt: &str,
    editor: &mut Option<Prompt>,
    before: &mut Vec<String>,
) -> anyhow::Result<Input> {
    loop {
        let _turn = run.floor.take().await;
        if run.floor.is_wanted() {
            // Whoever waits has it next.
            continue;
        }
        run.terminal.idle();
        let reading = match editor {
            Some(reading) => reading,
            None => editor.insert(Prompt::edited(prompt, before)?),
        };
        tokio::select! {
            biased;
            input = reading.next() => {
                if let Input::Line(line) = &input {
                    before.push(line.clone());
                }
                return Ok(input);
            }
            () = run.floor.wanted() => *editor = None,
        }
    }
}

/// Ends well when the input ends. At a prompt the person saw what failed; from a pipe the first failure is the exit.
async fn converse(session: &Session<'_>, model: &dyn Model) -> anyhow::Result<Exit> {
    let run = session.run;
    let mut lines = Lines::of(session);
    let mut answering = Answering::new(session, model);
    let mut exit = Exit::Answered;
    loop {
        let input = tokio::select! {
            biased;
            () = run.interrupts.stop().cancelled() => return Ok(exit.or(Exit::Interrupted)),
            input = lines.next() => input?,
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
    Ok(if run.terminal.look().typed { Exit::Answered } else { exit })
}
