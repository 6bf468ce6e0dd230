//! Taking in what the shop says.

use super::props::{MONDAY, at, email_hash, eta, hash_of, teapots};
use super::stage::{Stage, overtaken};
use backorderd::domain::contact::{PhoneNumber, Preference};
use backorderd::domain::eta::Eta;
use backorderd::domain::feed::{Feed, FileMark, RefusedFile, RejectedRow, StoredReject};
use backorderd::domain::mirror::{Claims, Wishes, reclaim};
use backorderd::domain::notice_key::Mode;
use backorderd::domain::order::EtaOrigin;
use backorderd::domain::quantity::Quantity;
use backorderd::domain::row::{Row, RowShipment, RowStatus};
use backorderd::store::read::mirror::claims_of;
use backorderd::store::write::mirror::{ClaimChange, NewRefusal};

fn parcel(key: &str) -> RowShipment {
    RowShipment {
        key: key.to_owned(),
        shipped_at: None,
        carrier: Some("UPS".to_owned()),
        tracking_numbers: vec!["1Z999".to_owned()],
        tracking_url: None,
        estimate_on: None,
    }
}

/// Sets a date (or takes it away) as the use case does: claims read, changed,
/// applied to the lines they touch.
async fn set_date(
    stage: &super::stage::Stage,
    scope: &'static str,
    key: &str,
    to: Option<Eta>,
    now: &str,
) -> usize {
    let read = stage.store.read();
    let revision = read.mirror_revision().await.unwrap();
    let origin = if scope == "sku" {
        EtaOrigin::Sku
    } else {
        EtaOrigin::Operator
    };
    let mut claims: Claims = claims_of(read.claims(stage.shop).await.unwrap());
    let map = match scope {
        "order" => &mut claims.by_order,
        "line" => &mut claims.by_line,
        _ => &mut claims.by_sku,
    };
    map.remove(key);
    if let Some(eta) = to {
        let reason = Some("Kiln repaired".to_owned());
        let claim = backorderd::domain::mirror::Claim {
            eta,
            reason,
            origin,
        };
        map.insert(key.to_owned(), claim);
    }
    let keys = [key];
    let (skus, lines, orders): (&[&str], &[&str], &[&str]) = match scope {
        "order" => (&[], &[], &keys),
        "line" => (&[], &keys, &[]),
        _ => (&keys, &[], &[]),
    };
    let touched = read.lines_under_claims(stage.shop, skus, lines, orders);
    let changes = reclaim(&touched.await.unwrap(), &claims);
    let n = changes.len();
    let change = ClaimChange {
        shop_id: stage.shop,
        scope,
        key: key.to_owned(),
        set: to.map(|eta| (eta, Some("Kiln repaired".to_owned()))),
        origin,
    };
    let by = "mira";
    let done = stage
        .store
        .commit_claims(revision, vec![change], changes, stage.mode, by, at(now));
    done.await.unwrap();
    n
}

promises![
    the_same_rows_twice_write_nothing,
    what_is_adopted_counts_as_told_in_the_present_mode,
    a_sandbox_baseline_is_told_in_the_sandbox,
    a_changed_row_bumps_both_versions_and_makes_its_order_due,
    an_unchanged_date_keeps_the_moment_it_changed,
    whoever_merged_against_older_rows_is_refused_and_writes_nothing,
    an_import_that_fails_half_way_leaves_no_trace,
    an_order_nobody_hashed_is_refused_and_not_left_out,
    a_line_that_changes_its_order_moves_and_both_orders_are_due,
    a_line_first_seen_finished_is_nobodys_news,
    quantities_keep_the_moment_they_rose,
    parcels_are_news_once_and_those_of_the_first_sight_never,
    an_order_beats_a_line_beats_a_sku_beats_the_source,
    a_date_set_against_older_rows_is_refused,
    what_an_order_leaves_out_about_its_customer_stays,
    wishes_are_known_of_contacts_that_were_seen,
    a_changed_customer_makes_all_their_open_orders_due,
    a_source_and_its_rejected_rows_are_remembered,
    more_rows_than_fit_one_statement_are_one_import,
];

async fn the_same_rows_twice_write_nothing(stage: Stage) {
    let rows = [teapots("L1", "1042"), teapots("L2", "1043")];
    stage.import(&rows, MONDAY).await;
    stage.review(MONDAY).await;
    let before = stage.situation("1042", MONDAY).await;
    let counts = stage.import(&rows, "2026-02-16 15:00").await;
    assert_eq!((counts.rows, counts.unchanged), (2, 2));
    assert_eq!(stage.situation("1042", MONDAY).await, before);
    assert!(stage.due("2026-02-16 15:00").await.is_empty());
    assert_eq!(stage.number("SELECT count(*) FROM eta_history").await, 2);
}

