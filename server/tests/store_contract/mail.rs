//! Mail between servers on one PostgreSQL.

use server::store::{SessionMail, SessionStore as _, Store as _};

use super::{engines::Schema, payments::at, postgres_itself::open, sessions::session};

#[tokio::test(flavor = "multi_thread")]
async fn mail_stays_for_whoever_waits_for_it_in_its_session_until_it_has_arrived() {
    let Some(schema) = Schema::create().await else { return };
    let (one, two) = (open(&schema).await, open(&schema).await);
    let hash = |seed| session(seed, "a").hash;
    let mail = |seed, topic: &str, body: &str| SessionMail {
        session: hash(seed),
        topic: topic.to_owned(),
        body: body.to_owned(),
    };
    for (seed, topic, body) in [(1, "x", "first"), (1, "x", "second"), (2, "x", "another's"), (1, "y", "")] {
        one.leave_mail(mail(seed, topic, body), at(61_000), at(1_000)).await.unwrap();
    }
    one.leave_mail(mail(1, "z", "of no time"), at(1_000), at(1_000)).await.unwrap();
    let wanted = || vec![(hash(1), "x".to_owned()), (hash(1), "z".to_owned()), (hash(3), "x".to_owned())];
    for looks in [&two, &one, &two] {
        assert_eq!(looks.mail(wanted()).await.unwrap(), [mail(1, "x", "first")]);
    }
    two.remove_mail(wanted()).await.unwrap();
    assert!(one.mail(wanted()).await.unwrap().is_empty());
    assert_eq!(one.mail(vec![(hash(2), "x".to_owned())]).await.unwrap(), [mail(2, "x", "another's")]);
    one.close().await.unwrap();
    two.close().await.unwrap();
    schema.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_that_is_kept_no_longer_makes_place_for_newer_mail_and_is_cleared_away_in_portions() {
    let Some(schema) = Schema::create().await else { return };
    let store = open(&schema).await;
    let hash = session(1, "a").hash;
    let mail = |topic: &str, body: &str| SessionMail {
        session: hash,
        topic: topic.to_owned(),
        body: body.to_owned(),
    };
    for topic in ["x", "y", "z", "a"] {
        store.leave_mail(mail(topic, "of no time"), at(1_000), at(1_000)).await.unwrap();
    }
    store.leave_mail(mail("x", "of its time"), at(61_000), at(1_000)).await.unwrap();
    for portion in [2, 1, 0] {
        assert_eq!(store.forget_mail(2).await.unwrap(), portion);
    }
    assert_eq!(store.mail(vec![(hash, "x".to_owned())]).await.unwrap(), [mail("x", "of its time")]);
    store.close().await.unwrap();
    schema.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_is_pushed_out_by_newer_mail_of_its_kind_and_by_no_other() {
    let Some(schema) = Schema::create().await else { return };
    let store = open(&schema).await;
    let hash = session(4, "a").hash;
    let leave = async |topic: String, number: i64| {
        let mail = SessionMail { session: hash, topic, body: String::new() };
        store.leave_mail(mail, at(61_000 + number), at(1_000)).await.unwrap();
    };
    leave("answer 0".to_owned(), 0).await;
    for number in 0..300 {
        leave(format!("cancel {number}"), number).await;
        leave(number.to_string(), number).await;
    }
    let mut wanted = vec![(hash, "answer 0".to_owned())];
    wanted.extend((0..300).map(|number| (hash, format!("cancel {number}"))));
    wanted.extend((0..300).map(|number| (hash, number.to_string())));
    let taken = store.mail(wanted).await.unwrap();
    let taken: std::collections::BTreeSet<_> = taken.into_iter().map(|mail| mail.topic).collect();
    let newest = (44..300).flat_map(|number| [format!("cancel {number}"), number.to_string()]);
    assert_eq!(taken, newest.chain(["answer 0".to_owned()]).collect());
    store.close().await.unwrap();
    schema.drop().await;
}
