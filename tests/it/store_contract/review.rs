//! Deciding, written down.

use super::props::{MONDAY, accepted, address, at, doubt, eta, teapots};
use super::stage::Stage;
use backorderd::domain::contact::{EmailAddress, PhoneNumber, Preference};
use backorderd::domain::kinds::Kind;
use backorderd::domain::message::MessageState;
use backorderd::domain::outcome::{Evidence, Outcome, Phase, Refusal};
use backorderd::domain::quantity::Quantity;
use backorderd::domain::reason::Wake;
use backorderd::domain::row::{Row, RowShipment};

fn moved(line: &str, order: &str, ships: &str) -> Row {
    Row {
        eta: Some(eta(ships)),
        ..teapots(line, order)
    }
}

/// Two orders of one customer, so that their delays share one e-mail.
fn of_one_customer(line: &str, order: &str, ships: &str) -> Row {
    Row {
        email: teapots("L", "1042").email,
        ..moved(line, order, ships)
    }
}

/// Ten o'clock on the next morning: a changed date has settled by eleven.
const TUESDAY: &str = "2026-02-17 10:00";
const SETTLED: &str = "2026-02-17 11:00";

promises![
    a_message_is_written_with_its_notice_and_recipient,
    an_order_planned_at_a_moment_is_not_due_at_it,
    the_wake_up_of_the_plan_is_the_next_look,
    a_finished_order_is_closed_and_news_open_it_again,
    an_order_whose_inputs_changed_meanwhile_stays_due_and_says_nothing,
    a_shared_message_with_a_stale_order_waits_for_both,
    keeping_a_shared_message_vouches_only_for_the_order_that_keeps_it,
    taking_a_shared_message_back_makes_the_other_orders_due,
    an_order_that_keeps_what_another_takes_back_is_planned_again,
    the_same_plan_committed_twice_writes_its_messages_once,
    a_key_that_was_used_is_never_used_again,
    superseding_frees_the_key_so_that_it_can_be_planned_again,
    a_newer_plan_takes_the_place_of_a_queued_one,
    a_queued_message_with_other_facts_is_replaced_under_the_same_key,
    a_queued_mail_follows_a_corrected_address,
    a_queued_text_follows_a_corrected_number,
    a_queued_ship_notice_states_the_corrected_tracking_number,
    after_a_refused_ship_notice_the_order_still_speaks,
    after_two_doubts_about_a_ship_notice_the_order_still_speaks,
    a_kept_message_is_vouched_for_and_goes_out,
    verdicts_are_written_only_when_they_changed,
    a_held_review_is_collected_and_not_claimed,
    one_queued_and_one_flying_notice_per_order_and_channel,
    a_run_counts_its_orders_and_an_uneventful_one_leaves_no_row,
    a_tick_is_stored_once_and_never_goes_back,
];

async fn a_message_is_written_with_its_notice_and_recipient(stage: Stage) {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    let written = stage.review(MONDAY).await;
    assert_eq!((written.messages.len(), written.known), (1, 0));
    let read = stage.store.read();
    let (recipient, facts) = read
        .message_facts(written.messages[0])
        .await
        .unwrap()
        .unwrap();
    assert_eq!(recipient, address("1042"));
    assert_eq!(facts.orders[0].order_number, "1042");
    let row = stage.message(written.messages[0]).await;
    assert_eq!(
        (row.state, row.orders),
        (MessageState::Queued, vec!["1042".to_owned()])
    );
    assert_eq!((row.planned_at, row.due_at), (at(MONDAY), at(MONDAY)));
    let s = stage.situation("1042", MONDAY).await;
    assert!(s.notices[0].in_queue && s.notices[0].key.is_some());
}

async fn an_order_planned_at_a_moment_is_not_due_at_it(stage: Stage) {
    stage
        .announce(&[teapots("L1", "1042"), teapots("L2", "1043")], MONDAY)
        .await;
    assert_eq!(stage.due(MONDAY).await.len(), 2);
    stage.review(MONDAY).await;
    assert!(stage.due(MONDAY).await.is_empty());
}

