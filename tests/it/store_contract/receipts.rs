//! What comes back: stored once, applied in any order, whatever it does.

use super::props::{MONDAY, accepted, ask, at, doubt, refused, teapots, worker};
use super::stage::{BackEnd, Stage};
use backorderd::domain::contact::{EmailAddress, PhoneNumber, Preference};
use backorderd::domain::ids::{MessageNo, MessageUid};
use backorderd::domain::kinds::{ChannelName, Kind};
use backorderd::domain::message::MessageState;
use backorderd::domain::notice_key::Mode;
use backorderd::domain::outcome::{Evidence, Phase, Refusal};
use backorderd::domain::quantity::Quantity;
use backorderd::domain::receipt::{Receipt, ReceiptKind};
use backorderd::domain::row::{Row, RowShipment};
use backorderd::store::StoreError;
use backorderd::store::types::Claimed;
use backorderd::store::write::deliver::Claim;
use backorderd::store::write::receipts::{About, NewReceipt, PASS_MAX, Taken, UnclearMail};
use uuid::Uuid;

const HARD: ReceiptKind = ReceiptKind::Failed(Refusal::Hard);
const SOFT: ReceiptKind = ReceiptKind::Failed(Refusal::Soft);
const LATER: &str = "2026-02-16 14:40";

fn report(event: &str, about: About, kind: ReceiptKind, now: &str) -> NewReceipt {
    NewReceipt {
        about,
        receipt: Receipt {
            event_key: event.to_owned(),
            kind,
            at: at(now),
            evidence: Evidence::new(Phase::Done, "no such user").with_code(550),
        },
        source: "mail",
        raw: Some(b"Status: 5.1.1".to_vec()),
    }
}

async fn take(stage: &Stage, event: &str, uid: MessageUid, kind: ReceiptKind) -> Taken {
    let new = report(event, About::Message(uid), kind, LATER);
    stage.store.take_receipt(new, at(LATER)).await.unwrap()
}

/// A confirmation of order 1042 that was accepted.
async fn sent(stage: &Stage) -> Claimed {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    stage.review(MONDAY).await;
    stage.land(1, accepted(), MONDAY).await.remove(0)
}

promises![
    a_bounce_takes_the_word_back_and_stops_the_address,
    a_bounce_that_says_nothing_of_the_mailbox_stops_no_address,
    the_same_report_twice_is_one,
    a_delay_is_noted_and_changes_nothing,
    a_report_that_comes_before_our_own_record_waits_for_it,
    a_report_about_an_unknown_message_waits_a_day,
    receipts_that_can_do_nothing_yet_cost_no_transaction,
    receipts_that_came_early_are_applied_some_at_a_time,
    a_receipt_that_cannot_be_applied_keeps_no_other_waiting,
    however_many_cannot_be_applied_those_behind_them_are,
    a_gateway_names_a_message_by_its_own_id,
    any_report_settles_a_doubt,
    a_bounce_ends_a_repetition_before_it_is_sent,
    vague_bounces_stop_an_address_on_the_second_day,
    a_complaint_stops_the_address_and_the_message_stays_told,
    what_must_arrive_goes_the_other_way_after_a_bounce,
    a_repaired_address_is_told_everything_once_more,
    a_refused_address_that_is_repaired_is_told_as_well,
    after_a_complaint_what_must_arrive_goes_the_other_way,
    a_ship_notice_that_came_back_was_not_told,
    what_a_newer_message_told_stays_told,
    a_promise_to_write_again_that_came_back_was_not_made,
    a_bounce_from_the_sandbox_untells_nothing_in_live_mode,
    a_sandbox_message_that_lands_after_going_live_tells_nothing,
    nobody_is_suppressed_by_what_the_sandbox_returns,
    mails_nobody_can_read_are_kept_once_and_for_a_while,
];

