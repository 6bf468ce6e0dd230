//! Lists, histories and figures over a small known shop.

use super::props::{MONDAY, accepted, at, day, email_hash, eta, refused, teapots};
use super::stage::Stage;
use backorderd::domain::ids::OrderId;
use backorderd::domain::kinds::Kind;
use backorderd::domain::message::MessageState;
use backorderd::domain::quantity::Quantity;
use backorderd::domain::row::Row;
use backorderd::domain::time::Length;
use backorderd::store::read::lists::{MessageFilter, OrderFilter};

/// Three orders: 1041 of Sunday whose customer cannot be written to, 1042 told
/// and half shipped, 1043 without a date and still to be told.
async fn small_shop(stage: &Stage) {
    let rows = [
        Row {
            ordered_on: Some(day("2026-02-15")),
            sku: Some("CK".to_owned()),
            ..teapots("L1", "1041")
        },
        Row {
            ordered: Quantity::pieces(3),
            ..teapots("L2", "1042")
        },
        Row {
            eta: Some(eta("2026-02-20")),
            ..teapots("L3", "1042")
        },
    ];
    stage.announce(&rows, MONDAY).await;
    stage.review(MONDAY).await;
    let pair = stage.submit(1, MONDAY).await;
    assert!(stage.record(1, &pair[0], refused(), MONDAY).await);
    assert!(stage.record(1, &pair[1], accepted(), MONDAY).await);
    let shipped = Row {
        eta: Some(eta("2026-02-20")),
        shipped: Some(Quantity::pieces(2)),
        ..teapots("L3", "1042")
    };
    let undated = Row {
        eta: Some(eta("?")),
        currency: Some("EUR".to_owned()),
        ..teapots("L4", "1043")
    };
    stage
        .announce(&[shipped, undated], "2026-02-16 15:00")
        .await;
    stage.review("2026-02-16 15:00").await;
}

promises![
    orders_are_listed_oldest_first_with_what_waits,
    the_date_of_an_order_is_that_of_its_waiting_lines,
    finished_orders_are_listed_on_demand,
    open_orders_are_paged_by_number,
    an_order_is_found_by_anything_people_type,
    messages_are_listed_newest_first_and_narrowed,
    runs_say_what_became_of_their_messages,
    histories_tell_dates_words_and_verdicts_in_order,
    what_waits_for_a_person_is_listed,
    figures_add_up,
];

async fn orders_are_listed_oldest_first_with_what_waits(stage: Stage) {
    small_shop(&stage).await;
    let read = stage.store.read();
    let rows = read.orders(&OrderFilter::default(), 10).await.unwrap();
    let seen: Vec<_> = rows
        .iter()
        .map(|o| (o.number.as_str(), o.waiting, o.lines, o.eta))
        .collect();
    assert_eq!(
        seen,
        [
            ("1041", 2_000, 1, Some(day("2026-03-06"))),
            ("1042", 3_000, 2, Some(day("2026-03-06"))),
            ("1043", 2_000, 1, None),
        ]
    );
    assert_eq!(
        (rows[1].last_kind.as_deref(), rows[1].last_sent_at),
        (Some("confirmation"), Some(at(MONDAY)))
    );
    assert_eq!(
        (rows[0].last_kind.as_deref(), rows[0].customer.as_str()),
        (None, "Customer 1041")
    );
    assert!(rows[1].next_review_at.is_some() && rows[1].verdict.is_some() && !rows[1].closed);
    let of_sku = OrderFilter {
        sku: Some("CK".to_owned()),
        ..OrderFilter::default()
    };
    assert_eq!(read.orders(&of_sku, 10).await.unwrap().len(), 1);
    let by_id = OrderFilter {
        ids: Some(vec![rows[2].id, OrderId(99)]),
        ..OrderFilter::default()
    };
    assert_eq!(read.orders(&by_id, 10).await.unwrap()[0].number, "1043");
    assert_eq!(
        read.orders(&OrderFilter::default(), 2).await.unwrap().len(),
        2
    );
}

async fn the_date_of_an_order_is_that_of_its_waiting_lines(stage: Stage) {
    let late = Row {
        eta: Some(eta("2026-04-20")),
        ..teapots("L1", "1042")
    };
    stage
        .announce(&[late.clone(), teapots("L2", "1042")], MONDAY)
        .await;
    stage
        .announce(
            &[Row {
                shipped: Some(Quantity::pieces(2)),
                ..late
            }],
            MONDAY,
        )
        .await;
    let rows = stage
        .store
        .read()
        .orders(&OrderFilter::default(), 10)
        .await
        .unwrap();
    assert_eq!(rows[0].eta, Some(day("2026-03-06")));
}