async fn the_wake_up_of_the_plan_is_the_next_look(stage: Stage) {
    stage.import(&[teapots("L1", "1042")], MONDAY).await;
    let review = stage.plan(MONDAY).await;
    let Wake::At(wake) = review.orders[0].wake else {
        panic!("a milestone")
    };
    stage.commit(review, MONDAY).await;
    assert_eq!(stage.store.read().next_review().await.unwrap(), Some(wake));
    let due = stage.store.read().due_orders(wake, 9).await.unwrap();
    assert_eq!(due.len(), 1);
}

async fn a_finished_order_is_closed_and_news_open_it_again(stage: Stage) {
    stage.told_teapots().await;
    let gone = Row {
        cancelled: Some(Quantity::pieces(2)),
        ..teapots("L1", "1042")
    };
    stage.announce(&[gone], TUESDAY).await;
    assert_eq!(stage.write(SETTLED).await, 1);
    stage.review(SETTLED).await;
    let read = stage.store.read();
    assert_eq!(read.count_open_orders().await.unwrap(), 0);
    assert_eq!(read.next_review().await.unwrap(), None);
    let again = Row {
        ordered: Quantity::pieces(3),
        cancelled: Some(Quantity::pieces(2)),
        ..teapots("L1", "1042")
    };
    stage.announce(&[again], "2026-02-18 10:00").await;
    assert_eq!(read.count_open_orders().await.unwrap(), 1);
}

async fn an_order_whose_inputs_changed_meanwhile_stays_due_and_says_nothing(stage: Stage) {
    stage
        .announce(&[teapots("L1", "1042"), teapots("L2", "1043")], MONDAY)
        .await;
    let review = stage.plan(MONDAY).await;
    stage
        .announce(&[moved("L1", "1042", "2026-03-20")], MONDAY)
        .await;
    let written = stage.commit(review, MONDAY).await;
    let (stale, fresh) = (stage.order("1042").await, stage.order("1043").await);
    assert_eq!(written.stale, [stale]);
    assert_eq!(written.messages.len(), 1);
    assert_eq!(stage.due(MONDAY).await, [stale]);
    assert!(
        stage.situations(&[fresh], MONDAY).await[0]
            .situation
            .notices
            .len()
            == 1
    );
    assert!(stage.store.read().verdicts(stale).await.unwrap().is_empty());
    assert_eq!(stage.review(MONDAY).await.messages.len(), 1);
}

async fn a_shared_message_with_a_stale_order_waits_for_both(stage: Stage) {
    let both = |ships| {
        [
            of_one_customer("L1", "1042", ships),
            of_one_customer("L2", "1043", ships),
        ]
    };
    stage.import(&both("2026-03-06"), MONDAY).await;
    stage.review(MONDAY).await;
    stage.import(&both("2026-03-20"), TUESDAY).await;
    let review = stage.plan(SETTLED).await;
    assert_eq!((review.orders.len(), review.messages.len()), (2, 1));
    stage
        .import(&[of_one_customer("L1", "1042", "2026-03-21")], SETTLED)
        .await;
    let written = stage.commit(review, SETTLED).await;
    assert!(written.messages.is_empty());
    // The other order's word was not written, so it is still due.
    assert!(
        stage
            .due(SETTLED)
            .await
            .contains(&stage.order("1043").await)
    );
    assert_eq!(stage.review("2026-02-17 12:00").await.messages.len(), 1);
}