async fn a_bounce_takes_the_word_back_and_stops_the_address(stage: Stage) {
    let message = sent(&stage).await;
    stage.review(MONDAY).await;
    assert!(stage.due(LATER).await.is_empty());
    let taken = take(&stage, "e1", message.uid, HARD).await;
    assert_eq!(taken, Taken::Applied(message.no, MessageState::Bounced));
    assert_eq!(stage.state(message.no).await, MessageState::Bounced);
    assert_eq!(
        stage.told("1042").await,
        ["2026-03-06 accepted", "2026-03-06 retracted"]
    );
    let s = stage.situation("1042", LATER).await;
    assert!(s.lines[0].believed().is_empty());
    assert_eq!(s.lines[0].told_seq(), 2);
    assert_eq!(s.suppressed, [ChannelName::Email]);
    assert_eq!(stage.due(LATER).await.len(), 1);
    // Nothing else reaches the customer: it is a person's turn.
    assert!(stage.review(LATER).await.messages.is_empty());
    let read = stage.store.read();
    let left = read.came_back(Mode::Live, 10).await.unwrap();
    assert_eq!((left[0].no, left[0].order.as_str()), (message.no, "1042"));
    assert_eq!(left[0].why, Some(HARD));
    let receipts = read.receipts(message.no).await.unwrap();
    assert_eq!((receipts[0].kind, receipts[0].code), (HARD, Some(550)));
}

async fn a_bounce_that_says_nothing_of_the_mailbox_stops_no_address(stage: Stage) {
    let message = sent(&stage).await;
    take(&stage, "e1", message.uid, SOFT).await;
    assert_eq!(stage.state(message.no).await, MessageState::Bounced);
    let s = stage.situation("1042", LATER).await;
    assert!(s.suppressed.is_empty());
    // Said once more in the same way it would come back again.
    assert!(stage.review(LATER).await.messages.is_empty());
}

async fn the_same_report_twice_is_one(stage: Stage) {
    let message = sent(&stage).await;
    take(&stage, "e1", message.uid, HARD).await;
    let again = take(&stage, "e1", message.uid, HARD).await;
    assert_eq!(again, Taken::Known);
    let other = take(&stage, "e2", message.uid, HARD).await;
    assert_eq!(other, Taken::Applied(message.no, MessageState::Bounced));
    let late = take(&stage, "e3", message.uid, ReceiptKind::Delivered).await;
    assert_eq!(late, Taken::Applied(message.no, MessageState::Bounced));
    assert_eq!(stage.told("1042").await.len(), 2);
    let stored = "SELECT count(*) FROM receipts";
    assert_eq!(stage.number(stored).await, 3);
}

async fn a_delay_is_noted_and_changes_nothing(stage: Stage) {
    let message = sent(&stage).await;
    stage.review(MONDAY).await;
    let taken = take(&stage, "e1", message.uid, ReceiptKind::Delayed).await;
    assert_eq!(taken, Taken::Applied(message.no, MessageState::Sent));
    assert!(stage.due(LATER).await.is_empty());
    assert_eq!(stage.told("1042").await, ["2026-03-06 accepted"]);
}

async fn a_report_that_comes_before_our_own_record_waits_for_it(stage: Stage) {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    stage.review(MONDAY).await;
    let message = stage.submit(1, MONDAY).await.remove(0);
    let taken = take(&stage, "e1", message.uid, HARD).await;
    assert_eq!(taken, Taken::Waits(message.no));
    assert_eq!(stage.state(message.no).await, MessageState::Submitting);
    assert_eq!(stage.store.apply_receipts(at(LATER)).await.unwrap(), 0);
    assert!(stage.store.read().receipts_wait().await.unwrap());
    assert!(stage.record(1, &message, accepted(), LATER).await);
    assert_eq!(stage.store.apply_receipts(at(LATER)).await.unwrap(), 1);
    assert!(!stage.store.read().receipts_wait().await.unwrap());
    assert_eq!(stage.state(message.no).await, MessageState::Bounced);
    assert_eq!(
        stage.told("1042").await,
        ["2026-03-06 accepted", "2026-03-06 retracted"]
    );
}

