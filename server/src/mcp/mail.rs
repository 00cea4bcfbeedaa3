//! What a client sends in a session to the wrong server. A session may be used through any server on one store, so the
//! answer to a question, and the word that a call is not wanted any more, may reach another server than the one that
//! waits for them. That one leaves it in the store, and this one looks there, several times a second while it waits for
//! anything. Only what is waited for by name is taken, and only in its own session.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::jsonrpc::{ErrorObject, RequestId};

use super::{Engine, reply::Refusal, screening, session::Session, streams::Answer};
use crate::{
    clock::UnixMillis,
    store::{SessionMail, StoreError},
};

/// How long it is kept: whoever waits for it looks much more often.
const KEPT: Duration = Duration::from_secs(60);

/// The longest topic; nothing of ours has a longer one.
const TOPIC_MAX: usize = 256;

/// The longest body in bytes: much more than is answered to what is asked.
const BODY_MAX: usize = 64 * 1024;

/// How much that nobody took is cleared away in one step.
const SWEEP_STEP: u32 = 1_000;

/// Something for another server.
pub(super) enum Mail {
    /// The answer to the question of this id.
    Answered(String, Answer),
    /// The request of this id is not wanted any more.
    Cancelled(RequestId),
}

/// An answer as it is written down.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Written {
    Result(Value),
    Error(ErrorObject),
}

fn about_question(id: &str) -> String {
    format!("answer {}", Value::from(id))
}

fn about_call(id: &RequestId) -> String {
    format!("cancel {}", serde_json::to_value(id).unwrap_or_default())
}

/// Whether a question may have this id: what no server asked, none waits for (see `Streams::ask`).
fn is_a_question(id: &str) -> bool {
    let is_hexadecimal = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    id.split_once('-').is_some_and(|(epoch, number)| {
        epoch.len() == 8 && epoch.bytes().all(is_hexadecimal) && {
            (1..=20).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit())
        }
    })
}

impl Engine {
    /// Leaves something that nobody here waits for to whichever server does, counted as a call of whose session it is. What
    /// none waits for is passed over, and so is an id that must not come in.
    ///
    /// # Errors
    /// It did not reach its server. It is to be sent again where there were too many, or the store does not take it; it is too
    /// large otherwise.
    pub(super) async fn send_on(&self, session: &Session, mail: Mail) -> Result<(), Refusal> {
        if !self.store.is_shared() {
            return Ok(());
        }
        let (topic, body) = match mail {
            Mail::Answered(id, _) if !is_a_question(&id) => return Ok(()),
            Mail::Answered(id, outcome) => {
                let written = match outcome {
                    Ok(result) => Written::Result(result),
                    Err(error) => Written::Error(error),
                };
                // Both came as JSON.
                (about_question(&id), serde_json::to_string(&written).unwrap_or_default())
            }
            Mail::Cancelled(id) => (about_call(&id), String::new()),
        };
        // It ends with the id, as JSON.
        if topic.len() > TOPIC_MAX || screening::why_not_in(self, &topic).is_some() {
            return Ok(());
        }
        if body.len() > BODY_MAX {
            return Err(Refusal::AnswerTooLarge(BODY_MAX));
        }
        self.limits.mail(session.lineage())?;
        let now = UnixMillis::now();
        let mail = SessionMail { session: session.hash(), topic, body };
        self.store.leave_mail(mail, now.plus(KEPT), now).await.map_err(Refusal::Unavailable)
    }

    /// Clears away what nobody took in time.
    pub(super) async fn sweep_mail(&self) {
        loop {
            match self.store.forget_mail(SWEEP_STEP).await {
                Ok(gone) if gone >= u64::from(SWEEP_STEP) => {}
                Ok(_) => return,
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "what nobody took stays in the store for now");
                    return;
                }
            }
        }
    }

    /// Takes what other servers left for those who wait here.
    pub(super) async fn fetch_mail(&self) -> Result<(), StoreError> {
        if !self.store.is_shared() {
            return Ok(());
        }
        let sessions = self.sessions.in_use();
        let wanted: Vec<_> = sessions.iter().flat_map(|session| topics(session)).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let arrived = self.store.mail(wanted).await?;
        for mail in &arrived {
            if let Some(session) = sessions.iter().find(|session| session.hash() == mail.session) {
                deliver(session, mail);
            }
        }
        if arrived.is_empty() {
            return Ok(());
        }
        // Not before: what was on its way when the database went away is still there. What arrives twice is not waited for.
        self.store.remove_mail(arrived.into_iter().map(|mail| (mail.session, mail.topic)).collect()).await
    }
}

/// What is waited for in a session.
fn topics(session: &Session) -> Vec<(crate::store::SessionHash, String)> {
    let asked = session.streams_if_any().map_or_else(Vec::new, |streams| streams.asked());
    let questions = asked.iter().map(|id| about_question(id));
    let calls = session.running();
    let calls = calls.iter().map(about_call);
    questions.chain(calls).map(|topic| (session.hash(), topic)).collect()
}

fn deliver(session: &Session, mail: &SessionMail) {
    if let Some(id) = session.running().iter().find(|id| about_call(id) == mail.topic) {
        session.cancel_call(id);
    }
    let Some(streams) = session.streams_if_any() else { return };
    let asked = streams.asked();
    let Some(id) = asked.iter().find(|id| about_question(id) == mail.topic) else { return };
    let outcome = match serde_json::from_str(&mail.body) {
        Ok(Written::Result(result)) => Ok(result),
        Ok(Written::Error(error)) => Err(error),
        Err(_) => return,
    };
    // A question that is not waited for any more needs no answer.
    let _too_late = streams.answer(id, outcome);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_has_an_id_of_the_form_that_servers_give() {
        for (id, is_one) in [
            ("00c0ffee-1", true),
            ("00c0ffee-18446744073709551615", true),
            ("00c0ffee-184467440737095516150", false),
            ("00c0ffee-", false),
            ("00c0ffee-1a", false),
            ("00C0FFEE-1", false),
            ("0c0ffee-1", false),
            ("00c0ffee", false),
            ("", false),
        ] {
            assert_eq!(is_a_question(id), is_one, "{id}");
        }
    }
}
