//! The stage the cases play on: a fresh database of one back end, a shop, and
//! the moves everybody makes (import, review, claim, send).

use super::props::{MONDAY, accepted, ask, at, email_hash, hashes, mark_of, teapots, worker};
use super::verdicts;
use crate::support::postgres::Database;
use backorderd::domain::bundle::{PlannedMessage, PlannedNotice, bundle};
use backorderd::domain::contact::{EmailAddress, Locale};
use backorderd::domain::feed::FileMark;
use backorderd::domain::ids::{MessageNo, MessageUid, OrderId};
use backorderd::domain::kinds::ChannelName;
use backorderd::domain::message::{Flight, MessageState, land};
use backorderd::domain::mirror::{MergeRules, MirrorChanges, MirrorCounts, merge, order_key};
use backorderd::domain::notice_key::Mode;
use backorderd::domain::order::Situation;
use backorderd::domain::outcome::Outcome;
use backorderd::domain::plan::plan;
use backorderd::domain::policy::Policy;
use backorderd::domain::row::Row;
use backorderd::domain::time::{Instant, Length};
use backorderd::domain::worker::Role;
use backorderd::store::postgres::listen::CHANNEL;
use backorderd::store::read::lists::MessageFilter;
use backorderd::store::read::situations::ReadSituation;
use backorderd::store::types::{
    Claimed, MessageRow, NewRun, OutgoingMessage, PlannedOrder, Record, Review, ReviewWritten,
    StoreError,
};
use backorderd::store::write::deliver::Claim;
use backorderd::store::write::mirror::MirrorInput;
use backorderd::store::write::workers::NewWorker;
use backorderd::store::{Place, Store};
use sqlx::postgres::{PgConnection, PgListener};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, Executor};
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// The engines the contract is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackEnd {
    Sqlite,
    Postgres,
}

const BACK_ENDS: [BackEnd; 2] = [BackEnd::Sqlite, BackEnd::Postgres];

/// Plays a case on a fresh stage of each back end, unless a list says why it is
/// not for one of them.
pub fn on_every_back_end<F: Future<Output = ()>>(name: &str, case: impl Fn(Stage) -> F) {
    for back_end in BACK_ENDS {
        if let Some(why) = verdicts::reason_against(name, back_end) {
            println!("back end: not {back_end:?}, {why}");
            verdicts::note(name, back_end, why);
            continue;
        }
        println!("back end: {back_end:?}");
        verdicts::note(name, back_end, "begun");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let ground = Arc::new(Ground::lay(back_end).await);
            case(Stage::set(ground.clone()).await).await;
            // A case that fails leaves its database for a look.
            ground.clear().await;
        });
        verdicts::note(name, back_end, "ok");
    }
}

const FILE: &str = "b.sqlite";

fn address(url: &str) -> Place {
    Place::parse(url).expect("an address")
}

/// Where a case's database is.
enum Ground {
    Sqlite(tempfile::TempDir),
    Postgres {
        fresh: Database,
        /// Made when it is asked for: it takes its time.
        empty: OnceCell<Database>,
    },
}

impl Ground {
    fn place(&self) -> Place {
        match self {
            Ground::Sqlite(dir) => Place::Sqlite(dir.path().join(FILE)),
            Ground::Postgres { fresh, .. } => address(&fresh.url()),
        }
    }

    async fn lay(back_end: BackEnd) -> Ground {
        match back_end {
            BackEnd::Sqlite => Ground::Sqlite(tempfile::tempdir().expect("a directory")),
            BackEnd::Postgres => Ground::Postgres {
                fresh: Database::fresh().await,
                empty: OnceCell::new(),
            },
        }
    }

    async fn clear(self: Arc<Ground>) {
        if let Some(Ground::Postgres { fresh, empty }) = Arc::into_inner(self) {
            fresh.drop().await;
            if let Some(empty) = empty.into_inner() {
                empty.drop().await;
            }
        }
    }
}

enum Raw {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// Who works on every stage.
const WORKERS: std::ops::RangeInclusive<u128> = 1..=9;
/// Longer than a case takes on a slow machine.
const ALIVE: Length = Length::hours(1);

/// See [`Stage::standstill`].
pub struct Standstill(Raw);

impl Standstill {
    /// Changes what nobody else can change meanwhile, and lets go.
    pub async fn and_then(self, words: &'static str) {
        let (words, end) = (sqlx::raw_sql(words), "COMMIT");
        let done = match self.0 {
            Raw::Sqlite(mut raw) => {
                raw.execute(words).await.expect("a change");
                raw.execute(end).await.map(drop)
            }
            Raw::Postgres(mut raw) => {
                raw.execute(words).await.expect("a change");
                raw.execute(end).await.map(drop)
            }
        };
        done.expect("an end");
    }