async fn a_report_about_an_unknown_message_waits_a_day(stage: Stage) {
    let nobody = MessageUid(Uuid::from_u128(0xdead));
    assert_eq!(take(&stage, "e1", nobody, HARD).await, Taken::Parked);
    assert!(stage.store.read().receipts_wait().await.unwrap());
    stage
        .store
        .apply_receipts(at("2026-02-17 14:30"))
        .await
        .unwrap();
    assert!(stage.store.read().receipts_wait().await.unwrap());
    stage
        .store
        .apply_receipts(at("2026-02-17 14:41"))
        .await
        .unwrap();
    assert!(!stage.store.read().receipts_wait().await.unwrap());
}

async fn receipts_that_can_do_nothing_yet_cost_no_transaction(stage: Stage) {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    stage.review(MONDAY).await;
    let message = stage.submit(1, MONDAY).await.remove(0);
    // One message is being sent, of another nothing is known, and no gateway
    // has said that it gave this id.
    take(&stage, "e1", message.uid, HARD).await;
    take(&stage, "e2", MessageUid(Uuid::from_u128(0xdead)), HARD).await;
    let gateway = About::Reference {
        relay: "relay".to_owned(),
        reference: "4ABC".to_owned(),
    };
    let early = report("g1", gateway, ReceiptKind::Delivered, LATER);
    stage.store.take_receipt(early, at(LATER)).await.unwrap();
    let store = &stage.store;
    let mut watch = store.read().watch().await.unwrap();
    watch.has_news().await.unwrap();
    for nth in 0..3 {
        assert_eq!(store.apply_receipts(at(LATER)).await.unwrap(), 0);
        assert!(!watch.has_news().await.unwrap(), "look {nth} has committed");
    }
    if let BackEnd::Postgres = stage.back_end() {
        // A word each session ends a transaction with that it takes back.
        let begun = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
            AND pid <> pg_backend_pid() AND query = 'ROLLBACK'";
        assert_eq!(stage.number(begun).await, 0);
    }
    assert!(stage.record(1, &message, accepted(), LATER).await);
    watch.has_news().await.unwrap();
    assert_eq!(store.apply_receipts(at(LATER)).await.unwrap(), 1);
    assert!(watch.has_news().await.unwrap());
    let waiting = "SELECT count(*) FROM receipts WHERE waits = TRUE";
    assert_eq!(stage.number(waiting).await, 2);
    // What waited in vain is given up, and nobody has to look because of it.
    let over = at("2026-02-17 14:41");
    assert_eq!(store.apply_receipts(over).await.unwrap(), 0);
    assert_eq!(stage.number(waiting).await, 0);
}

async fn receipts_that_came_early_are_applied_some_at_a_time(stage: Stage) {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    stage.review(MONDAY).await;
    let message = stage.submit(1, MONDAY).await.remove(0);
    // Nobody will ever hear of these; they are first in the row and keep
    // nothing out.
    for n in 0..PASS_MAX {
        let nobody = MessageUid(Uuid::from_u128(0xdead + u128::from(n)));
        take(&stage, &format!("n{n}"), nobody, SOFT).await;
    }
    take(&stage, "e1", message.uid, ReceiptKind::Delivered).await;
    assert!(stage.record(1, &message, accepted(), LATER).await);
    let store = &stage.store;
    assert_eq!(store.apply_receipts(at(LATER)).await.unwrap(), 1);
    assert_eq!(stage.state(message.no).await, MessageState::Delivered);
    take(&stage, "n", MessageUid(Uuid::from_u128(1)), SOFT).await;
    let waiting = "SELECT count(*) FROM receipts WHERE waits = TRUE";
    let over = at("2026-02-17 14:41");
    for left in [1, 0] {
        store.apply_receipts(over).await.unwrap();
        assert_eq!(stage.number(waiting).await, left);
    }
}