async fn keeping_a_shared_message_vouches_only_for_the_order_that_keeps_it(stage: Stage) {
    let both = |ships| {
        [
            of_one_customer("L1", "1042", ships),
            of_one_customer("L2", "1043", ships),
        ]
    };
    stage.import(&both("2026-03-06"), MONDAY).await;
    stage.review(MONDAY).await;
    stage.import(&both("2026-03-20"), TUESDAY).await;
    assert_eq!(stage.review(SETTLED).await.messages.len(), 1);
    // 1042 is only touched, 1043 moves; 1042 alone is reviewed.
    let touched = Row {
        price_minor: Some(1),
        ..of_one_customer("L1", "1042", "2026-03-20")
    };
    stage
        .import(
            &[touched, of_one_customer("L2", "1043", "2026-04-01")],
            SETTLED,
        )
        .await;
    let order = stage.order("1042").await;
    let review = stage.plan_orders(&[order], SETTLED).await;
    assert_eq!(review.orders[0].keep.len(), 1);
    stage.commit(review, SETTLED).await;
    assert!(
        stage.claim(1, SETTLED).await.is_empty(),
        "it states an old date of 1043"
    );
}

async fn taking_a_shared_message_back_makes_the_other_orders_due(stage: Stage) {
    let both = |ships| {
        [
            of_one_customer("L1", "1042", ships),
            of_one_customer("L2", "1043", ships),
        ]
    };
    stage.import(&both("2026-03-06"), MONDAY).await;
    stage.review(MONDAY).await;
    stage.import(&both("2026-03-20"), TUESDAY).await;
    let shared = stage.review(SETTLED).await.messages[0];
    // 1042's new date goes back: its word is not owed any more.
    stage
        .import(&[of_one_customer("L1", "1042", "2026-03-06")], SETTLED)
        .await;
    stage.review(SETTLED).await;
    assert_eq!(stage.state(shared).await, MessageState::Superseded);
    assert_eq!(stage.due(SETTLED).await, [stage.order("1043").await]);
    let again = stage.review(SETTLED).await.messages;
    assert_eq!(again.len(), 1);
    assert_eq!(stage.message(again[0]).await.orders, ["1043"]);
}

async fn an_order_that_keeps_what_another_takes_back_is_planned_again(stage: Stage) {
    let both = |ships| {
        [
            of_one_customer("L1", "1042", ships),
            of_one_customer("L2", "1043", ships),
        ]
    };
    stage.import(&both("2026-03-06"), MONDAY).await;
    stage.review(MONDAY).await;
    stage.import(&both("2026-03-20"), TUESDAY).await;
    stage.review(SETTLED).await;
    stage
        .import(&[of_one_customer("L1", "1042", "2026-03-06")], SETTLED)
        .await;
    let orders = [stage.order("1042").await, stage.order("1043").await];
    let review = stage.plan_orders(&orders, SETTLED).await;
    assert_eq!(
        (
            review.orders[0].supersede.len(),
            review.orders[1].keep.len()
        ),
        (1, 1)
    );
    stage.commit(review, SETTLED).await;
    assert_eq!(stage.due(SETTLED).await, [orders[1]]);
    assert_eq!(stage.review(SETTLED).await.messages.len(), 1);
}

async fn the_same_plan_committed_twice_writes_its_messages_once(stage: Stage) {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    let review = stage.plan(MONDAY).await;
    let mut again = review.clone();
    again.messages[0].uid = stage.uid();
    assert_eq!(stage.commit(review, MONDAY).await.messages.len(), 1);
    assert!(stage.commit(again, MONDAY).await.messages.is_empty());
    assert_eq!(stage.number("SELECT count(*) FROM messages").await, 1);
    assert!(stage.due(MONDAY).await.is_empty());
}

async fn a_key_that_was_used_is_never_used_again(stage: Stage) {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    let mut review = stage.plan(MONDAY).await;
    stage.commit(review.clone(), MONDAY).await;
    stage.land(1, accepted(), MONDAY).await;
    review.messages[0].uid = stage.uid();
    review.orders[0].review_version = stage.situation("1042", MONDAY).await.order.review_version;
    let written = stage.commit(review, MONDAY).await;
    assert_eq!((written.messages.len(), written.known), (0, 1));
    assert!(stage.claim(1, MONDAY).await.is_empty());
}

