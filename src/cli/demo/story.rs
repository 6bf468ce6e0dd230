//! The story, day by day: what the shop did, and what came of it.
//!
//! What the shop did is written here. What came of it is read from the
//! database ([`super::seen`]); where that differs from what the scene expects,
//! the demo says so and fails.

use super::seen::{Tag, counted, kinds_of, orders_of, tag_of};
use super::shop::moment;
use super::world::World;
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::message::MessageState;
use crate::domain::reason::{Disbelief, Reason};
use crate::domain::time::Instant;
use crate::store::types::{MessageRow, RunState};
use chrono::NaiveDate;
use serde::Serialize;

/// When the demo's clock starts, and where it stands still afterwards.
pub const BEGINS: &str = "2026-02-16T10:55:00Z";
pub const ENDS: &str = "2026-03-08T18:00:00Z";
/// The morning nobody answers at the mail server.
pub const AWAY: (&str, &str) = ("2026-03-02T08:00:00Z", "2026-03-02T11:00:00Z");

/// The supplier's list: new dates for seven products.
const SUPPLIER_FILE: &str = "sku,from,to
TWL-NAT,2026-03-24,
BOWL-28,2026-03-26,
PAN-MILK,2026-03-27,
CAKE-ST,2026-03-19,
TRV-CORK,2026-03-25,
TRAY-OAK,2026-03-26,2026-03-27
APR-LIN,2026-04-01,
";

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    pub on: NaiveDate,
    pub what: String,
    pub tag: Tag,
    pub came_of_it: String,
}

/// The story as it is told.
pub struct Story<'t> {
    pub world: World,
    pub lines: Vec<Line>,
    /// What turned out otherwise than expected.
    pub differs: Vec<String>,
    tell: &'t mut dyn FnMut(&Line, bool),
}

