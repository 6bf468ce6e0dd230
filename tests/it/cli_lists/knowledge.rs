//! What is known about messages and addresses, and how it is shown: bounces,
//! the do-not-write list, the log, the auditor, evidence, unclear mails.

use super::{Shop, trouble, two_weeks};
use backorderd::domain::ids::MessageUid;
use backorderd::domain::outcome::{Evidence, Phase, Refusal};
use backorderd::domain::receipt::{Receipt, ReceiptKind};
use backorderd::store::write::receipts::{About, NewReceipt, UnclearMail};
use serde_json::Value;
use uuid::Uuid;

/// Fingerprints change with every template; their place matters here.
fn without_fingerprints(transcript: &str) -> String {
    let mut out = String::new();
    for line in transcript.lines() {
        let kept = ["SHA-256     ", "Template    "]
            .iter()
            .find(|head| line.starts_with(**head))
            .map(|head| {
                let rest = &line[head.len()..];
                let end = rest.find([',', ' ']).unwrap_or(rest.len());
                format!("{head}(fingerprint){}", &rest[end..])
            });
        out.push_str(kept.as_deref().unwrap_or(line));
        out.push('\n');
    }
    out
}

macro_rules! golden {
    ($shop:expr, $name:literal, $($command:expr),+ $(,)?) => {
        let all = [$($shop.transcript($command)),+];
        insta::assert_snapshot!($name, without_fingerprints(&all.join("\n")));
    };
}

async fn uid_of(shop: &Shop, no: i64) -> MessageUid {
    let proof = shop
        .app
        .store
        .read()
        .proof(backorderd::domain::ids::MessageNo(no));
    let uid = proof.await.unwrap().unwrap().uid;
    MessageUid(Uuid::parse_str(&uid).unwrap())
}

/// A report about a message, as the mail system brings it.
async fn report(shop: &Shop, no: i64, kind: ReceiptKind) {
    let now = shop.app.now();
    let evidence = Evidence::new(Phase::Done, "no such user").with_code(550);
    let new = NewReceipt {
        about: About::Message(uid_of(shop, no).await),
        receipt: Receipt {
            event_key: format!("report about {no}"),
            kind,
            at: now,
            evidence: evidence.with_enhanced(Some("5.1.1".to_owned())),
        },
        source: "mail",
        raw: None,
    };
    shop.app.store.take_receipt(new, now).await.unwrap();
}

#[tokio::test]
async fn what_became_of_a_message_is_told_with_what_followed() {
    let shop = two_weeks().await;
    report(&shop, 1, ReceiptKind::Failed(Refusal::Hard)).await;
    golden!(
        shop,
        "bounced",
        "messages show m1",
        "orders explain 1033",
        "evidence m1",
        "evidence m1 --with-address --words",
        "evidence m999",
    );
}

