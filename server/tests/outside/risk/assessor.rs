//! The payment server's way to a risk service: against the real one, and against one that does whatever it likes.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use client::mcp::{Endpoint, TokenOrigin};
use serde_json::json;
use server::{
    app::Application,
    clock::UnixMillis,
    config::RiskServiceConfig,
    http::tls::TlsSettings,
    identity::{Pepper, Role, ServiceName},
    risk::{self, BreakerSettings, RiskAssessor, RiskCredentials, RiskError, RiskSettings, Verdict},
    store::{AccountHolder, PolicyChange, StoredKey, UserId},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::Notify,
};

use super::{
    PAYMENTS, PEPPER, RiskServer, assessment, claims,
    counterpart::{Act, Counterpart},
    key, settings,
};
use crate::support::{
    app::{App, run},
    changes::KeyChanges as _,
    eventually,
    kit::{Authority, Validity},
};

/// How asking ended, in a word.
fn word(outcome: &Result<Verdict, RiskError>) -> &str {
    match outcome {
        Ok(Verdict::Approved) => "approved",
        Ok(Verdict::Refused { reason }) => reason,
        Err(RiskError::Unavailable(_)) => "unavailable",
        Err(RiskError::Nonsense(_)) => "nonsense",
        Err(RiskError::Open) => "open",
    }
}

