//! The auditor: calm about everything the verbs leave behind, and awake to
//! every promise that somebody breaks by hand.

use super::props::{MONDAY, accepted, at, deferred, doubt, eta, refused, teapots};
use super::stage::Stage;
use backorderd::domain::outcome::{Deferral, Evidence, Phase, Refusal};
use backorderd::domain::receipt::{Receipt, ReceiptKind};
use backorderd::domain::row::Row;
use backorderd::store::write::receipts::{About, NewReceipt};

promises![
    a_busy_database_is_in_order,
    every_broken_promise_is_named,
    what_templates_are_made_of_is_kept_once,
];

/// The names of broken promises.
async fn broken(stage: &Stage) -> Vec<&'static str> {
    let found = stage.store.read().check_invariants().await.unwrap();
    let broken = found.checks.iter().filter(|c| !c.broken.is_empty());
    broken.map(|c| c.name).collect()
}

/// One message in every state that a day brings.
async fn busy(stage: &Stage) {
    let announce = async |order: &str| {
        stage.announce(&[teapots(order, order)], MONDAY).await;
        stage.review(MONDAY).await;
    };
    for (order, outcome) in [
        ("1042", accepted()),
        ("1043", doubt()),
        ("1044", refused()),
        ("1045", deferred(Deferral::Recipient)),
    ] {
        announce(order).await;
        stage.land(1, outcome, MONDAY).await;
        assert!(broken(stage).await.is_empty(), "{order}");
    }
    announce("1046").await;
    let returned = stage.land(1, accepted(), MONDAY).await.remove(0);
    let new = NewReceipt {
        about: About::Message(returned.uid),
        receipt: Receipt {
            event_key: "e1".to_owned(),
            kind: ReceiptKind::Failed(Refusal::Soft),
            at: at(MONDAY),
            evidence: Evidence::new(Phase::Done, "later"),
        },
        source: "mail",
        raw: None,
    };
    stage.store.take_receipt(new, at(MONDAY)).await.unwrap();
    announce("1047").await;
    assert_eq!(stage.claim(1, MONDAY).await.len(), 1);
    announce("1048").await;
    // Replaced by newer facts before it left.
    let moved = Row {
        eta: Some(eta("2026-03-20")),
        ..teapots("1048", "1048")
    };
    stage.announce(&[moved], MONDAY).await;
    stage.review(MONDAY).await;
}

async fn a_busy_database_is_in_order(stage: Stage) {
    assert!(broken(&stage).await.is_empty());
    busy(&stage).await;
    assert!(broken(&stage).await.is_empty());
    let settled = at("2026-02-16 14:50");
    assert_eq!(
        stage.store.settle_doubts(settled).await.unwrap().once_more,
        1
    );
    assert!(broken(&stage).await.is_empty());
    let found = stage.store.read().check_invariants().await.unwrap();
    assert_eq!((found.messages, found.checks.len()), (8, 21));
}

