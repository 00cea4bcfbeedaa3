//! Requests that take several rounds (2026-07-28, "Multi Round-Trip Requests"): what they came to travels with the
//! client, sealed, and is taken back once.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use shared::{
    jsonrpc::{ErrorCode, ErrorObject},
    mcp::{
        input::{InputRequests, InputRequiredResult, InputResponses},
        methods,
    },
};

use super::{canonical::canonical, params::Members};
use crate::{
    clock::UnixMillis,
    identity::Principal,
    mcp::{
        Engine, Exchange,
        context::{Peer, RequestContext},
        dispatch::Answer,
        reply::{self, Refusal},
        rounds::Rounds,
        sealing::{Purpose, SEAL_MAX, Sealing},
        sole::Sole,
    },
    store::Store,
};

/// How long a client may take for one round.
const ANSWER_WITHIN: Duration = Duration::from_secs(5 * 60);

/// How many rounds a request may take.
const ROUNDS_MAX: u32 = 10;

/// What a request's state is bound to: it is worth nothing for anybody or anything else. Of arguments it is what they
/// say, for a client may write them anew in each round; none are as good as empty ones.
pub(super) struct Binding(Vec<u8>);

impl Binding {
    /// The binding of a request for `subject`.
    pub(super) fn of(
        principal: &Principal,
        method: &str,
        subject: Option<&str>,
        members: &Members<'_>,
    ) -> Self {
        if !has_rounds(method) {
            return Self(Vec::new());
        }
        let given = members.arguments.map(RawValue::get).filter(|given| *given != "null");
        let arguments = given.unwrap_or("{}");
        let digest: [u8; 32] = Sha256::digest(canonical(arguments)).into();
        let parts: [&[u8]; 6] = [
            &principal.user().0.to_be_bytes(),
            principal.key().0.as_bytes(),
            &principal.permissions().bits().to_be_bytes(),
            method.as_bytes(),
            subject.unwrap_or_default().as_bytes(),
            &digest,
        ];
        let length = parts.iter().map(|part| part.len().saturating_add(size_of::<u64>())).sum();
        let mut bytes = Vec::with_capacity(length);
        for part in parts {
            bytes.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        Self(bytes)
    }
}

/// Whether requests by this method may take several rounds.
fn has_rounds(method: &str) -> bool {
    [methods::CALL_TOOL, methods::GET_PROMPT, methods::READ_RESOURCE].contains(&method)
}

/// What travels, sealed.
#[derive(Serialize, Deserialize)]
struct State {
    /// Until when it is taken back.
    until: i64,
    /// How many rounds there were.
    round: u32,
    /// What was asked in the last one.
    asked: BTreeSet<String>,
    /// What was answered so far.
    answers: InputResponses,
}

/// Takes back what a request came to in the rounds before, and what was answered since. That counts as a call, whatever
/// comes of it; and a state is spent only where there is room for one: where there is none, the same request is as good
/// when there is.
pub(super) async fn resume(
    engine: &Engine,
    exchange: &Exchange<'_>,
    binding: &Binding,
    members: &Members<'_>,
    mut rounds: Rounds,
) -> Result<Rounds, Refusal> {
    if binding.0.is_empty() || (members.request_state.is_none() && members.input_responses.is_none()) {
        return Ok(rounds);
    }
    let admission = rounds.admission.insert(engine.limits.call(exchange.principal.lineage()));
    if admission.is_err() {
        return Ok(rounds);
    }
    let given = members.input_responses.map(|raw| {
        serde_json::from_str::<Sole<InputResponses>>(raw.get())
            .map_err(|_| invalid("`inputResponses` must be an object with one answer for each question"))
    });
    let given = given.transpose()?.map(|Sole(given)| given).unwrap_or_default();
    let Some(seal) = members.request_state else {
        rounds.unsealed = given;
        return Ok(rounds);
    };
    let seal: String =
        serde_json::from_str(seal.get()).map_err(|_| invalid("`requestState` must be a string"))?;
    let (desk, now) = (engine.rounds(), UnixMillis::now());
    let denied = |rule: &str| {
        engine.note_denied(&exchange.principal, exchange.from, &exchange.request_id, rule);
        Refusal::Denied(refused())
    };
    let (state, nonce) = opened(&desk.sealing, &binding.0, &seal, now).map_err(|unusable| {
        denied(match unusable {
            Unusable::Forged => "request state",
            Unusable::Expired => "request state: expired",
        })
    })?;
    if !desk.spend(nonce, UnixMillis::from_millis(state.until), now).await? {
        return Err(denied("request state: used before"));
    }
    rounds.round = state.round;
    rounds.answers = state.answers;
    rounds.answers.extend(given.into_iter().filter(|(key, _)| state.asked.contains(key)));
    Ok(rounds)
}

/// Where states are sealed, taken back and spent.
pub(in crate::mcp) struct Desk {
    pub(in crate::mcp) sealing: Sealing,
    pub(in crate::mcp) store: Arc<dyn Store>,
}

impl Desk {
    /// The answer as a message.
    pub(super) fn finish(
        &self,
        context: &RequestContext,
        binding: &Binding,
        answer: Answer,
    ) -> Result<Vec<u8>, ErrorObject> {
        match answer {
            Answer::Result(message) => Ok(message),
            Answer::Error(error) => Err(error),
            Answer::Limited(limited) => Err(reply::limited(&limited)),
            Answer::InputRequired(questions) => self.ask(context, binding, *questions),
            // Whoever cancelled it does not read this.
            Answer::Cancelled => {
                Err(ErrorObject::new(ErrorCode::INTERNAL_ERROR, "The request was cancelled"))
            }
        }
    }

