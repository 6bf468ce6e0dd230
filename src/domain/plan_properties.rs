//! What holds for every order, whatever happens to it.
//!
//! Random lives of an order: dates move, goods ship, lines are cancelled or
//! vanish, messages are accepted, fail, bounce or stay in doubt, and the clock
//! jumps both ways. A small model of store and channel plays them through.

use crate::domain::eta::Eta;
use crate::domain::fixtures::{Story, at, line};
use crate::domain::ids::MessageNo;
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::lives::{Answer, Event, some_life, some_story};
use crate::domain::message::MessageState;
use crate::domain::order::EtaOrigin;
use crate::domain::plan::OrderPlan;
use crate::domain::quantity::Quantity;
use crate::domain::reason::{Reason, Wake};
use crate::domain::time::{Instant, Length, at_time};
use chrono::{Days, NaiveTime};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// The story, its clock and its channel.
struct World {
    story: Story,
    now: Instant,
    /// Before the clock was set back.
    latest: Instant,
    answer: Answer,
    /// Milestone numbers that left the house.
    milestones: Vec<(u32, ChannelName)>,
    /// Of a plan with one message: until when nobody would look at the order
    /// once that was accepted. What happens meanwhile makes it void.
    foreseen: Option<(Instant, Wake)>,
}

impl World {
    fn of(story: Story) -> World {
        World {
            story,
            now: at("2026-02-16 14:31"),
            latest: at("2026-02-16 14:31"),
            answer: Answer::Accepts,
            milestones: Vec::new(),
            foreseen: None,
        }
    }

    fn happens(&mut self, event: &Event) {
        if !matches!(event, Event::ClockBack(_) | Event::Channel(_)) {
            self.foreseen = None;
        }
        let lines = self.story.s.lines.len();
        let now = self.now;
        let line_at = |i: usize| i % lines;
        match event {
            Event::Moves(i, eta) | Event::Operator(i, eta) => {
                let line = &mut self.story.s.lines[line_at(*i)];
                if line.eta != *eta {
                    line.eta_changed_at = now;
                }
                line.eta = *eta;
                line.eta_origin = match event {
                    Event::Operator(..) => EtaOrigin::Operator,
                    _ => EtaOrigin::Source,
                };
            }
            Event::Ships(i, n) => {
                let line = &mut self.story.s.lines[line_at(*i)];
                line.shipped = line.shipped.and(Quantity::pieces(*n).min(line.waiting()));
                line.shipped_changed_at = Some(now);
            }
            Event::Cancels(i, n) => {
                let line = &mut self.story.s.lines[line_at(*i)];
                line.cancelled = line.cancelled.and(Quantity::pieces(*n).min(line.waiting()));
                line.cancelled_changed_at = Some(now);
            }
            Event::Vanishes(i) => self.story.s.lines[line_at(*i)].missing_since = Some(now),
            Event::Returns(i) => self.story.s.lines[line_at(*i)].missing_since = None,
            Event::NewLine(eta) if lines < 3 => {
                let id = lines as i64 + 1;
                let mut new = line(id, &format!("L{id}"), "Mug", *eta, 3);
                new.first_seen_at = now;
                new.eta_changed_at = now;
                self.story.s.lines.push(new);
            }
            Event::NewLine(_) => {}
            Event::Suppressed(channel) => self.story.s.suppressed = vec![*channel],
            Event::Channel(answer) => self.answer = *answer,
            Event::ClockBack(hours) => {
                self.latest = self.latest.max(now);
                self.now = now.minus(Length::hours(*hours));
            }
        }
    }

    /// One look at the order, its promises checked; the plan is stored.
    fn review(&mut self) -> OrderPlan {
        let planned = self.story.plan(self.now);
        holds(&self.story, &planned, self.now);
        assert_eq!(planned, self.story.plan(self.now), "planned twice");
        self.story.commit(&planned);
        let is_over = |(_, wake)| matches!(wake, Wake::At(at) if at <= self.now);
        if !planned.drafts.is_empty() {
            self.foreseen = planned.rests.then_some((self.now, planned.wake));
        } else if self.foreseen.is_some_and(is_over) {
            self.foreseen = None;
        }
        // What was just written or kept stays: a second look changes nothing.
        let again = self.story.plan(self.now);
        assert_eq!(again.drafts, [], "written twice");
        assert_eq!(again.supersede, [], "taken back at once");
        planned
    }