async fn every_broken_promise_is_named(stage: Stage) {
    busy(&stage).await;
    // What breaks it, and what mends it.
    let breaks: &[(&str, &'static str, &'static str)] = &[
        (
            "states",
            "UPDATE messages SET sent_at = 1 WHERE state = 'queued'",
            "UPDATE messages SET sent_at = NULL WHERE state = 'queued'",
        ),
        (
            "attempts",
            "UPDATE messages SET attempts = attempts + 1 WHERE state = 'sent'",
            "UPDATE messages SET attempts = attempts - 1 WHERE state = 'sent'",
        ),
        (
            "intent first",
            "UPDATE attempts SET ended_at = NULL WHERE outcome = 'refused'",
            "UPDATE attempts SET ended_at = began_at WHERE outcome = 'refused'",
        ),
        (
            "no false sent",
            "UPDATE attempts SET outcome = 'forged' WHERE outcome = 'accepted'",
            "UPDATE attempts SET outcome = 'accepted' WHERE outcome = 'forged'",
        ),
        (
            "no forgotten sent",
            "UPDATE attempts SET outcome = 'accepted', reply = 'forged' WHERE outcome = 'refused'",
            "UPDATE attempts SET outcome = 'refused' WHERE reply = 'forged'",
        ),
        (
            "copies",
            "INSERT INTO attempts (message_no, no, worker, epoch, relay, began_at, ended_at, outcome)
             SELECT message_no, no + 1, worker, epoch, 'forged', began_at, ended_at, outcome
             FROM attempts WHERE outcome = 'accepted' UNION ALL
             SELECT message_no, no + 2, worker, epoch, 'forged', began_at, ended_at, outcome
             FROM attempts WHERE outcome = 'accepted'",
            "DELETE FROM attempts WHERE relay = 'forged'",
        ),
        (
            "said once",
            "UPDATE notices SET key = NULL
             WHERE message_no IN (SELECT no FROM messages WHERE state = 'sent')",
            "UPDATE notices SET key = 'mended'
             WHERE message_no IN (SELECT no FROM messages WHERE state = 'sent')",
        ),
        (
            "nothing overtakes",
            "UPDATE notices SET in_flight = TRUE
             WHERE message_no IN (SELECT no FROM messages WHERE state = 'sent')",
            "UPDATE notices SET in_flight = FALSE
             WHERE message_no IN (SELECT no FROM messages WHERE state = 'sent')",
        ),
        (
            "parts",
            "UPDATE notices SET mode = 'sandbox'
             WHERE message_no IN (SELECT no FROM messages WHERE state = 'sent')",
            "UPDATE notices SET mode = 'live'",
        ),
        (
            "owners",
            "UPDATE messages SET owner = uid WHERE state = 'leased'",
            "UPDATE messages SET owner = (SELECT w.id FROM workers w ORDER BY w.id LIMIT 1)
             WHERE state = 'leased'",
        ),
        (
            "claims",
            "UPDATE messages SET claims = 9 WHERE state = 'queued'",
            "UPDATE messages SET claims = 0 WHERE state = 'queued'",
        ),
        (
            "told is sent",
            "UPDATE told SET basis = 'assumed' WHERE basis = 'possible'",
            "UPDATE told SET basis = 'possible' WHERE basis = 'assumed'",
        ),
        (
            "bounced is untold",
            "UPDATE told SET basis = 'assumed' WHERE basis = 'retracted'",
            "UPDATE told SET basis = 'retracted' WHERE basis = 'assumed'",
        ),
        (
            "ledger",
            "UPDATE order_lines SET told_seq = told_seq + 1",
            "UPDATE order_lines SET told_seq = told_seq - 1",
        ),
        (
            "not too old",
            "UPDATE messages SET not_after = not_after - 1000000000000 WHERE state = 'sent'",
            "UPDATE messages SET not_after = not_after + 1000000000000 WHERE state = 'sent'",
        ),
        (
            "do not write",
            "UPDATE suppressions SET since = since - 1000000000",
            "UPDATE suppressions SET since = since + 1000000000",
        ),
        (
            "hold holds",
            "INSERT INTO holds (scope, key, by, why, since) VALUES ('global', '', 'x', 'x', 0)",
            "DELETE FROM holds",
        ),
        (
            "receipts in any order",
            "UPDATE messages SET state = 'delivered' WHERE state = 'bounced'",
            "UPDATE messages SET state = 'bounced' WHERE state = 'delivered'",
        ),
        (
            "runs",
            "UPDATE runs SET messages = messages + 1",
            "UPDATE runs SET messages = messages - 1",
        ),
        (
            "held runs",
            "UPDATE messages SET held = TRUE WHERE state = 'queued'",
            "UPDATE messages SET held = FALSE WHERE state = 'queued'",
        ),
        (
            "sent is told",
            "UPDATE told SET message_no = -message_no
             WHERE message_no IN (SELECT no FROM messages WHERE state = 'sent')",
            "UPDATE told SET message_no = -message_no WHERE message_no < 0",
        ),
    ];
    for (name, breaks, mends) in breaks {
        assert!(stage.force(breaks).await.unwrap() > 0, "{name}");
        let named = broken(&stage).await;
        assert!(named.contains(name), "{name} is not among {named:?}");
        stage.force(mends).await.unwrap();
        assert_eq!(broken(&stage).await, Vec::<&str>::new(), "after {name}");
    }
    let found = stage.store.read().check_invariants().await.unwrap();
    for check in &found.checks {
        let is_tried = breaks.iter().any(|(name, ..)| *name == check.name);
        assert!(is_tried, "{} is never broken here", check.name);
    }
}

async fn what_templates_are_made_of_is_kept_once(stage: Stage) {
    let version = |n: &str, made_of: &str| (n.to_owned(), made_of.to_owned());
    let kept = async |new| stage.store.keep_templates(new, at(MONDAY)).await.unwrap();
    assert_eq!(
        kept(vec![version("t1", "{}"), version("t2", "{}")]).await,
        2
    );
    assert_eq!(kept(vec![version("t1", "other")]).await, 0);
    let read = stage.store.read();
    assert_eq!(read.template_versions().await.unwrap().len(), 2);
    let source = read.template_source("t1").await.unwrap();
    assert_eq!(source, Some(("{}".to_owned(), at(MONDAY))));
    assert_eq!(read.template_source("t3").await.unwrap(), None);
}
