//! Rule 13 over the whole run: whatever a server of these tests writes, at its most talkative, is searched for secrets.
//!
//! A server in this process writes its log here, where every line is searched as it comes; of a program everything is
//! searched when it has ended: what it printed, its log, and the files of its database. A PostgreSQL is searched when no
//! test needs it any more. Looked for are keys and tokens, by their form, and every session id and request state that a
//! server gave to a test.

use std::{
    collections::HashMap,
    fs, io,
    path::Path,
    sync::{LazyLock, Once, RwLock},
};

use regex::Regex;
use server::identity::ApiKey;

/// What must not be written, beside what is recognised by its form.
static GIVEN: LazyLock<RwLock<Given>> = LazyLock::new(RwLock::default);

/// How much of a secret it is looked up by; none is shorter.
const HEAD: usize = 16;

/// How many beginnings of three bytes there are, 64 of them in a word.
const WORDS: usize = (1 << 24) / 64;

/// Secrets by their heads, so that it takes no longer to look for ten thousand of them than for one.
struct Given {
    /// Whether a secret begins with these three bytes, one bit each: most of a text is passed over by it.
    begins: Box<[u64; WORDS]>,
    by_head: HashMap<[u8; HEAD], Vec<String>>,
}

impl Default for Given {
    fn default() -> Self {
        let begins = vec![0; WORDS].into_boxed_slice().try_into().expect("it has as many words");
        Self { begins, by_head: HashMap::new() }
    }
}

impl Given {
    fn keep(&mut self, secret: &str) {
        let head = *secret.as_bytes().first_chunk().expect("a secret is longer than that");
        let known = self.by_head.entry(head).or_default();
        if !known.iter().any(|known| known == secret) {
            known.push(secret.to_owned());
        }
        let number = (head[0] as usize) << 16 | (head[1] as usize) << 8 | head[2] as usize;
        self.begins[number / 64] |= 1 << (number % 64);
    }

    /// Megabytes go through here, in a program that is not optimized: so there is no call in the loop but for what may be one.
    fn find(&self, text: &[u8]) -> Option<&String> {
        let mut from = 0;
        let mut number = 0_usize;
        while from < text.len() {
            number = (number << 8 | text[from] as usize) & 0x00ff_ffff;
            from += 1;
            if self.begins[number / 64] >> (number % 64) & 1 == 1
                && let Some(secret) = text.get(from.saturating_sub(3)..).and_then(|rest| self.at(rest))
            {
                return Some(secret);
            }
        }
        None
    }

    /// The secret that a text begins with.
    fn at(&self, text: &[u8]) -> Option<&String> {
        let known = self.by_head.get(text.first_chunk::<HEAD>()?)?;
        known.iter().find(|secret| text.starts_with(secret.as_bytes()))
    }
}

/// A signed token, or the beginning of one.
static TOKEN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}").unwrap());

/// From now on nobody writes this.
pub(crate) fn keep(secret: &str) {
    GIVEN.write().unwrap().keep(secret);
}

/// The secret in a text, if there is one.
pub(crate) fn found_in(text: &str) -> Option<String> {
    if ApiKey::is_in(text) {
        return Some("an API key".to_owned());
    }
    if let Some(token) = TOKEN.find(text) {
        return Some(token.as_str().to_owned());
    }
    GIVEN.read().unwrap().find(text.as_bytes()).cloned()
}

/// That there is none in what `who` wrote.
pub(crate) fn search(who: &str, text: &str) {
    let Some(secret) = found_in(text) else { return };
    let line = text.lines().find(|line| found_in(line).is_some()).unwrap_or_default();
    panic!("{secret} is in {who}: {}", line.chars().take(500).collect::<String>());
}

/// That there is none in a database, which must be there, and in the files beside it.
pub(crate) fn search_files(database: &Path) {
    let kept = fs::metadata(database).unwrap_or_else(|error| panic!("{}: {error}", database.display()));
    assert!(kept.len() > 0, "{} is empty", database.display());
    for entry in fs::read_dir(database.parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        match fs::read(&path) {
            Ok(bytes) => search(&path.display().to_string(), &String::from_utf8_lossy(&bytes)),
            // Others than the database itself come and go while a server runs on it.
            Err(error) if error.kind() == io::ErrorKind::NotFound && path != database => {}
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }
}

/// Has everything that servers in this process log searched, from now on. A secret ends the whole run: a panic in a task
/// of a server's would end only that task.
pub(crate) fn watch_the_log() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        tracing_subscriber::fmt()
            .with_max_level(tracing::level_filters::LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(|| Watched)
            .init();
    });
}

struct Watched;

impl io::Write for Watched {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(bytes);
        if let Some(secret) = found_in(&line) {
            eprintln!("{secret} is in the log: {line}");
            std::process::abort();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_secret_is_found_wherever_it_is_and_nothing_else_is_one() {
    keep("a-session-id-that-was-given");
    for text in [
        format!("key={}", shared::demo::BOB_API_KEY),
        "Bearer eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJiaWxsaW5nIn0.c2ln".to_owned(),
        "\u{0}\u{1}a-session-id-that-was-given\u{2}".to_owned(),
        "a-session-id-that-was-given".to_owned(),
        "aa-session-id-that-was-given".to_owned(),
    ] {
        assert!(found_in(&text).is_some(), "{text}");
    }
    for text in ["", "eyJ", "session.hash=0123abcd", "mcpay_live_ in words", "request.id=00ff"] {
        assert_eq!(found_in(text), None, "{text}");
    }
}

#[test]
fn a_database_that_cannot_be_searched_is_none_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("payments.db");
    let is_passed = || std::panic::catch_unwind(|| search_files(&database)).is_ok();
    assert!(!is_passed(), "there is none");
    fs::write(&database, "").unwrap();
    assert!(!is_passed(), "it is empty");
    fs::write(&database, "nothing that is looked for").unwrap();
    assert!(is_passed());
    fs::write(folder.path().join("payments.db-wal"), shared::demo::BOB_API_KEY).unwrap();
    assert!(!is_passed(), "a key is beside it");
}
