//! The story's March: a mail server that is away, a supplier who moves
//! everything, parcels.

use super::seen::{Tag, counted, kinds_of, orders_of, tag_of};
use super::shop::moment;
use super::story::{AWAY, Story};
use crate::domain::kinds::Kind;
use crate::domain::message::MessageState;
use crate::domain::reason::Reason;
use crate::domain::time::Instant;
use crate::store::types::{MessageRow, RunState};

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

impl Story<'_> {
    pub(super) async fn mail_server_away(&mut self) -> anyhow::Result<()> {
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

    pub(super) async fn overdue_and_a_day_told_after_all(&mut self) -> anyhow::Result<()> {
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
            "1048's day 14 tells the small slip too",
            &["1048"],
            since,
            Kind::Delay,
        )
        .await?;
        Ok(())
    }

    pub(super) async fn supplier_moves_everything(&mut self) -> anyhow::Result<()> {
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
    pub(super) async fn planned_since(&self, since: Instant) -> anyhow::Result<Vec<MessageRow>> {
        let mut all = self.world.everything().await?;
        all.retain(|m| m.planned_at >= since && m.state != MessageState::Superseded);
        Ok(all)
    }

    pub(super) async fn cancelled_and_shipped(&mut self) -> anyhow::Result<()> {
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

    pub(super) async fn gone_from_the_list(&mut self) -> anyhow::Result<()> {
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
