//! Seeded defects: each is done to a sound database or ledger, and the auditor
//! must name the rule it breaks.

use std::fs;
use std::path::Path;

use sqlx::ConnectOptions;
use sqlx::Executor;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::sqlite::SqliteSynchronous;
use tempfile::TempDir;

use crate::evidence::read_database;
use crate::evidence::read_ledger;
use crate::evidence::read_shop;
use crate::report::Report;
use crate::report::audit;
use crate::rules::Limits;
use crate::rules::RULES;

/// A sound story. Order 3001 heard of a delay, was in doubt, heard it again;
/// 3002 was told an earlier date; 3003 a delay, then that it shipped; 3004 a
/// delay, and nobody knows whether that arrived; 3005 heard nothing new.
const STORY: &str = "
INSERT INTO shops (id, key, name, zone) VALUES (1, 's', 'S', 'UTC');
INSERT INTO contacts (id, shop_id, contact_hash)
  VALUES (1, 1, 'c1'), (2, 1, 'c2'), (3, 1, 'c3'), (4, 1, 'c4'), (5, 1, 'c5');
INSERT INTO orders (id, shop_id, order_key, number, contact_id, ordered_on, zone_used, first_seen_at)
  SELECT id, 1, '300' || id, '300' || id, id, '2026-01-01', 'UTC', 0 FROM contacts;
INSERT INTO order_lines (id, order_id, shop_id, line_key, name, qty_ordered, eta_changed_at,
    row_hash, first_seen_at)
  SELECT id, id, 1, '300' || id || '-1', 'Teapot', 2000, 0, 'h', 0 FROM contacts;
INSERT INTO messages (no, uid, purpose, mode, channel, kind, address_hash, state, planned_at,
    due_since, due_at, not_after, epoch, attempts, doubts, quiet_until, content_hash) VALUES
  (1, x'00000000000000000000000000000001', 'customer', 'live', 'email', 'delay', 'a1', 'sent', 0, 0, 0, 9, 2, 2, 1, NULL, 'h1'),
  (2, x'00000000000000000000000000000002', 'customer', 'live', 'email', 'sooner', 'a2', 'sent', 0, 0, 0, 9, 1, 1, 0, NULL, 'h2'),
  (3, x'00000000000000000000000000000003', 'customer', 'live', 'email', 'delay', 'a3', 'sent', 0, 0, 0, 9, 1, 1, 0, NULL, 'h3'),
  (4, x'00000000000000000000000000000004', 'customer', 'live', 'email', 'shipped', 'a3', 'sent', 0, 0, 0, 9, 1, 1, 0, NULL, 'h4'),
  (5, x'00000000000000000000000000000005', 'customer', 'live', 'email', 'delay', 'a4', 'in_doubt', 0, 0, 0, 9, 1, 1, 1,
    4900000, 'h5');
INSERT INTO message_private (message_no, recipient, facts) VALUES
  (1, 'c-3001@accept.example', '{}'), (2, 'c-3002@accept.example', '{}'),
  (3, 'c-3003@accept.example', '{}'), (4, 'c-3003@accept.example', '{}'),
  (5, 'c-3004@accept.example', '{}');
INSERT INTO notices (id, message_no, order_id, channel, kind, mode, discriminator, fact_version,
    facts_hash, in_queue, in_flight) VALUES
  (1, 1, 1, 'email', 'delay', 'live', 'd1', 1, 'f', 0, 0),
  (2, 2, 2, 'email', 'sooner', 'live', 'd2', 1, 'f', 0, 0),
  (3, 3, 3, 'email', 'delay', 'live', 'd3', 1, 'f', 0, 0),
  (4, 4, 3, 'email', 'shipped', 'live', 'd4', 1, 'f', 0, 0),
  (5, 5, 4, 'email', 'delay', 'live', 'd5', 1, 'f', 0, 1);
