//! The acting and checking commands, as an operator runs them: the real
//! program in a home of its own, what it prints, how it ends, what it leaves.

mod answers;
mod exports;
mod templates;

use assert_cmd::Command;
use backorderd::app::App;
use backorderd::app::sync::Intake;
use backorderd::clock::{Ids, SettableClock};
use backorderd::config::{Config, Environment, LoadArgs, SecretUse};
use backorderd::domain::feed::FileMark;
use backorderd::domain::time::{Instant, Length};
use backorderd::source::{ParseOptions, ParsedFile, parse};
use backorderd::store::write::settings::Noticed;
use backorderd::wiring;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

/// The transcript alone: the commands stand in it already.
macro_rules! golden {
    ($transcript:expr) => {
        insta::with_settings!({ omit_expression => true }, {
            insta::assert_snapshot!($transcript);
        })
    };
}

/// Thu 26 Feb 2026, 10:02 in London.
const NOW: &str = "2026-02-26T10:02:00Z";

const SHOP: &str = "
[shop]
name = \"Fern & Kettle\"
reply_to = \"hello@fernkettle.example\"
phone = \"020 7946 0018\"
zone = \"Europe/London\"
locale = \"en-GB\"
country = \"GB\"
";

const ORDERS: &str = "\
line_id,order_id,order_number,customer_name,email,sku,product_name,quantity,supplier,ordered_at,eta_from,status
9001-1,5001,1042,Anna Kowalski,anna.k@mail.example,TP-100-BL,Enamel teapot,2,Brightwater,2026-02-16T14:25:00Z,2026-03-06,waiting
9002-1,5002,1043,Piotr Oduya,p.oduya@mail.example,TP-100-BL,Enamel teapot,1,Brightwater,2026-02-17T09:00:00Z,2026-03-06,waiting
9003-1,5003,1046,Sara Amin,s.amin@mail.example,TR-7,Oak tea tray,1,Holm & Sons,2026-02-19T09:00:00Z,2026-03-13,waiting
";

/// A home with a shop, on a machine whose clock stands still.
struct Home {
    dir: TempDir,
}

impl Home {
    fn with(config: &str) -> Home {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        std::fs::write(dir.path().join("backorderd.toml"), config).unwrap();
        Home { dir }
    }

    /// A sandbox with three orders in it.
    fn in_sandbox() -> Home {
        let home = Home::with(&format!("{SHOP}[demo]\nnow = \"{NOW}\"\n"));
        home.fill();
        home
    }