async fn what_is_adopted_counts_as_told_in_the_present_mode(stage: Stage) {
    let mut shop_told = teapots("L2", "1042");
    shop_told.told = Some(eta("2026-03-01"));
    stage
        .import(&[teapots("L1", "1042"), shop_told], MONDAY)
        .await;
    assert_eq!(
        stage.told("1042").await,
        ["2026-03-06 baseline", "2026-03-01 shop"]
    );
    let order = stage.order("1042").await;
    let sandbox = stage
        .store
        .read()
        .told_history(order, Mode::Sandbox)
        .await
        .unwrap();
    assert!(sandbox.is_empty());
    let s = stage.situation("1042", MONDAY).await;
    assert_eq!(s.order.adopted_at, Some(at(MONDAY)));
    assert_eq!(s.lines[0].told_seq(), 1);
    assert!(stage.review(MONDAY).await.messages.is_empty());
}

async fn a_sandbox_baseline_is_told_in_the_sandbox(stage: Stage) {
    let (mut input, changes) = stage.merged(&[teapots("L1", "1042")], false, MONDAY).await;
    input.mode = Mode::Sandbox;
    stage.store.commit_mirror(input, changes).await.unwrap();
    assert!(stage.told("1042").await.is_empty());
    let order = stage.order("1042").await;
    let told = stage
        .store
        .read()
        .told_history(order, Mode::Sandbox)
        .await
        .unwrap();
    assert_eq!(told.len(), 1);
}

async fn a_changed_row_bumps_both_versions_and_makes_its_order_due(stage: Stage) {
    stage
        .import(&[teapots("L1", "1042"), teapots("L2", "1043")], MONDAY)
        .await;
    stage.review(MONDAY).await;
    let before = stage.situation("1042", MONDAY).await;
    let later = "2026-02-17 09:00";
    assert!(stage.due(later).await.is_empty());
    let moved = Row {
        eta: Some(eta("2026-03-20")),
        ..teapots("L1", "1042")
    };
    stage.import(&[moved, teapots("L2", "1043")], later).await;
    let after = stage.situation("1042", later).await;
    assert_eq!(after.order.fact_version, before.order.fact_version + 1);
    assert!(after.order.review_version > before.order.review_version);
    assert_eq!(after.lines[0].eta, eta("2026-03-20"));
    assert_eq!(after.lines[0].eta_changed_at, at(later));
    assert_eq!(stage.due(later).await, [stage.order("1042").await]);
}

async fn an_unchanged_date_keeps_the_moment_it_changed(stage: Stage) {
    stage.import(&[teapots("L1", "1042")], MONDAY).await;
    let renamed = Row {
        product_name: Some("Tea pot".to_owned()),
        ..teapots("L1", "1042")
    };
    stage.import(&[renamed], "2026-02-17 09:00").await;
    let s = stage.situation("1042", MONDAY).await;
    assert_eq!(
        (s.lines[0].eta_changed_at, s.lines[0].name.as_str()),
        (at(MONDAY), "Tea pot")
    );
    assert_eq!(s.lines[0].first_seen_at, at(MONDAY));
}

async fn whoever_merged_against_older_rows_is_refused_and_writes_nothing(stage: Stage) {
    stage.import(&[teapots("L0", "1000")], MONDAY).await;
    let slow = stage
        .merged(
            &[teapots("L1", "1042"), teapots("L2", "1043")],
            false,
            MONDAY,
        )
        .await;
    stage.import(&[teapots("L1", "1042")], MONDAY).await;
    let refused = stage.store.commit_mirror(slow.0, slow.1).await;
    assert!(overtaken(&refused), "{refused:?}");
    assert_eq!(stage.number("SELECT count(*) FROM order_lines").await, 2);
    // Reading again and merging again is all it takes.
    stage
        .import(&[teapots("L1", "1042"), teapots("L2", "1043")], MONDAY)
        .await;
    assert_eq!(stage.number("SELECT count(*) FROM order_lines").await, 3);
}

async fn an_import_that_fails_half_way_leaves_no_trace(stage: Stage) {
    stage.import(&[teapots("L0", "1000")], MONDAY).await;
    let rows = [teapots("L1", "1042"), teapots("L2", "1043")];
    let (mut input, changes) = stage.merged(&rows, false, MONDAY).await;
    // A shop that does not exist: the engine refuses its rows.
    input.shop_id = 99;
    assert!(stage.store.commit_mirror(input, changes).await.is_err());
    assert_eq!(stage.number("SELECT count(*) FROM orders").await, 1);
    assert_eq!(stage.store.read().mirror_revision().await.unwrap(), 1);
}

