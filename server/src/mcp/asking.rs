//! The way from a tool to the person, the model and the folders on the client's side: one interface over both eras.
//!
//! In a session, a question is a request of the server's on the stream of the client's request, and the tool waits for
//! the response. Without sessions the question is the result: the tool's work ends with [`AskError::Unanswered`], the
//! client repeats its request with the answers, and the tool is called again. So a tool that asks is written to be
//! entered again: up to the question it must do nothing that it could not do twice.

use std::time::Duration;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Number, Value, value::RawValue};
use shared::{
    jsonrpc::{ErrorObject, Notification},
    mcp::{
        JsonObject,
        elicitation::{ElicitAction, ElicitRequestParams, ElicitResult},
        input::{InputRequest, InputRequests, InputResponses, ListRootsResult},
        methods,
        modern::{LoggingLevel, LoggingMessageNotificationParams},
        object::Object,
        sampling::{CreateMessageRequestParams, CreateMessageResult},
        utilities::{CancelledNotificationParams, ProgressNotificationParams, ProgressToken},
    },
};

use super::{
    abilities, answers,
    context::{Peer, RequestContext},
    outbox::{Outbox, Step},
    session::Session,
    streams::Question,
};
use crate::store::ClientAbilities;

/// How long a person may take to answer.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(5 * 60);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The client did not say that it can be asked this. The capabilities that it lacks.
    #[error("this client cannot be asked: it does not announce {}", .0.keys().map(String::as_str).collect::<Vec<_>>().join(", "))]
    CannotBeAsked(JsonObject),
    /// The answers come with the next request. Hand it on: the engine makes the result that asks.
    #[error("the question is still open")]
    Unanswered(Box<InputRequests>),
    /// Nobody answered within five minutes, the session ended first, or nobody is there any more to be asked.
    #[error("nobody answered the question in time")]
    NoAnswer,
    /// The client answered with an error.
    #[error("the client could not ask: {}", .0.message)]
    Refused(ErrorObject),
    /// The client answered with something else than the protocol says.
    #[error("the answer cannot be read: {0}")]
    Unreadable(String),
}

impl RequestContext {
    /// Whether there is a person who can be shown a form.
    #[must_use]
    pub fn can_elicit(&self) -> bool {
        abilities::cover_forms(self.abilities()) && self.outbox().is_open()
    }

    /// Asks the person. `key` names the question among those of this request, the same one in every round.
    ///
    /// # Errors
    /// [`AskError`]; return [`AskError::Unanswered`] as it is.
    pub async fn elicit(&self, key: &str, question: ElicitRequestParams) -> Result<ElicitResult, AskError> {
        self.ask_one(key, InputRequest::Elicit { params: question }).await
    }

    /// What the person did with the questions of earlier rounds, by their keys; nothing in a session. A tool that is
    /// entered again may come to another question, or to none: what was answered counts all the same.
    pub fn elicited(&self) -> impl Iterator<Item = (&str, ElicitAction)> {
        let answers = match self.peer() {
            Peer::Rounds(rounds) => Some(&rounds.answers),
            Peer::Session(_) => None,
        };
        let given = answers.into_iter().flatten();
        given.filter_map(|(key, answer)| Some((key.as_str(), answers::action(answer)?)))
    }

    /// Asks the client's model.
    ///
    /// # Errors
    /// [`AskError`]; return [`AskError::Unanswered`] as it is.
    pub async fn create_message(
        &self,
        key: &str,
        question: CreateMessageRequestParams,
    ) -> Result<CreateMessageResult, AskError> {
        self.ask_one(key, InputRequest::CreateMessage { params: Box::new(question) }).await
    }

    /// Asks which folders the client lets the server work in.
    ///
    /// # Errors
    /// [`AskError`]; return [`AskError::Unanswered`] as it is.
    pub async fn list_roots(&self, key: &str) -> Result<ListRootsResult, AskError> {
        self.ask_one(key, InputRequest::ListRoots { params: None }).await
    }

    /// Takes answers, from now on, that came with the first request, before anything was asked. For questions whose
    /// answers are data like any argument; never for the consent of a person, which is an answer to what was shown.
    pub fn take_answers_in_advance(&self) {
        if let Peer::Rounds(rounds) = self.peer() {
            rounds.take_unsealed();
        }
    }

    /// Asks several things at once. The answers come under the keys of the questions, unread.
    ///
    /// # Errors
    /// [`AskError`]; return [`AskError::Unanswered`] as it is.
    pub async fn ask(&self, questions: InputRequests) -> Result<InputResponses, AskError> {
        let abilities = self.abilities();
        if let Some(question) = questions.values().find(|question| !abilities::cover(abilities, question)) {
            return Err(AskError::CannotBeAsked(abilities::required_for(question)));
        }
        match self.peer() {
            Peer::Rounds(rounds) => {
                rounds.answers_to(questions).map_err(|open| AskError::Unanswered(Box::new(open)))
            }
            Peer::Session(activity) => {
                let _standing = self.stopwatch().pause();
                let ask = async |(key, question): (String, InputRequest)| {
                    let answer = self.ask_in(activity.session(), &question).await?;
                    let answer = answers::taken(&question, &answer).map_err(AskError::Unreadable)?;
                    Ok::<_, AskError>((key, answer))
                };
                futures_util::future::try_join_all(questions.into_iter().map(ask))
                    .await
                    .map(InputResponses::from_iter)
            }
        }
    }

