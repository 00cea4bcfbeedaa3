//! Sessions: whose they are, when they end, and that the store is the truth.

use shared::mcp::resources::Resource;
use tokio::sync::Semaphore;

use super::*;
use crate::{
    clock::UnixMillis,
    mcp::{Header, Parts, ResourceDefinition, ResourceTemplate, SessionId, Variables, sessions::Sessions},
    store::SessionHash,
};

fn ping() -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" })
}

fn refusal(posted: Result<Reply, Refused>) -> Refusal {
    posted.unwrap_err().refusal
}

#[tokio::test]
async fn a_session_of_a_stronger_key_is_as_unknown_as_one_that_never_was() {
    let stage = stage();
    let session = stage.open("customer", "2025-11-25").await;
    let weaker = refusal(stage.post("read-only", &session, &ping()).await);
    let unknown = refusal(stage.post("read-only", "never-was", &ping()).await);
    assert!(matches!(weaker, Refusal::SessionNotFound));
    assert_eq!(weaker.to_string(), unknown.to_string());
    let ended = stage.engine.end_session(exchange("read-only", Some(&session))).await;
    assert!(matches!(ended.unwrap_err().refusal, Refusal::SessionNotFound));
    assert_eq!(stage.answer("customer", &session, &ping()).await["result"], json!({}), "it is still open");
}

#[tokio::test]
async fn the_version_header_must_be_the_negotiated_one() {
    let stage = stage();
    let session = stage.open("customer", "2025-06-18").await;
    let body = ping().to_string();
    let mut results = Vec::new();
    for version in [None, Some("2025-06-18"), Some("2025-11-25"), Some("2024-11-05"), Some("")] {
        let protocol_version =
            version.map_or(Header::Absent, |version: &str| Header::Once(version.as_bytes()));
        let exchange = Exchange { protocol_version, ..exchange("customer", Some(&session)) };
        results.push(stage.engine.post(exchange, body.as_bytes()).await);
    }
    assert!(matches!(
        &results[..],
        [
            Ok(_),
            Ok(_),
            Err(Refused { refusal: Refusal::OtherVersion(_), .. }),
            Err(Refused { refusal: Refusal::UnsupportedVersion, .. }),
            Err(Refused { refusal: Refusal::UnsupportedVersion, .. }),
        ]
    ));
}

#[tokio::test]
async fn caps_hold_and_leave_open_sessions_alone() {
    let settings = SessionSettings { per_key: 2, ..SessionSettings::default() };
    let stage = stage_on(Arc::default(), settings);
    let first = stage.open("customer", "2025-11-25").await;
    stage.open("customer", "2025-11-25").await;
    let body = request(
        "initialize",
        &json!({ "protocolVersion": "x", "capabilities": {}, "clientInfo": { "name": "n", "version": "v" } }),
    );
    let third = stage.engine.post(exchange("customer", None), body.to_string().as_bytes()).await;
    assert!(matches!(refusal(third), Refusal::TooManySessions(_)));
    stage.answer("customer", &first, &ping()).await;
    stage.engine.end_session(exchange("customer", Some(&first))).await.unwrap();
    stage.open("customer", "2025-11-25").await;
}

#[tokio::test]
async fn a_session_is_found_by_another_process_and_after_a_restart() {
    let store = Arc::<Double>::default();
    let session = stage_on(store.clone(), SessionSettings::default()).open("customer", "2025-11-25").await;
    let restarted = stage_on(store, SessionSettings::default());
    assert_eq!(restarted.answer("customer", &session, &ping()).await["result"], json!({}));
    let stranger = refusal(restarted.post("read-only", &session, &ping()).await);
    assert!(matches!(stranger, Refusal::SessionNotFound), "still bound to its owner");
}

#[tokio::test]
async fn a_session_that_is_known_is_not_looked_up_for_every_request() {
    let stage = stage();
    let session = stage.open("customer", "2025-11-25").await;
    for _ in 0..100 {
        stage.answer("customer", &session, &ping()).await;
    }
    let reads = stage.store.session_reads.load(Ordering::Relaxed);
    assert!(reads < 50, "{reads} reads of the store");
}