impl<'t> Story<'t> {
    pub fn new(world: World, tell: &'t mut dyn FnMut(&Line, bool)) -> Story<'t> {
        Story {
            world,
            lines: Vec::new(),
            differs: Vec::new(),
            tell,
        }
    }

    /// Plays it from beginning to end.
    ///
    /// # Errors
    /// The database fails. A story that ends differently is no error here;
    /// see [`Story::differs`].
    pub async fn play(&mut self) -> anyhow::Result<()> {
        self.first_look().await?;
        self.first_date_and_an_earlier_one().await?;
        self.a_week_on().await?;
        self.a_day_is_no_news().await?;
        self.teapots_move_twice().await?;
        self.a_date_nobody_believes().await?;
        self.mail_server_away().await?;
        self.overdue_and_a_day_told_after_all().await?;
        self.supplier_moves_everything().await?;
        self.cancelled_and_shipped().await?;
        self.gone_from_the_list().await?;
        self.world.advance_to(moment(ENDS)).await
    }

    fn line(&mut self, what: impl Into<String>, tag: Tag, came_of_it: impl Into<String>) {
        let line = Line {
            on: self.world.today(),
            what: what.into(),
            tag,
            came_of_it: came_of_it.into(),
        };
        let same_day = self.lines.last().is_some_and(|last| last.on == line.on);
        (self.tell)(&line, same_day);
        self.lines.push(line);
    }

    fn expect(&mut self, holds: bool, what: &str) {
        if !holds {
            let at = self.world.app.now().in_zone(self.world.zone);
            self.differs
                .push(format!("{}: {what}", at.format("%a %-d %b %H:%M")));
        }
    }

    /// Tells what the messages about some orders since a moment say.
    async fn told(
        &mut self,
        what: &str,
        orders: &[&str],
        since: Instant,
        kind: Kind,
    ) -> anyhow::Result<Vec<MessageRow>> {
        let all = self.world.messages(orders, since).await?;
        let (ours, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|m| m.kind == kind);
        self.expect(
            others.is_empty(),
            &format!("{what}: {kind} and nothing else is said"),
        );
        self.expect(
            tag_of(&ours) == Tag::Said,
            &format!("{what}: {kind} is said"),
        );
        let words = match ours.first() {
            Some(message) => self.world.words(message).await?,
            None => "nothing".to_owned(),
        };
        self.line(what, tag_of(&ours), words);
        Ok(ours)
    }

    /// Tells why an order stayed quiet: the newest reason `fits` knows.
    async fn unsaid(
        &mut self,
        what: &str,
        order: &str,
        since: Instant,
        fits: fn(&Reason) -> bool,
    ) -> anyhow::Result<()> {
        let messages = self.world.messages(&[order], since).await?;
        let silences = self.world.silences(order, since).await?;
        let reason = silences.iter().rev().find(|reason| fits(reason));
        let words = reason.map_or_else(|| "for no reason".to_owned(), |r| self.world.reason(r));
        let held = reason.is_some_and(Reason::needs_a_person);
        let (silent, known) = (messages.is_empty(), reason.is_some());
        self.expect(silent, &format!("{what}: nothing is said"));
        self.expect(known, &format!("{what}: the reason is kept"));
        let tag = if held && silent {
            Tag::Held
        } else {
            tag_of(&messages)
        };
        self.line(what, tag, words);
        Ok(())
    }

    async fn first_look(&mut self) -> anyhow::Result<()> {
        let start = moment("2026-02-16T11:00:00Z");
        self.world.advance_to(start).await?;
        let counts = self.world.import().await?.counts;
        self.world
            .advance_to(moment("2026-02-16T11:30:00Z"))
            .await?;
        let numbers = [
            "1033", "1034", "1035", "1036", "1037", "1038", "1039", "1040", "1041",
        ];
        let messages = self.world.messages(&numbers, start).await?;
        let adopted = counts.adopted_orders;
        self.expect(
            adopted == numbers.len(),
            "first look: nine orders are taken over",
        );
        self.expect(messages.is_empty(), "first look: nobody is written to");
        self.line(
            format!("First look: {adopted} orders wait already"),
            tag_of(&messages),
            "noted; nobody is written to about the past",
        );
        self.world
            .advance_to(moment("2026-02-16T14:40:00Z"))
            .await?;
        self.told(
            "1042 orders 2 teapots, none in stock",
            &["1042"],
            start,
            Kind::Confirmation,
        )
        .await?;
        Ok(())
    }

    async fn first_date_and_an_earlier_one(&mut self) -> anyhow::Result<()> {
        let at = moment("2026-02-18T09:15:00Z");
        self.world.advance_to(at).await?;
        self.world
            .shop
            .edit_order("1036", |row| row.eta_from = "2026-03-12".to_owned());
        self.world.import().await?;
        self.world
            .advance_to(moment("2026-02-18T10:30:00Z"))
            .await?;
        self.told(
            "1036's cake stand gets its first date",
            &["1036"],
            at,
            Kind::DateSet,
        )
        .await?;

        let at = moment("2026-02-20T11:00:00Z");
        self.world.advance_to(at).await?;
        self.world
            .shop
            .edit_order("1037", |row| row.eta_from = "2026-03-12".to_owned());
        self.world.import().await?;
        self.world
            .advance_to(moment("2026-02-20T12:00:00Z"))
            .await?;
        self.told(
            "1037's trivets will be here earlier",
            &["1037"],
            at,
            Kind::Sooner,
        )
        .await?;
        Ok(())
    }

    async fn a_week_on(&mut self) -> anyhow::Result<()> {
        let day = moment("2026-02-23T00:00:00Z");
        self.world
            .advance_to(moment("2026-02-23T10:30:00Z"))
            .await?;
        let messages = self
            .told("1042 has waited 7 days", &["1042"], day, Kind::Update)
            .await?;
        self.expect(
            messages
                .first()
                .is_some_and(|m| m.milestone_days == Some(7)),
            "1042: the update is the one of day 7",
        );
        Ok(())
    }

    async fn a_day_is_no_news(&mut self) -> anyhow::Result<()> {
        let at = moment("2026-02-24T11:20:00Z");
        self.world.advance_to(at).await?;
        self.world
            .shop
            .edit_order("1048", |row| row.eta_from = "2026-03-13".to_owned());
        self.world.import().await?;
        self.world
            .advance_to(moment("2026-02-24T18:00:00Z"))
            .await?;
        let small = |reason: &Reason| matches!(reason, Reason::SmallChange { days: 1, .. });
        self.unsaid("1048's tray slips by one day", "1048", at, small)
            .await
    }

    async fn teapots_move_twice(&mut self) -> anyhow::Result<()> {
        const REASON: &str = "our supplier's delivery to us is late";
        let at = moment("2026-02-26T09:12:00Z");
        for (when, eta) in [
            (at, "2026-03-19"),
            (moment("2026-02-26T09:31:00Z"), "2026-03-20"),
        ] {
            self.world.advance_to(when).await?;
            self.world.shop.edit_sku("TP-100-BL", |row| {
                row.eta_from = eta.to_owned();
                row.reason = REASON;
            });
            self.world.import().await?;
        }
        self.world
            .advance_to(moment("2026-02-26T09:40:00Z"))
            .await?;
        self.world.shop.edit_order("1051", |row| {
            row.eta_from = String::new();
            row.eta_withdrawn = "yes";
            row.reason = "our supplier cannot name a date";
        });
        self.world.import().await?;
        let settling = |reason: &Reason| matches!(reason, Reason::Settling { .. });
        self.unsaid("The teapot moves twice in 20 minutes", "1042", at, settling)
            .await?;

        self.world
            .advance_to(moment("2026-02-26T10:30:00Z"))
            .await?;
        let teapots = ["1042", "1043", "1044"];
        let all = self.world.messages(&teapots, at).await?;
        let (mails, texts): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|m| m.channel == ChannelName::Email);
        let words = match mails.first() {
            Some(mail) => self.world.words(mail).await?,
            None => "nothing".to_owned(),
        };
        self.expect(
            mails.len() == 3 && mails.iter().all(|m| m.kind == Kind::Delay),
            "teapots: one e-mail each, about the delay",
        );
        self.expect(tag_of(&mails) == Tag::Said, "teapots: the e-mails are out");
        self.expect(
            words.contains("Fri 20 Mar"),
            "teapots: the day that stood is the one said",
        );
        let number = counted(&mails);
        self.line(
            "1042, 1043, 1044 wait for teapots",
            tag_of(&mails),
            format!("{words}; {number}"),
        );

        let abroad: Vec<MessageRow> = texts
            .into_iter()
            .filter(|m| m.orders.iter().any(|o| o == "1044"))
            .collect();
        let due = abroad.first().map(|m| m.due_at);
        let there = due.map(|at| at.in_zone(chrono_tz::America::New_York));
        let words = there.map_or_else(
            || "no text".to_owned(),
            |at| format!("text goes at {} New York time", at.format("%H:%M")),
        );
        self.expect(
            due == Some(moment("2026-02-26T14:00:00Z")),
            "1044: not before 9 there",
        );
        self.expect(tag_of(&abroad) == Tag::Later, "1044: the text waits");
        self.line(
            "1044 also gets texts, lives in New York",
            tag_of(&abroad),
            words,
        );
        self.told(
            "1051's pot loses its date",
            &["1051"],
            at,
            Kind::DateWithdrawn,
        )
        .await?;

        self.world
            .advance_to(moment("2026-02-26T14:05:00Z"))
            .await?;
        let sent = self.world.messages(&["1044"], at).await?;
        self.expect(
            tag_of(&sent) == Tag::Said,
            "1044: the text went out at 9 there",
        );
        Ok(())
    }