async fn superseding_frees_the_key_so_that_it_can_be_planned_again(stage: Stage) {
    stage.told_teapots().await;
    stage
        .announce(&[moved("L1", "1042", "2026-03-20")], TUESDAY)
        .await;
    let first = stage.review(SETTLED).await.messages;
    let key = stage
        .situation("1042", SETTLED)
        .await
        .notices
        .last()
        .unwrap()
        .key
        .clone();
    // It goes back before anything was sent, then slips again.
    stage
        .announce(&[moved("L1", "1042", "2026-03-06")], SETTLED)
        .await;
    assert!(stage.review(SETTLED).await.messages.is_empty());
    assert_eq!(stage.state(first[0]).await, MessageState::Superseded);
    assert_eq!(stage.situation("1042", SETTLED).await.notices.len(), 1);
    stage
        .announce(&[moved("L1", "1042", "2026-03-20")], "2026-02-17 12:00")
        .await;
    let again = stage.review("2026-02-17 13:00").await.messages;
    assert_eq!(again.len(), 1);
    let s = stage.situation("1042", SETTLED).await;
    assert_eq!(s.notices.last().unwrap().key, key);
}

async fn a_newer_plan_takes_the_place_of_a_queued_one(stage: Stage) {
    stage.told_teapots().await;
    stage
        .announce(&[moved("L1", "1042", "2026-03-20")], TUESDAY)
        .await;
    let first = stage.review(SETTLED).await.messages[0];
    stage
        .announce(&[moved("L1", "1042", "2026-03-25")], SETTLED)
        .await;
    stage.review(SETTLED).await;
    let second = stage.review("2026-02-17 12:00").await.messages[0];
    assert_eq!(stage.state(first).await, MessageState::Superseded);
    let sent = stage.land(1, accepted(), "2026-02-17 12:00").await;
    assert_eq!(sent.iter().map(|m| m.no).collect::<Vec<_>>(), [second]);
    assert_eq!(
        stage.told("1042").await,
        ["2026-03-06 accepted", "2026-03-25 accepted"]
    );
}

/// The name of the product is corrected: the same news, other facts.
async fn a_queued_message_with_other_facts_is_replaced_under_the_same_key(stage: Stage) {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    let first = stage.review(MONDAY).await.messages[0];
    let renamed = Row {
        product_name: Some("Steel teapot".to_owned()),
        ..teapots("L1", "1042")
    };
    stage.announce(&[renamed], MONDAY).await;
    let written = stage.review(MONDAY).await;
    assert_eq!((written.messages.len(), written.known), (1, 0));
    assert_eq!(stage.state(first).await, MessageState::Superseded);
    let claimed = stage.claim(1, MONDAY).await;
    assert_eq!(claimed[0].facts.orders[0].lines[0].name, "Steel teapot");
}

async fn a_queued_mail_follows_a_corrected_address(stage: Stage) {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    assert_eq!(stage.review(MONDAY).await.messages.len(), 1);
    let corrected = Row {
        email: Some(EmailAddress::parse("right@mail.example").unwrap()),
        ..teapots("L1", "1042")
    };
    stage.announce(&[corrected], MONDAY).await;
    stage.review(MONDAY).await;
    let claimed = stage.claim(1, MONDAY).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].recipient, "right@mail.example");
}

async fn a_queued_text_follows_a_corrected_number(mut stage: Stage) {
    stage.policy.sms.enabled = true;
    stage.policy.sms.kinds = [Kind::Confirmation].into_iter().collect();
    let row = |number: &str| Row {
        phone: Some(PhoneNumber::parse(number, None).unwrap()),
        sms_consent: Some(true),
        preferred: Some(Preference::Sms),
        ..teapots("L1", "1042")
    };
    stage.announce(&[row("+447911123456")], MONDAY).await;
    assert_eq!(stage.review(MONDAY).await.messages.len(), 1);
    stage.announce(&[row("+447911123457")], MONDAY).await;
    stage.review(MONDAY).await;
    let claimed = stage.claim(1, MONDAY).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].recipient, "+447911123457");
}