async fn finished_orders_are_listed_on_demand(stage: Stage) {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    stage.write(MONDAY).await;
    let gone = Row {
        cancelled: Some(Quantity::pieces(2)),
        ..teapots("L1", "1042")
    };
    stage.announce(&[gone], MONDAY).await;
    stage.write("2026-02-16 16:00").await;
    stage.review("2026-02-16 16:00").await;
    let read = stage.store.read();
    assert!(
        read.orders(&OrderFilter::default(), 10)
            .await
            .unwrap()
            .is_empty()
    );
    let all = read
        .orders(
            &OrderFilter {
                all: true,
                ..OrderFilter::default()
            },
            10,
        )
        .await
        .unwrap();
    assert!(all[0].closed && all[0].waiting == 0);
    assert!(read.open_orders(OrderId(0), 10).await.unwrap().is_empty());
}

async fn open_orders_are_paged_by_number(stage: Stage) {
    small_shop(&stage).await;
    let read = stage.store.read();
    let first = read.open_orders(OrderId(0), 2).await.unwrap();
    assert_eq!(first.len(), 2);
    assert_eq!(read.open_orders(first[1], 2).await.unwrap().len(), 1);
    assert_eq!(read.count_open_orders().await.unwrap(), 3);
}

async fn an_order_is_found_by_anything_people_type(stage: Stage) {
    let keyed = Row {
        order_key: Some("gid-77".to_owned()),
        ..teapots("L1", "#01042")
    };
    stage
        .announce(&[keyed, teapots("L2", "1043")], MONDAY)
        .await;
    let read = stage.store.read();
    let hash = hash_of_padded();
    for text in ["#01042", "01042", "1042", "#1042", " 1042 ", "gid-77"] {
        assert_eq!(
            read.find_orders(text, None).await.unwrap().len(),
            1,
            "{text}"
        );
    }
    assert_eq!(
        read.find_orders("nobody", Some(&hash)).await.unwrap().len(),
        1
    );
    assert!(read.find_orders("104", None).await.unwrap().is_empty());
}

async fn messages_are_listed_newest_first_and_narrowed(stage: Stage) {
    small_shop(&stage).await;
    let read = stage.store.read();
    let all = read.messages(&MessageFilter::default(), 10).await.unwrap();
    let seen: Vec<_> = all.iter().map(|m| (m.orders.join("+"), m.state)).collect();
    assert_eq!(
        seen,
        [
            ("1043".to_owned(), MessageState::Queued),
            ("1042".to_owned(), MessageState::Sent),
            ("1041".to_owned(), MessageState::Failed),
        ]
    );
    assert_eq!(all[2].last_reply.as_deref(), Some("550 5.1.1 unknown user"));
    assert_eq!(all[0].recipient, "c1...@mail.example");
    let order = stage.order("1042").await;
    for (filter, n) in [
        (
            MessageFilter {
                order: Some(order),
                ..Default::default()
            },
            1,
        ),
        (
            MessageFilter {
                state: Some(MessageState::Queued),
                ..Default::default()
            },
            1,
        ),
        (
            MessageFilter {
                kind: Some(Kind::Confirmation),
                ..Default::default()
            },
            3,
        ),
        (
            MessageFilter {
                kind: Some(Kind::Delay),
                ..Default::default()
            },
            0,
        ),
        (
            MessageFilter {
                run: all[2].run,
                ..Default::default()
            },
            2,
        ),
        (
            MessageFilter {
                no: Some(all[1].no),
                ..Default::default()
            },
            1,
        ),
    ] {
        assert_eq!(
            read.messages(&filter, 10).await.unwrap().len(),
            n,
            "{filter:?}"
        );
    }
    assert_eq!(
        read.messages(&MessageFilter::default(), 1)
            .await
            .unwrap()
            .len(),
        1
    );
    assert!(
        read.message_facts(backorderd::domain::ids::MessageNo(99))
            .await
            .unwrap()
            .is_none()
    );
}