    /// Orders in, and the mode of the configuration changed afterwards.
    fn about_to_go_live() -> Home {
        let home = Home::in_sandbox();
        let config = format!(
            "mode = \"live\"\n{SHOP}[email]\nhost = \"127.0.0.1\"\nport = 9\nsecurity = \"plain\"\n\
             from = \"Fern & Kettle <orders@fernkettle.example>\"\n"
        );
        std::fs::write(home.dir.path().join("backorderd.toml"), config).unwrap();
        home
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn now() -> Instant {
        Instant::from_datetime(&chrono::DateTime::parse_from_rfc3339(NOW).unwrap())
    }

    fn app<T>(&self, at: Instant, then: impl AsyncFnOnce(App) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let config = Config::load(&LoadArgs {
            file: None,
            home: Some(self.path()),
            environment: &Environment::default(),
            secrets: SecretUse::LeaveOut,
            now: Home::now(),
        })
        .unwrap();
        runtime.block_on(async {
            let clock = Arc::new(SettableClock::at(at));
            let app = wiring::app_with(&config, clock, Ids::seeded(1))
                .await
                .unwrap();
            then(app).await
        })
    }

    /// Three orders, first seen the day before.
    fn fill(&self) {
        self.fill_at(Home::now().minus(Length::days(1)));
    }

    fn fill_at(&self, at: Instant) {
        let mut options = ParseOptions::in_zone(chrono_tz::Europe::London);
        options.shop_country = None;
        let parsed = parse(ORDERS.as_bytes(), "orders.csv", &options, &mut |_| {}).unwrap();
        let ParsedFile::Lines(parsed) = parsed else {
            panic!("lines were expected")
        };
        assert!(parsed.rejected.is_empty(), "{:?}", parsed.rejected);
        let intake = Intake {
            source: "orders.csv".to_owned(),
            source_kind: "file".to_owned(),
            complete: true,
            announce: false,
            mark: FileMark::default(),
            rejected: Vec::new(),
        };
        self.app(at, async |app| {
            app.take_rows(&parsed.rows, &intake).await.unwrap()
        });
    }

    /// A new file, not new bytes in the old one: a connection that is still
    /// being closed may write once more.
    fn damage_database(&self) {
        for file in ["backorderd.db", "backorderd.db-wal", "backorderd.db-shm"] {
            let _ = std::fs::remove_file(self.path().join(file));
        }
        std::fs::write(self.path().join("backorderd.db"), [7; 4096]).unwrap();
    }

    /// The teapots slip an hour ago: two orders are owed a delay.
    fn owe_a_delay(&self) {
        let before = Home::now().minus(Length::hours(1));
        self.app(before, async |app| {
            let eta = backorderd::domain::eta::Eta::day("2026-03-20".parse().unwrap());
            let changed = app
                .set_eta("sku", "TP-100-BL", Some((eta, None)), "test")
                .await;
            assert_eq!(changed.unwrap().len(), 2);
        });
    }

    fn run(&self, args: &[&str]) -> Told {
        let output = Command::new(env!("CARGO_BIN_EXE_backorderd"))
            .env_clear()
            .args(["--home", self.path().to_str().unwrap(), "--as", "anna"])
            .args(args)
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| {
            String::from_utf8(bytes)
                .unwrap()
                .replace(self.path().to_str().unwrap(), "HOME")
        };
        Told {
            code: output.status.code().unwrap(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// Runs several commands; the transcript of a terminal.
    fn transcript(&self, commands: &[&[&str]]) -> String {
        let mut out = String::new();
        for args in commands {
            let told = self.run(args);
            let words: Vec<String> = args
                .iter()
                .map(|a| {
                    if a.contains(' ') {
                        format!("{a:?}")
                    } else {
                        (*a).to_owned()
                    }
                })
                .collect();
            out.push_str(&format!(
                "$ backorderd {}\n{}{}",
                words.join(" "),
                told.out,
                told.err
            ));
            if told.code != 0 {
                out.push_str(&format!("[ends with {}]\n", told.code));
            }
            out.push('\n');
        }
        out
    }
}

#[derive(Debug)]
struct Told {
    code: i32,
    out: String,
    err: String,
}

fn json(told: &Told) -> serde_json::Value {
    serde_json::from_str(&told.out).unwrap_or_else(|error| panic!("{error}: {told:?}"))
}

#[test]
fn holds_are_placed_listed_and_lifted() {
    let home = Home::in_sandbox();
    golden!(home.transcript(&[
        &["hold", "--list"],
        &["hold", "--why", "supplier file looks wrong"],
        &["hold", "--why", "again"],
        &[
            "hold",
            "--order",
            "#1042",
            "--why",
            "on the phone",
            "--until",
            "4h"
        ],
        &[
            "hold",
            "--customer",
            "p.oduya@mail.example",
            "--why",
            "asked",
            "--until",
            "2026-03-02 14:00"
        ],
        &["hold", "--supplier", "Holm & Sons", "--why", "strike"],
        &[
            "hold",
            "--sku",
            "NOT-YET",
            "--why",
            "recall",
            "--until",
            "2026-03-02"
        ],
        &[
            "hold",
            "--sku",
            "TR-7",
            "--why",
            "too late",
            "--until",
            "2026-02-26"
        ],
        &["hold", "--order", "999", "--why", "typo"],
        &["hold", "--list"],
        &["release"],
        &["release", "--order", "1042", "--why", "talked"],
        &["release", "--supplier", "Holm & Sons"],
        &["release", "--channel", "email"],
        &["hold", "--file", "--why", "all  stop"],
        &["hold", "--list"],
        &["release", "--sku", "NOT-YET"],
        &["release", "--file"],
        &["release", "--file"],
    ]));
    let listed = json(&home.run(&["--json", "hold", "--list"]));
    assert_eq!(listed["holds"][0]["scope"], "customer");
    assert_eq!(listed["hold_file"], serde_json::Value::Null);
}

#[test]
fn what_is_held_stays_in_the_queue_and_release_says_how_much() {
    let home = Home::in_sandbox();
    home.owe_a_delay();
    home.app(Home::now(), async |app| {
        let report = app.review_due("review", "test", None).await.unwrap();
        // Two delays, and the day-7 update of the third.
        assert_eq!(report.messages, 3);
    });
    let held = home.run(&["hold", "--channel", "email", "--why", "relay moves"]);
    assert!(
        held.out.contains("3 messages wait in the queue now"),
        "{held:?}"
    );
    let released = home.run(&["release", "--channel", "email"]);
    assert!(
        released
            .out
            .contains("3 waiting messages are looked at again first: what is still true go"),
        "{released:?}"
    );
}

/// While a rolling restart lasts: what falls due is left to those with the newest
/// settings, and not left lying where there is nobody.
#[test]
fn who_has_older_settings_plans_what_nobody_else_took() {
    let home = Home::in_sandbox();
    home.owe_a_delay();
    home.app(Home::now(), async |app| {
        app.notice_changed_policy().await.unwrap();
        let newer = app.store.notice_settings("others", app.now()).await;
        assert!(matches!(newer.unwrap(), Noticed::Changed { .. }));
        let report = app.review_due("review", "test", None).await.unwrap();
        assert_eq!((report.orders, report.messages), (0, 0));
    });
    home.app(Home::now().plus(Length::secs(61)), async |app| {
        let report = app.review_due("review", "test", None).await.unwrap();
        assert!(report.overtaken && report.messages > 0, "{report:?}");
        assert_eq!(report.held, report.messages, "a person decides");
    });
}

#[test]
fn what_is_written_under_older_settings_waits_and_says_why() {
    let home = Home::in_sandbox();
    home.owe_a_delay();
    assert_eq!(home.run(&["run", "--yes"]).code, 0);
    home.app(Home::now(), async |app| {
        app.notice_changed_policy().await.unwrap();
        let newer = app.store.notice_settings("others", app.now()).await;
        assert!(matches!(newer.unwrap(), Noticed::Changed { .. }));
    });
    let resent = home.run(&["messages", "resend", "m1", "--why", "not found"]);
    assert!(
        resent.out.contains(
            "waits for approval, because another process runs with newer settings than these"
        ),
        "{resent:?}"
    );
}

#[test]
fn the_hold_for_everything_needs_no_database() {
    let home = Home::in_sandbox();
    home.damage_database();
    let scoped = home.run(&["hold", "--sku", "TP-100-BL", "--why", "recall"]);
    assert_eq!(scoped.code, 1, "{scoped:?}");
    assert!(!home.path().join("hold").exists());
    let all = home.run(&["hold", "--why", "stop it", "--until", "4h"]);
    assert_eq!(all.code, 0, "{all:?}");
    assert!(all.err.contains("the hold file does instead"), "{all:?}");
    assert!(all.err.contains("--until is not kept"), "{all:?}");
    let file = std::fs::read_to_string(home.path().join("hold")).unwrap();
    assert_eq!(file, "stop it\nby anna, Thu 26 Feb 10:02\n");
}

#[test]
fn a_hold_that_nobody_would_heed_is_refused() {
    let home = Home::with(SHOP);
    for how in [
        &["hold", "--why", "stop"][..],
        &["hold", "--file", "--why", "stop"],
    ] {
        let told = Command::new(env!("CARGO_BIN_EXE_backorderd"))
            .arg("--home")
            .arg(home.path().join("mistyped"))
            .args(how)
            .output()
            .unwrap();
        assert_eq!(told.status.code(), Some(1));
        assert!(!home.path().join("mistyped").exists());
    }
}

#[test]
fn single_messages_are_resent_and_withdrawn() {
    let home = Home::in_sandbox();
    home.owe_a_delay();
    assert_eq!(home.run(&["run", "--yes"]).code, 0);
    golden!(home.transcript(&[
        &["messages", "list"],
        &["messages", "resend", "m1", "m2", "--dry-run"],
        &["messages", "resend", "m1", "--why", "not found"],
        &["messages", "resend", "m1"],
        &["release", "--dry-run", "--show", "5"],
        &["messages", "withdraw", "m1", "m4", "--dry-run"],
        &["messages", "withdraw", "m4", "--why", "found it"],
        &["messages", "retry", "--state", "failed"],
        &["messages", "retry", "m1"],
        &["messages", "settle", "m1", "--arrived"],
        &[
            "messages",
            "settle",
            "m1",
            "--not-arrived",
            "--why",
            "asked"
        ],
        &["messages", "resend"],
    ]));
    let dry = json(&home.run(&["messages", "resend", "m1", "--dry-run", "--json"]));
    assert_eq!(dry["dry_run"], true);
    assert!(dry["messages"][0]["would"].is_string(), "{dry}");
}

#[test]
fn with_a_broken_configuration_hold_names_the_way_that_is_left() {
    let home = Home::with("[shop]\nnmae = \"x\"\n");
    let told = home.run(&["hold", "--order", "1042", "--why", "stop"]);
    assert_eq!(told.code, 78, "{told:?}");
    assert!(told.err.contains("`touch` a file named `hold`"), "{told:?}");
    assert!(told.err.contains("backorderd.toml:2:1"), "{told:?}");
}

#[test]
fn dates_are_set_listed_and_cleared() {
    let home = Home::in_sandbox();
    golden!(home.transcript(&[
        &["eta", "list"],
        &[
            "eta",
            "set",
            "--sku",
            "TP-100-BL",
            "2026-03-20",
            "--reason",
            "our supplier is late"
        ],
        &["eta", "set", "--sku", "TP-100-BL", "2026-03-20"],
        &["eta", "set", "--order", "1042", "2026-03-24..2026-03-26"],
        &["eta", "set", "--sku", "TP-100-BL", "2026-03-27"],
        &["eta", "set", "--line", "9003-1", "2026-03-13"],
        &["eta", "set", "--line", "9003-1", "2026-02-20"],
        &["eta", "set", "--line", "9003-1", "2062-03-13"],
        &["eta", "set", "--line", "9003-1", "unknown"],
        &["eta", "set", "--sku", "NOT YET", "2026-04-01"],
        &["eta", "set", "--line", "9003-1", "20.3.2026"],
        &["eta", "set", "--order", "999", "2026-04-01"],
        &["eta", "list"],
        &["eta", "clear", "--order", "1042"],
        &["eta", "clear", "--order", "1042"],
    ]));
    let listed = json(&home.run(&["--json", "eta", "list"]));
    assert_eq!(listed.as_array().unwrap().len(), 3);
    assert_eq!(listed[0]["by"], "anna");
    let set = json(&home.run(&["--json", "eta", "set", "--line", "9003-1", "2026-04-02"]));
    assert_eq!(set["changed"][0]["order"], "1046");
}

#[test]
fn a_date_that_is_not_believed_is_accepted_by_setting_it() {
    use backorderd::domain::plan::plan;
    let home = Home::in_sandbox();
    let far = ["eta", "set", "--order", "1046", "2027-06-01"];
    assert_eq!(home.run(&far).code, 2);
    assert_eq!(home.run(&[&far[..], &["--yes"]].concat()).code, 0);
    let later = Home::now().plus(Length::hours(1));
    home.app(later, async |app| {
        let ids = app.viewer.read.find_orders("1046", None).await.unwrap();
        let read = app
            .viewer
            .read
            .situations(&ids, app.mode(), later)
            .await
            .unwrap();
        let planned = plan(&read[0].situation, app.policy(), app.mode(), later);
        let [draft] = planned.drafts.as_slice() else {
            panic!("{planned:?}")
        };
        assert_eq!(draft.kind, backorderd::domain::kinds::Kind::Delay);
    });
}

#[test]
fn going_live_is_refused_while_the_configuration_says_sandbox() {
    let home = Home::in_sandbox();
    let told = home.run(&["live", "--yes", "Fern & Kettle"]);
    assert_eq!(told.code, 1);
    assert!(
        told.err.contains("HOME/backorderd.toml: mode = \"live\""),
        "{told:?}"
    );
    let text = format!("mode = \"sandbox\"\n{SHOP}");
    std::fs::write(home.path().join("backorderd.toml"), text).unwrap();
    let told = home.run(&["live"]);
    assert!(
        told.err.contains("change HOME/backorderd.toml:1 from"),
        "{told:?}"
    );
}

#[test]
fn going_live_shows_asks_and_records_who_did_it() {
    let home = Home::about_to_go_live();
    let before = home.run(&["check", "--offline"]);
    assert_eq!(before.code, 1);
    assert!(before.out.contains("nobody has gone live"), "{before:?}");

    let unasked = home.run(&["live"]);
    assert_eq!(unasked.code, 2, "{unasked:?}");
    assert!(
        unasked
            .out
            .contains("3 open orders are noted as they stand today"),
        "{unasked:?}"
    );
    // The baseline counts as known: nobody is confirmed to.
    assert!(!unasked.out.contains("confirmation"), "{unasked:?}");
    assert!(
        unasked.err.contains("add --yes \"Fern & Kettle\""),
        "{unasked:?}"
    );
    assert_eq!(home.run(&["live", "--yes", "Fern"]).code, 2);

    let done = home.run(&["live", "--yes", "Fern & Kettle"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(
        done.out
            .contains("LIVE  Fern & Kettle: 3 lines have a fresh baseline."),
        "{done:?}"
    );
    assert!(done.out.contains("backorderd hold --why"), "{done:?}");
    assert!(
        done.out
            .contains("mode = \"review\" in HOME/backorderd.toml"),
        "{done:?}"
    );
    home.app(Home::now(), async |app| {
        assert!(app.require_live_act().await.is_ok());
    });
    let again = home.run(&["live", "--yes", "Fern & Kettle"]);
    assert_eq!(again.code, 1);
    assert!(again.out.contains("is live already since"), "{again:?}");
}

/// What changes from machine to machine is taken out.
fn stable(text: &str) -> String {
    let mut out = text.replace(chrono_tz::IANA_TZDB_VERSION, "RULES");
    if let Some(at) = out.find(" kB") {
        let from = out[..at].rfind(' ').unwrap() + 1;
        out.replace_range(from..at, "N");
    }
    out
}

#[test]
fn check_says_one_line_per_matter() {
    let home = Home::in_sandbox();
    let told = home.run(&["check"]);
    assert_eq!(told.code, 0, "{told:?}");
    golden!(stable(&told.out));
    let answer = json(&home.run(&["--json", "check", "--offline"]));
    assert_eq!(answer["ok"], true);
    assert!(answer["items"].as_array().unwrap().len() > 10);
}

#[test]
fn check_finds_what_is_wrong() {
    use std::os::unix::fs::PermissionsExt;
    let status = |home: &Home, item: &str| -> String {
        let told = home.run(&["--json", "check", "--offline"]);
        let answer = json(&told);
        let items = answer["items"].as_array().unwrap();
        let of = |s: &str| items.iter().any(|i| i["item"] == item && i["status"] == s);
        let fails = items.iter().any(|i| i["status"] == "fail");
        assert_eq!(told.code, i32::from(fails), "{told:?}");
        ["fail", "warn", "ok"]
            .into_iter()
            .find(|s| of(s))
            .unwrap_or("none")
            .to_owned()
    };
    let home = Home::in_sandbox();
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(status(&home, "state folder"), "warn");
    std::fs::write(home.path().join("hold"), "").unwrap();
    assert_eq!(status(&home, "holds"), "warn");
    std::fs::write(home.path().join("backorderd.db.address-key"), [1; 32]).unwrap();
    assert_eq!(status(&home, "address key"), "fail");
    home.damage_database();
    assert_eq!(status(&home, "database"), "fail");

    let home = Home::with("mode = \"lvie\"\n");
    assert_eq!(status(&home, "configuration"), "fail");
    let home = Home::with(&format!("{SHOP}[templates]\ndir = \"mine\"\n"));
    assert_eq!(status(&home, "templates"), "fail");
    assert_eq!(status(&home, "database"), "warn");
    assert_eq!(
        std::fs::read_dir(home.path()).unwrap().count(),
        1,
        "looking makes nothing"
    );

    // The machine's clock lies behind what was stored.
    let home = Home::with(SHOP);
    assert_eq!(status(&home, "clock"), "ok");
    let far = Home::now().plus(Length::days(36_500));
    home.fill_at(far);
    assert_eq!(status(&home, "clock"), "fail");
    assert_eq!(status(&home, "secrets"), "none");
}

#[test]
fn a_secret_out_of_reach_does_not_end_the_check() {
    let home = Home::with(&format!(
        "{SHOP}[email]\nhost = \"smtp.fernkettle.example\"\nuser = \"u\"\n\
         from = \"orders@fernkettle.example\"\npassword = {{ file = \"nowhere\" }}\n"
    ));
    let told = home.run(&["check", "--offline"]);
    assert_eq!(told.code, 1, "{told:?}");
    assert!(told.out.contains("FAIL  secrets"), "{told:?}");
    assert!(
        told.out.contains("not tried: its password is out of reach"),
        "{told:?}"
    );
    assert!(told.out.contains("schedule"), "{told:?}");
}

#[test]
fn templates_are_checked_with_the_place_of_each_error() {
    let home = Home::in_sandbox();
    assert_eq!(home.run(&["templates", "check"]).code, 0);
    let mine = home.path().join("mine");
    let export = ["templates", "export", mine.to_str().unwrap()];
    let told = home.run(&export);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.out.contains("dir = \"HOME/mine\""), "{told:?}");
    let again = home.run(&export);
    assert_eq!(again.code, 1);
    assert!(again.err.contains("nothing was written"), "{again:?}");

    let config = format!("{SHOP}[templates]\ndir = \"mine\"\n[demo]\nnow = \"{NOW}\"\n");
    std::fs::write(home.path().join("backorderd.toml"), config).unwrap();
    assert_eq!(home.run(&["templates", "check"]).code, 0);
    let file = mine.join("en/delay/email.hbs");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(
        &file,
        text.replacen("{{> greeting}}", "{{> greting}} {{nubmer}}", 1),
    )
    .unwrap();
    golden!(home.transcript(&[&["templates", "check"]]));
    let answer = json(&home.run(&["--json", "templates", "check"]));
    assert_eq!(answer["ok"], false);
    assert_eq!(answer["problems"].as_array().unwrap().len(), 2);
}

#[test]
fn a_message_is_shown_before_anybody_gets_it() {
    let home = Home::in_sandbox();
    golden!(home.transcript(&[
        &["templates", "preview", "delay"],
        &["templates", "preview", "delay", "--sms", "--locale", "de"],
        &[
            "templates",
            "preview",
            "update",
            "--sample",
            "nothing like it"
        ],
        &["templates", "preview", "dealy"],
        &["templates", "preview", "--order", "1043"],
        &["templates", "preview", "shipped", "--order", "1043"],
    ]));
    home.owe_a_delay();
    let owed = home.run(&["templates", "preview", "--order", "1042"]);
    assert!(
        owed.out
            .starts_with("delay    e-mail in en    owed to order 1042 now"),
        "{owed:?}"
    );
    assert!(owed.out.contains("Friday 20 March"), "{owed:?}");
    home.app(Home::now(), async |app| {
        app.review_due("review", "test", None).await.unwrap()
    });
    let written = home.run(&["templates", "preview", "--order", "1042", "--locale", "de"]);
    assert!(
        written.out.contains("e-mail in de    message m"),
        "{written:?}"
    );
}

#[test]
fn previews_are_written_as_files() {
    let home = Home::in_sandbox();
    let out = home.path().join("mails");
    let told = home.run(&[
        "templates",
        "preview",
        "--all",
        "--out",
        out.to_str().unwrap(),
    ]);
    assert_eq!(told.code, 0, "{told:?}");
    let files = std::fs::read_dir(&out).unwrap().count();
    assert_eq!(files, 2 * 9 * 3 + 1);
    let index = std::fs::read_to_string(out.join("index.html")).unwrap();
    assert_eq!(index.matches("<iframe").count(), 18);
    assert!(index.contains("Fern &amp; Kettle"));
    let one = home.path().join("one");
    let told = home.run(&[
        "--json",
        "templates",
        "preview",
        "sooner",
        "--out",
        one.to_str().unwrap(),
    ]);
    assert_eq!(json(&told)["files"].as_array().unwrap().len(), 3);
    let eml = std::fs::read_to_string(one.join("en-sooner-1042.eml")).unwrap();
    assert!(eml.contains("To: customer@mail.example"), "{eml}");
    // Nowhere to write them, and a kind beside all kinds, are slips.
    assert_eq!(home.run(&["templates", "preview", "--all"]).code, 2);
    assert_eq!(
        home.run(&["templates", "preview", "delay", "--all", "--out", "x"])
            .code,
        2
    );
}

#[test]
fn the_configuration_is_shown_with_its_places() {
    let home = Home::in_sandbox();
    golden!(home.transcript(&[&["config", "path"]]));
    let shown = home.run(&["config", "show"]);
    assert!(shown.out.contains("# HOME/backorderd.toml:3"), "{shown:?}");
    assert_eq!(
        home.run(&["config", "defaults"]).out,
        backorderd::config::DEFAULTS
    );
    let settings = json(&home.run(&["--json", "config", "show"]));
    let days = settings
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["setting"] == "updates.days");
    assert_eq!(days.unwrap()["value"], serde_json::json!([7, 14]));
}