async fn a_queued_ship_notice_states_the_corrected_tracking_number(stage: Stage) {
    let shipped = |number: &str| Row {
        shipped: Some(Quantity::pieces(2)),
        shipments: vec![RowShipment {
            key: "P1".to_owned(),
            shipped_at: None,
            carrier: Some("UPS".to_owned()),
            tracking_numbers: vec![number.to_owned()],
            tracking_url: None,
            estimate_on: None,
        }],
        ..teapots("L1", "1042")
    };
    stage.told_teapots().await;
    stage.announce(&[shipped("1Z-wrong")], TUESDAY).await;
    assert_eq!(stage.review("2026-02-17 10:30").await.messages.len(), 1);
    stage
        .announce(&[shipped("1Z-right")], "2026-02-17 10:31")
        .await;
    stage.review("2026-02-17 10:31").await;
    let sent = stage.land(1, accepted(), "2026-02-17 10:32").await;
    let parcels = &sent[0].facts.orders[0].shipments;
    assert_eq!(parcels[0].tracking_numbers, ["1Z-right"]);
}

/// What the customer hears after the ship notice of one line ended like this
/// and the other line slipped.
async fn later_news(stage: &Stage, ends: &[Outcome]) -> Vec<Kind> {
    let two_lines = |pieces: i64, second: &str| {
        [
            Row {
                shipped: Some(Quantity::pieces(pieces)),
                ..teapots("L1", "1042")
            },
            moved("L2", "1042", second),
        ]
    };
    stage.announce(&two_lines(0, "2026-03-06"), MONDAY).await;
    assert_eq!(stage.write(MONDAY).await, 1);
    stage.review(MONDAY).await;
    stage
        .announce(&two_lines(2, "2026-03-06"), "2026-02-17 09:00")
        .await;
    stage.review("2026-02-17 10:30").await;
    for (n, end) in ends.iter().enumerate() {
        let now = format!("2026-02-17 1{}:00", n + 1);
        stage.store.settle_doubts(at(&now)).await.unwrap();
        stage.review(&now).await;
        let sent = stage.land(1, end.clone(), &now).await;
        assert_eq!(sent.len(), 1, "{now}");
        assert_eq!(sent[0].kind, Kind::Shipped);
    }
    stage
        .announce(&two_lines(2, "2026-03-20"), "2026-02-18 09:00")
        .await;
    let mut heard = Vec::new();
    for now in ["2026-02-18 09:01", "2026-02-18 11:00", "2026-02-19 11:00"] {
        stage.store.settle_doubts(at(now)).await.unwrap();
        stage.review(now).await;
        let sent = stage.land(1, accepted(), now).await;
        heard.extend(sent.iter().map(|message| message.kind));
    }
    heard
}

async fn after_a_refused_ship_notice_the_order_still_speaks(stage: Stage) {
    let refused = Outcome::Refused {
        class: Refusal::Policy,
        evidence: Evidence::new(Phase::Dot, "5.7.1 listed"),
    };
    assert_eq!(later_news(&stage, &[refused]).await, [Kind::Delay]);
}

async fn after_two_doubts_about_a_ship_notice_the_order_still_speaks(stage: Stage) {
    let heard = later_news(&stage, &[doubt(), doubt()]).await;
    assert_eq!(heard, [Kind::Delay]);
}

async fn a_kept_message_is_vouched_for_and_goes_out(stage: Stage) {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    stage.review(MONDAY).await;
    stage
        .announce(
            &[Row {
                price_minor: Some(1),
                ..teapots("L1", "1042")
            }],
            MONDAY,
        )
        .await;
    assert!(
        stage.claim(1, MONDAY).await.is_empty(),
        "facts moved since it was planned"
    );
    assert!(stage.review(MONDAY).await.messages.is_empty());
    assert_eq!(stage.claim(1, MONDAY).await.len(), 1);
}

