//! For whom and in which exchange a request is answered, and the way back to whoever sent it.
//!
//! Tools, resources and prompts all get the same context. What it offers (ask the user, report progress, be cancelled)
//! is the same in both eras of the protocol; how it travels is decided by the [`Peer`].

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use shared::{
    jsonrpc::RequestId,
    mcp::{ProtocolVersion, utilities::ProgressToken},
};
use tokio_util::sync::CancellationToken;

use super::{
    commitment::Commitment,
    outbox::{Outbox, Step},
    rounds::Rounds,
    sealing::Sealing,
    session::Activity,
    stopwatch::Stopwatch,
};
use crate::{audit::Origin, identity::Principal, store::SessionHash};

/// For whom and in which exchange a request is answered. Clones are cheap.
#[derive(Clone)]
pub struct RequestContext(Arc<Scope>);

/// What a context holds.
pub(super) struct Scope {
    pub(super) principal: Principal,
    /// From which address the request came.
    pub(super) from: IpAddr,
    /// The server's name for the HTTP request.
    pub(super) http_id: Arc<str>,
    /// The sender's name for the message.
    pub(super) id: RequestId,
    /// What the sender wants progress notifications to carry, where it wants any.
    pub(super) progress_token: Option<ProgressToken>,
    pub(super) protocol: ProtocolVersion,
    pub(super) client: Arc<str>,
    /// The trace that the request is part of.
    pub(super) trace: Option<[u8; 16]>,
    pub(super) peer: Peer,
    pub(super) outbox: Outbox,
    pub(super) cancelled: CancellationToken,
    /// Cancelled when the server stops.
    pub(super) stopping: CancellationToken,
    pub(super) stopwatch: Stopwatch,
    pub(super) sealing: Sealing,
    pub(super) commitment: Commitment,
}

/// How the client is reached while its request is being answered.
pub(super) enum Peer {
    /// Revisions with sessions: by messages on the stream of the request. The session is in use meanwhile.
    Session(Activity),
    /// Revisions without: by a result that asks, and a repeated request that answers.
    Rounds(Box<Rounds>),
}

impl RequestContext {
    pub(super) fn new(scope: Scope) -> Self {
        Self(Arc::new(scope))
    }

    /// Whom it is answered for.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.0.principal
    }

    /// The id of the HTTP request, as the answer and the log name it.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.0.http_id
    }

    /// The trace that it is part of, where the sender says so. What is asked of others on its behalf carries it on.
    #[must_use]
    pub fn trace(&self) -> Option<[u8; 16]> {
        self.0.trace
    }

    /// The session it came in. Nothing about money may depend on it.
    #[must_use]
    pub fn session(&self) -> Option<SessionHash> {
        match &self.0.peer {
            Peer::Session(activity) => Some(activity.session().hash()),
            Peer::Rounds(_) => None,
        }
    }

    /// The revision that is spoken.
    #[must_use]
    pub fn protocol_version(&self) -> ProtocolVersion {
        self.0.protocol
    }

    /// Cancelled when nobody wants the answer any more: by `notifications/cancelled`, or in revisions without sessions
    /// by closing the connection. The engine then drops the work; a tool looks at this only where it goes on in tasks
    /// of its own.
    #[must_use]
    pub fn cancelled(&self) -> &CancellationToken {
        &self.0.cancelled
    }

    /// Ends the connection on which the answer would come, without ending the work: the client comes back after `wait`
    /// and goes on where it was. Without effect where no stream is open, or where clients cannot come back.
    pub fn let_go(&self, wait: Duration) {
        if let Peer::Session(activity) = &self.0.peer
            && activity.session().protocol() >= ProtocolVersion::V2025_11_25
        {
            self.0.outbox.send(Step::LetGo(wait));
        }
    }

    pub(super) fn from(&self) -> IpAddr {
        self.0.from
    }

    pub(super) fn id(&self) -> &RequestId {
        &self.0.id
    }

    pub(super) fn peer(&self) -> &Peer {
        &self.0.peer
    }

    pub(super) fn outbox(&self) -> &Outbox {
        &self.0.outbox
    }

    pub(super) fn stopping(&self) -> &CancellationToken {
        &self.0.stopping
    }

    pub(super) fn stopwatch(&self) -> &Stopwatch {
        &self.0.stopwatch
    }

    pub(super) fn sealing(&self) -> &Sealing {
        &self.0.sealing
    }

    pub(super) fn commitment(&self) -> &Commitment {
        &self.0.commitment
    }

    pub(super) fn progress_token(&self) -> Option<&ProgressToken> {
        self.0.progress_token.as_ref()
    }

    /// The same, as the audit trail wants it.
    pub(super) fn origin(&self) -> Origin<'_> {
        Origin {
            principal: &self.0.principal,
            request_id: &self.0.http_id,
            session: self.session(),
            protocol: self.0.protocol,
            client: &self.0.client,
            trace: self.0.trace,
        }
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        if let Peer::Session(activity) = &self.peer {
            activity.session().end_call(&self.id);
        }
    }
}

impl fmt::Debug for RequestContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestContext").field("request_id", &self.0.http_id).finish_non_exhaustive()
    }
}