    pub async fn let_go(self) {
        let done = match self.0 {
            Raw::Sqlite(mut raw) => raw.execute("ROLLBACK").await.map(drop),
            Raw::Postgres(mut raw) => raw.execute("ROLLBACK").await.map(drop),
        };
        done.expect("an end");
    }
}

/// One fresh database with one shop.
pub struct Stage {
    ground: Arc<Ground>,
    pub store: Store,
    pub shop: i64,
    pub mode: Mode,
    pub policy: Policy,
    /// The digest of the settings reviews are planned under.
    pub settings: &'static str,
    uids: AtomicU64,
}

impl Stage {
    async fn set(ground: Arc<Ground>) -> Stage {
        let store = Store::open(&ground.place()).await.expect("a store");
        let shop = store
            .ensure_shop("shop", "The Shop", "Europe/London")
            .await
            .expect("a shop");
        let stage = Stage {
            ground,
            store,
            shop,
            mode: Mode::Live,
            policy: Policy::default(),
            settings: "",
            uids: AtomicU64::new(1),
        };
        for by in WORKERS {
            stage.enlist(by).await;
        }
        stage
    }

    /// Makes a worker known, alive for longer than a case takes.
    pub async fn enlist(&self, by: u128) {
        let worker = NewWorker {
            id: worker(by),
            name: None,
            host: "mill".to_owned(),
            pid: u32::try_from(by).expect("a small number"),
            version: "1.0.0".to_owned(),
            role: Role::All,
            alive: ALIVE,
        };
        let enlisted = self.store.enlist(worker, at(MONDAY)).await;
        enlisted.expect("an enlisted worker");
    }

    /// A worker falls silent for longer than it promised.
    pub async fn dies(&self, by: u128) {
        const SILENT: &str = "UPDATE workers SET heartbeat_at = heartbeat_at - $2 WHERE id = $1";
        let (id, silent) = (worker(by).0, ALIVE.0 + 1);
        let died = match self.raw().await {
            Raw::Sqlite(mut raw) => {
                let silent = sqlx::query(SILENT).bind(id).bind(silent);
                silent.execute(&mut raw).await.map(|d| d.rows_affected())
            }
            Raw::Postgres(mut raw) => {
                let silent = sqlx::query(SILENT).bind(id).bind(silent);
                silent.execute(&mut raw).await.map(|d| d.rows_affected())
            }
        };
        let died = died.expect("an answer");
        // With a file everybody else is forgotten with the first sweep.
        if let BackEnd::Postgres = self.back_end() {
            assert_eq!(died, 1, "no worker {by}");
        }
    }

    pub fn back_end(&self) -> BackEnd {
        match &*self.ground {
            Ground::Sqlite(_) => BackEnd::Sqlite,
            Ground::Postgres { .. } => BackEnd::Postgres,
        }
    }

    /// The database on a server, where it is on one.
    pub fn database(&self) -> Option<&Database> {
        match &*self.ground {
            Ground::Sqlite(_) => None,
            Ground::Postgres { fresh, .. } => Some(fresh),
        }
    }

    /// Where the database is.
    pub fn place(&self) -> Place {
        self.ground.place()
    }

    /// Where one can be made: there is nothing of ours yet.
    pub async fn empty_place(&self) -> Place {
        match &*self.ground {
            Ground::Sqlite(dir) => Place::Sqlite(dir.path().join("fresh.sqlite")),
            Ground::Postgres { empty, .. } => {
                address(&empty.get_or_init(Database::empty).await.url())
            }
        }
    }

    /// Where there is none.
    pub fn nowhere(&self) -> Place {
        match &*self.ground {
            Ground::Sqlite(dir) => Place::Sqlite(dir.path().join("none.sqlite")),
            Ground::Postgres { fresh, .. } => address(&fresh.url_of_none()),
        }
    }

    /// Another process's handle to the same data.
    pub async fn another_store(&self) -> Store {
        Store::open(&self.place()).await.expect("a second store")
    }