async fn a_gateway_names_a_message_by_its_own_id(stage: Stage) {
    let about = || About::Reference {
        relay: "relay".to_owned(),
        reference: "4ABC".to_owned(),
    };
    // Faster than our own record of its answer.
    let early = report("g1", about(), ReceiptKind::Delivered, MONDAY);
    let taken = stage.store.take_receipt(early, at(MONDAY)).await.unwrap();
    assert_eq!(taken, Taken::Parked);
    let message = sent(&stage).await;
    let relay = stage.store.read().attempts(message.no).await.unwrap();
    let named = About::Reference {
        relay: relay[0].relay.clone(),
        reference: relay[0].reference.clone().unwrap(),
    };
    let on_time = report("g2", named, ReceiptKind::Delivered, LATER);
    let taken = stage.store.take_receipt(on_time, at(LATER)).await.unwrap();
    assert_eq!(taken, Taken::Applied(message.no, MessageState::Delivered));
}

async fn any_report_settles_a_doubt(stage: Stage) {
    for (kind, state, told) in [
        (ReceiptKind::Delayed, MessageState::Sent, "accepted"),
        (ReceiptKind::Delivered, MessageState::Delivered, "accepted"),
        (SOFT, MessageState::Bounced, "retracted"),
    ] {
        let order = format!("104{}", state as u8);
        stage.announce(&[teapots(&order, &order)], MONDAY).await;
        stage.review(MONDAY).await;
        let message = stage.land(1, doubt(), MONDAY).await.remove(0);
        assert_eq!(stage.state(message.no).await, MessageState::InDoubt);
        let taken = take(&stage, &order, message.uid, kind).await;
        assert_eq!(taken, Taken::Applied(message.no, state));
        assert_eq!(
            stage.told(&order).await,
            [
                "2026-03-06 possible".to_owned(),
                format!("2026-03-06 {told}")
            ]
        );
        let row = stage.message(message.no).await;
        assert_eq!(row.settled_by.as_deref(), Some("receipt"));
        let notices = stage.situation(&order, LATER).await.notices;
        assert!(!notices[0].in_flight && !notices[0].in_queue);
        // The quiet period ends, and nothing is left to settle.
        let over = at("2026-02-16 15:00");
        let settled = stage.store.settle_doubts(over).await.unwrap();
        assert_eq!((settled.once_more, settled.assumed), (0, 0));
    }
}

async fn a_bounce_ends_a_repetition_before_it_is_sent(stage: Stage) {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    stage.review(MONDAY).await;
    let message = stage.land(1, doubt(), MONDAY).await.remove(0);
    let over = "2026-02-16 14:45";
    assert_eq!(
        stage.store.settle_doubts(at(over)).await.unwrap().once_more,
        1
    );
    assert_eq!(stage.state(message.no).await, MessageState::Queued);
    take(&stage, "e1", message.uid, HARD).await;
    assert_eq!(stage.state(message.no).await, MessageState::Bounced);
    assert!(stage.claim(1, over).await.is_empty());
    assert!(!stage.mark(1, &message, over).await);
}

async fn vague_bounces_stop_an_address_on_the_second_day(stage: Stage) {
    let vague = ReceiptKind::Failed(Refusal::HardAfterTwoDays);
    let message = sent(&stage).await;
    let bring = async |event: &str, now: &str| {
        let new = report(event, About::Message(message.uid), vague, now);
        stage.store.take_receipt(new, at(now)).await.unwrap();
        stage.situation("1042", now).await.suppressed.len()
    };
    assert_eq!(bring("v1", "2026-02-16 14:40").await, 0);
    assert_eq!(bring("v2", "2026-02-16 15:40").await, 0);
    assert_eq!(bring("v3", "2026-02-17 14:40").await, 1);
}