    /// Lets go what is due, as the channel will have it. True if any went.
    fn deliver(&mut self) -> bool {
        let due: Vec<MessageNo> = self
            .story
            .s
            .notices
            .iter()
            .filter(|n| n.in_queue && n.due_at <= self.now)
            .map(|n| n.message)
            .collect();
        for no in &due {
            let notice = self.story.notice(*no);
            if notice.not_after <= self.now {
                notice.in_queue = false;
                notice.state = MessageState::Expired;
                notice.key = None;
                continue;
            }
            self.story.launch(*no);
            true_when_sent(&self.story, *no, self.now);
            self.land(*no);
        }
        let flying: Vec<MessageNo> = self
            .story
            .s
            .notices
            .iter()
            .filter(|n| n.in_flight)
            .map(|n| n.message)
            .collect();
        for no in &flying {
            self.land(*no);
        }
        !due.is_empty() || (self.answer != Answer::Hangs && !flying.is_empty())
    }

    fn land(&mut self, no: MessageNo) {
        let (now, story) = (self.now, &mut self.story);
        match self.answer {
            Answer::Hangs => return,
            Answer::Accepts => {
                story.accept(no, now);
                if let Some((planned_at, foreseen)) = self.foreseen.take()
                    && planned_at <= now
                {
                    rests(&self.story, foreseen, now);
                }
            }
            Answer::Fails => story.fail(no),
            Answer::Bounces => {
                story.accept(no, now);
                story.bounce(no, now);
            }
            Answer::Doubts => {
                story.doubt(no, now);
                story.assume(no, now);
            }
        }
        self.foreseen = None;
        let notice = self.story.notice(no);
        let said = notice.state != MessageState::Failed;
        if let Some(days) = notice.milestone_days.filter(|_| said) {
            self.milestones.push((days, notice.channel));
        }
    }

    /// Nothing comes due while the order sleeps.
    fn sleeps_soundly(&self, until: Instant) {
        for part in [1, 2, 3] {
            let nap = Length((until.since(self.now).0 - 1) * part / 3);
            let then = self.now.plus(nap);
            if then > self.now {
                let planned = self.story.plan(then);
                assert_eq!(planned.drafts, [], "owed at {then:?}, before its wake");
                assert_eq!(planned.supersede, [], "wrong at {then:?}, before its wake");
            }
        }
    }

    /// Reviews and delivers until time alone changes nothing before `until`.
    fn runs_until(&mut self, until: Instant) {
        for _ in 0..2_000 {
            let planned = self.review();
            if self.deliver() {
                continue;
            }
            let queued = self.story.s.notices.iter().filter(|n| n.in_queue);
            let next_due = queued.map(|n| n.due_at).min();
            let wake = match planned.wake {
                Wake::At(at) => Some(at),
                Wake::OnEvent | Wake::Never => None,
            };
            let next = wake.into_iter().chain(next_due).min();
            self.sleeps_soundly(next.unwrap_or(until).min(until));
            match next {
                Some(next) if next <= until => self.now = next,
                _ => {
                    self.now = self.now.max(until);
                    return;
                }
            }
        }
        panic!("the order never comes to rest");
    }
}

/// What every plan keeps, whatever it was made from.
fn holds(story: &Story, planned: &OrderPlan, now: Instant) {
    assert!(!planned.verdicts.is_empty(), "every silence has a reason");
    assert!(
        !matches!(planned.wake, Wake::At(at) if at <= now),
        "due at once again"
    );
    let today = now.day_in(story.s.order.zone);
    let mut channels = BTreeSet::new();
    for draft in &planned.drafts {
        assert!(channels.insert(draft.channel), "two drafts on a channel");
        let busy =
            |n: &&crate::domain::order::PastNotice| n.in_flight && n.channel == draft.channel;
        assert!(
            story.s.notices.iter().find(busy).is_none(),
            "overtakes a flight"
        );
        assert!(draft.due_at >= now && draft.not_after > now);
        let by_mail = draft.channel == ChannelName::Email;
        assert!(
            !by_mail || draft.not_after > draft.due_at,
            "too old when due"
        );
        if draft.channel == ChannelName::Sms {
            let zone = story.s.order.contact.zone.unwrap_or(story.s.order.zone);
            assert!(
                story.policy.sms.hours.is_open(draft.due_at, zone),
                "a text at night"
            );
        }
        for stated in &draft.statement.lines {
            let source = story.s.lines.iter().find(|l| l.id == stated.line).unwrap();
            if let Some(last) = stated.promise.and_then(Eta::last) {
                assert!(last >= today, "a date in the past");
                assert!(
                    draft.not_after
                        <= at_time(last + Days::new(1), NaiveTime::MIN, story.s.order.zone)
                );
            }
            if stated.promise.is_some() {
                assert!(source.waiting().is_positive() && source.missing_since.is_none());
            }
        }
        let informed = story.s.lines.iter().any(|l| !l.believed().is_empty());
        let first_words = matches!(
            draft.kind,
            Kind::Confirmation | Kind::Shipped | Kind::Cancelled
        );
        assert!(
            informed || first_words,
            "news for who never had a first word"
        );
    }
    for no in &planned.keep {
        assert!(!planned.supersede.contains(no));
    }
}