/// The sessions of a process that opened one.
async fn with_one(store: &Arc<Double>) -> (Sessions, SessionId) {
    let sessions = Sessions::new(store.clone(), SessionSettings::default());
    let (version, abilities) = ("2025-11-25".parse().unwrap(), crate::store::ClientAbilities(0));
    let opened = sessions.open(&Principal::for_test("customer"), version, String::new(), abilities).await;
    (sessions, opened.unwrap())
}

#[tokio::test(start_paused = true)]
async fn what_another_process_ended_is_believed_for_a_second_at_most() {
    let store = Arc::<Double>::default();
    let (sessions, id) = with_one(&store).await;
    let id = id.expose().as_bytes();
    let activity = sessions.find(id, &Principal::for_test("customer")).await.unwrap();
    store.sessions.lock().clear();
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(sessions.look_up(crate::mcp::session::hash(id)).await.unwrap().is_none());
    assert!(activity.session().ended().is_cancelled(), "its streams end");
}

/// By no clock: neither time nor the time of day has to go on.
#[tokio::test(start_paused = true)]
async fn what_another_process_ended_is_not_found_any_more_once_that_is_told() {
    let store = Arc::<Double>::default();
    let (sessions, id) = with_one(&store).await;
    store.sessions.lock().clear();
    sessions.revise().await.unwrap();
    let found = sessions.find(id.expose().as_bytes(), &Principal::for_test("customer")).await;
    assert!(matches!(found, Err(Refusal::SessionNotFound)));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_another_process_ends_while_it_is_looked_up_is_not_found() {
    let store = Arc::<Double>::default();
    let (sessions, id) = with_one(&store).await;
    tokio::time::advance(Duration::from_secs(1)).await;
    let (gate, principal) = (Arc::new(Notify::new()), Principal::for_test("customer"));
    *store.gate.lock() = Some(Arc::clone(&gate));
    let mut found = Box::pin(sessions.find(id.expose().as_bytes(), &principal));
    assert!((&mut found).now_or_never().is_none(), "it has read the session and waits");
    store.sessions.lock().clear();
    sessions.revise().await.unwrap();
    gate.notify_one();
    assert!(matches!(found.await, Err(Refusal::SessionNotFound)));
}

#[tokio::test]
async fn a_session_that_ends_while_it_is_looked_up_is_not_found() {
    let opened = stage();
    let session = opened.open("customer", "2025-11-25").await;
    let restarted = stage_on(opened.store.clone(), SessionSettings::default());
    let gate = Arc::new(Notify::new());
    *opened.store.gate.lock() = Some(Arc::clone(&gate));
    let body = ping();
    let mut posted = Box::pin(restarted.post("customer", &session, &body));
    assert!((&mut posted).now_or_never().is_none(), "it has read the session and waits");
    opened.engine.end_session(exchange("customer", Some(&session))).await.unwrap();
    gate.notify_one();
    assert!(matches!(refusal(posted.await), Refusal::SessionNotFound));
}

fn rewind(stage: &Stage, hash: SessionHash, seen: Duration, created: Duration) {
    let mut sessions = stage.store.sessions.lock();
    let session = sessions.get_mut(&hash).unwrap();
    let ago = |span: Duration| {
        UnixMillis::from_millis(UnixMillis::now().as_millis() - i64::try_from(span.as_millis()).unwrap())
    };
    (session.seen_at, session.created_at) = (ago(seen), ago(created));
}

#[tokio::test]
async fn idle_and_old_sessions_are_refused_at_once_and_swept_later() {
    let idle = Duration::from_secs(100);
    let settings = SessionSettings { idle, max: idle * 10, ..SessionSettings::default() };
    for (seen, created, found, swept) in [
        (idle / 2, idle, true, false),
        // The store may not know of its last use.
        (idle + idle / 20, idle * 2, true, false),
        (idle + idle / 5, idle * 2, false, true),
        (idle / 2, idle * 11, false, true),
    ] {
        let opened = stage_on(Arc::default(), settings);
        let session = opened.open("customer", "2025-11-25").await;
        let hash = crate::mcp::session::hash(session.as_bytes());
        rewind(&opened, hash, seen, created);
        let restarted = stage_on(opened.store.clone(), settings);
        restarted.engine.sweep().await;
        assert_eq!(restarted.store.sessions.lock().is_empty(), swept, "{seen:?} {created:?}");
        let posted = restarted.post("customer", &session, &ping()).await;
        assert_eq!(posted.is_ok(), found, "{seen:?} {created:?}");
    }
}

#[tokio::test]
async fn streams_end_with_their_session_and_with_the_server() {
    let stage = stage();
    let session = stage.open("customer", "2025-11-25").await;
    let mut one = stage.engine.open_stream(exchange("customer", Some(&session)), None).await.unwrap();
    let mut two = stage.engine.open_stream(exchange("customer", Some(&session)), None).await.unwrap();
    let priming = String::from_utf8(one.next().await.unwrap().to_vec()).unwrap();
    assert!(priming.starts_with("id: ") && priming.ends_with("\ndata: \n\n"), "{priming:?}");
    assert!(one.next().now_or_never().is_none(), "silent until there is something to say");
    stage.engine.end_session(exchange("customer", Some(&session))).await.unwrap();
    assert!(one.next().await.is_none() && two.next().await.is_none());

    let other = stage.open("customer", "2025-11-25").await;
    let mut stream = stage.engine.open_stream(exchange("customer", Some(&other)), None).await.unwrap();
    stage.stop.cancel();
    assert!(stream.next().await.is_none());
}

/// A family whose members nobody can tell before there is a permit.
struct Late(Arc<Semaphore>);

impl ResourceTemplate for Late {
    const DEFINITION: ResourceDefinition = ResourceDefinition {
        uri: "test://late/{number}",
        name: "late",
        title: None,
        description: "Has no members",
        mime_type: None,
        permission: Permission::BalanceRead,
    };

    async fn read(&self, _context: RequestContext, _named: Variables) -> Result<Option<Parts>, ToolError> {
        Ok(None)
    }

    async fn members(&self, _principal: &Principal) -> Result<Vec<Resource>, ToolError> {
        self.0.acquire().await.map_err(|error| ToolError::Failed(Box::new(error)))?.forget();
        Ok(Vec::new())
    }
}

#[tokio::test]
async fn what_waits_for_a_stream_waits_on_when_the_client_goes_away_before_it_has_one() {
    for last_event_id in [None, Some(&b"00000000-s-1-1"[..])] {
        let permits = Arc::new(Semaphore::new(0));
        let late = Late(Arc::clone(&permits));
        let stage = stage_with(Arc::default(), SessionSettings::default(), |builder| builder.template(late));
        let session = stage.open("customer", "2025-11-25").await;
        let principal = Principal::for_test("customer");
        let activity = stage.engine.sessions.find(session.as_bytes(), &principal).await.unwrap();
        activity.session().streams().notify(b"told".to_vec());
        let open = || stage.engine.open_stream(exchange("customer", Some(&session)), last_event_id);
        assert!(open().now_or_never().is_none(), "it has a stream already");
        permits.add_permits(1);
        let mut stream = open().await.unwrap();
        assert!(stream.next().await.is_some(), "its own id");
        let told = stream.next().now_or_never().flatten().unwrap_or_default();
        assert!(String::from_utf8_lossy(&told).ends_with("data: told\n\n"), "{last_event_id:?}: {told:?}");
    }
}

#[tokio::test]
async fn a_sweep_ends_the_streams_of_a_session_that_is_too_old() {
    let stage = stage();
    let session = stage.open("customer", "2025-11-25").await;
    let hash = crate::mcp::session::hash(session.as_bytes());
    let mut stream = stage.engine.open_stream(exchange("customer", Some(&session)), None).await.unwrap();
    stage.engine.sweep().await;
    assert!(stream.next().await.is_some(), "it is not too old yet");
    rewind(&stage, hash, Duration::ZERO, SessionSettings::default().max + Duration::from_secs(1));
    stage.engine.sweep().await;
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn an_idle_session_is_refused_by_the_process_that_opened_it() {
    let settings = SessionSettings { idle: Duration::ZERO, ..SessionSettings::default() };
    let stage = stage_on(Arc::default(), settings);
    let session = stage.open("customer", "2025-11-25").await;
    assert!(matches!(refusal(stage.post("customer", &session, &ping()).await), Refusal::SessionNotFound));
}

#[tokio::test]
async fn using_a_session_is_noted_in_the_store() {
    let opened = stage();
    let session = opened.open("customer", "2025-11-25").await;
    let hash = crate::mcp::session::hash(session.as_bytes());
    rewind(&opened, hash, Duration::from_secs(1_000), Duration::from_secs(1_000));
    let restarted = stage_on(opened.store.clone(), SessionSettings::default());
    restarted.answer("customer", &session, &ping()).await;
    let seen_at = restarted.store.sessions.lock()[&hash].seen_at;
    assert!(UnixMillis::now().since(seen_at) < Duration::from_secs(60));
}

/// Other processes go by the store, also right after it is in use no more.
#[tokio::test]
async fn of_a_session_in_use_the_store_knows_before_a_grain_is_over() {
    let stage = stage();
    let session = stage.open("customer", "2025-11-25").await;
    let hash = crate::mcp::session::hash(session.as_bytes());
    rewind(&stage, hash, Duration::from_secs(40), Duration::from_secs(40));
    let restarted = stage_on(stage.store.clone(), SessionSettings::default());
    let used = || UnixMillis::now().since(stage.store.sessions.lock()[&hash].seen_at);
    let _stream = restarted.engine.open_stream(exchange("customer", Some(&session)), None).await.unwrap();
    assert!(used() >= Duration::from_secs(40), "a request does not tell it so soon");
    restarted.engine.sweep().await;
    assert!(used() < Duration::from_secs(20));
}

#[tokio::test]
async fn of_a_session_that_was_in_use_until_just_now_the_store_knows_with_the_next_sweep() {
    let stage = stage();
    let session = stage.open("customer", "2025-11-25").await;
    let hash = crate::mcp::session::hash(session.as_bytes());
    let grain = Duration::from_secs(1);
    let settings = SessionSettings { idle: grain * 10, ..SessionSettings::default() };
    let restarted = stage_on(stage.store.clone(), settings);
    let stream = restarted.engine.open_stream(exchange("customer", Some(&session)), None).await.unwrap();
    restarted.engine.sweep().await;
    tokio::time::sleep(grain + grain / 10).await;
    let in_use_at = UnixMillis::now();
    drop(stream);
    let seen_at = || stage.store.sessions.lock()[&hash].seen_at;
    assert!(seen_at() < in_use_at);
    restarted.engine.sweep().await;
    assert!(seen_at() >= in_use_at);
}

/// A store that lost its last moment counts up to the same number again, by something else.
#[tokio::test(start_paused = true)]
async fn a_revision_of_the_same_number_is_another_one_after_the_store_failed() {
    let without_revision: fn(&Double, bool) = |store, fails| *store.revision.lock() = (!fails).then_some(7);
    let without_mail: fn(&Double, bool) = |store, fails| {
        *store.revision.lock() = Some(7);
        store.keeps_mail.store(fails, Ordering::Relaxed);
    };
    for arrange in [without_revision, without_mail] {
        let stage = stage();
        let session = stage.open("customer", "2025-11-25").await;
        let principal = Principal::for_test("customer");
        let in_use = stage.engine.sessions.find(session.as_bytes(), &principal).await.unwrap();
        in_use.session().begin_call(shared::jsonrpc::RequestId::from(1), CancellationToken::new());
        let is_over_soon = async || {
            tokio::time::sleep(Duration::from_secs(1)).await;
            in_use.session().ended().is_cancelled()
        };
        let looks = async {
            arrange(&stage.store, false);
            assert!(!is_over_soon().await);
            arrange(&stage.store, true);
            assert!(!is_over_soon().await);
            stage.store.sessions.lock().clear();
            arrange(&stage.store, false);
            assert!(is_over_soon().await);
        };
        tokio::select! {
            () = stage.engine.keep_step() => panic!("it stopped"),
            () = looks => {}
        }
    }
}

/// Neither keys nor sessions wait for the other to be had.
#[tokio::test(start_paused = true)]
async fn a_session_that_was_ended_is_over_although_its_key_cannot_be_looked_at() {
    let stage = stage();
    *stage.store.revision.lock() = Some(7);
    let session = stage.open("customer", "2025-11-25").await;
    let mut stream = stage.engine.open_stream(exchange("customer", Some(&session)), None).await.unwrap();
    stage.store.sessions.lock().clear();
    let end = async { while stream.next().await.is_some() {} };
    tokio::select! {
        () = stage.engine.keep_step() => panic!("it stopped"),
        ended = tokio::time::timeout(Duration::from_secs(1), end) => ended.unwrap(),
    }
}
