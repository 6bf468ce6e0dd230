//! The looking commands, tried on a shop with a history.
//!
//! The history is made by the program's own use cases against a settable
//! clock and the sandbox folder; then the real binary is run on the database
//! that is left, in the same moment, and what it prints is compared with the
//! transcripts beside this file.

mod knowledge;

use assert_cmd::Command;
use backorderd::app::App;
use backorderd::app::deliver::Delivery;
use backorderd::app::sync::Intake;
use backorderd::app::worker::Enlisted;
use backorderd::clock::{Ids, SettableClock};
use backorderd::config::{Config, Environment, LoadArgs, SecretUse};
use backorderd::domain::feed::{FileMark, RejectedRow};
use backorderd::domain::ids::{MessageNo, WorkerId};
use backorderd::domain::message::{FailedWhy, Landing};
use backorderd::domain::outcome::{Evidence, Outcome, Phase, Refusal};
use backorderd::domain::time::{Instant, Length};
use backorderd::domain::worker::Role;
use backorderd::source::{ParseOptions, ParsedFile, parse};
use backorderd::store::sqlite::lock::LockAttempt;
use backorderd::store::types::{Mark, Record};
use backorderd::store::write::deliver::Claim;
use backorderd::store::write::operate::NewHold;
use backorderd::store::write::workers::NewWorker;
use backorderd::wiring;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const SETTINGS: &str = r#"
[shop]
name = "Fern & Kettle"
phone = "020 7946 0018"
reply_to = "help@fernkettle.example"
zone = "Europe/London"
country = "GB"
currency = "GBP"
[sms]
gateway = "folder"
[pace]
per_minute = 6000
[brake]
per_hour = 6
"#;

const COLUMNS: &str = "line_id,order_number,status,customer_name,email,phone,sms_consent,\
    preferred_channel,sku,product_name,quantity,quantity_shipped,quantity_cancelled,unit_price,\
    ordered_at,eta_to,reason,carrier,tracking_number";

/// A shop whose clock is set by hand.
struct Shop {
    home: TempDir,
    clock: SettableClock,
    app: App,
}

fn instant(text: &str) -> Instant {
    Instant::from_datetime(&chrono::DateTime::parse_from_rfc3339(text).unwrap())
}

fn config(home: &Path, now: Instant) -> Config {
    let moment = now.to_utc().format("%Y-%m-%dT%H:%M:%SZ");
    let text = format!("{SETTINGS}\n[demo]\nnow = \"{moment}\"\n");
    std::fs::write(home.join("backorderd.toml"), text).unwrap();
    Config::load(&LoadArgs {
        file: None,
        home: Some(home),
        environment: &Environment::default(),
        secrets: SecretUse::LeaveOut,
        now,
    })
    .unwrap_or_else(|errors| panic!("{}", errors.plain()))
}

impl Shop {
    async fn open(now: &str) -> Shop {
        let now = instant(now);
        let home = tempfile::tempdir().unwrap();
        let clock = SettableClock::at(now);
        let config = config(home.path(), now);
        let app = wiring::app_with(&config, Arc::new(clock.clone()), Ids::seeded(7))
            .await
            .unwrap();
        Shop { home, clock, app }
    }

    /// Moves time, here and for the program.
    fn at(&self, now: &str) {
        self.clock.set(instant(now));
        config(self.home.path(), instant(now));
    }

    async fn import(&self, rows: &[&str]) {
        let text = format!("{COLUMNS}\n{}\n", rows.join("\n"));
        let mut options = ParseOptions::in_zone(chrono_tz::Europe::London);
        options.shop_country = self.app.settings().shop_country;
        options.shop_currency = Some("GBP".to_owned());
        let parsed = parse(text.as_bytes(), "woo.csv", &options, &mut |_| {}).unwrap();
        let ParsedFile::Lines(parsed) = parsed else {
            panic!("not order lines");
        };
        let intake = Intake {
            source: "woo".to_owned(),
            source_kind: "csv".to_owned(),
            announce: false,
            complete: true,
            mark: FileMark::default(),
            rejected: parsed
                .rejected
                .iter()
                .map(|r| RejectedRow {
                    line: r.line,
                    order_number: r.raw.split(',').nth(1).map(str::to_owned),
                    field: r.field.clone(),
                    reason: r.reason.clone(),
                })
                .collect(),
        };
        self.app.take_rows(&parsed.rows, &intake).await.unwrap();
    }