async fn ask(assessor: &Arc<dyn RiskAssessor>, payment: &str) -> String {
    word(&assessor.assess(&assessment(payment, 150)).await).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_real_one_approves_refuses_and_releases() {
    let risk = RiskServer::start().await;
    let assessor = risk::assessor(&risk.settings()).unwrap();
    let assess =
        async |payment: &str, dollars| word(&assessor.assess(&assessment(payment, dollars)).await).to_owned();
    assert_eq!(assess("pay_1", 2_500).await, "approved");
    assert_eq!(assess("pay_1", 2_500).await, "approved");
    assert_eq!(assess("pay_2", 2_501).await, "one payment may be 2500 USD at most");
    assert_eq!(assess("pay_3", 2_500).await, "approved");
    let too_much = "with this the payer would have more than 5000 USD at risk within a day";
    assert_eq!(assess("pay_4", 1).await, too_much);
    assessor.release(&assessment("pay_3", 2_500)).await.unwrap();
    assert_eq!(assess("pay_5", 2_500).await, "approved");
    assert_eq!(assess("pay_3", 2_500).await, "the payment was given up before");
    // Another payment under a known handle is no question that it answers.
    assert_eq!(assess("pay_1", 2).await, "unavailable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_not_taken_is_read_again_when_it_was_renewed() {
    let risk = RiskServer::start().await;
    let settings = risk.settings();
    let path = risk.folder.path().join("token.jwt");
    std::fs::write(&path, risk.signer.token(&claims(PAYMENTS.0, "payments"))).unwrap();
    let assessor = risk::assessor(&settings).unwrap();
    assert_eq!(ask(&assessor, "pay_1").await, "unavailable");
    std::fs::write(&path, risk.token(PAYMENTS.0)).unwrap();
    assert_eq!(ask(&assessor, "pay_1").await, "approved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_takes_longer_than_an_attempt_still_prints_its_token() {
    let risk = RiskServer::start().await;
    let settings = RiskSettings { timeout: Duration::from_millis(200), ..risk.settings() };
    let command = format!(
        "cd {} && echo run >> runs && until [ -e go ]; do sleep 0.02; done && cat token.jwt",
        risk.folder.path().display()
    );
    let credentials = RiskCredentials { token: Some(TokenOrigin::Command(command)), ..settings.credentials };
    let assessor = risk::assessor(&RiskSettings { credentials, ..settings }).unwrap();
    assert_eq!(ask(&assessor, "pay_1").await, "unavailable");
    std::fs::write(risk.folder.path().join("go"), "").unwrap();
    eventually("the token", async || ask(&assessor, "pay_1").await == "approved").await;
    assert_eq!(std::fs::read_to_string(risk.folder.path().join("runs")).unwrap(), "run\n");
}

/// A risk service that knows its caller by a certificate, and where the files for that are.
struct Certifying {
    app: App,
    authority: Authority,
    folder: tempfile::TempDir,
}

impl Certifying {
    const CALLER: &str = "spiffe://example.org/payments";

    async fn start() -> Self {
        let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new("test"));
        let path = |name: &str| folder.path().join(name);
        let server = authority.server();
        std::fs::write(path("ca.pem"), authority.certificate()).unwrap();
        std::fs::write(path("cert.pem"), server.certificate).unwrap();
        std::fs::write(path("key.pem"), server.key).unwrap();
        let mut config = RiskServiceConfig::ephemeral().unwrap();
        config.server.pepper = Some(PEPPER.into());
        let client_ca = Some(path("ca.pem"));
        let tls = TlsSettings { certificate: path("cert.pem"), key: path("key.pem"), client_ca };
        config.server.tls = Some(tls);
        let app = run(Application::risk_service(config).await.unwrap());
        let (user, currency) = (UserId(PAYMENTS.1), "USD".to_owned());
        let holder = AccountHolder { user, username: PAYMENTS.0.to_owned(), currency, credit_limit_minor: 0 };
        app.store.put_holder(holder).await.unwrap();
        let service = ServiceName::Certificate(Self::CALLER.to_owned());
        let digest = Pepper::from_secret(&PEPPER.into()).digest_of_service(&service);
        let service = Some(service.to_string());
        let row = key(PAYMENTS.1, PAYMENTS.0, Role::RiskClient);
        let row = StoredKey { digest, service, ..row };
        app.store.create_key(row, PolicyChange::default()).await.unwrap();
        Self { app, authority, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Who asks at a port with a certificate that has been good for one payment, and the second in which it ends.
    async fn brief(&self, port: u16) -> (Arc<dyn RiskAssessor>, u64) {
        // A busy machine may need one that lives longer to be served with it at all.
        for life in [4, 8, 16] {
            let ends = seconds() + life;
            let certificate = self.certify(Validity(ends));
            let settings = self.settings(port, Some(certificate), Some(self.path("ca.pem")));
            let assessor = risk::assessor(&settings).unwrap();
            if ask(&assessor, "pay_1").await == "approved" {
                return (assessor, ends);
            }
        }
        panic!("no certificate lived long enough to be served");
    }

    /// Gives the caller a new certificate; where it is.
    fn certify(&self, validity: Validity) -> (PathBuf, PathBuf) {
        let client = self.authority.client(&[Self::CALLER], validity);
        let paths = (self.path("client.pem"), self.path("client.key"));
        std::fs::write(&paths.0, client.certificate).unwrap();
        std::fs::write(&paths.1, client.key).unwrap();
        paths
    }

    /// How it is reached at a port, with these.
    fn settings(
        &self,
        port: u16,
        certificate: Option<(PathBuf, PathBuf)>,
        roots: Option<PathBuf>,
    ) -> RiskSettings {
        let url = format!("https://localhost:{port}/mcp");
        RiskSettings {
            endpoint: Endpoint::new(&url, None, false).unwrap(),
            credentials: RiskCredentials { token: None, certificate, roots },
            ..settings(&url, self.path("none"))
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_does_as_well_as_a_token() {
    let risk = Certifying::start().await;
    let (certificate, roots) = (Some(risk.certify(Validity::NOW)), Some(risk.path("ca.pem")));
    for (certificate, roots, expected) in [
        (certificate.clone(), roots.clone(), "approved"),
        (None, roots, "unavailable"),
        (certificate, None, "unavailable"),
    ] {
        let settings = risk.settings(risk.app.address.port(), certificate, roots);
        let assessor = risk::assessor(&settings).unwrap();
        assert_eq!(ask(&assessor, "pay_1").await, expected);
    }
}

fn seconds() -> u64 {
    u64::try_from(UnixMillis::now().as_millis() / 1_000).unwrap()
}

/// Where a server is reached through somebody who hangs up on all its callers whenever they are told to.
async fn cuttable(server: SocketAddr) -> (SocketAddr, Arc<Notify>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, cut) = (listener.local_addr().unwrap(), Arc::new(Notify::new()));
    let told = Arc::clone(&cut);
    tokio::spawn(async move {
        while let Ok((mut caller, _)) = listener.accept().await {
            let (mut server, told) = (TcpStream::connect(server).await.unwrap(), Arc::clone(&told));
            tokio::spawn(async move {
                tokio::select! {
                    _ = copy_bidirectional(&mut caller, &mut server) => {}
                    () = told.notified() => {}
                }
            });
        }
    });
    (address, cut)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_has_expired_is_read_again_when_it_was_renewed() {
    let risk = Certifying::start().await;
    let (address, cut) = cuttable(risk.app.address).await;
    let (assessor, ends) = risk.brief(address.port()).await;
    eventually("the end of the certificate", async || seconds() > ends).await;
    cut.notify_waiters();
    assert_eq!(ask(&assessor, "pay_2").await, "unavailable");
    risk.certify(Validity::NOW);
    assert_eq!(ask(&assessor, "pay_3").await, "approved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_was_renewed_in_time_costs_no_payment_when_the_old_one_ends() {
    let risk = Certifying::start().await;
    let (assessor, ends) = risk.brief(risk.app.address.port()).await;
    risk.certify(Validity::NOW);
    // The connection is never idle for so long that it would be opened anew.
    while seconds() <= ends + 2 {
        assert_eq!(ask(&assessor, "pay_1").await, "approved");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_asked_again_where_that_may_help_and_otherwise_not() {
    let say = |payment: &str, decision: &str| Act::Say(json!({ "payment": payment, "decision": decision }));
    for (acts, expected, attempts) in [
        (vec![Act::Refuse("no\u{202e}pe".to_owned())], "no pe", 1),
        // What may pass.
        (vec![Act::Status(500, None)], "approved", 2),
        (vec![Act::Status(503, None), Act::Status(502, None)], "approved", 3),
        (vec![Act::Status(503, Some(1))], "approved", 2),
        (vec![Act::Status(429, Some(0))], "approved", 2),
        (vec![Act::Cut, Act::Cut], "approved", 3),
        (vec![Act::Hang], "approved", 2),
        (vec![Act::Error(-32603)], "approved", 2),
        // What does not pass in time.
        (vec![Act::Status(500, None); 3], "unavailable", 3),
        (vec![Act::Hang; 3], "unavailable", 3),
        (vec![Act::Status(503, Some(60))], "unavailable", 1),
        // What does not pass.
        (vec![Act::Status(401, None)], "unavailable", 1),
        (vec![Act::Status(403, None)], "unavailable", 1),
        (vec![Act::Error(-32602)], "unavailable", 1),
        (vec![Act::Decline("permission_denied: no")], "unavailable", 1),
        // What is no answer.
        (vec![Act::Status(404, None)], "nonsense", 1),
        (vec![Act::Body("text/html", "<h1>approved</h1>")], "nonsense", 1),
        (vec![Act::Body("application/json", "{\"approved\":")], "nonsense", 1),
        (vec![Act::Body("application/json", "[]")], "nonsense", 1),
        (vec![Act::Body("text/plain", "approved")], "nonsense", 1),
        (vec![say("pay_2", "approved")], "nonsense", 1),
        (vec![say("pay_1", "released")], "nonsense", 1),
        (vec![say("pay_1", "maybe")], "nonsense", 1),
        (vec![Act::Say(json!({ "decision": "approved" }))], "nonsense", 1),
        (vec![Act::Refuse("".to_owned())], "nonsense", 1),
    ] {
        let counterpart = Counterpart::start().await;
        counterpart.arm(acts.clone());
        let assessor = risk::assessor(&counterpart.settings()).unwrap();
        assert_eq!(ask(&assessor, "pay_1").await, expected, "{acts:?}");
        let seen = counterpart.seen();
        assert_eq!(seen.len(), attempts, "{acts:?}");
        let question = json!({
            "payment": "pay_1", "from": "bob", "to": "alice", "amount": "150.00", "currency": "USD",
        });
        assert!(seen.iter().all(|asked| *asked == question), "{seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_before_the_first_question_is_asked_again_too_where_that_may_help() {
    for method in ["server/discover", "tools/list"] {
        for act in [Act::Status(500, None), Act::Status(502, None), Act::Cut, Act::Hang, Act::Error(-32603)] {
            let counterpart = Counterpart::start().await;
            counterpart.arm_once(method, act.clone());
            let assessor = risk::assessor(&counterpart.settings()).unwrap();
            assert_eq!(ask(&assessor, "pay_1").await, "approved", "{method}: {act:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_there_is_no_approval_and_a_release_is_repeated_like_a_question() {
    let mut counterpart = Counterpart::start().await;
    let assessor = risk::assessor(&counterpart.settings()).unwrap();
    counterpart.stop().await;
    let began = Instant::now();
    assert_eq!(ask(&assessor, "pay_1").await, "unavailable");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    counterpart.start_again().await;
    counterpart.arm([Act::Cut, Act::Status(500, None)]);
    assessor.release(&assessment("pay_1", 150)).await.unwrap();
    assert!(counterpart.seen().iter().all(|asked| asked["release"] == true));
    counterpart.arm([Act::Say(json!({ "payment": "pay_1", "decision": "approved" }))]);
    let confused = assessor.release(&assessment("pay_1", 150)).await;
    assert!(matches!(confused, Err(RiskError::Nonsense(_))), "{confused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_some_failures_it_is_left_alone_and_one_at_a_time_finds_out_whether_it_is_back() {
    const OPEN_FOR: Duration = Duration::from_millis(500);
    let counterpart = Counterpart::start().await;
    let breaker = BreakerSettings { failures: 4, open_for: OPEN_FOR };
    let timeout = Duration::from_secs(2);
    let assessor = risk::assessor(&RiskSettings { breaker, timeout, ..counterpart.settings() }).unwrap();
    counterpart.always(Act::Status(500, None));
    assert_eq!(ask(&assessor, "pay_1").await, "unavailable");
    // It opens within this one, which has sent something and says so.
    assert_eq!(ask(&assessor, "pay_2").await, "unavailable");
    assert_eq!(counterpart.seen().len(), 4);
    assert_eq!(ask(&assessor, "pay_3").await, "open");
    assert!(matches!(assessor.release(&assessment("pay_1", 150)).await, Err(RiskError::Open)));
    assert_eq!(counterpart.seen().len(), 4, "nothing was sent");

    // The first one that comes after a while is let through, alone; it fails, and nobody else is sent.
    tokio::time::sleep(OPEN_FOR).await;
    counterpart.always(Act::Hang);
    let (probe, other) = tokio::join!(ask(&assessor, "pay_4"), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        ask(&assessor, "pay_5").await
    });
    assert_eq!((probe.as_str(), other.as_str(), counterpart.seen().len()), ("unavailable", "open", 5));

    // One that is dropped in the middle stands in nobody's way, and then it is back.
    tokio::time::sleep(OPEN_FOR).await;
    let asking = tokio::spawn({
        let assessor = Arc::clone(&assessor);
        async move { ask(&assessor, "pay_6").await }
    });
    eventually("that it is asked", async || counterpart.seen().len() == 6).await;
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    counterpart.always(Act::Agree);
    assert_eq!(ask(&assessor, "pay_7").await, "approved");
    assert_eq!(ask(&assessor, "pay_8").await, "approved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_opens_the_breaker_too_and_a_refusal_does_not() {
    let counterpart = Counterpart::start().await;
    let breaker = BreakerSettings { failures: 2, open_for: Duration::from_secs(60) };
    let assessor = risk::assessor(&RiskSettings { breaker, ..counterpart.settings() }).unwrap();
    counterpart.always(Act::Refuse("no".to_owned()));
    for payment in ["pay_1", "pay_2", "pay_3"] {
        assert_eq!(ask(&assessor, payment).await, "no");
    }
    counterpart.always(Act::Say(json!({})));
    for expected in ["nonsense", "nonsense", "open"] {
        assert_eq!(ask(&assessor, "pay_4").await, expected);
    }
}