async fn a_complaint_stops_the_address_and_the_message_stays_told(stage: Stage) {
    let message = sent(&stage).await;
    let taken = take(&stage, "e1", message.uid, ReceiptKind::Complaint).await;
    assert_eq!(taken, Taken::Applied(message.no, MessageState::Delivered));
    assert_eq!(stage.told("1042").await, ["2026-03-06 accepted"]);
    let s = stage.situation("1042", LATER).await;
    assert_eq!(s.suppressed, [ChannelName::Email]);
    let why = "SELECT count(*) FROM suppressions WHERE reason = 'complaint' AND source = 'mail'";
    assert_eq!(stage.number(why).await, 1);
}

async fn what_must_arrive_goes_the_other_way_after_a_bounce(mut stage: Stage) {
    stage.policy.sms.enabled = true;
    let row = Row {
        phone: Some(PhoneNumber::parse("+447911123456", None).unwrap()),
        sms_consent: Some(true),
        preferred: Some(Preference::Email),
        ..teapots("L1", "1042")
    };
    stage.announce(&[row], MONDAY).await;
    stage.review(MONDAY).await;
    let message = stage.land(1, accepted(), MONDAY).await.remove(0);
    assert_eq!(message.channel, ChannelName::Email);
    take(&stage, "e1", message.uid, HARD).await;
    assert_eq!(stage.review(LATER).await.messages.len(), 1);
    let text = stage.claim(1, LATER).await.remove(0);
    assert_eq!(
        (text.channel, text.kind),
        (ChannelName::Sms, Kind::Confirmation)
    );
    let read = stage.store.read();
    assert!(read.came_back(Mode::Live, 10).await.unwrap().is_empty());
}

fn repaired() -> Row {
    Row {
        email: Some(EmailAddress::parse("anna@elsewhere.example").unwrap()),
        ..teapots("L1", "1042")
    }
}

async fn a_repaired_address_is_told_everything_once_more(stage: Stage) {
    let message = sent(&stage).await;
    take(&stage, "e1", message.uid, HARD).await;
    assert!(stage.review(LATER).await.messages.is_empty());
    // The same rows again change nothing.
    stage.announce(&[teapots("L1", "1042")], LATER).await;
    assert!(stage.review(LATER).await.messages.is_empty());
    let repaired_at = "2026-02-16 15:10";
    stage.announce(&[repaired()], repaired_at).await;
    assert_eq!(stage.review(repaired_at).await.messages.len(), 1);
    let again = stage.land(1, accepted(), repaired_at).await.remove(0);
    assert_eq!(again.kind, Kind::Confirmation);
    assert_eq!(again.recipient, "anna@elsewhere.example");
    assert_eq!(
        stage.told("1042").await,
        [
            "2026-03-06 accepted",
            "2026-03-06 retracted",
            "2026-03-06 accepted"
        ]
    );
    let s = stage.situation("1042", repaired_at).await;
    let keys: Vec<_> = s.notices.iter().map(|n| n.key.clone()).collect();
    assert!(keys[0].is_some() && keys[1].is_some() && keys[0] != keys[1]);
    // Once: and a bounce of that is the end of it again.
    assert!(stage.review(repaired_at).await.messages.is_empty());
    take(&stage, "e2", again.uid, HARD).await;
    assert!(stage.review(repaired_at).await.messages.is_empty());
}

async fn a_refused_address_that_is_repaired_is_told_as_well(stage: Stage) {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    stage.review(MONDAY).await;
    stage.land(1, refused(), MONDAY).await;
    assert!(stage.review(LATER).await.messages.is_empty());
    stage.announce(&[repaired()], LATER).await;
    assert_eq!(stage.review(LATER).await.messages.len(), 1);
    assert_eq!(stage.land(1, accepted(), LATER).await.len(), 1);
    assert_eq!(stage.told("1042").await, ["2026-03-06 accepted"]);
}

