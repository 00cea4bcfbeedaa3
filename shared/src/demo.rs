//! The constants of the workshop demo: who the server says it is, the demo keys and the questions that are asked.
//!
//! The keys are published on purpose. The server accepts them on a loopback address only and refuses to start with
//! them anywhere else.

/// `serverInfo.name` of the payment server.
pub const SERVER_NAME: &str = "payment-server";

/// `serverInfo.version` of the payment server.
pub const SERVER_VERSION: &str = "1.0.0";

/// `instructions` that the payment server gives to a model.
pub const SERVER_INSTRUCTIONS: &str =
    "This is a payment transaction server that manages user payment history.";

/// Where the payment server listens unless told otherwise.
pub const DEFAULT_HOST: &str = "127.0.0.1";

/// The port the payment server listens on unless told otherwise.
pub const DEFAULT_PORT: u16 = 8080;

/// The MCP endpoint the client calls unless told otherwise.
pub const DEFAULT_URL: &str = "http://127.0.0.1:8080/mcp";

/// The variable that carries Bob's key, for server and client alike.
pub const BOB_KEY_VARIABLE: &str = "BOB_API_KEY";

/// The variable that carries Alice's key, for server and client alike.
pub const ALICE_KEY_VARIABLE: &str = "ALICE_API_KEY";

/// Bob's demo key: public, loopback only.
pub const BOB_API_KEY: &str = "mcpay_demo_bob_DEMOKEYDEMOKEYDEMOKEYDEMOKEYDEMO";

/// Alice's demo key: public, loopback only.
pub const ALICE_API_KEY: &str = "mcpay_demo_alice_DEMOKEYDEMOKEYDEMOKEYDEMOKEYDEMO";

/// The variable that carries Charlie's key, for server and client alike.
pub const CHARLIE_KEY_VARIABLE: &str = "CHARLIE_API_KEY";

/// The variable that carries the auditor's key, for server and client alike.
pub const AUDITOR_KEY_VARIABLE: &str = "AUDITOR_API_KEY";

/// Charlie's demo key, which may see a balance and nothing else: public, loopback only.
pub const CHARLIE_API_KEY: &str = "mcpay_demo_charlie_DEMOKEYDEMOKEYDEMOKEYDEMOKEYDEMO";

/// The auditor's demo key, which may read the audit trail and nothing else: public, loopback only.
pub const AUDITOR_API_KEY: &str = "mcpay_demo_auditor_DEMOKEYDEMOKEYDEMOKEYDEMOKEYDEMO";

/// What the demo's servers on one PostgreSQL database make key digests with, unless they are given a secret: public,
/// loopback only.
pub const KEY_PEPPER: &str = "a published pepper, for the demo on a loopback address and nothing else";

/// Who has a published demo key.
pub const KEYS: [(&str, &str); 4] = [
    ("bob", BOB_API_KEY),
    ("alice", ALICE_API_KEY),
    ("charlie", CHARLIE_API_KEY),
    ("auditor", AUDITOR_API_KEY),
];

/// What the demo asks to see how much money there is.
pub const BALANCE: &str = "Show me my account balance.";

/// The two questions that the demo asks for each user, in order.
pub const QUESTIONS: [&str; 2] = [BALANCE, "Show me my recent transactions."];

/// What Bob asks for at the end of the demo.
pub const PAYMENT: &str = "Pay alice 25 for lunch.";

/// How many model turns one question may take.
pub const MAX_STEPS: u32 = 20;