async fn an_order_nobody_hashed_is_refused_and_not_left_out(stage: Stage) {
    let (mut input, changes) = stage.merged(&[teapots("L1", "1042")], false, MONDAY).await;
    input.hashes.clear();
    assert!(stage.store.commit_mirror(input, changes).await.is_err());
}

async fn a_line_that_changes_its_order_moves_and_both_orders_are_due(stage: Stage) {
    stage
        .import(
            &[
                teapots("L1", "1042"),
                teapots("L2", "1042"),
                teapots("L3", "1043"),
            ],
            MONDAY,
        )
        .await;
    stage.review(MONDAY).await;
    let old = stage.situation("1042", MONDAY).await.order.fact_version;
    stage
        .import(&[teapots("L2", "1043")], "2026-02-17 09:00")
        .await;
    let (from, to) = (
        stage.situation("1042", MONDAY).await,
        stage.situation("1043", MONDAY).await,
    );
    assert_eq!((from.lines.len(), to.lines.len()), (1, 2));
    assert_eq!(from.order.fact_version, old + 1);
    // Its ledger goes with it.
    assert!(to.lines.iter().all(|l| l.told.len() == 1));
    let mut due = stage.due("2026-02-17 09:00").await;
    due.sort();
    assert_eq!(due, [from.order.id, to.order.id]);
}

async fn a_line_first_seen_finished_is_nobodys_news(stage: Stage) {
    let done = Row {
        status: RowStatus::Shipped,
        ..teapots("L1", "1042")
    };
    stage.announce(&[done], MONDAY).await;
    assert!(stage.situation("1042", MONDAY).await.lines.is_empty());
    // When it waits after all, what was shipped before is not news.
    let back = Row {
        shipped: Some(Quantity::pieces(1)),
        ..teapots("L1", "1042")
    };
    stage.announce(&[back], "2026-02-16 15:00").await;
    let s = stage.situation("1042", MONDAY).await;
    assert_eq!(s.lines[0].shipped_told, Quantity::pieces(1));
    assert!(!s.lines[0].has_untold_shipment());
}

async fn quantities_keep_the_moment_they_rose(stage: Stage) {
    stage.import(&[teapots("L1", "1042")], MONDAY).await;
    let later = "2026-02-17 09:00";
    let moved = Row {
        shipped: Some(Quantity::pieces(1)),
        cancelled: Some(Quantity::pieces(1)),
        ..teapots("L1", "1042")
    };
    stage.import(&[moved], later).await;
    let s = stage.situation("1042", later).await;
    let line = &s.lines[0];
    assert_eq!(
        (line.shipped_changed_at, line.cancelled_changed_at),
        (Some(at(later)), Some(at(later)))
    );
    assert!(line.has_untold_shipment() && line.has_untold_cancellation());
}

async fn parcels_are_news_once_and_those_of_the_first_sight_never(stage: Stage) {
    let with = |key| Row {
        shipments: vec![parcel(key)],
        ..teapots("L1", "1042")
    };
    stage.import(&[with("P0")], MONDAY).await;
    assert!(
        stage
            .situation("1042", MONDAY)
            .await
            .untold_shipments
            .is_empty()
    );
    stage.import(&[with("P1")], "2026-02-17 09:00").await;
    let mut bare = with("P1");
    bare.shipments[0].tracking_numbers.clear();
    bare.shipments[0].carrier = None;
    bare.shipments[0].tracking_url = Some("https://track.example/1".to_owned());
    stage.import(&[bare], "2026-02-17 10:00").await;
    let s = stage.situation("1042", MONDAY).await;
    // What a later row leaves out stays.
    assert_eq!(s.untold_shipments.len(), 1);
    let parcel = &s.untold_shipments[0];
    assert_eq!(
        (parcel.key.as_str(), parcel.carrier.as_deref()),
        ("P1", Some("UPS"))
    );
    assert_eq!(parcel.tracking_numbers, ["1Z999"]);
    assert_eq!(
        parcel.tracking_url.as_deref(),
        Some("https://track.example/1")
    );
}