    async fn a_date_nobody_believes(&mut self) -> anyhow::Result<()> {
        let at = moment("2026-02-27T11:05:00Z");
        self.world.advance_to(at).await?;
        self.world
            .shop
            .edit_sku("APR-LIN", |row| row.eta_from = "2062-03-18".to_owned());
        let changes = self.world.import().await?.counts.eta_changes;
        self.world
            .advance_to(moment("2026-02-27T12:00:00Z"))
            .await?;
        let far = |reason: &Reason| {
            matches!(
                reason,
                Reason::NotBelieved {
                    why: Disbelief::TooFarAhead,
                    ..
                }
            )
        };
        let mut disbelieved = 0;
        for number in ["1045", "1046", "1050", "1054"] {
            disbelieved += usize::from(self.world.silences(number, at).await?.iter().any(far));
        }
        self.expect(
            changes == 4 && disbelieved == 4,
            "2062: four orders wait for a person",
        );
        let messages = self
            .world
            .messages(&["1045", "1046", "1050", "1054"], at)
            .await?;
        self.expect(messages.is_empty(), "2062: nothing is said");
        let tag = if messages.is_empty() {
            Tag::Held
        } else {
            tag_of(&messages)
        };
        self.line(
            "Someone types 2062 instead of 2026",
            tag,
            format!("{disbelieved} orders: too far ahead to be believed, listed for you"),
        );
        self.world
            .advance_to(moment("2026-02-27T16:00:00Z"))
            .await?;
        self.world
            .shop
            .edit_sku("APR-LIN", |row| row.eta_from = "2026-03-18".to_owned());
        self.world.import().await?;
        self.world
            .advance_to(moment("2026-02-27T17:00:00Z"))
            .await?;
        let nothing = |reason: &Reason| *reason == Reason::NothingNew;
        self.unsaid("They correct it in the afternoon", "1045", at, nothing)
            .await
    }

