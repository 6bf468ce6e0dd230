//! The looking commands, tried on a shop with a history.
//!
//! The history is made by the program's own use cases against a settable
//! clock and the sandbox folder; then the real binary is run on the database
//! that is left, in the same moment, and what it prints is compared with the
//! transcripts beside this file.

use assert_cmd::Command;
use backorderd::app::App;
use backorderd::app::deliver::Delivery;
use backorderd::app::sync::Intake;
use backorderd::clock::{Ids, SettableClock};
use backorderd::config::{Config, Environment, LoadArgs, SecretUse};
use backorderd::domain::ids::MessageNo;
use backorderd::domain::message::{FailedWhy, Landing};
use backorderd::domain::outcome::{Evidence, Outcome, Phase, Refusal};
use backorderd::domain::time::{Instant, Length};
use backorderd::source::{ParseOptions, ParsedFile, parse};
use backorderd::store::sqlite::lock::LockAttempt;
use backorderd::store::types::{Mark, Record};
use backorderd::store::write::deliver::Claim;
use backorderd::store::write::operate::NewHold;
use backorderd::wiring;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

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
    seed: u64,
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
        Shop {
            home,
            clock,
            app,
            seed: 0,
        }
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
            rejected: parsed
                .rejected
                .iter()
                .map(|r| (r.line, r.raw.split(',').nth(1).map(str::to_owned), r.reason.clone()))
                .collect(),
        };
        self.app.take_rows(&parsed.rows, &intake).await.unwrap();
    }

    async fn review(&self) -> backorderd::app::review::ReviewReport {
        self.app.notice_changed_policy().await.unwrap();
        self.app.review_due("review", "backorderd", None).await.unwrap()
    }

    async fn deliver(&self) -> backorderd::app::deliver::DeliveryReport {
        let LockAttempt::Taken(lock) = self.app.store.try_delivery_lock().unwrap() else {
            panic!("somebody else delivers");
        };
        let (mut delivery, _) = Delivery::start(self.app.clone(), lock).await.unwrap();
        let report = delivery
            .drain(None, &CancellationToken::new(), |_| {})
            .await
            .unwrap();
        delivery.stop().await;
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

#[tokio::test]
async fn smoke() {
    let shop = story().await;
    let _ = shop;
}

async fn story() -> Shop {
    let mut shop = Shop::open("2026-02-16T14:25:00Z").await;
    shop.import(&[
        "1,1031,waiting,Petra Novak,petra@mail.example,,,,TRV-2,Trivet,1,,,12.50,2026-01-30T09:00:00Z,2026-02-10,,,",
        "2,1033,waiting,Runa Lindqvist,runa@mail.example,,,,TT-4,\"Linen tea towel, natural\",4,,,6.00,2026-02-11T09:00:00Z,2026-03-10,,,",
    ]).await;
    println!("{:?}", shop.review().await);
    println!("{:?}", shop.deliver().await);
    let kowalski = |shipped: &str, eta: &str, reason: &str, carrier: &str| {
        format!("10,1042,waiting,Anna Kowalski,anna@mail.example,+447700900123,true,both,TP-100-BL,\"Enamel teapot, 1 litre, blue\",2,{shipped},,34.00,2026-02-16T14:20:00Z,{eta},{reason},{carrier}")
    };
    shop.at("2026-02-16T14:31:00Z");
    shop.import(&[&kowalski("", "2026-03-06", "", ",")]).await;
    println!("{:?}", shop.review().await);
    println!("{:?}", shop.deliver().await);
    shop.seed += 1;
    shop.at("2026-02-23T10:00:00Z");
    println!("{:?}", shop.review().await);
    println!("{:?}", shop.deliver().await);
    shop.at("2026-02-26T09:12:00Z");
    shop.import(&[&kowalski("", "2026-03-19", "", ",")]).await;
    println!("{:?}", shop.review().await);
    println!("{:?}", shop.deliver().await);
    shop.at("2026-02-26T09:31:00Z");
    shop.import(&[&kowalski("", "2026-03-20", "our supplier's delivery is late", ",")]).await;
    println!("{:?}", shop.review().await);
    shop.at("2026-02-26T10:03:00Z");
    println!("{:?}", shop.review().await);
    println!("{:?}", shop.deliver().await);
    let e = shop.app.viewer.find("1042").await.unwrap();
    println!("{e:?}");
    let backorderd::app::explain::Found::Orders(ids) = e else { panic!() };
    println!("{:#?}", shop.app.viewer.explain(ids[0]).await.unwrap());
    shop
}