    async fn review(&self) -> backorderd::app::review::ReviewReport {
        self.app.notice_changed_policy().await.unwrap();
        self.app
            .review_due("review", "backorderd", None)
            .await
            .unwrap()
    }

    async fn deliver(&self) -> backorderd::app::deliver::DeliveryReport {
        let LockAttempt::Taken(lock) = self.app.store.try_delivery_lock().unwrap() else {
            panic!("somebody else delivers");
        };
        let enlisted = Enlisted::enlist(&self.app, Role::All, None).await.unwrap();
        let (mut delivery, _) = Delivery::start(self.app.clone(), &enlisted, lock)
            .await
            .unwrap();
        let report = delivery
            .drain(None, &CancellationToken::new(), |_| {})
            .await
            .unwrap();
        delivery.stop().await;
        enlisted.leave().await.unwrap();
        report
    }

    /// What the program prints, for comparison: `$` line, output, exit code.
    fn transcript(&self, args: &str) -> String {
        let words = shell_words(args);
        let output = Command::new(env!("CARGO_BIN_EXE_backorderd"))
            .arg("--home")
            .arg(self.home.path())
            .args(&words)
            .env("NO_COLOR", "1")
            .env("USER", "kim")
            .env_remove("SUDO_USER")
            .output()
            .unwrap();
        let mut text = format!("$ backorderd {args}\n");
        text.push_str(&String::from_utf8(output.stdout).unwrap());
        text.push_str(&String::from_utf8(output.stderr).unwrap());
        if !output.status.success() {
            text.push_str(&format!("[exit {}]\n", output.status.code().unwrap()));
        }
        text.replace(&self.home.path().display().to_string(), "HOME")
    }
}

/// Splits at blanks, except inside double quotes.
fn shell_words(args: &str) -> Vec<String> {
    args.split('"')
        .enumerate()
        .flat_map(|(n, part)| match n % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        })
        .collect()
}

/// One row of the shop's list, with what the tests vary.
#[derive(Clone, Copy)]
struct Line<'a> {
    id: u32,
    order: &'a str,
    who: (&'a str, &'a str),
    product: (&'a str, &'a str),
    quantity: u32,
    shipped: &'a str,
    status: &'a str,
    ordered_at: &'a str,
    eta: &'a str,
    reason: &'a str,
    texts: bool,
}

const TEAPOT: (&str, &str) = ("TP-100-BL", "Enamel teapot, 1 litre, blue");
const TRIVET: (&str, &str) = ("TRV-2", "Trivet");
const TOWEL: (&str, &str) = ("TT-4", "Linen tea towel, natural");
const MUG: (&str, &str) = ("MUG-G", "Stoneware mug, grey");

impl<'a> Line<'a> {
    fn of(id: u32, order: &'a str, who: (&'a str, &'a str), product: (&'a str, &'a str)) -> Self {
        Line {
            id,
            order,
            who,
            product,
            quantity: 1,
            shipped: "",
            status: "waiting",
            ordered_at: "2026-02-16T14:20:00Z",
            eta: "",
            reason: "",
            texts: false,
        }
    }
    fn eta(mut self, eta: &'a str) -> Self {
        self.eta = eta;
        self
    }
    fn quantity(mut self, quantity: u32) -> Self {
        self.quantity = quantity;
        self
    }
    fn ordered(mut self, at: &'a str) -> Self {
        self.ordered_at = at;
        self
    }
    fn because(mut self, reason: &'a str) -> Self {
        self.reason = reason;
        self
    }
    fn texts(mut self) -> Self {
        self.texts = true;
        self
    }
    fn shipped(mut self, n: &'a str) -> Self {
        self.shipped = n;
        self
    }
    fn row(&self) -> String {
        let (phone, consent, channel) = if self.texts {
            ("+447400123456", "true", "both")
        } else {
            ("", "", "")
        };
        let (sku, product) = self.product;
        format!(
            "{},{},{},{},{},{phone},{consent},{channel},{sku},\"{product}\",{},{},,12.50,{},{},{},{},",
            self.id,
            self.order,
            self.status,
            self.who.0,
            self.who.1,
            self.quantity,
            self.shipped,
            self.ordered_at,
            self.eta,
            self.reason,
            if self.shipped.is_empty() { "" } else { "UPS" },
        )
    }
}