async fn an_order_beats_a_line_beats_a_sku_beats_the_source(stage: Stage) {
    stage
        .import(
            &[
                teapots("L1", "1042"),
                teapots("L2", "1042"),
                teapots("L3", "1043"),
            ],
            MONDAY,
        )
        .await;
    stage.review(MONDAY).await;
    let later = "2026-02-17 09:00";
    assert_eq!(
        set_date(&stage, "sku", "TP", Some(eta("2026-03-10")), later).await,
        3
    );
    assert_eq!(
        set_date(&stage, "line", "L2", Some(eta("2026-03-11")), later).await,
        1
    );
    let etas = async || -> Vec<String> {
        let s = stage.situation("1042", later).await;
        s.lines
            .iter()
            .map(|l| format!("{} {}", l.eta, l.eta_origin.as_str()))
            .collect()
    };
    assert_eq!(etas().await, ["2026-03-10 sku", "2026-03-11 operator"]);
    assert_eq!(stage.due(later).await.len(), 2);
    set_date(&stage, "order", "1042", Some(eta("2026-03-12")), later).await;
    assert_eq!(etas().await, ["2026-03-12 operator", "2026-03-12 operator"]);
    // The next poll does not overwrite a person's word.
    let polled = Row {
        eta: Some(eta("2026-03-30")),
        ..teapots("L1", "1042")
    };
    stage.import(&[polled], "2026-02-17 10:00").await;
    assert_eq!(etas().await, ["2026-03-12 operator", "2026-03-12 operator"]);
    // Taken away, the next in line is in force again.
    set_date(&stage, "order", "1042", None, later).await;
    assert_eq!(etas().await, ["2026-03-10 sku", "2026-03-11 operator"]);
    set_date(&stage, "line", "L2", None, later).await;
    set_date(&stage, "sku", "TP", None, later).await;
    assert_eq!(etas().await, ["2026-03-30 source", "2026-03-06 source"]);
    assert!(
        stage
            .store
            .read()
            .claims(stage.shop)
            .await
            .unwrap()
            .is_empty()
    );
}

async fn a_date_set_against_older_rows_is_refused(stage: Stage) {
    stage.import(&[teapots("L1", "1042")], MONDAY).await;
    let refused =
        stage
            .store
            .commit_claims(0, Vec::new(), Vec::new(), stage.mode, "mira", at(MONDAY));
    assert!(overtaken(&refused.await));
}

async fn wishes_are_known_of_contacts_that_were_seen(stage: Stage) {
    let willing = Row {
        sms_consent: Some(true),
        preferred: Some(Preference::Sms),
        ..teapots("L1", "1042")
    };
    stage
        .import(&[willing, teapots("L2", "1043")], MONDAY)
        .await;
    let (anna, bert) = (email_hash("1042"), email_hash("1043"));
    let asked = [anna.as_str(), bert.as_str(), "nobody's"];
    let known = stage.store.read().wishes(stage.shop, &asked).await.unwrap();
    let wishes = |sms_consent, preferred| Wishes {
        sms_consent,
        preferred,
    };
    assert_eq!(known.len(), 2);
    assert_eq!(known[&anna], wishes(true, Preference::Sms));
    assert_eq!(known[&bert], wishes(false, Preference::Email));
    let elsewhere = stage.store.read().wishes(stage.shop + 1, &asked).await;
    assert!(elsewhere.unwrap().is_empty());
}

async fn what_an_order_leaves_out_about_its_customer_stays(stage: Stage) {
    let phone = PhoneNumber::parse("+447400120123", None).unwrap();
    let first = Row {
        phone: Some(phone.clone()),
        sms_consent: Some(true),
        ..teapots("L1", "1042")
    };
    stage.import(&[first], MONDAY).await;
    stage.review(MONDAY).await;
    // A second order of the same customer, without number and name.
    let second = Row {
        email: teapots("L1", "1042").email,
        customer_name: None,
        locale: None,
        sms_consent: Some(true),
        ..teapots("L2", "1043")
    };
    stage.import(&[second], "2026-02-17 09:00").await;
    for number in ["1042", "1043"] {
        let contact = stage.situation(number, MONDAY).await.order.contact;
        assert_eq!(contact.phone, Some(phone.clone()), "{number}");
        assert_eq!(contact.name.as_deref(), Some("Customer 1042"), "{number}");
        assert!(contact.locale.is_some() && contact.sms_consent, "{number}");
    }
    let by_phone = stage
        .store
        .read()
        .find_orders("x", Some(&hash_of(&phone.canonical())))
        .await;
    assert_eq!(by_phone.unwrap().len(), 2);
}