INSERT INTO attempts (id, message_no, no, worker, epoch, relay, message_id_header, began_at,
    ended_at, outcome, reply) VALUES
  (1, 1, 1, x'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 1, 'r', '<m1>', 1000, 2000, 'in_doubt', 'the sender ended before the answer'),
  (2, 2, 1, x'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 1, 'r', '<m2>', 1000, 2000, 'accepted', 'ok'),
  (3, 3, 1, x'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 1, 'r', '<m3>', 1000, 2000, 'accepted', 'ok'),
  (4, 1, 2, x'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 2, 'r', '<m1>', 1000000, 1001000, 'accepted', 'ok'),
  (5, 4, 1, x'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 1, 'r', '<m4>', 3000000, 3001000, 'accepted', 'ok'),
  (6, 5, 1, x'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 1, 'r', '<m5>', 4000000, 4000000, 'in_doubt', 'no answer');
INSERT INTO told (line_id, seq, message_no, eta_to, basis, mode, at) VALUES
  (1, 1, NULL, '2026-02-01', 'baseline', 'live', 0), (1, 2, 1, '2026-03-01', 'possible', 'live', 0),
  (1, 3, 1, '2026-03-01', 'accepted', 'live', 0),
  (2, 1, 2, '2026-01-20', 'accepted', 'live', 0),
  (3, 1, 3, '2026-03-01', 'accepted', 'live', 0),
  (4, 1, 5, '2026-03-01', 'possible', 'live', 0),
  (5, 1, NULL, '2026-02-01', 'baseline', 'live', 0);
INSERT INTO audit (actor, verb, target, at) VALUES
  ('kim', 'hold', 'global:', 5000000), ('kim', 'release', 'global:', 6000000);
";

/// Per copy: Message-ID, recipient, hash.
const COPIES: [(&str, &str, &str); 6] = [
    ("<m1>", "c-3001@accept.example", "h1"),
    ("<m2>", "c-3002@accept.example", "h2"),
    ("<m3>", "c-3003@accept.example", "h3"),
    ("<m1>", "c-3001@accept.example", "h1"),
    ("<m4>", "c-3003@accept.example", "h4"),
    ("<m5>", "c-3004@accept.example", "h5"),
];

const SHOP: &str = r#"{"order_number": "3001", "line_id": "3001-1", "status": "waiting", "eta_from": "2026-03-01"}
{"order_number": "3002", "line_id": "3002-1", "status": "waiting", "eta_from": "2026-01-20"}
{"order_number": "3003", "line_id": "3003-1", "status": "shipped"}
{"order_number": "3004", "line_id": "3004-1", "status": "waiting", "eta_from": "2026-03-01"}
{"order_number": "3005", "line_id": "3005-1", "status": "waiting", "eta_from": "2026-02-01"}
"#;

/// What is done to the sound story.
enum Defect {
    Sql(&'static str),
    /// Lines of the ledger, in a new order, from these places.
    Ledger(&'static [usize]),
    /// The words of the copy at this place.
    Mail(usize, &'static str),
    /// A text in the ledger and another instead.
    Line(&'static str, &'static str),
    Shop(&'static str, &'static str),
}

async fn judge(defect: Option<&Defect>) -> Report {
    let dir = TempDir::new().expect("a folder");
    let path = dir.path().join("b.db");
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .synchronous(SqliteSynchronous::Off)
        .create_if_missing(true);
    let mut db = options.connect().await.expect("a database");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    let mut steps: Vec<_> = fs::read_dir(root)
        .expect("the schema")
        .map(|step| step.expect("a step").path())
        .collect();
    steps.sort();
    for step in steps {
        let sql = fs::read_to_string(step).expect("a step");
        db.execute(sqlx::AssertSqlSafe(sql))
            .await
            .expect("the schema");
    }
    db.execute(STORY).await.expect("the story");
    if let Some(Defect::Sql(sql)) = defect {
        db.execute("PRAGMA foreign_keys = OFF")
            .await
            .expect("a setting");
        db.execute(*sql).await.expect("a defect");
    }
    sqlx::Connection::close(db).await.expect("an end");

    let order: &[usize] = match defect {
        Some(Defect::Ledger(order)) => order,
        _ => &[0, 1, 2, 3, 4, 5],
    };
    let mut ledger = String::new();
    for (nth, at) in order.iter().enumerate() {
        let (id, to, hash) = COPIES[*at];
        let line = serde_json::json!({
            "session": 1, "nth": nth, "message_id": id, "recipients": [to], "sha256": hash,
        });
        ledger += &format!("{line}\n");
    }
    if let Some(Defect::Line(from, to)) = defect {
        ledger = ledger.replacen(from, to, 1);
    }
    if let Some(Defect::Mail(nth, words)) = defect {
        fs::write(dir.path().join(format!("1-{nth}.eml")), words).expect("a mail");
    }
    fs::write(dir.path().join("ledger.ndjson"), ledger).expect("a ledger");
    let shop = match defect {
        Some(Defect::Shop(from, to)) => SHOP.replacen(from, to, 1),
        _ => SHOP.to_owned(),
    };
    fs::write(dir.path().join("shop.ndjson"), shop).expect("a file");

    let place = path.to_str().expect("UTF-8");
    let mut evidence = read_database(place).await.expect("evidence");
    evidence.copies = vec![read_ledger(dir.path()).expect("a ledger")];
    evidence.shop = Some(read_shop(&dir.path().join("shop.ndjson")).expect("rows"));
    let limits = Limits {
        sessions: 1,
        kills: Some(1),
    };
    audit(&evidence, limits)
}

#[tokio::test]
async fn a_sound_story_breaks_no_rule() {
    let report = judge(None).await;
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.messages, report.copies, report.twice), (5, 6, 1));
}

#[tokio::test]
async fn every_seeded_defect_is_named() {
    let cases: &[(&str, &str, Defect)] = &[
        (
            "a date nobody told",
            "L",
            Defect::Shop("2026-02-01", "2026-04-01"),
        ),
        (
            "a shipment nobody told",
            "L",
            Defect::Shop("\"waiting\"", "\"shipped\""),
        ),
        (
            "an order nobody took in",
            "L",
            Defect::Shop("3005-1", "3006-1"),
        ),
        (
            "set aside after many deaths",
            "L",
            Defect::Sql(
                "UPDATE messages SET state = 'failed', settled_by = 'claimed repeatedly' \
                 WHERE no = 4",
            ),
        ),
        (
            "left half-way",
            "I1",
            Defect::Sql("UPDATE messages SET state = 'submitting' WHERE no = 5"),
        ),
        (
            "a flag that stayed",
            "I1",
            Defect::Sql("UPDATE notices SET in_queue = 1 WHERE id = 2"),
        ),
        (
            "a notice that is gone",
            "I1",
            Defect::Sql("DELETE FROM notices WHERE id = 2"),
        ),
        (
            "a row that points to nothing",
            "I1",
            Defect::Sql("UPDATE attempts SET message_no = 99 WHERE id = 2"),
        ),
        (
            "said by two messages",
            "I2",
            Defect::Sql(
                "UPDATE notices SET order_id = 3, kind = 'delay', discriminator = 'd3' WHERE id = 2",
            ),
        ),
        (
            "no intent",
            "I3",
            Defect::Sql("DELETE FROM attempts WHERE id = 2"),
        ),
        ("a mail of nobody", "I3", Defect::Line("<m2>", "<stranger>")),
        (
            "a courtesy twice",
            "I4",
            Defect::Ledger(&[0, 1, 1, 2, 3, 4, 5]),
        ),
        ("three copies", "I4", Defect::Ledger(&[0, 0, 1, 2, 3, 4, 5])),
        (
            "repeated too early",
            "I4",
            Defect::Sql("UPDATE attempts SET began_at = 901999 WHERE id = 4"),
        ),
        (
            "repeated without a doubt",
            "I4",
            Defect::Sql("UPDATE attempts SET outcome = 'accepted' WHERE id = 1"),
        ),
        (
            "a courtesy repeated",
            "I4",
            Defect::Sql("UPDATE messages SET kind = 'sooner' WHERE no = 1"),
        ),
        ("sent and not there", "I5", Defect::Ledger(&[0, 2, 3, 4, 5])),
        ("other words", "I5", Defect::Line("h2", "other")),
        (
            "arrived and denied",
            "I5",
            Defect::Sql("UPDATE messages SET state = 'superseded' WHERE no = 2"),
        ),
        (
            "too many doubts of one kill",
            "I6",
            Defect::Sql(
                "UPDATE attempts SET worker = x'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', reply = 'the sender ended before the answer' \
                 WHERE id = 6",
            ),
        ),
        (
            "a delay after the ship notice",
            "I11",
            Defect::Ledger(&[0, 1, 4, 2, 3, 5]),
        ),
        (
            "two in flight",
            "I12",
            Defect::Sql(
                "DROP INDEX notices_one_in_flight; UPDATE notices SET in_flight = 1, order_id = 4",
            ),
        ),
        (
            "begun while another was on its way",
            "I12",
            Defect::Sql("UPDATE attempts SET ended_at = 3900000 WHERE id = 3"),
        ),
        ("overtaken", "I13", Defect::Ledger(&[0, 1, 4, 2, 3, 5])),
        (
            "begun under a hold",
            "I14",
            Defect::Sql("UPDATE attempts SET began_at = 5500000, ended_at = 5500000 WHERE id = 6"),
        ),
        (
            "twice in an epoch",
            "I17",
            Defect::Sql("UPDATE attempts SET epoch = 1 WHERE id = 4"),
        ),
        (
            "written to in spite of the list",
            "I18",
            Defect::Sql(
                "INSERT INTO suppressions (address_hash, channel, reason, source, since)
                 VALUES ('a4', 'email', 'r', 's', 3000000)",
            ),
        ),
        (
            "another customer's name",
            "I19",
            Defect::Mail(1, "Dear Kim Okafor-3=\r\n001"),
        ),
        (
            "another customer's mail",
            "I19",
            Defect::Line("c-3002@accept.example", "c-3001@accept.example"),
        ),
        (
            "an attempt that was not counted",
            "I31",
            Defect::Sql("UPDATE messages SET attempts = 1 WHERE no = 1"),
        ),
        (
            "sent and never told",
            "I31",
            Defect::Sql("DELETE FROM told WHERE message_no = 2"),
        ),
        (
            "in doubt and told as certain",
            "I31",
            Defect::Sql("UPDATE told SET basis = 'accepted' WHERE message_no = 5"),
        ),
    ];
    let mut unnamed = Vec::new();
    for (sentence, number, defect) in cases {
        let report = judge(Some(defect)).await;
        let mut broken = report.rules.iter().filter(|(.., wrong)| !wrong.is_empty());
        if !broken.any(|(broken, ..)| broken == number) {
            unnamed.push(format!("{sentence}: {number} was not named\n{report}"));
        }
    }
    assert!(unnamed.is_empty(), "{}", unnamed.join("\n"));
    for rule in RULES {
        let tried = cases.iter().any(|(_, number, _)| *number == rule.number);
        assert!(tried, "no defect tries rule {}", rule.number);
    }
}

#[test]
fn the_auditor_shares_no_line_with_the_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/auditor");
    let name = ["backord", "erd"].concat();
    for file in fs::read_dir(folder).expect("the auditor") {
        let path = file.expect("a file").path();
        let text = fs::read_to_string(&path).expect("a file");
        for line in text.lines() {
            let code = line.trim_start();
            let names_it =
                code.contains(&format!("{name}::")) || code.contains(&["sr", "c/"].concat());
            assert!(!names_it, "{}: {code}", path.display());
        }
    }
}