    async fn mail_server_away(&mut self) -> anyhow::Result<()> {
        let (from, to) = (moment(AWAY.0), moment(AWAY.1));
        self.world.advance_to(Instant(to.0 - 1)).await?;
        let everybody = self.world.everything().await?;
        let waiting: Vec<MessageRow> = everybody
            .into_iter()
            .filter(|m| m.planned_at >= from && m.state == MessageState::Queued)
            .collect();
        let knocked = self.world.ledger.turned_away();
        self.expect(
            !waiting.is_empty() && knocked > 0,
            "away: messages met a closed door",
        );
        let tag = tag_of(&waiting);
        self.world
            .advance_to(moment("2026-03-02T11:10:00Z"))
            .await?;
        let after = self.world.everything().await?;
        let sent: Vec<MessageRow> = after
            .into_iter()
            .filter(|m| waiting.iter().any(|w| w.no == m.no))
            .collect();
        let once = sent
            .iter()
            .all(|m| m.state.is_sent() && self.world.ledger.times(m.no) == 1);
        self.expect(
            once && sent.len() == waiting.len(),
            "away: each arrives once",
        );
        let first = sent.iter().filter_map(|m| m.sent_at).min();
        self.expect(
            first.is_some_and(|at| at >= to),
            "away: nothing left before the server was back",
        );
        let first = first.map(|at| at.in_zone(self.world.zone).format("%H:%M").to_string());
        self.line(
            "Mail server away from 08:00 to 11:00",
            tag,
            format!(
                "{}, sent from {}, each once",
                counted(&sent),
                first.unwrap_or_default()
            ),
        );
        let enough =
            |reason: &Reason| matches!(reason, Reason::MilestoneSatisfied { days: 14, .. });
        self.unsaid("1042 has waited 14 days", "1042", from, enough)
            .await
    }

    async fn overdue_and_a_day_told_after_all(&mut self) -> anyhow::Result<()> {
        let since = moment("2026-02-28T00:00:00Z");
        self.world
            .advance_to(moment("2026-03-03T10:30:00Z"))
            .await?;
        self.told(
            "1034's milk pan: the day came and went",
            &["1034"],
            since,
            Kind::Overdue,
        )
        .await?;
        self.told(
            "1048's day 14: the small slip is told along",
            &["1048"],
            since,
            Kind::Delay,
        )
        .await?;
        Ok(())
    }

    async fn supplier_moves_everything(&mut self) -> anyhow::Result<()> {
        let at = moment("2026-03-04T09:15:00Z");
        self.world.advance_to(at).await?;
        let changed = self.world.import_dates(SUPPLIER_FILE).await?;
        self.world
            .advance_to(moment("2026-03-04T09:50:00Z"))
            .await?;
        let held: Vec<MessageRow> = self.planned_since(at).await?;
        let orders = orders_of(&held);
        let limit = self.world.app.policy().brake.per_hour;
        let runs = self.world.app.viewer.read.runs(None, 1_000).await?;
        let runs: Vec<_> = runs
            .into_iter()
            .filter(|run| run.state == RunState::Held)
            .collect();
        self.expect(orders.len() == 23, "supplier: 23 orders move");
        self.expect(
            !changed.is_empty() && runs.len() == 1,
            "supplier: one run waits for a yes",
        );
        self.expect(
            tag_of(&held) == Tag::Held && held.iter().all(|m| m.held),
            "supplier: all wait",
        );
        let none_out = held.iter().all(|m| self.world.ledger.times(m.no) == 0);
        self.expect(none_out, "supplier: nothing left before the yes");
        self.line(
            format!("One supplier file moves {} orders", orders.len()),
            tag_of(&held),
            format!(
                "{} messages, more than {limit} in an hour: you look, you approve",
                held.len()
            ),
        );
        // A person looks at the list and says yes.
        self.world
            .advance_to(moment("2026-03-04T09:55:00Z"))
            .await?;
        for run in &runs {
            let now = self.world.app.now();
            let why = Some("looked right");
            let yes = RunState::Approved;
            self.world
                .app
                .store
                .decide_run(run.no, yes, "demo", why, now)
                .await?;
        }
        self.world
            .advance_to(moment("2026-03-04T09:59:00Z"))
            .await?;
        let sent: Vec<MessageRow> = self.planned_since(at).await?;
        let once = sent.iter().all(|m| self.world.ledger.times(m.no) == 1);
        self.expect(
            tag_of(&sent) == Tag::Said && once,
            "supplier: everybody hears it once",
        );
        self.expect(orders_of(&sent) == orders, "supplier: nobody is left out");
        self.line(
            format!("{} orders, after your yes", orders_of(&sent).len()),
            tag_of(&sent),
            format!("{}: {}", counted(&sent), kinds_of(&sent)),
        );
        Ok(())
    }