async fn after_a_complaint_what_must_arrive_goes_the_other_way(mut stage: Stage) {
    stage.policy.sms.enabled = true;
    let row = Row {
        phone: Some(PhoneNumber::parse("+447911123456", None).unwrap()),
        sms_consent: Some(true),
        preferred: Some(Preference::Email),
        ..teapots("L1", "1042")
    };
    stage.announce(std::slice::from_ref(&row), MONDAY).await;
    stage.review(MONDAY).await;
    let message = stage.land(1, accepted(), MONDAY).await.remove(0);
    take(&stage, "e1", message.uid, ReceiptKind::Complaint).await;
    // It arrived: nothing is said once more.
    assert!(stage.review(LATER).await.messages.is_empty());
    let cancelled = Row {
        cancelled: Some(Quantity::pieces(2)),
        ..row
    };
    let tuesday = "2026-02-17 10:00";
    stage.announce(&[cancelled], tuesday).await;
    stage.review("2026-02-17 12:00").await;
    let text = stage.claim(1, "2026-02-17 12:00").await.remove(0);
    assert_eq!(
        (text.channel, text.kind),
        (ChannelName::Sms, Kind::Cancelled)
    );
}

fn parcel(key: &str) -> RowShipment {
    RowShipment {
        key: key.to_owned(),
        shipped_at: None,
        carrier: Some("UPS".to_owned()),
        tracking_numbers: vec![format!("1Z{key}")],
        tracking_url: None,
        estimate_on: None,
    }
}

/// Of three teapots so many have shipped, each in a parcel of its own.
fn shipped(pieces: i64) -> Row {
    Row {
        ordered: Quantity::pieces(3),
        shipped: Some(Quantity::pieces(pieces)),
        shipments: (1..=pieces).map(|n| parcel(&format!("P{n}"))).collect(),
        ..teapots("L1", "1042")
    }
}

async fn ship(stage: &Stage, pieces: i64, from: &str, at: &str) -> Claimed {
    stage.announce(&[shipped(pieces)], from).await;
    stage.review(at).await;
    stage.land(1, accepted(), at).await.remove(0)
}

/// The sandbox's mailbox returns a ship notice after the shop went live.
async fn a_bounce_from_the_sandbox_untells_nothing_in_live_mode(mut stage: Stage) {
    stage.mode = Mode::Sandbox;
    stage.announce(&[shipped(0)], MONDAY).await;
    assert_eq!(stage.write(MONDAY).await, 1);
    let sent = ship(&stage, 1, "2026-02-17 10:00", "2026-02-17 10:30").await;
    assert_eq!(sent.kind, Kind::Shipped);
    let noon = "2026-02-17 12:00";
    stage.store.go_live("mira", at(noon)).await.unwrap();
    stage.mode = Mode::Live;
    stage.review(noon).await;
    assert!(stage.claim(1, noon).await.is_empty());
    take(&stage, "e1", sent.uid, SOFT).await;
    for later in ["2026-02-17 13:00", "2026-02-17 15:00"] {
        stage.review(later).await;
        assert!(stage.claim(1, later).await.is_empty(), "{later}");
    }
    let line = &stage.situation("1042", noon).await.lines[0];
    assert_eq!(line.shipped_told, Quantity::pieces(1));
}

/// It was in doubt when the shop went live; then the mailbox reports it.
async fn a_sandbox_message_that_lands_after_going_live_tells_nothing(mut stage: Stage) {
    stage.mode = Mode::Sandbox;
    stage.announce(&[shipped(0)], MONDAY).await;
    assert_eq!(stage.write(MONDAY).await, 1);
    stage.announce(&[shipped(1)], "2026-02-17 10:00").await;
    stage.review("2026-02-17 10:30").await;
    let sent = stage.land(1, doubt(), "2026-02-17 10:30").await.remove(0);
    let noon = "2026-02-17 12:00";
    stage.store.go_live("mira", at(noon)).await.unwrap();
    stage.mode = Mode::Live;
    stage
        .force("UPDATE order_lines SET qty_shipped_told = 0")
        .await
        .unwrap();
    stage
        .force("UPDATE shipments SET told_message = NULL")
        .await
        .unwrap();
    take(&stage, "e1", sent.uid, ReceiptKind::Delivered).await;
    let line = &stage.situation("1042", noon).await.lines[0];
    assert_eq!(line.shipped_told, Quantity::pieces(0));
    let told = "SELECT count(*) FROM shipments WHERE told_message IS NOT NULL";
    assert_eq!(stage.number(told).await, 0);
}