/// Whoever looks now, though nobody would, finds nothing to do, and nothing
/// before the look that was foreseen.
fn rests(story: &Story, foreseen: Wake, now: Instant) {
    let planned = story.plan(now);
    assert_eq!(planned.drafts, [], "owed, and nobody looks");
    assert_eq!(planned.supersede, [], "wrong, and nobody looks");
    match (foreseen, planned.wake) {
        (Wake::At(foreseen), Wake::At(next)) => assert!(foreseen <= next, "looked at too late"),
        (Wake::At(_) | Wake::OnEvent, Wake::OnEvent) => {}
        (foreseen, next) => panic!("{foreseen:?} was foreseen, and it is {next:?}"),
    }
}

/// A message is only ever sent if it is true at the moment of sending.
fn true_when_sent(story: &Story, no: MessageNo, now: Instant) {
    let today = now.day_in(story.s.order.zone);
    for stated in &story.statements[&no].lines {
        let source = story.s.lines.iter().find(|l| l.id == stated.line).unwrap();
        assert_eq!(stated.waiting, source.waiting(), "quantities of {no}");
        if let Some(last) = stated.promise.and_then(Eta::last) {
            assert!(last >= today, "{no} names a day that is over");
            let current = source.eta.later_by(story.policy.buffer_days);
            assert_eq!(stated.promise.unwrap().days_until(current), Some(0), "{no}");
        }
    }
}

/// The reasons for which a customer may rightly believe another date than the
/// current one.
fn excused(reason: &Reason) -> bool {
    reason.needs_a_person()
        || matches!(
            reason,
            Reason::SmallChange { .. } | Reason::Settling { .. } | Reason::Grace { .. }
        )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_life_of_an_order_keeps_every_promise(story in some_story(), life in some_life()) {
        let mut world = World::of(story);
        for (pause, event) in &life {
            let until = world.now.plus(*pause);
            world.runs_until(until);
            world.happens(event);
        }
        // Channel and clock recover and a few days go by.
        world.answer = Answer::Accepts;
        let until = world.now.max(world.latest).plus(Length::days(4));
        world.runs_until(until);

        let mut keys = world.story.sent_keys.clone();
        keys.sort();
        let before = keys.len();
        keys.dedup();
        prop_assert_eq!(keys.len(), before, "a key was used twice");
        let mut numbers = world.milestones.clone();
        numbers.sort();
        let before = numbers.len();
        numbers.dedup();
        prop_assert_eq!(numbers.len(), before, "a milestone was said twice");

        let last = world.story.plan(world.now);
        // A day that came twice was overdue twice and is said to be so once.
        let turned_back = life.iter().any(|(_, event)| matches!(event, Event::ClockBack(_)));
        let said = |reason: &Reason| matches!(reason, Reason::AlreadySaid { .. });
        let excused = |reason: &Reason| excused(reason) || (turned_back && said(reason));
        if last.verdicts.iter().any(|v| excused(&v.reason)) {
            return Ok(());
        }
        for line in world.story.s.lines.iter().filter(|l| l.waiting().is_positive()) {
            let current = line.eta.later_by(world.story.policy.buffer_days);
            let told = line.believed().latest().map(|told| told.promise);
            prop_assert!(told.is_some(), "no first word: {last:?}");
            let told = told.unwrap_or_default();
            let agrees = told.days_until(current) == Some(0)
                || told == current
                || current.is_within(told);
            prop_assert!(agrees, "told {told:?}, current {current:?}: {last:?}");
        }
    }
}