#[tokio::test]
async fn evidence_names_no_address_unless_asked() {
    let shop = two_weeks().await;
    for args in ["evidence m1", "--json evidence m1 --words --template"] {
        let said = shop.transcript(args);
        assert!(!said.contains("@mail.example"), "{said}");
    }
    let said = shop.transcript("--json evidence m1 --with-address --words --template");
    let (_, document) = said.split_once('\n').unwrap();
    let document: Value = serde_json::from_str(document).unwrap();
    let address = document["recipient"].as_str().unwrap();
    assert!(address.ends_with("@mail.example"), "{address}");
    assert_eq!(document["template_is_in_force"], true);
    assert!(document["words"].as_str().unwrap().starts_with("Subject: "));
    let files = document["template"]["source"]["files"].as_array().unwrap();
    let paths: Vec<&str> = files.iter().filter_map(|f| f["path"].as_str()).collect();
    assert!(paths.contains(&"layout.mjml"), "{paths:?}");
    assert!(
        paths.iter().any(|path| path.ends_with("/email.hbs")),
        "{paths:?}"
    );
    assert_eq!(document["attempts"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_do_not_write_list_is_kept_by_operators() {
    let shop = trouble().await;
    let home = shop.home.path();
    std::fs::write(
        home.join("wrong.csv"),
        "address,reason,since\nanna@mail.example,asked us,2026-02-30\nanna at mail,x,\n",
    )
    .unwrap();
    std::fs::write(
        home.join("right.csv"),
        "address,reason,since\nold@elsewhere.example,asked us,2025-11-02\n\
         +447400123456,wrong number,\n",
    )
    .unwrap();
    let wrong = format!("suppressions import {}", home.join("wrong.csv").display());
    let right = format!("suppressions import {}", home.join("right.csv").display());
    golden!(
        shop,
        "suppressions",
        "suppressions list",
        "--as anna suppressions add runa@mail.example --why \"asked on the phone\"",
        "--as anna suppressions add nobody --why typo",
        &wrong,
        &right,
        &right,
        "suppressions list",
        "suppressions list --channel sms",
        "--as anna suppressions remove runa@mail.example --why \"asked again\"",
        "--as anna suppressions remove runa@mail.example --why \"asked again\"",
        "suppressions export",
        "audit list",
        "audit list --actor anna --verb suppress",
        "audit list --since 2099-01-01",
        "audit list --since soon",
    );
}

#[tokio::test]
async fn a_list_that_was_written_is_read_by_whoever_has_the_key() {
    let shop = trouble().await;
    let said = shop.transcript("suppressions export");
    let (_, list) = said.split_once('\n').unwrap();
    let file = shop.home.path().join("list.csv");
    std::fs::write(&file, list).unwrap();
    let take = format!("suppressions import {}", file.display());
    assert!(shop.transcript(&take).contains(" 0 new on"));
    let key = list.lines().nth(1).unwrap().rsplit(',').next().unwrap();
    std::fs::write(&file, list.replace(key, "0123456789abcdef")).unwrap();
    let refused = shop.transcript(&take);
    assert!(refused.contains("line 2, column 6 (key)"), "{refused}");
    assert!(refused.contains("[exit 1]"), "{refused}");
}

#[tokio::test]
async fn the_auditor_finds_nothing_and_names_what_is_broken() {
    let shop = trouble().await;
    let calm = shop.transcript("audit");
    let place = shop.home.path().join("backorderd.db");
    let broken = async {
        use sqlx::{ConnectOptions, Connection};
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(place);
        let mut raw = options.connect().await.unwrap();
        sqlx::query("UPDATE notices SET key = NULL WHERE message_no IN (1, 2)")
            .execute(&mut raw)
            .await
            .unwrap();
        raw.close().await.unwrap();
    };
    broken.await;
    let named = shop.transcript("audit");
    insta::assert_snapshot!("audit", format!("{calm}\n{named}"));
    let said = shop.transcript("--json audit");
    let (_, document) = said.split_once('\n').unwrap();
    let document = document.rsplit_once("[exit 1]").unwrap().0;
    let document: Value = serde_json::from_str(document).unwrap();
    assert_eq!(document["ok"], false);
    let broken = document["checks"].as_array().unwrap().iter();
    let broken: Vec<&Value> = broken.filter(|check| check["ok"] == false).collect();
    assert_eq!(broken.len(), 1);
    assert_eq!(broken[0]["broken"], serde_json::json!(["m1", "m2"]));
}

#[tokio::test]
async fn a_mail_nobody_could_read_is_read_by_a_person() {
    let shop = two_weeks().await;
    let now = shop.app.now();
    let mail = UnclearMail {
        uid: None,
        event_key: "unclear".to_owned(),
        why: "no token of ours",
        raw: b"From: anna@mail.example\r\nSubject: my \x1b[31mteapot\r\n\r\nIs it there yet?\r\n"
            .to_vec(),
    };
    assert!(shop.app.store.set_mail_aside(mail, now).await.unwrap());
    golden!(
        shop,
        "unclear",
        "receipts unclear list",
        "receipts unclear show 1",
        "receipts unclear show 2",
        "todo",
    );
}