async fn a_ship_notice_that_came_back_was_not_told(stage: Stage) {
    stage.announce(&[shipped(0)], MONDAY).await;
    stage.review(MONDAY).await;
    stage.land(1, accepted(), MONDAY).await;
    let first = ship(&stage, 1, "2026-02-17 10:00", "2026-02-17 10:10").await;
    assert_eq!(first.kind, Kind::Shipped);
    let s = stage.situation("1042", MONDAY).await;
    assert_eq!(s.lines[0].shipped_told, Quantity::pieces(1));
    assert!(s.untold_shipments.is_empty());
    take(&stage, "e1", first.uid, SOFT).await;
    let s = stage.situation("1042", MONDAY).await;
    assert_eq!(s.lines[0].shipped_told, Quantity::ZERO);
    assert_eq!(s.untold_shipments.len(), 1);
}

async fn a_promise_to_write_again_that_came_back_was_not_made(stage: Stage) {
    let unknown = Row {
        eta: None,
        ..teapots("L1", "1042")
    };
    stage.announce(&[unknown], MONDAY).await;
    stage.review(MONDAY).await;
    let first = stage.land(1, accepted(), MONDAY).await.remove(0);
    let promised = async |now| stage.situation("1042", now).await.order.next_word_by;
    let made = promised(MONDAY).await.expect("a promise");
    // The word that keeps it names the next day, and comes back.
    let then = "2026-02-23 10:30";
    assert_eq!(made.to_string(), "2026-02-23");
    stage.review(then).await;
    let second = stage.land(1, accepted(), then).await.remove(0);
    assert!(promised(then).await > Some(made));
    take(&stage, "e1", second.uid, SOFT).await;
    assert_eq!(promised(then).await, Some(made), "it is owed again");
    take(&stage, "e2", first.uid, SOFT).await;
    assert_eq!(promised(then).await, None, "nobody heard of any");
}

async fn what_a_newer_message_told_stays_told(stage: Stage) {
    stage.announce(&[shipped(0)], MONDAY).await;
    stage.review(MONDAY).await;
    stage.land(1, accepted(), MONDAY).await;
    let first = ship(&stage, 1, "2026-02-17 10:00", "2026-02-17 10:10").await;
    let second = ship(&stage, 2, "2026-02-18 10:00", "2026-02-18 10:10").await;
    assert_ne!(first.no, second.no);
    take(&stage, "e1", first.uid, SOFT).await;
    let s = stage.situation("1042", MONDAY).await;
    assert_eq!(s.lines[0].shipped_told, Quantity::pieces(2));
}

async fn nobody_is_suppressed_by_what_the_sandbox_returns(mut stage: Stage) {
    stage.mode = Mode::Sandbox;
    let message = sent(&stage).await;
    take(&stage, "e1", message.uid, HARD).await;
    assert_eq!(stage.state(message.no).await, MessageState::Bounced);
    let s = stage.situation("1042", LATER).await;
    assert!(s.suppressed.is_empty());
}

