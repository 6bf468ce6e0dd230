//! The do-not-write list in the hands of operators.

use super::props::{MONDAY, accepted, at, email_hash, teapots};
use super::stage::Stage;
use backorderd::domain::kinds::ChannelName;
use backorderd::store::read::audit::AuditFilter;
use backorderd::store::write::suppressions::{Deed, NewSuppression};

const LATER: &str = "2026-02-16 15:40";

promises![
    addresses_are_put_on_the_list_once_with_one_entry_in_the_log,
    who_is_taken_off_the_list_is_looked_at_again,
    a_list_names_entries_by_the_beginning_of_their_hash,
];

fn deed(verb: &'static str) -> Deed {
    Deed {
        by: "anna".to_owned(),
        verb,
        target: "2 addresses".to_owned(),
        why: Some("asked us".to_owned()),
    }
}

fn new(hash: &str) -> NewSuppression {
    NewSuppression {
        address_hash: hash.to_owned(),
        channel: ChannelName::Email,
        reason: "asked us".to_owned(),
        source: "operator".to_owned(),
        since: at(MONDAY),
    }
}

async fn add(stage: &Stage, hashes: &[&str]) -> u64 {
    let new = hashes.iter().map(|hash| new(hash)).collect();
    let added = stage.store.suppress_all(new, deed("suppress"), at(LATER));
    added.await.unwrap()
}

async fn addresses_are_put_on_the_list_once_with_one_entry_in_the_log(stage: Stage) {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    stage.review(MONDAY).await;
    let known = email_hash("1042");
    assert!(stage.due(MONDAY).await.is_empty());
    assert_eq!(add(&stage, &[&known, "elsewhere", &known]).await, 2);
    assert_eq!(stage.due(LATER).await, [stage.order("1042").await]);
    assert_eq!(add(&stage, &[&known]).await, 0);
    let read = stage.store.read();
    let log = read.audit(&AuditFilter::default(), 10).await.unwrap();
    assert_eq!(log.len(), 1);
    assert_eq!(
        (log[0].actor.as_str(), log[0].verb.as_str(), log[0].at),
        ("anna", "suppress", at(LATER))
    );
    assert_eq!(log[0].why.as_deref(), Some("asked us"));
    let since = AuditFilter {
        since: Some(at("2026-02-16 15:41")),
        ..AuditFilter::default()
    };
    assert!(read.audit(&since, 10).await.unwrap().is_empty());
    let of_ben = AuditFilter {
        actor: Some("ben".to_owned()),
        ..AuditFilter::default()
    };
    assert!(read.audit(&of_ben, 10).await.unwrap().is_empty());
    // What was queued to the address does not leave.
    assert!(stage.submit(1, LATER).await.is_empty());
}

async fn who_is_taken_off_the_list_is_looked_at_again(stage: Stage) {
    let hash = email_hash("1042");
    add(&stage, &[&hash]).await;
    stage.announce(&[teapots("L1", "1042")], LATER).await;
    assert!(stage.review(LATER).await.messages.is_empty());
    assert!(stage.due(LATER).await.is_empty());
    let now = "2026-02-16 16:00";
    let email = ChannelName::Email;
    let lifted = stage
        .store
        .lift_suppression(&hash, email, deed("unsuppress"), at(now));
    let order = stage.order("1042").await;
    assert_eq!(lifted.await.unwrap(), Some(vec![order]));
    assert_eq!(stage.review(now).await.messages.len(), 1);
    assert_eq!(stage.land(1, accepted(), now).await.len(), 1);
    let again = stage
        .store
        .lift_suppression(&hash, email, deed("unsuppress"), at(now));
    assert_eq!(again.await.unwrap(), None);
    let log = AuditFilter {
        verb: Some("unsuppress".to_owned()),
        ..AuditFilter::default()
    };
    assert_eq!(stage.store.read().audit(&log, 10).await.unwrap().len(), 1);
}

async fn a_list_names_entries_by_the_beginning_of_their_hash(stage: Stage) {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    let known = email_hash("1042");
    add(&stage, &[&known, "beef01", "beef02"]).await;
    let read = stage.store.read();
    let all = read.suppressions(None, None, 10).await.unwrap();
    assert_eq!(all.len(), 3);
    let of = async |hash: &str| read.suppressions(Some(hash), None, 10).await.unwrap();
    assert_eq!(of("beef").await.len(), 2);
    assert_eq!(of("beef02").await.len(), 1);
    // `%` is a letter here.
    assert!(of("%").await.is_empty());
    let shown = &of(&known).await[0];
    assert_eq!(shown.address.as_deref(), Some("c1...@mail.example"));
    assert_eq!(of("beef01").await[0].address, None);
    let sms = Some(ChannelName::Sms);
    assert!(read.suppressions(None, sms, 10).await.unwrap().is_empty());
}