async fn runs_say_what_became_of_their_messages(stage: Stage) {
    small_shop(&stage).await;
    let runs = stage.store.read().runs(None, 10).await.unwrap();
    assert_eq!(runs.len(), 2);
    assert!(runs[0].no > runs[1].no);
    let states: Vec<_> = runs[1]
        .states
        .iter()
        .map(|(s, n)| (s.as_str(), *n))
        .collect();
    assert_eq!(states, [("failed", 1), ("sent", 1)]);
    assert_eq!((runs[1].messages, runs[1].by.as_str()), (2, "test"));
}

async fn histories_tell_dates_words_and_verdicts_in_order(stage: Stage) {
    stage.told_teapots().await;
    stage
        .announce(
            &[Row {
                eta: Some(eta("2026-03-20")),
                ..teapots("L1", "1042")
            }],
            "2026-02-17 10:00",
        )
        .await;
    stage.write("2026-02-17 11:00").await;
    let order = stage.order("1042").await;
    let read = stage.store.read();
    let dates: Vec<_> = read
        .eta_history(order)
        .await
        .unwrap()
        .iter()
        .map(|e| format!("{} {}", e.eta, e.source))
        .collect();
    assert_eq!(dates, ["2026-03-06 orders.csv", "2026-03-20 orders.csv"]);
    let told = read.told_history(order, stage.mode).await.unwrap();
    let words: Vec<_> = told
        .iter()
        .map(|t| (t.seq, t.promise.to_string(), t.message.is_some()))
        .collect();
    assert_eq!(
        words,
        [
            (1, "2026-03-06".to_owned(), true),
            (2, "2026-03-20".to_owned(), true)
        ]
    );
    let verdicts = read.verdicts(order).await.unwrap();
    assert!(verdicts.windows(2).all(|pair| pair[0].at <= pair[1].at));
    assert!(verdicts.last().unwrap().verdict.is_said());
    assert!(verdicts.last().unwrap().run.is_some());
}

async fn what_waits_for_a_person_is_listed(stage: Stage) {
    small_shop(&stage).await;
    let read = stage.store.read();
    let waiting = read
        .orders_with_verdicts(&["unreachable", "cannot_say"])
        .await
        .unwrap();
    assert_eq!(
        waiting.iter().map(|w| w.1.as_str()).collect::<Vec<_>>(),
        ["1041"]
    );
    assert!(
        read.orders_with_verdicts(&["not_in_feed"])
            .await
            .unwrap()
            .is_empty()
    );
}

async fn figures_add_up(stage: Stage) {
    small_shop(&stage).await;
    let now = at("2026-02-16 15:00");
    let read = stage.store.read();
    let f = read
        .figures(stage.mode, day("2026-02-16"), now)
        .await
        .unwrap();
    assert_eq!(
        (
            f.open_orders,
            f.open_lines,
            f.lines_with_date,
            f.lines_within_7_days
        ),
        (3, 3, 2, 0)
    );
    assert_eq!(f.oldest_ordered_on, Some(day("2026-02-15")));
    let value: Vec<_> = f
        .value_minor
        .iter()
        .map(|(c, v)| (c.as_str(), *v))
        .collect();
    assert_eq!(value, [("EUR", 5_900), ("GBP", 14_750)]);
    assert_eq!(
        (f.sent_24h, f.failed_24h, f.queued, f.held, f.in_doubt),
        (1, 1, 1, 0, 0)
    );
    assert_eq!(f.oldest_queued_at, Some(now));
    assert_eq!(f.messages_by_state.values().sum::<i64>(), 3);
    let later = read
        .figures(stage.mode, day("2026-03-01"), now.plus(Length::days(13)))
        .await
        .unwrap();
    assert_eq!((later.lines_within_7_days, later.sent_24h), (2, 0));
    let sandbox = read
        .figures(
            backorderd::domain::notice_key::Mode::Sandbox,
            day("2026-02-16"),
            now,
        )
        .await
        .unwrap();
    assert_eq!(
        (sandbox.queued, sandbox.sent_24h, sandbox.oldest_queued_at),
        (0, 0, None)
    );
    assert_eq!(
        read.count_planned_since(stage.mode, at(MONDAY).minus(Length(1)))
            .await
            .unwrap(),
        3
    );
    assert_eq!(
        read.count_planned_since(stage.mode, at(MONDAY))
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        read.count_texts_since(stage.mode, at(MONDAY).minus(Length(1)))
            .await
            .unwrap(),
        0
    );
    assert_eq!(read.next_due(stage.mode).await.unwrap(), Some(now));
}

/// Of the customer of order `#01042`.
fn hash_of_padded() -> String {
    email_hash("#01042")
}