async fn verdicts_are_written_only_when_they_changed(stage: Stage) {
    stage.import(&[teapots("L1", "1042")], MONDAY).await;
    stage.review(MONDAY).await;
    let order = stage.order("1042").await;
    let read = stage.store.read();
    let first = read.verdicts(order).await.unwrap();
    assert_eq!(
        first
            .iter()
            .map(|v| v.verdict.reason.code())
            .collect::<Vec<_>>(),
        ["nothing_new"]
    );
    for now in [TUESDAY, SETTLED] {
        assert_eq!(stage.store.wake_all(at(now)).await.unwrap(), 1);
        stage.review(now).await;
    }
    assert_eq!(read.verdicts(order).await.unwrap().len(), 1);
    stage
        .import(&[moved("L1", "1042", "2026-03-20")], SETTLED)
        .await;
    stage.review(SETTLED).await;
    let all = read.verdicts(order).await.unwrap();
    assert_eq!(all.last().unwrap().verdict.reason.code(), "settling");
    assert_eq!(all.len(), 2);
}

async fn a_held_review_is_collected_and_not_claimed(stage: Stage) {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    let mut review = stage.plan(MONDAY).await;
    review.held = true;
    let run = review.run;
    let written = stage.commit(review, MONDAY).await;
    assert!(stage.message(written.messages[0]).await.held);
    assert!(stage.claim(1, MONDAY).await.is_empty());
    let read = stage.store.read();
    assert_eq!(
        read.held_run_since(at(MONDAY).minus(backorderd::domain::time::Length::mins(1)))
            .await
            .unwrap(),
        Some(run)
    );
    assert_eq!(read.next_due(stage.mode).await.unwrap(), None);
}

async fn one_queued_and_one_flying_notice_per_order_and_channel(stage: Stage) {
    stage.told_teapots().await;
    stage
        .announce(&[moved("L1", "1042", "2026-03-20")], TUESDAY)
        .await;
    stage.review(SETTLED).await;
    for flag in [
        "UPDATE notices SET in_queue = TRUE, in_flight = FALSE",
        "UPDATE notices SET in_queue = FALSE, in_flight = TRUE",
    ] {
        let refused = stage.force(flag).await.unwrap_err();
        let refused = refused
            .as_database_error()
            .expect("the engine's own refusal");
        assert!(refused.is_unique_violation(), "{flag}");
    }
}

async fn a_run_counts_its_orders_and_an_uneventful_one_leaves_no_row(stage: Stage) {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    let review = stage.plan(MONDAY).await;
    let run = review.run;
    stage.commit(review, MONDAY).await;
    let tick = Some(("review".to_owned(), at(MONDAY)));
    stage
        .store
        .end_run(run, 1, r#"{"settling":1}"#.to_owned(), tick)
        .await
        .unwrap();
    let read = stage.store.read();
    let row = read.runs(Some(run), 1).await.unwrap().remove(0);
    assert_eq!(
        (row.orders, row.messages, row.states.get("queued")),
        (1, 1, Some(&1))
    );
    assert_eq!(read.tick("review").await.unwrap(), Some(at(MONDAY)));
    let idle = stage.plan(MONDAY).await.run;
    stage
        .store
        .end_run(idle, 0, "{}".to_owned(), None)
        .await
        .unwrap();
    assert!(read.runs(Some(idle), 1).await.unwrap().is_empty());
}

async fn a_tick_is_stored_once_and_never_goes_back(stage: Stage) {
    let store = &stage.store;
    assert!(store.store_tick("digest", at(MONDAY)).await.unwrap());
    assert!(!store.store_tick("digest", at(MONDAY)).await.unwrap());
    assert!(
        !store
            .store_tick("digest", at("2026-02-16 14:00"))
            .await
            .unwrap()
    );
    assert!(store.store_tick("digest", at(TUESDAY)).await.unwrap());
    assert_eq!(
        store.read().tick("digest").await.unwrap(),
        Some(at(TUESDAY))
    );
    assert_eq!(store.read().tick("other").await.unwrap(), None);
}
