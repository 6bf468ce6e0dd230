//! What holds for every order, whatever happens to it.
//!
//! Random lives of an order: dates move, goods ship, lines are cancelled or
//! vanish, messages are accepted, fail, bounce or stay in doubt, and the clock
//! jumps both ways. A small model of store and channel plays them through.

use crate::domain::contact::Preference;
use crate::domain::eta::Eta;
use crate::domain::fixtures::{Story, at, day, line};
use crate::domain::ids::MessageNo;
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::message::MessageState;
use crate::domain::order::EtaOrigin;
use crate::domain::plan::OrderPlan;
use crate::domain::quantity::Quantity;
use crate::domain::reason::{Reason, Wake};
use crate::domain::time::{Instant, Length, at_time};
use crate::domain::told::Basis;
use chrono::{Days, NaiveDate, NaiveTime};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// One thing that happens, and how long after the one before.
#[derive(Clone, Debug)]
enum Event {
    Moves(usize, Eta),
    Operator(usize, Eta),
    Ships(usize, i64),
    Cancels(usize, i64),
    Vanishes(usize),
    Returns(usize),
    NewLine(Eta),
    Suppressed(ChannelName),
    /// How the channel answers from now on.
    Channel(Answer),
    ClockBack(i64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    Accepts,
    Fails,
    Bounces,
    Doubts,
    /// Stays in flight until the channel answers otherwise.
    Hangs,
}

fn some_day() -> impl Strategy<Value = NaiveDate> {
    (0u64..90).prop_map(|n| day("2026-02-10") + Days::new(n))
}
fn some_eta() -> impl Strategy<Value = Eta> {
    prop_oneof![
        6 => some_day().prop_map(Eta::day),
        2 => (some_day(), 1u64..15)
            .prop_map(|(from, n)| Eta::window(from, from + Days::new(n)).unwrap()),
        2 => Just(Eta::Unknown),
        1 => Just(Eta::day(day("2062-03-06"))),
    ]
}
fn some_event() -> impl Strategy<Value = Event> {
    let which = 0usize..3;
    prop_oneof![
        8 => (which.clone(), some_eta()).prop_map(|(i, eta)| Event::Moves(i, eta)),
        1 => (which.clone(), some_eta()).prop_map(|(i, eta)| Event::Operator(i, eta)),
        2 => (which.clone(), 1i64..4).prop_map(|(i, n)| Event::Ships(i, n)),
        2 => (which.clone(), 1i64..4).prop_map(|(i, n)| Event::Cancels(i, n)),
        1 => which.clone().prop_map(Event::Vanishes),
        2 => which.prop_map(Event::Returns),
        1 => some_eta().prop_map(Event::NewLine),
        1 => prop_oneof![Just(ChannelName::Email), Just(ChannelName::Sms)]
            .prop_map(Event::Suppressed),
        3 => some_answer().prop_map(Event::Channel),
        1 => (1i64..2_000).prop_map(Event::ClockBack),
    ]
}
fn some_answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        4 => Just(Answer::Accepts),
        1 => Just(Answer::Fails),
        1 => Just(Answer::Bounces),
        1 => Just(Answer::Doubts),
        1 => Just(Answer::Hangs),
    ]
}
fn some_pause() -> impl Strategy<Value = Length> {
    prop_oneof![
        (0i64..90).prop_map(Length::mins),
        (0i64..80).prop_map(Length::hours),
        (0i64..12).prop_map(Length::days),
    ]
}
type Life = Vec<(Length, Event)>;
fn some_life() -> impl Strategy<Value = Life> {
    prop::collection::vec((some_pause(), some_event()), 0..14)
}
fn some_story() -> impl Strategy<Value = Story> {
    let preference = prop_oneof![
        Just(Preference::Email),
        Just(Preference::Sms),
        Just(Preference::Both)
    ];
    let told = prop::option::of(some_eta());
    (
        some_eta(),
        told,
        preference,
        0u32..3,
        any::<bool>(),
        0usize..3,
    )
        .prop_map(|(ships, told, preference, buffer, adopted, zone)| {
            let mut story = Story::of_teapots("?").texting(preference);
            story.s.lines[0].eta = ships;
            story.s.lines[0].ordered = Quantity::pieces(3);
            story.policy.buffer_days = buffer;
            story.s.order.contact.zone = [
                None,
                Some(chrono_tz::America::New_York),
                Some(chrono_tz::Pacific::Auckland),
            ][zone];
            if let Some(told) = told {
                let basis = if adopted {
                    Basis::Baseline
                } else {
                    Basis::Accepted
                };
                story.hears(0, "?", basis, "2026-02-16 14:31");
                story.s.lines[0].told[0].promise = told;
                story.s.order.adopted_at = adopted.then(|| at("2026-02-16 14:31"));
            }
            story
        })
}

/// The story, its clock and its channel.
struct World {
    story: Story,
    now: Instant,
    /// Before the clock was set back.
    latest: Instant,
    answer: Answer,
    /// Milestone numbers that left the house.
    milestones: Vec<(u32, ChannelName)>,
}

impl World {
    fn of(story: Story) -> World {
        World {
            story,
            now: at("2026-02-16 14:31"),
            latest: at("2026-02-16 14:31"),
            answer: Answer::Accepts,
            milestones: Vec::new(),
        }
    }

    fn happens(&mut self, event: &Event) {
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
            Answer::Accepts => story.accept(no, now),
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