    async fn raw(&self) -> Raw {
        match &*self.ground {
            Ground::Sqlite(dir) => Raw::Sqlite(
                SqliteConnectOptions::new()
                    .filename(dir.path().join(FILE))
                    .foreign_keys(true)
                    .connect()
                    .await
                    .expect("a connection"),
            ),
            Ground::Postgres { fresh, .. } => Raw::Postgres(fresh.connect().await),
        }
    }

    /// Hears every notification, where the engine has some.
    pub async fn listener(&self) -> Option<PgListener> {
        let Ground::Postgres { fresh, .. } = &*self.ground else {
            return None;
        };
        let mut listener = PgListener::connect(&fresh.url()).await.expect("a listener");
        listener.listen(CHANNEL).await.expect("a channel");
        Some(listener)
    }

    /// A number no reader shows.
    pub async fn number(&self, sql: &'static str) -> i64 {
        let n: Option<i64> = match self.raw().await {
            Raw::Sqlite(mut raw) => sqlx::query_scalar(sql).fetch_one(&mut raw).await,
            Raw::Postgres(mut raw) => sqlx::query_scalar(sql).fetch_one(&mut raw).await,
        }
        .expect("a number");
        n.unwrap_or(-1)
    }

    /// Changes what no verb changes; answers the engine's own verdict.
    pub async fn force(&self, sql: &'static str) -> Result<u64, sqlx::Error> {
        match self.raw().await {
            Raw::Sqlite(mut raw) => {
                let done = sqlx::query(sql).execute(&mut raw).await;
                raw.close().await.expect("a closed connection");
                done.map(|d| d.rows_affected())
            }
            Raw::Postgres(mut raw) => {
                let done = sqlx::query(sql).execute(&mut raw).await;
                done.map(|d| d.rows_affected())
            }
        }
    }

    /// Keeps all messages as they are until it is let go. On PostgreSQL whoever
    /// changes one waits there, with what it looked at before in its hands; on
    /// SQLite nobody writes at all.
    pub async fn standstill(&self) -> Standstill {
        Standstill(match self.raw().await {
            Raw::Sqlite(mut raw) => {
                let stop = raw.execute("BEGIN IMMEDIATE").await;
                stop.expect("the file's lock");
                Raw::Sqlite(raw)
            }
            Raw::Postgres(mut raw) => {
                let stop = sqlx::raw_sql("BEGIN; SELECT no FROM messages FOR UPDATE");
                raw.execute(stop).await.expect("the messages' locks");
                Raw::Postgres(raw)
            }
        })
    }

    /// Returns when this many writers wait for a lock, or when `last` is done.
    /// SQLite does not say who waits: there it returns at once.
    pub async fn until_waiting<T>(&self, n_writers: i64, last: &JoinHandle<T>) {
        if let BackEnd::Sqlite = self.back_end() {
            return;
        }
        let waiting = "SELECT count(*) FROM pg_stat_activity \
            WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while self.number(waiting).await < n_writers && !last.is_finished() {}
    }

    // ---- the shop speaks ----

    pub fn rules(&self, now: Instant, announce: bool) -> MergeRules {
        MergeRules {
            now,
            shop_zone: chrono_tz::Europe::London,
            confirmation: self.policy.confirmation.clone(),
            announce,
            is_push: false,
        }
    }

    /// What rows change, and the input to commit it with.
    pub async fn merged(
        &self,
        rows: &[Row],
        announce: bool,
        now: &str,
    ) -> (MirrorInput, MirrorChanges) {
        let orders: Vec<&str> = rows.iter().map(order_key).collect();
        let lines: Vec<&str> = rows.iter().map(|r| r.line_key.as_str()).collect();
        let read = self
            .store
            .read()
            .mirror(self.shop, &orders, &lines)
            .await
            .expect("the mirror");
        let changes = merge(rows, &read.mirror, &self.rules(at(now), announce));
        let input = MirrorInput {
            shop_id: self.shop,
            source: "orders.csv".to_owned(),
            source_kind: "file".to_owned(),
            revision: read.revision,
            mode: self.mode,
            now: at(now),
            hashes: changes
                .orders
                .iter()
                .map(|o| (o.key.clone(), hashes(&o.contact)))
                .collect(),
            complete: true,
            mark: FileMark::default(),
            rejected: Vec::new(),
        };
        (input, changes)
    }

