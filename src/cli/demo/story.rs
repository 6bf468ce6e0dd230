//! The story, day by day: what the shop did, and what came of it.
//!
//! What the shop did is written here. What came of it is read from the
//! database ([`super::seen`]); where that differs from what the scene expects,
//! the demo says so and fails.

use super::seen::{Tag, tag_of};
use super::shop::moment;
use super::world::World;
use crate::domain::kinds::Kind;
use crate::domain::reason::Reason;
use crate::domain::time::Instant;
use crate::store::types::MessageRow;
use chrono::NaiveDate;
use serde::Serialize;

/// When the demo's clock starts, and where it stands still afterwards.
pub const BEGINS: &str = "2026-02-16T10:55:00Z";
pub const ENDS: &str = "2026-03-08T18:00:00Z";
/// The morning nobody answers at the mail server.
pub const AWAY: (&str, &str) = ("2026-03-02T08:00:00Z", "2026-03-02T11:00:00Z");

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

    pub(super) fn line(
        &mut self,
        what: impl Into<String>,
        tag: Tag,
        came_of_it: impl Into<String>,
    ) {
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

    pub(super) fn expect(&mut self, holds: bool, what: &str) {
        if !holds {
            let at = self.world.app.now().in_zone(self.world.zone);
            self.differs
                .push(format!("{}: {what}", at.format("%a %-d %b %H:%M")));
        }
    }

    /// Tells what the messages about some orders since a moment say.
    pub(super) async fn told(
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
    pub(super) async fn unsaid(
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
}