    fn ask(
        &self,
        context: &RequestContext,
        binding: &Binding,
        questions: InputRequests,
    ) -> Result<Vec<u8>, ErrorObject> {
        let Peer::Rounds(rounds) = context.peer() else { return Err(cannot_seal()) };
        if binding.0.is_empty() {
            return Err(cannot_seal());
        }
        let round = rounds.round.saturating_add(1);
        if round > ROUNDS_MAX {
            return Err(invalid("the request took more rounds than a request may: begin anew"));
        }
        let until = UnixMillis::now().plus(ANSWER_WITHIN).as_millis();
        let mut answers = rounds.answers.clone();
        answers.retain(|key, _| !questions.contains_key(key));
        let state = State { until, round, asked: questions.keys().cloned().collect(), answers };
        let state = serde_json::to_vec(&state).map_err(|_| cannot_seal())?;
        let seal = self.sealing.seal(Purpose::RequestState, &binding.0, &state).map_err(|_| cannot_seal())?;
        if seal.len() > SEAL_MAX {
            return Err(invalid(
                "the answers so far are too large to be carried on: begin anew, and answer more briefly",
            ));
        }
        let result =
            InputRequiredResult { input_requests: Some(questions), request_state: Some(seal), meta: None };
        match reply::unfinished(context, result) {
            Answer::Result(message) => Ok(message),
            Answer::Error(error) => Err(error),
            Answer::InputRequired(_) | Answer::Cancelled | Answer::Limited(_) => Err(cannot_seal()),
        }
    }

    /// Spends a state; `false` where it was spent before. Where that cannot be told, nothing was done.
    async fn spend(&self, nonce: Nonce, until: UnixMillis, now: UnixMillis) -> Result<bool, Refusal> {
        self.store.spend_seal(nonce, until, now).await.map_err(Refusal::Unavailable)
    }
}

/// What a seal is known by.
type Nonce = [u8; 24];

/// Why there is nothing to go on with in a state.
#[derive(Debug, PartialEq, Eq)]
enum Unusable {
    /// It was not given out, or not for this.
    Forged,
    /// It was, and its time is over: its client was slow, and did nothing wrong.
    Expired,
}

/// The state in a seal that is good at this time.
fn opened(
    sealing: &Sealing,
    binding: &[u8],
    seal: &str,
    now: UnixMillis,
) -> Result<(State, Nonce), Unusable> {
    let (state, nonce) = read(sealing, binding, seal).ok_or(Unusable::Forged)?;
    if UnixMillis::from_millis(state.until) <= now { Err(Unusable::Expired) } else { Ok((state, nonce)) }
}

/// The state in a seal, and what the seal is known by.
fn read(sealing: &Sealing, binding: &[u8], seal: &str) -> Option<(State, Nonce)> {
    let opened = sealing.open(Purpose::RequestState, binding, seal)?;
    let state = serde_json::from_slice(&opened.payload).ok()?;
    Some((state, opened.nonce))
}

/// Whether there is a state in a seal, for the fuzz targets.
#[cfg(fuzzing)]
pub(in crate::mcp) fn reads_state(sealing: &Sealing, binding: &[u8], seal: &str) -> bool {
    read(sealing, binding, seal).is_some()
}

/// One refusal for every reason: which of them it was would help whoever forges.
fn refused() -> ErrorObject {
    invalid(
        "`requestState` was changed, has expired, was used before or belongs to another request: send the request \
         again without `requestState` and `inputResponses`",
    )
}

fn invalid(text: &str) -> ErrorObject {
    ErrorObject::new(ErrorCode::INVALID_PARAMS, text)
}

fn cannot_seal() -> ErrorObject {
    ErrorObject::new(ErrorCode::INTERNAL_ERROR, "The server cannot ask at the moment; try again shortly")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_whose_time_is_over_was_not_forged() {
        let sealing = Sealing::of_its_own().unwrap();
        let state = State { until: 1_000, round: 1, asked: BTreeSet::new(), answers: InputResponses::new() };
        let state = serde_json::to_vec(&state).unwrap();
        let seal = sealing.seal(Purpose::RequestState, b"bob", &state).unwrap();
        let found = |binding: &[u8], seal: &str, now| {
            opened(&sealing, binding, seal, UnixMillis::from_millis(now)).map(|(state, _)| state.round)
        };
        assert_eq!(found(b"bob", &seal, 999), Ok(1));
        assert_eq!(found(b"bob", &seal, 1_000), Err(Unusable::Expired));
        for now in [999, 1_000] {
            assert_eq!(found(b"alice", &seal, now), Err(Unusable::Forged));
            assert_eq!(found(b"bob", &seal[1..], now), Err(Unusable::Forged));
        }
    }
}
