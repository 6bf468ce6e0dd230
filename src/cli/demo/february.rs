//! The story's February: first look, new orders, dates that move.

use super::seen::{Tag, counted, tag_of};
use super::shop::moment;
use super::story::Story;
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::reason::{Disbelief, Reason};
use crate::store::types::MessageRow;

impl Story<'_> {
    pub(super) async fn first_look(&mut self) -> anyhow::Result<()> {
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

    pub(super) async fn first_date_and_an_earlier_one(&mut self) -> anyhow::Result<()> {
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

    pub(super) async fn a_week_on(&mut self) -> anyhow::Result<()> {
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

    pub(super) async fn a_day_is_no_news(&mut self) -> anyhow::Result<()> {
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

    pub(super) async fn teapots_move_twice(&mut self) -> anyhow::Result<()> {
        const REASON: &str = "our supplier's delivery to us is late";
        let at = moment("2026-02-26T09:12:00Z");
        let passing = moment("2026-03-19T00:00:00Z").day_in(self.world.zone);
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
        let teapots = ["1042", "1043", "1044"];
        let messages = self.world.messages(&teapots, at).await?;
        let silences = self.world.silences("1042", at).await?;
        let settles = silences
            .iter()
            .any(|r| matches!(r, Reason::Settling { .. }));
        let silent = settles && messages.is_empty();
        self.expect(silent, "teapots: the first new day is not said");
        self.line(
            "The teapot moves twice in 20 minutes",
            tag_of(&messages),
            if silent {
                "Thu 19 Mar was never said, it changed too soon"
            } else {
                "the first new day was said"
            },
        );

        self.world
            .advance_to(moment("2026-02-26T10:30:00Z"))
            .await?;
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
        let never = !self.world.ever_said(&teapots, passing).await?;
        self.expect(never, "teapots: the day that did not stand was never said");
        Ok(())
    }

    pub(super) async fn a_date_nobody_believes(&mut self) -> anyhow::Result<()> {
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
        let aprons = ["1045", "1046", "1050", "1054"];
        let (mut disbelieved, mut for_a_person) = (0, true);
        for number in aprons {
            let silences = self.world.silences(number, at).await?;
            let reason = silences.iter().find(|reason| far(reason));
            disbelieved += usize::from(reason.is_some());
            for_a_person &= reason.is_some_and(Reason::needs_a_person);
        }
        self.expect(
            changes == 4 && disbelieved == 4,
            "2062: four orders wait for a person",
        );
        let messages = self.world.messages(&aprons, at).await?;
        self.expect(messages.is_empty(), "2062: nothing is said");
        let held = messages.is_empty() && for_a_person;
        self.expect(held, "2062: it waits for a person");
        let tag = if held { Tag::Held } else { tag_of(&messages) };
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
}