const KOWALSKI: (&str, &str) = ("Anna Kowalski", "anna@mail.example");
const NOVAK: (&str, &str) = ("Petra Novak", "petra@mail.example");
const LINDQVIST: (&str, &str) = ("Runa Lindqvist", "runa@mail.example");
const AMIN: (&str, &str) = ("Samir Amin", "samir@mail.example");
const ITO: (&str, &str) = ("Miki Ito", "miki@mail.example");

impl Shop {
    async fn take(&self, lines: &[Line<'_>]) {
        let rows: Vec<String> = lines.iter().map(Line::row).collect();
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        self.import(&rows).await;
    }

    async fn review_and_deliver(&self) {
        self.review().await;
        self.deliver().await;
    }

    /// The very next message that is due is lost at the worst moment (`None`),
    /// or refused with an answer.
    async fn spoil_next(&self, answer: Option<&str>) -> MessageNo {
        let (store, now) = (&self.app.store, self.app.now());
        let by = self.app.ids.worker_id(now);
        let claim = Claim {
            by,
            mode: self.app.mode(),
            now,
            lease_until: now.plus(Length::mins(2)),
            limit: 1,
            run: None,
            channels: self.app.channels.keys().copied().collect(),
            able: self.app.channels.keys().copied().collect(),
        };
        let claimed = store.claim(claim).await.unwrap().remove(0);
        let mark = Mark {
            no: claimed.no,
            epoch: claimed.epoch,
            relay: "smtp.fernkettle.example".to_owned(),
            message_id_header: Some(format!("<{}@fernkettle.example>", claimed.uid)),
            template_version: "1".to_owned(),
            content_hash: "1".to_owned(),
        };
        assert!(store.mark(by, mark, now).await.unwrap());
        if let Some(answer) = answer {
            let record = Record {
                no: claimed.no,
                epoch: claimed.epoch,
                outcome: Outcome::Refused {
                    class: Refusal::Hard,
                    evidence: Evidence::new(Phase::Rcpt, answer).with_code(550),
                },
                landing: Landing::Failed {
                    suppress: true,
                    why: FailedWhy::Refused,
                },
                facts: claimed.facts.clone(),
            };
            assert!(store.record(by, record, now).await.unwrap());
        } else {
            let next = self.app.ids.worker_id(now);
            store.sweep(next, now).await.unwrap();
        }
        claimed.no
    }

    async fn hold(&self, scope: &'static str, key: &str, why: &str, until: Option<&str>) {
        let hold = NewHold {
            scope,
            key: key.to_owned(),
            by: "kim".to_owned(),
            why: why.to_owned(),
            until: until.map(instant),
        };
        assert!(self.app.store.hold(hold, self.app.now()).await.unwrap());
    }
}

/// Two weeks: a first look, a confirmation, an update, a teapot that moves
/// twice in a morning.
async fn two_weeks() -> Shop {
    let shop = Shop::open("2026-02-16T14:25:00Z").await;
    let towel = Line::of(2, "1033", LINDQVIST, TOWEL)
        .quantity(4)
        .ordered("2026-02-11T09:00:00Z")
        .eta("2026-03-10");
    shop.take(&[
        Line::of(1, "1031", NOVAK, TRIVET)
            .ordered("2026-01-30T09:00:00Z")
            .eta("2026-02-10"),
        towel,
    ])
    .await;
    shop.review_and_deliver().await;
    let teapots = Line::of(10, "1042", KOWALSKI, TEAPOT).quantity(2).texts();
    shop.at("2026-02-16T14:31:00Z");
    shop.take(&[teapots.eta("2026-03-06")]).await;
    shop.review_and_deliver().await;
    shop.at("2026-02-18T10:00:00Z");
    shop.review_and_deliver().await;
    shop.at("2026-02-23T10:00:00Z");
    shop.review_and_deliver().await;
    shop.at("2026-02-25T11:00:00Z");
    shop.take(&[towel.eta("2026-03-11")]).await;
    shop.review_and_deliver().await;
    shop.at("2026-02-26T09:12:00Z");
    shop.take(&[teapots.eta("2026-03-19")]).await;
    shop.review_and_deliver().await;
    shop.at("2026-02-26T09:31:00Z");
    shop.take(&[teapots
        .eta("2026-03-20")
        .because("our supplier's delivery to us is late")])
        .await;
    shop.review_and_deliver().await;
    shop.at("2026-02-26T10:03:00Z");
    shop.review_and_deliver().await;
    shop
}

/// And what people have to look after.
async fn trouble() -> Shop {
    let shop = two_weeks().await;
    shop.at("2026-02-27T09:00:00Z");
    let mugs = Line::of(20, "1058", AMIN, MUG)
        .quantity(5)
        .ordered("2026-02-27T08:00:00Z")
        .eta("2026-03-20");
    let pot = Line::of(21, "1059", ITO, TRIVET)
        .ordered("2026-02-27T08:30:00Z")
        .eta("2026-03-12");
    shop.take(&[mugs, pot]).await;
    shop.review().await;
    shop.spoil_next(None).await;
    shop.spoil_next(Some("5.1.1 no such user here")).await;
    shop.at("2026-02-27T09:05:00Z");
    shop.review_and_deliver().await;
    shop.at("2026-02-27T10:00:00Z");
    let trivets: Vec<String> = (0..8).map(|n| format!("{}", 1070 + n)).collect();
    let customers: Vec<(String, String)> = (0..8)
        .map(|n| (format!("Cora Customer{n}"), format!("c{n}@mail.example")))
        .collect();
    let lines: Vec<Line<'_>> = (0..8)
        .map(|n| {
            let who = (customers[n].0.as_str(), customers[n].1.as_str());
            Line::of(30 + n as u32, &trivets[n], who, TRIVET)
                .ordered("2026-02-27T09:30:00Z")
                .eta(if n < 6 { "2026-03-12" } else { "2062-03-12" })
        })
        .collect();
    shop.take(&lines).await;
    shop.import(&[
        "99,1077,waiting,Dan Bad,not-an-address,,,,TRV-2,Trivet,1,,,12.50,2026-02-27T09:30:00Z,2026-03-12,,,",
        "98,1090,waiting,Eve Late,eve@mail.example,,,,TRV-2,Trivet,1,,,12.50,2026-02-27T09:30:00Z,31/31/2026,,,",
    ])
    .await;
    shop.review_and_deliver().await;
    shop.hold(
        "order",
        "1033",
        "agreed by phone",
        Some("2026-03-02T09:00:00Z"),
    )
    .await;
    shop.hold("channel", "sms", "gateway maintenance", None)
        .await;
    shop.at("2026-02-27T10:10:00Z");
    shop.review_and_deliver().await;
    shop
}

/// Parcels, a pause of the shop's list, and a message nobody answered for.
async fn parcels() -> Shop {
    let shop = Shop::open("2026-03-02T09:00:00Z").await;
    let order = "2026-03-02T08:00:00Z";
    let mugs = Line::of(1, "1035", AMIN, MUG)
        .quantity(5)
        .ordered(order)
        .eta("2026-03-20");
    let trivet = Line::of(2, "1035", AMIN, TRIVET).ordered(order);
    let other = Line::of(3, "01035", ITO, TOWEL)
        .ordered(order)
        .eta("2026-03-04");
    shop.take(&[Line::of(9, "1001", NOVAK, MUG).eta("2026-03-30")])
        .await;
    shop.take(&[mugs, trivet, other]).await;
    shop.review_and_deliver().await;
    shop.at("2026-03-03T10:00:00Z");
    shop.take(&[mugs.shipped("3")]).await;
    shop.at("2026-03-03T11:30:00Z");
    shop.review().await;
    shop.spoil_next(None).await;
    shop.at("2026-03-03T11:33:00Z");
    shop
}

/// Runs commands and keeps what they print as one transcript.
macro_rules! transcripts {
    ($shop:expr, $name:literal, $($command:literal),+ $(,)?) => {
        let all = [$($command),+].map(|command| $shop.transcript(command));
        // A mail and a text that say the same are recorded in either order.
        let all = all.map(|printed| {
            printed.replace(
                "\"message\": 6,\n        \"promise\"",
                "\"message\": 5,\n        \"promise\"",
            )
        });
        insta::assert_snapshot!($name, all.join("\n"));
    };
}

#[tokio::test]
async fn a_calm_shop_is_told_as_it_is() {
    let shop = two_weeks().await;
    transcripts!(
        shop,
        "calm",
        "orders list",
        "orders list --sku TT-4",
        "orders list --sku NONE",
        "orders show #1042",
        "orders explain anna@mail.example",
        "orders explain 1033",
        "orders explain 9999",
        "messages list --order 1042 --kind delay",
        "messages show m5 --words",
        "messages show m999",
        "runs list --limit 2",
        "runs show r8",
        "runs approve r8",
        "todo",
        "stats",
        "forecast --days 21",
    );
}

#[tokio::test]
async fn trouble_is_named_with_what_helps() {
    let shop = trouble().await;
    transcripts!(
        shop,
        "trouble",
        "todo",
        "orders list --limit 3",
        "orders explain 1031",
        "orders explain 1059",
        "orders explain 1076",
        "orders show 1090",
        "messages list --state failed",
        "messages list --state gone",
        "messages show 8",
        "runs show r11",
        "stats",
    );
}

#[tokio::test]
async fn a_person_decides_on_a_held_run() {
    let shop = trouble().await;
    transcripts!(
        shop,
        "approve",
        "--as kim runs approve r11 --why \"checked with the supplier\"",
        "--as kim runs approve r11",
        "runs list --limit 2",
        "messages show m10",
        "--json runs drop r11",
    );
    let shop = trouble().await;
    transcripts!(
        shop,
        "drop",
        "--as kim runs drop r11 --why \"wrong file\"",
        "orders explain 1070",
        "runs show r11",
    );
}

#[tokio::test]
async fn what_may_have_gone_out_is_never_claimed() {
    let shop = parcels().await;
    transcripts!(
        shop,
        "parcels",
        "orders explain 1035",
        "orders explain 1001",
        "orders explain 01035",
        "orders explain miki@mail.example",
        "orders show 1035",
        "messages list --state in_doubt",
        "messages show m3",
        "todo",
    );
}

#[tokio::test]
async fn an_unsettled_date_is_not_for_the_phone() {
    let shop = two_weeks().await;
    shop.at("2026-02-26T12:00:00Z");
    let teapots = Line::of(10, "1042", KOWALSKI, TEAPOT).quantity(2).texts();
    shop.take(&[teapots.eta("2026-04-02")]).await;
    shop.review_and_deliver().await;
    shop.at("2026-02-26T12:10:00Z");
    std::fs::write(shop.home.path().join("hold"), "stock count\n").unwrap();
    transcripts!(shop, "unsettled", "orders explain 1042", "todo");
}

#[tokio::test]
async fn documents_for_programs_keep_their_shape() {
    let shop = trouble().await;
    transcripts!(
        shop,
        "json",
        "--json orders list --limit 1",
        "--json orders show 1042",
        "--json orders explain 1033",
        "--json messages list --limit 1",
        "--json messages show m6",
        "--json runs list --limit 1",
        "--json todo",
        "--json stats",
        "--json forecast --days 5",
    );
}

#[tokio::test]
async fn workers_are_listed_and_the_dead_are_marked() {
    let shop = Shop::open("2026-02-26T10:00:00Z").await;
    let nobody = shop.transcript("workers");
    assert!(
        nobody.contains("Nobody works on this database."),
        "{nobody}"
    );
    for (pid, name, role, begun, alive) in [
        (
            4711,
            Some("one"),
            Role::All,
            "2026-02-26T09:59:56Z",
            Length::secs(60),
        ),
        (
            4712,
            None,
            Role::Deliver,
            "2026-02-26T09:00:00Z",
            Length::hours(2),
        ),
        (
            4713,
            None,
            Role::Plan,
            "2026-02-25T09:00:00Z",
            Length::secs(60),
        ),
        (
            4714,
            None,
            Role::Run,
            "2026-02-26T09:58:59Z",
            Length::secs(60),
        ),
    ] {
        let worker = NewWorker {
            id: WorkerId(Uuid::from_u128(u128::from(pid))),
            name: name.map(str::to_owned),
            host: "mill".to_owned(),
            pid,
            version: "1.0.0".to_owned(),
            role,
            alive,
        };
        shop.app.store.enlist(worker, instant(begun)).await.unwrap();
    }
    transcripts!(shop, "workers", "workers", "--json workers");
}

#[tokio::test]
async fn a_reader_who_leaves_is_no_error() {
    let shop = two_weeks().await;
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_backorderd"))
        .arg("--home")
        .arg(shop.home.path())
        .args(["orders", "explain", "1042"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(program.stdout.take());
    let output = program.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success());
}