    /// Every message written at or after a moment.
    async fn planned_since(&self, since: Instant) -> anyhow::Result<Vec<MessageRow>> {
        let mut all = self.world.everything().await?;
        all.retain(|m| m.planned_at >= since && m.state != MessageState::Superseded);
        Ok(all)
    }

    async fn cancelled_and_shipped(&mut self) -> anyhow::Result<()> {
        let at = moment("2026-03-05T15:00:00Z");
        self.world.advance_to(at).await?;
        self.world.shop.edit_order("1060", |row| {
            row.status = "cancelled";
            row.quantity_cancelled = row.quantity;
        });
        self.world.import().await?;
        self.world
            .advance_to(moment("2026-03-05T16:00:00Z"))
            .await?;
        self.told(
            "1060 is cancelled the day before day 7",
            &["1060"],
            at,
            Kind::Cancelled,
        )
        .await?;

        let shipped = moment("2026-03-06T11:00:00Z");
        self.world.advance_to(shipped).await?;
        self.world.shop.edit_order("1058", |row| {
            row.quantity_shipped = 3;
            row.status = "partially shipped";
            row.shipment_id = "1058-1";
            row.shipped_at = "2026-03-06T10:40:00Z";
            row.carrier = "UPS";
            row.tracking_number = "1Z999AA1012345678";
            row.tracking_url = "https://fernkettle.example/t/1058-1";
            row.estimated_delivery = "2026-03-09";
        });
        self.world.import().await?;
        self.world
            .advance_to(moment("2026-03-06T12:30:00Z"))
            .await?;
        let day_7 = self.world.messages(&["1060"], at).await?;
        self.expect(day_7.len() == 1, "1060: the update of day 7 is dropped");
        self.line(
            "1060's day 7 comes",
            if day_7.len() == 1 {
                Tag::Quiet
            } else {
                Tag::Said
            },
            "nothing of it waits any more",
        );
        self.told("1058 gets 3 of 5 mugs", &["1058"], shipped, Kind::Shipped)
            .await?;
        Ok(())
    }

    async fn gone_from_the_list(&mut self) -> anyhow::Result<()> {
        let at = moment("2026-03-08T12:00:00Z");
        self.world.advance_to(at).await?;
        self.world.shop.lose_order("1052");
        let counts = self.world.import().await?.counts;
        self.world
            .advance_to(moment("2026-03-08T17:30:00Z"))
            .await?;
        let id = self.world.order("1052").await?;
        let messages = self.world.messages(&["1052"], at).await?;
        let planned = self
            .world
            .app
            .viewer
            .plan_orders(&[id], self.world.app.now())
            .await?;
        let waits = planned
            .situations
            .iter()
            .any(|s| s.lines.iter().any(|l| l.waiting().is_positive()));
        self.expect(
            counts.rows == counts.unchanged,
            "1052: its row is simply not there",
        );
        self.expect(
            waits && messages.is_empty(),
            "1052: it still waits, and nothing is said",
        );
        self.line(
            "1052 vanished from the shop's list",
            tag_of(&messages),
            if waits {
                "gone is not shipped: it counts as waiting"
            } else {
                "it no longer counts as waiting"
            },
        );
        Ok(())
    }
}