    /// Takes rows in; a first sight is adopted.
    pub async fn import(&self, rows: &[Row], now: &str) -> MirrorCounts {
        self.take(rows, false, now).await
    }

    /// Takes rows in and lets a first sight be confirmed to customers.
    pub async fn announce(&self, rows: &[Row], now: &str) -> MirrorCounts {
        self.take(rows, true, now).await
    }

    async fn take(&self, rows: &[Row], announce: bool, now: &str) -> MirrorCounts {
        let (input, changes) = self.merged(rows, announce, now).await;
        let counts = changes.counts;
        self.store
            .commit_mirror(input, changes)
            .await
            .expect("a committed import");
        counts
    }

    // ---- deciding ----

    pub async fn due(&self, now: &str) -> Vec<OrderId> {
        let read = self.store.read();
        read.due_orders(at(now), 10_000).await.expect("due orders")
    }

    pub async fn order(&self, number: &str) -> OrderId {
        let found = self.store.read().find_orders(number, None).await;
        found.expect("a search")[0]
    }

    pub async fn situations(&self, orders: &[OrderId], now: &str) -> Vec<ReadSituation> {
        self.store
            .read()
            .situations(orders, self.mode, at(now))
            .await
            .expect("situations")
    }

    pub async fn situation(&self, number: &str, now: &str) -> Situation {
        let order = self.order(number).await;
        self.situations(&[order], now).await.remove(0).situation
    }

    /// Reviews what is due at `now`, without writing it.
    pub async fn plan(&self, now: &str) -> Review {
        let due = self.due(now).await;
        self.plan_orders(&due, now).await
    }

    pub async fn plan_orders(&self, orders: &[OrderId], now: &str) -> Review {
        let read = self.situations(orders, now).await;
        let hashes: HashMap<OrderId, _> = read
            .iter()
            .map(|r| (r.situation.order.id, r.hashes.clone()))
            .collect();
        let situations: Vec<Situation> = read.into_iter().map(|r| r.situation).collect();
        let mut plans: Vec<_> = situations
            .iter()
            .map(|s| plan(s, &self.policy, self.mode, at(now)))
            .collect();
        let locale = Locale::parse("en").expect("a locale");
        let messages = bundle(&situations, &mut plans, &self.policy, &locale, at(now));
        let run = NewRun {
            job: "review".to_owned(),
            due: None,
            mode: self.mode,
            by: "test".to_owned(),
        };
        Review {
            run: self.store.begin_run(run, at(now)).await.expect("a run"),
            mode: self.mode,
            orders: plans
                .into_iter()
                .map(|p| PlannedOrder {
                    order: p.order,
                    review_version: p.review_version,
                    keep: p.keep,
                    supersede: p.supersede,
                    verdicts: p.verdicts,
                    wake: p.wake,
                })
                .collect(),
            messages: messages
                .into_iter()
                .map(|planned| {
                    let order = planned.notices[0].order;
                    let contact = situations.iter().find(|s| s.order.id == order);
                    let contact = &contact.expect("its order").order.contact;
                    let (recipient, hash) = match planned.channel {
                        ChannelName::Email => (
                            contact.email.as_ref().map(EmailAddress::expose),
                            &hashes[&order].email,
                        ),
                        ChannelName::Sms => (
                            contact.phone.as_ref().map(|p| p.expose().to_owned()),
                            &hashes[&order].phone,
                        ),
                    };
                    OutgoingMessage {
                        uid: self.uid(),
                        resend_of: None,
                        planned,
                        recipient: recipient.expect("an address"),
                        address_hash: hash.clone().expect("a hash"),
                    }
                })
                .collect(),
            held: false,
            settings: self.settings.to_owned(),
            brake: None,
            planner: None,
        }
    }

    pub fn uid(&self) -> MessageUid {
        let n = self.uids.fetch_add(1, Ordering::Relaxed);
        MessageUid(Uuid::from_u128(0x0190_0000 << 96 | u128::from(n)))
    }

    pub async fn commit(&self, review: Review, now: &str) -> ReviewWritten {
        let written = self.store.commit_review(review, at(now)).await;
        written.expect("a committed review")
    }

    pub async fn review(&self, now: &str) -> ReviewWritten {
        let review = self.plan(now).await;
        self.commit(review, now).await
    }

    // ---- delivering ----

    pub async fn claim(&self, by: u128, now: &str) -> Vec<Claimed> {
        self.claim_as(ask(worker(by), self.mode, at(now))).await
    }

