//! Verbs that have to give way in the middle: the engine takes a transaction
//! back (serialization failure, deadlock, lock timeout), ends its session (idle
//! for too long, an administrator), or cuts a statement short (statement
//! timeout). Only a server does that.
//!
//! A trigger on every table raises the error at a chosen touch, once: the first,
//! the second, and so on to the last of each verb, and with the COMMIT itself.
//! The count is a sequence, which no rollback takes back.

use super::props::{MONDAY, accepted, at, mark_of, teapots, worker};
use super::stage::Stage;
use crate::support::postgres::Database;
use backorderd::domain::kinds::ChannelName;
use backorderd::domain::message::MessageState;
use backorderd::domain::time::Length;
use backorderd::store::types::StoreError;
use backorderd::store::write::operate::NewHold;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor};

promises![
    a_verb_that_has_to_give_way_runs_again_and_happens_once,
    a_statement_that_was_cut_short_changes_nothing_and_may_be_asked_again,
];

/// What a transaction is taken back with, and safe to run again after.
const GIVES_WAY: [&str; 6] = ["40001", "40P01", "55P03", "25P03", "57P01", "session"];

/// `session` really ends the session; the others are the server's words.
const STUMBLE: &str = "
CREATE SEQUENCE touches;
CREATE TABLE stumble (at BIGINT NOT NULL, code TEXT NOT NULL);
INSERT INTO stumble VALUES (0, '');
CREATE FUNCTION stumble() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE s stumble%ROWTYPE;
BEGIN
  SELECT * INTO s FROM stumble;
  IF s.at > 0 AND nextval('touches') = s.at THEN
    IF s.code = 'session' THEN
      PERFORM pg_terminate_backend(pg_backend_pid());
    ELSE
      RAISE EXCEPTION 'made to give way' USING ERRCODE = s.code;
    END IF;
  END IF;
  RETURN NULL;