async fn mails_nobody_can_read_are_kept_once_and_for_a_while(stage: Stage) {
    let message = sent(&stage).await;
    let mail = |event: &str, uid| UnclearMail {
        uid,
        event_key: event.to_owned(),
        why: "no report",
        raw: b"Dear shop".to_vec(),
    };
    let store = &stage.store;
    let keep = |mail| store.set_mail_aside(mail, at(MONDAY));
    assert!(keep(mail("u1", Some(message.uid))).await.unwrap());
    assert!(keep(mail("u2", None)).await.unwrap());
    assert!(!keep(mail("u2", None)).await.unwrap());
    let listed = store.read().unclear_mails(10).await.unwrap();
    let about: Vec<Option<MessageNo>> = listed.iter().map(|m| m.message).collect();
    assert_eq!(about, [None, Some(message.no)]);
    assert_eq!(stage.state(message.no).await, MessageState::Sent);
    take(&stage, "e1", message.uid, ReceiptKind::Delivered).await;
    assert_eq!(
        store.forget_reports(at("2026-03-17 14:30")).await.unwrap(),
        0
    );
    assert_eq!(
        store.forget_reports(at("2026-03-19 14:30")).await.unwrap(),
        3
    );
    assert!(store.read().unclear_mails(10).await.unwrap().is_empty());
    // What a report said about a message stays.
    assert_eq!(store.read().receipts(message.no).await.unwrap().len(), 1);
}

async fn a_receipt_that_cannot_be_applied_keeps_no_other_waiting(stage: Stage) {
    let rows = ["1042", "1043", "1044"].map(|number| teapots(number, number));
    stage.announce(&rows, MONDAY).await;
    stage.review(MONDAY).await;
    let flying = stage.submit(1, MONDAY).await;
    assert_eq!(flying.len(), 3);
    for (n, message) in flying.iter().enumerate() {
        take(&stage, &format!("e{n}"), message.uid, HARD).await;
        assert!(stage.record(1, message, accepted(), LATER).await);
    }
    // As a much older program might have written it.
    let broken = "UPDATE message_private SET facts = '{}' WHERE message_no = 2";
    assert_eq!(stage.force(broken).await.unwrap(), 1);
    let answer = stage.store.apply_receipts(at(LATER)).await;
    assert!(
        matches!(answer, Err(StoreError::Corrupt { .. })),
        "{answer:?}"
    );
    for (message, state) in flying.iter().zip([
        MessageState::Bounced,
        MessageState::Sent,
        MessageState::Bounced,
    ]) {
        assert_eq!(stage.state(message.no).await, state);
    }
    // Named again until somebody mends it.
    assert!(stage.store.apply_receipts(at(LATER)).await.is_err());
    assert!(stage.store.read().receipts_wait().await.unwrap());
}

async fn however_many_cannot_be_applied_those_behind_them_are(stage: Stage) {
    // A whole pass of them, and a pass in which all is well.
    const N_BROKEN: u64 = 200;
    const { assert!(N_BROKEN == PASS_MAX as u64) };
    let rows: Vec<_> = (0..N_BROKEN + 2)
        .map(|n| teapots(&format!("L{n}"), &format!("{}", 1000 + n)))
        .collect();
    stage.announce(&rows, MONDAY).await;
    stage.review(MONDAY).await;
    let all = Claim {
        limit: 500,
        ..ask(worker(1), stage.mode, at(MONDAY))
    };
    let flying = stage.claim_as(all).await;
    assert_eq!(flying.len(), rows.len());
    for (n, message) in flying.iter().enumerate() {
        assert!(stage.mark(1, message, MONDAY).await);
        take(&stage, &format!("e{n}"), message.uid, HARD).await;
        assert!(stage.record(1, message, accepted(), LATER).await);
    }
    let broken = "UPDATE message_private SET facts = '{}' WHERE message_no IN (
        SELECT m.no FROM messages m JOIN receipts r ON r.message_uid = m.uid
        ORDER BY r.id LIMIT 200)";
    assert_eq!(stage.force(broken).await.unwrap(), N_BROKEN);
    assert!(stage.store.apply_receipts(at(LATER)).await.is_err());
    let bounced = "SELECT count(*) FROM messages WHERE state = 'bounced'";
    assert_eq!(stage.number(bounced).await, 2);
}