    pub async fn claim_as(&self, ask: Claim) -> Vec<Claimed> {
        self.store.claim(ask).await.expect("a claim")
    }

    pub async fn mark(&self, by: u128, message: &Claimed, now: &str) -> bool {
        let mark = self.store.mark(worker(by), mark_of(message), at(now));
        mark.await.expect("a mark")
    }

    /// What a worker reports: the outcome with what the domain makes of it.
    pub fn report(&self, message: &Claimed, outcome: Outcome, now: Instant) -> Record {
        let flight = Flight {
            kind: message.kind,
            attempts: message.counted + 1,
            doubts: message.doubts,
            due_since: message.due_since,
            not_after: message.not_after,
        };
        Record {
            no: message.no,
            epoch: message.epoch,
            landing: land(&flight, &outcome, &self.policy.retry, 0.5, now),
            outcome,
            facts: message.facts.clone(),
        }
    }

    pub async fn record(&self, by: u128, message: &Claimed, is: Outcome, now: &str) -> bool {
        let report = self.report(message, is, at(now));
        let recorded = self.store.record(worker(by), report, at(now)).await;
        recorded.expect("a record")
    }

    /// Claims and marks everything due; answers what is being sent.
    pub async fn submit(&self, by: u128, now: &str) -> Vec<Claimed> {
        let claimed = self.claim(by, now).await;
        for message in &claimed {
            assert!(self.mark(by, message, now).await, "a mark was refused");
        }
        claimed
    }

    /// Sends everything due, each with this outcome.
    pub async fn land(&self, by: u128, outcome: Outcome, now: &str) -> Vec<Claimed> {
        let submitted = self.submit(by, now).await;
        for message in &submitted {
            let recorded = self.record(by, message, outcome.clone(), now).await;
            assert!(recorded, "a record was refused");
        }
        submitted
    }

    /// Reviews and sends; answers how many went out.
    pub async fn write(&self, now: &str) -> usize {
        self.review(now).await;
        self.land(1, accepted(), now).await.len()
    }

    /// Order 1042 of two teapots, whose customer was told 6 March.
    pub async fn told_teapots(&self) {
        self.announce(&[teapots("L1", "1042")], MONDAY).await;
        assert_eq!(self.write(MONDAY).await, 1);
        self.review(MONDAY).await;
    }

    pub async fn message(&self, no: MessageNo) -> MessageRow {
        let filter = MessageFilter {
            no: Some(no),
            ..MessageFilter::default()
        };
        let rows = self.store.read().messages(&filter, 1).await;
        rows.expect("messages").remove(0)
    }

    pub async fn state(&self, no: MessageNo) -> MessageState {
        self.message(no).await.state
    }

    /// The words of an order's ledger: `2026-03-06 accepted`.
    pub async fn told(&self, number: &str) -> Vec<String> {
        let order = self.order(number).await;
        let told = self.store.read().told_history(order, self.mode).await;
        told.expect("the ledger")
            .iter()
            .map(|t| format!("{} {}", t.promise, t.basis))
            .collect()
    }
}

/// The commit was refused because somebody else was faster.
pub fn overtaken<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Overtaken))
}

/// A message about an order as some other planner might write it: the first
/// one ever planned for it, with a uid of its own.
pub async fn teapots_message(stage: &Stage, number: &str) -> OutgoingMessage {
    let s = stage.situation(number, MONDAY).await;
    let first = s.notices[0].message;
    let read = stage.store.read();
    let (recipient, facts) = read
        .message_facts(first)
        .await
        .expect("facts")
        .expect("a message");
    OutgoingMessage {
        uid: stage.uid(),
        resend_of: None,
        planned: PlannedMessage {
            contact: s.order.contact_id,
            channel: s.notices[0].channel,
            kind: s.notices[0].kind,
            notices: vec![PlannedNotice {
                order: s.order.id,
                discriminator: s.notices[0].discriminator.clone(),
                key: s.notices[0].key.clone().expect("a key"),
                take: 0,
                fact_version: s.order.fact_version,
                facts_hash: s.notices[0].facts_hash.clone(),
                milestone_days: None,
                rests_from: None,
            }],
            facts,
            due_at: s.notices[0].due_at,
            not_after: s.notices[0].not_after,
        },
        address_hash: email_hash(number),
        recipient,
    }
}