    /// Tells how far the request has come, if the client wants to know. `progress` must grow from call to call.
    pub fn progress(&self, progress: impl Into<Number>, total: Option<Number>, message: Option<&str>) {
        let Some(token) = self.progress_token() else { return };
        let progress = progress.into();
        self.outbox().tell(|| {
            let params = ProgressNotificationParams {
                progress_token: token.clone(),
                progress,
                total,
                message: message.map(str::to_owned),
                meta: None,
            };
            written(methods::PROGRESS, params)
        });
    }

    /// Sends a log message, if the client wants messages of this level.
    pub fn log(&self, level: LoggingLevel, logger: Option<&str>, data: Value) {
        if self.wanted_level().is_none_or(|wanted| level < wanted) {
            return;
        }
        self.outbox().tell(|| {
            let logger = logger.map(str::to_owned);
            written(methods::MESSAGE, LoggingMessageNotificationParams { level, logger, data, meta: None })
        });
    }

    async fn ask_one<T: DeserializeOwned>(&self, key: &str, question: InputRequest) -> Result<T, AskError> {
        let mut answers = self.ask(InputRequests::from([(key.to_owned(), question)])).await?;
        let answer = answers.remove(key).unwrap_or_default();
        serde_json::from_value(answer).map_err(|error| AskError::Unreadable(error.to_string()))
    }

    /// Asks on the stream of this request and waits.
    async fn ask_in(&self, session: &Session, question: &InputRequest) -> Result<Value, AskError> {
        if !self.outbox().is_open() {
            return Err(AskError::CannotBeAsked(abilities::required_for(question)));
        }
        if self.outbox().is_abandoned() {
            return Err(AskError::NoAnswer);
        }
        let mut asked = Asked { question: session.streams().ask(), outbox: self.outbox() };
        let message = asked.question.written(question);
        self.outbox().send(Step::Message(message));
        let ended = session.ended();
        tokio::select! {
            answer = asked.question.answer() => answer.ok_or(AskError::NoAnswer)?.map_err(AskError::Refused),
            () = ended.cancelled() => Err(AskError::NoAnswer),
            () = self.stopping().cancelled() => Err(AskError::NoAnswer),
            () = tokio::time::sleep(ANSWER_WITHIN) => Err(AskError::NoAnswer),
        }
    }

    fn abilities(&self) -> ClientAbilities {
        match self.peer() {
            Peer::Session(activity) => activity.session().abilities(),
            Peer::Rounds(rounds) => abilities::of(&rounds.capabilities),
        }
    }

    /// From which level on the client wants log messages; `None` when it wants none.
    fn wanted_level(&self) -> Option<LoggingLevel> {
        match self.peer() {
            Peer::Session(activity) => Some(activity.session().streams().level()),
            Peer::Rounds(rounds) => rounds.log_level,
        }
    }
}

/// A question that is asked in a session. Dropped before it was answered, because nobody waits for it any more, it is
/// taken back at the client: what shows it there need not go on showing it (lifecycle, "Timeouts").
struct Asked<'a> {
    question: Question<'a>,
    outbox: &'a Outbox,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if self.question.is_open() {
            let params = CancelledNotificationParams {
                request_id: self.question.id(),
                reason: Some("nobody waits for the answer any more".to_owned()),
                meta: None,
            };
            self.outbox.send(Step::Message(written(methods::CANCELLED, params)));
        }
    }
}

/// A notification as bytes.
pub(super) fn written(method: &str, params: impl Serialize) -> Vec<u8> {
    // Every type that is sent can be written as JSON.
    serde_json::to_vec(&Notification::new(method, Some(params))).unwrap_or_default()
}

#[derive(Deserialize)]
struct WithMeta<'a> {
    #[serde(borrow, default, rename = "_meta")]
    meta: Option<&'a RawValue>,
}

impl<'a> WithMeta<'a> {
    /// `_meta`, where a word is in the parameters that stands in it or is its name.
    fn of(params: Option<&'a RawValue>, word: &str) -> Option<&'a str> {
        let params = params.map(RawValue::get).filter(|params| params.contains(word))?;
        serde_json::from_str::<Self>(params).ok()?.meta.map(RawValue::get)
    }
}

/// Whether `_meta`, where there is one, is an object.
pub(super) fn is_meta_sound(params: Option<&RawValue>) -> bool {
    WithMeta::of(params, "_meta").is_none_or(|meta| meta.starts_with('{'))
}

/// What the sender of a request wants progress notifications to carry (utilities, "Progress").
pub(super) fn progress_token(params: Option<&RawValue>) -> Option<ProgressToken> {
    #[derive(Deserialize)]
    struct Beside {
        #[serde(default, rename = "progressToken")]
        progress_token: Option<ProgressToken>,
    }
    let meta = WithMeta::of(params, "progressToken")?;
    serde_json::from_str::<Object<Beside>>(meta).ok()?.0.progress_token
}
