//! Texts keep to the hours of the place where they arrive, also when
//! something else than the planner chose the moment they would go.

use backorderd::clock::SettableClock;
use backorderd::domain::ids::RunNo;
use backorderd::domain::time::Instant;
use backorderd::store::types::RunState;
use backorderd::store::write::operate::NewHold;
use chrono::Days;
use chrono::NaiveTime;
use serde_json::json;

use super::life::Lives;
use super::texts;
use crate::home::Home;
use crate::home::but;
use crate::home::in_days;
use crate::home::teapots;
use crate::home::today;
use crate::support::http_gateway::Answer;
use crate::support::http_gateway::HttpGateway;
use crate::support::ledger_smtp::LedgerSmtp;
use crate::support::ledger_smtp::Manners;

/// The customer's own time; the shop is in London.
const CUSTOMER: chrono_tz::Tz = chrono_tz::America::New_York;

/// That time of day in New York, so many days from now.
fn there(days: u64, time: &str) -> Instant {
    let day = today().checked_add_days(Days::new(days)).expect("a day");
    let time = NaiveTime::parse_from_str(time, "%H:%M").expect("a time of day");
    backorderd::domain::time::at_time(day, time, CUSTOMER)
}

/// A shop in London with news for a customer in New York who wants texts,
/// between nine and eight.
struct Scene {
    gateway: HttpGateway,
    home: Home,
    lives: Lives,
    _relay: LedgerSmtp,
}

impl Scene {
    /// Planned at that time of tomorrow there; the gateway gives this answer
    /// first and takes everything after it.
    fn at(time: &str, first: Option<Answer>, mode: &str) -> Scene {
        let mut first = first;
        let gateway = HttpGateway::start(move |_| {
            first
                .take()
                .unwrap_or_else(|| Answer::json(201, &json!({"id": "g-1"})))
        });
        let relay = LedgerSmtp::start(Manners::default());
        let mut home = Home::live(relay.port(), &texts::settings(&gateway));
        home.set("SMS__HOURS", "[\"Mon-Sun 09:00-20:00\"]");
        home.set("MODE", mode);
        let row = |days| {
            but(
                texts::texted(teapots("1042", in_days(days))),
                json!({"time_zone": CUSTOMER.name()}),
            )
        };
        home.import(&[row(20)]);
        home.import(&[row(31)]);
        Scene {
            gateway,
            home,
            lives: Lives::from(SettableClock::at(there(1, time))),
            _relay: relay,
        }
    }

    /// The daemon lives at that time; answers the requests so far.
    fn live_at(&self, days: u64, time: &str) -> usize {
        self.lives.clock.set(there(days, time));
        self.lives.once(&self.home);
        self.gateway.requests().len()
    }

    fn waits(&self) -> (String, String) {
        let rows: Vec<(String, i64)> = self.home.rows("SELECT state, due_at FROM messages");
        assert_eq!(rows.len(), 1);
        let due = Instant(rows[0].1).in_zone(CUSTOMER);
        (rows[0].0.clone(), due.format("%F %H:%M").to_string())
    }

    fn morning_after(&self) -> (String, String) {
        let morning = there(2, "09:00").in_zone(CUSTOMER);
        ("queued".to_owned(), morning.format("%F %H:%M").to_string())
    }
}

#[test]
fn a_text_put_off_by_the_gateway_into_the_evening_waits_for_the_morning() {
    let patience = Answer::Reply {
        status: 429,
        headers: vec![("retry-after".to_owned(), "1800".to_owned())],
        body: String::new(),
    };
    let scene = Scene::at("19:50", Some(patience), "live");
    assert_eq!(scene.live_at(1, "19:50"), 1, "asked, and told to wait");
    assert_eq!(scene.live_at(1, "20:25"), 1, "too late in the evening");
    assert_eq!(scene.waits(), scene.morning_after());
    assert_eq!(scene.live_at(2, "08:59"), 1);
    assert_eq!(scene.live_at(2, "09:00"), 2);
    assert_eq!(scene.waits().0, "sent");
}

#[test]
fn a_hold_lifted_at_night_lets_texts_go_in_the_morning() {
    let scene = Scene::at("19:50", None, "live");
    let store = async || scene.lives.app(&scene.home).await.store.clone();
    let hold = NewHold {
        scope: "channel",
        key: "sms".to_owned(),
        by: "mira".to_owned(),
        why: "look first".to_owned(),
        until: None,
    };
    scene.lives.block_on(async {
        store()
            .await
            .hold(hold, there(1, "19:50"))
            .await
            .expect("a hold");
    });
    assert_eq!(scene.live_at(1, "19:50"), 0);
    let lifted = scene.lives.block_on(async {
        let store = store().await;
        store
            .release("channel", "sms", "mira", None, there(1, "23:30"))
            .await
    });
    assert!(lifted.expect("a release"));
    assert_eq!(scene.live_at(1, "23:30"), 0, "at night");
    assert_eq!(scene.waits(), scene.morning_after());
    assert_eq!(scene.live_at(2, "09:00"), 1);
}

#[test]
fn a_hold_file_taken_away_at_night_lets_texts_go_in_the_morning() {
    let scene = Scene::at("19:50", None, "live");
    scene.home.ok(&["hold", "--file", "--why", "look first"]);
    assert_eq!(scene.live_at(1, "19:50"), 0);
    scene.home.ok(&["release", "--file"]);
    assert_eq!(scene.live_at(1, "23:30"), 0, "at night");
    assert_eq!(scene.waits(), scene.morning_after());
    assert_eq!(scene.live_at(2, "09:00"), 1);
}

#[test]
fn a_run_approved_at_night_texts_in_the_morning() {
    let scene = Scene::at("19:50", None, "review");
    assert_eq!(scene.live_at(1, "19:50"), 0, "waits for a person");
    let approved = scene.lives.block_on(async {
        let app = scene.lives.app(&scene.home).await;
        let run = app.viewer.read.runs(None, 1).await.expect("the runs")[0].no;
        let night = there(1, "22:00");
        let to = RunState::Approved;
        app.store
            .decide_run(RunNo(run.0), to, "mira", None, night)
            .await
    });
    assert_eq!(approved.expect("an approval"), Some(1));
    assert_eq!(scene.live_at(1, "22:00"), 0, "at night");
    assert_eq!(scene.waits(), scene.morning_after());
    assert_eq!(scene.live_at(2, "09:00"), 1);
}

#[test]
fn a_daemon_that_was_down_in_the_evening_does_not_text_at_night() {
    let scene = Scene::at("19:50", None, "live");
    scene.lives.block_on(async {
        let app = scene.lives.app(&scene.home).await;
        let planned = app.review_due("review", "test", None).await;
        assert_eq!(planned.expect("a review").messages, 1);
    });
    assert_eq!(
        scene.waits().1,
        there(1, "19:50")
            .in_zone(CUSTOMER)
            .format("%F %H:%M")
            .to_string()
    );
    assert_eq!(scene.live_at(2, "03:00"), 0, "at night");
    assert_eq!(scene.waits(), scene.morning_after());
    assert_eq!(scene.live_at(2, "09:00"), 1);
}