END $$;
DO $$ DECLARE t TEXT; BEGIN
  FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public'
      AND tablename NOT IN ('stumble', '_sqlx_migrations') LOOP
    EXECUTE format('CREATE TRIGGER stumbles AFTER INSERT OR UPDATE OR DELETE ON %I
      FOR EACH STATEMENT EXECUTE FUNCTION stumble()', t);
    EXECUTE format('CREATE CONSTRAINT TRIGGER stumbles_late AFTER INSERT OR UPDATE OR DELETE ON %I
      DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION stumble()', t);
  END LOOP;
END $$";

/// Makes verbs stumble.
struct Stumbles(PgConnection);

impl Stumbles {
    async fn on(database: &Database) -> Stumbles {
        let mut conn = database.connect().await;
        conn.execute(STUMBLE).await.expect("triggers");
        Stumbles(conn)
    }

    /// The `nth` touch from now on fails with `code`.
    async fn arm(&mut self, nth: u32, code: &str) {
        let words = format!(
            "SELECT setval('touches', 1, false); UPDATE stumble SET at = {nth}, code = '{code}'"
        );
        self.0.execute(AssertSqlSafe(words)).await.expect("armed");
    }

    /// Whether a verb has stumbled since; no further one does.
    async fn have_been(&mut self) -> bool {
        let seen = "SELECT (SELECT is_called AND last_value >= s.at FROM touches) FROM stumble s";
        let seen = sqlx::query_scalar(seen).fetch_one(&mut self.0).await;
        self.0
            .execute("UPDATE stumble SET at = 0")
            .await
            .expect("disarmed");
        seen.expect("an answer")
    }
}

/// The order of a round, and its line.
fn order_of(round: u32) -> (String, String) {
    (format!("L{round}"), format!("{}", 1000 + round))
}

/// Every kind of verb once, each made to stumble at its `nth` touch; answers
/// which did. What they answer is what they answer without it.
async fn every_verb(
    stage: &Stage,
    stumbles: &mut Stumbles,
    round: u32,
    nth: u32,
    code: &str,
) -> Vec<&'static str> {
    let store = &stage.store;
    let now = at(MONDAY);
    let (line, number) = order_of(round);
    let name = format!("{code} {nth}");
    let mut stumbled = Vec::new();
    // What a verb is called, and the verb.
    macro_rules! verb {
        ($name:literal, $verb:expr) => {{
            stumbles.arm(nth, code).await;
            let answer = $verb.await;
            if stumbles.have_been().await {
                stumbled.push($name);
            }
            answer
        }};
    }
    verb!("import", stage.announce(&[teapots(&line, &number)], MONDAY));
    let planner = worker(3);
    let mine = stage.order(&number).await;
    let took = verb!("take due orders", store.take_due(planner, now, 100)).unwrap();
    assert!(took.contains(&mine), "{name}");
    let took = verb!("take orders", store.take_orders(planner, &[mine])).unwrap();
    assert_eq!(took, [mine], "{name}");
    stage
        .force("UPDATE contacts SET planned_by = NULL, planned_until = NULL")
        .await
        .unwrap();
    let written = verb!("review", stage.review(MONDAY));
    assert_eq!(written.messages.len(), 1, "{name}");
    let claimed = verb!("claim", stage.claim(1, MONDAY));
    assert_eq!((claimed.len(), claimed[0].epoch), (1, 1), "{name}");
    let message = &claimed[0];
    assert!(verb!("mark", stage.mark(1, message, MONDAY)), "{name}");
    let recorded = verb!("record", stage.record(1, message, accepted(), MONDAY));
    assert!(recorded, "{name}");
    assert_eq!(stage.state(message.no).await, MessageState::Sent, "{name}");
    assert_eq!(stage.message(message.no).await.attempts, 1, "{name}");
    assert_eq!(stage.told(&number).await.len(), 1, "{name}");

    let hold = NewHold {
        scope: "order",
        key: number.clone(),
        by: "mira".to_owned(),
        why: "stop".to_owned(),
        until: None,
    };
    assert!(verb!("hold", store.hold(hold, now)).unwrap(), "{name}");
    let released = verb!(
        "release",
        store.release("order", &number, "mira", None, now)
    );
    assert!(released.unwrap(), "{name}");
    let email = ChannelName::Email;
    let stop = store.suppress(&name, email, "stop", "person", now);
    verb!("suppress", stop).unwrap();
    let woken = verb!("wake all", store.wake_all(now)).unwrap();
    assert_eq!(woken, u64::from(round), "{name}");
    stage.review(MONDAY).await;
    let job = format!("job {name}");
    let tick = verb!("take a tick", store.lease_tick(&job, now, worker(2), now));
    assert!(tick.unwrap(), "{name}");
    let stored = verb!("store a tick", store.store_tick(&job, now));
    assert!(stored.unwrap(), "{name}");
    assert!(verb!("beat", store.beat(worker(2), now)).unwrap(), "{name}");
    let audit = store.audit("anna", "tried", &name, None, now);
    verb!("audit", audit).unwrap();
    verb!("put a setting", store.put_meta(&name, "x")).unwrap();
    stage.dies(9).await;
    let swept = verb!("sweep", store.sweep(worker(1), now)).unwrap();
    assert_ne!(swept, Default::default(), "{name}");
    verb!("enlist", stage.enlist(9));
    verb!("tidy", store.tidy(now, Length::hours(24))).unwrap();
    stumbled
}

async fn a_verb_that_has_to_give_way_runs_again_and_happens_once(stage: Stage) {
    let database = stage.database().expect("a server");
    let mut stumbles = Stumbles::on(database).await;
    let mut round = 0;
    for code in GIVES_WAY {
        let mut all = Vec::new();
        for nth in 1..=6 {
            round += 1;
            all.extend(every_verb(&stage, &mut stumbles, round, nth, code).await);
        }
        for verb in [
            "import",
            "review",
            "claim",
            "mark",
            "record",
            "hold",
            "release",
            "suppress",
            "wake all",
            "take a tick",
            "beat",
            "audit",
            "sweep",
            "enlist",
            "take due orders",
        ] {
            assert!(all.contains(&verb), "{code}: {verb} never had to give way");
        }
        println!("{code}: {} verbs had to give way", all.len());
    }
    // Nothing was done twice on the way.
    let n = i64::from(round);
    for (what, sql) in [
        ("orders", "SELECT count(*) FROM orders"),
        ("attempts", "SELECT count(*) FROM attempts"),
        ("messages", "SELECT count(*) FROM messages"),
        ("told", "SELECT count(*) FROM told WHERE basis = 'accepted'"),
        ("audit", "SELECT count(*) FROM audit WHERE verb = 'tried'"),
    ] {
        assert_eq!(stage.number(sql).await, n, "{what}");
    }
}

/// A timeout would as likely come again: the caller hears of it and decides.
async fn a_statement_that_was_cut_short_changes_nothing_and_may_be_asked_again(stage: Stage) {
    let database = stage.database().expect("a server");
    let mut stumbles = Stumbles::on(database).await;
    stage.announce(&[teapots("L1", "1001")], MONDAY).await;
    stage.review(MONDAY).await;
    let message = stage.claim(1, MONDAY).await.remove(0);
    let cut_short = |error: &StoreError| matches!(error, StoreError::Statement { .. });

    stumbles.arm(2, "57014").await;
    let mark = stage.store.mark(worker(1), mark_of(&message), at(MONDAY));
    assert!(mark.await.as_ref().is_err_and(cut_short));
    assert!(stumbles.have_been().await);
    assert_eq!(stage.state(message.no).await, MessageState::Leased);
    assert_eq!(stage.number("SELECT count(*) FROM attempts").await, 0);
    assert!(stage.mark(1, &message, MONDAY).await);

    stumbles.arm(3, "57014").await;
    let report = stage.report(&message, accepted(), at(MONDAY));
    let record = stage.store.record(worker(1), report, at(MONDAY));
    assert!(record.await.as_ref().is_err_and(cut_short));
    assert!(stumbles.have_been().await);
    assert_eq!(stage.state(message.no).await, MessageState::Submitting);
    assert!(stage.told("1001").await.is_empty());
    assert!(stage.record(1, &message, accepted(), MONDAY).await);
    assert_eq!(stage.told("1001").await.len(), 1);
    assert_eq!(stage.message(message.no).await.attempts, 1);
}