async fn a_changed_customer_makes_all_their_open_orders_due(stage: Stage) {
    let same = |line, order| Row {
        email: teapots("L1", "1042").email,
        ..teapots(line, order)
    };
    stage
        .import(&[same("L1", "1042"), same("L2", "1043")], MONDAY)
        .await;
    stage.review(MONDAY).await;
    let later = "2026-02-17 09:00";
    let before = stage.situation("1043", later).await.order.review_version;
    let wish = Row {
        preferred: Some(Preference::Both),
        ..same("L1", "1042")
    };
    stage.import(&[wish], later).await;
    assert_eq!(stage.due(later).await.len(), 2);
    assert!(stage.situation("1043", later).await.order.review_version > before);
}

async fn a_source_and_its_rejected_rows_are_remembered(stage: Stage) {
    const LONG_BEFORE: &str = "2026-02-02 09:00";
    const BEFORE: &str = "2026-02-15 09:00";
    const LATER: &str = "2026-02-17 09:00";
    let (mut input, changes) = stage.merged(&[teapots("L1", "1042")], false, MONDAY).await;
    let no_line_id = RejectedRow {
        line: 7,
        order_number: Some("#01050".to_owned()),
        field: Some("line_id".to_owned()),
        reason: "no line id".to_owned(),
    };
    let empty = RejectedRow {
        line: 8,
        order_number: None,
        field: None,
        reason: "empty".to_owned(),
    };
    input.complete = false;
    input.mark = FileMark {
        is_whole: true,
        written_at: Some(at(BEFORE)),
        ends_line: true,
    };
    input.rejected = vec![no_line_id.clone(), empty.clone()];
    stage.store.commit_mirror(input, changes).await.unwrap();
    let read = stage.store.read();
    let mut feed = Feed {
        name: "orders.csv".to_owned(),
        kind: "file".to_owned(),
        last_read_at: None,
        rows: 3,
        written_at: Some(at(BEFORE)),
        ends_line: true,
        refused: None,
        rejected_rows: 2,
    };
    assert_eq!(read.sources().await.unwrap(), [feed.clone()]);
    let stored = |row: &RejectedRow, now: &str| StoredReject {
        source: "orders.csv".to_owned(),
        row: row.clone(),
        at: at(now),
    };
    let found = read.rejected_rows("1050").await.unwrap();
    assert_eq!(found, [stored(&no_line_id, MONDAY)]);

    // A file that is refused leaves its rows in place of those of the one before.
    let refusal = NewRefusal {
        shop_id: stage.shop,
        source: "orders.csv".to_owned(),
        source_kind: "file".to_owned(),
        why: "1 row is not usable".to_owned(),
        rejected: vec![empty.clone()],
    };
    stage.store.refuse_file(refusal, at(LATER)).await.unwrap();
    feed.refused = Some(RefusedFile {
        at: at(LATER),
        why: "1 row is not usable".to_owned(),
    });
    feed.rejected_rows = 1;
    assert_eq!(read.sources().await.unwrap(), [feed.clone()]);
    let found = read.all_rejected_rows(10).await.unwrap();
    assert_eq!(found, [stored(&empty, LATER)]);

    // One with a part of the rows says nothing about the rest; an older one is no news.
    let (mut input, changes) = stage.merged(&[teapots("L1", "1042")], false, LATER).await;
    input.complete = false;
    input.mark.written_at = Some(at(LONG_BEFORE));
    stage.store.commit_mirror(input, changes).await.unwrap();
    feed.refused = None;
    assert_eq!(read.sources().await.unwrap(), [feed.clone()]);

    let (mut input, changes) = stage.merged(&[teapots("L1", "1042")], false, LATER).await;
    input.mark.written_at = Some(at(LATER));
    stage.store.commit_mirror(input, changes).await.unwrap();
    feed.last_read_at = Some(at(LATER));
    feed.written_at = Some(at(LATER));
    (feed.rows, feed.ends_line, feed.rejected_rows) = (1, false, 0);
    assert_eq!(read.sources().await.unwrap(), [feed]);
}

async fn more_rows_than_fit_one_statement_are_one_import(stage: Stage) {
    let rows: Vec<Row> = (0..4_500)
        .map(|n| teapots(&format!("L{n}"), &format!("{}", 1_000 + n / 2)))
        .collect();
    let counts = stage.import(&rows, MONDAY).await;
    assert_eq!((counts.new_lines, counts.new_orders), (4_500, 2_250));
    assert_eq!(stage.number("SELECT count(*) FROM told").await, 4_500);
    assert_eq!(stage.import(&rows, MONDAY).await.unchanged, 4_500);
}
