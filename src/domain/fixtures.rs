//! Situations for tests, and an independent model of what becomes of a plan.
//!
//! A [`Story`] starts as one order of two teapots, placed on Monday 16
//! February 2026 in London, and is bent to the case in a sentence or two. It
//! also plays the part of store and channel: commits drafts, launches, accepts,
//! fails and bounces messages, and writes the ledger as the store would.

use super::contact::{Contact, EmailAddress, Locale, PhoneNumber, Preference};
use super::eta::Eta;
use super::ids::{ContactId, LineId, MessageNo, OrderId};
use super::kinds::{ChannelName, Kind};
use super::message::MessageState;
use super::notice_key::Mode;
use super::order::{EtaOrigin, Line, Order, PastNotice, Shipment, Situation};
use super::plan::{OrderPlan, plan};
use super::policy::Policy;
use super::quantity::Quantity;
use super::statement::Statement;
use super::time::Instant;
use super::told::{Basis, Told};
use chrono::{NaiveDate, NaiveDateTime};
use std::collections::BTreeMap;

/// `2026-02-26 10:02`, in UTC (which London keeps until the end of March).
pub fn at(text: &str) -> Instant {
    let civil = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap();
    Instant(civil.and_utc().timestamp_millis())
}

pub fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// `2026-03-06`, `2026-03-06/2026-03-10`, or `?`.
pub fn eta(text: &str) -> Eta {
    match text.split_once('/') {
        _ if text == "?" => Eta::Unknown,
        Some((from, to)) => Eta::window(day(from), day(to)).unwrap(),
        None => Eta::day(day(text)),
    }
}

pub fn line(id: i64, key: &str, name: &str, eta: Eta, pieces: i64) -> Line {
    Line {
        id: LineId(id),
        key: key.to_owned(),
        sku: None,
        name: name.to_owned(),
        ordered: Quantity::pieces(pieces),
        shipped: Quantity::ZERO,
        cancelled: Quantity::ZERO,
        shipped_told: Quantity::ZERO,
        cancelled_told: Quantity::ZERO,
        shipped_changed_at: None,
        cancelled_changed_at: None,
        eta,
        eta_origin: EtaOrigin::Source,
        eta_changed_at: at("2026-02-16 14:25"),
        reason: None,
        first_seen_at: at("2026-02-16 14:25"),
        missing_since: None,
        told: Vec::new(),
    }
}

/// One order, its policy, and every statement that was ever committed.
#[derive(Clone, Debug)]
pub struct Story {
    pub s: Situation,
    pub policy: Policy,
    pub statements: BTreeMap<MessageNo, Statement>,
    /// Every key that left the house, in order of sending.
    pub sent_keys: Vec<String>,
}

impl Story {
    /// Two teapots with this ship date; the customer has not heard a word.
    pub fn of_teapots(ships: &str) -> Story {
        let contact = Contact {
            name: Some("Anna Kowalski".to_owned()),
            email: Some(EmailAddress::parse("anna@mail.example").unwrap()),
            phone: None,
            sms_consent: false,
            preferred: Preference::Email,
            locale: Some(Locale::parse("en").unwrap()),
            zone: None,
            country: None,
        };
        let order = Order {
            id: OrderId(1042),
            key: "1042".to_owned(),
            number: "1042".to_owned(),
            contact_id: ContactId(7),
            contact,
            ordered_on: day("2026-02-16"),
            zone: chrono_tz::Europe::London,
            first_seen_at: at("2026-02-16 14:25"),
            adopted_at: None,
            fact_version: 1,
            review_version: 1,
            view_url: None,
            cancel_url: None,
            next_word_by: None,
        };
        let s = Situation {
            order,
            lines: vec![line(1, "L1", "Enamel teapot", eta(ships), 2)],
            untold_shipments: Vec::new(),
            notices: Vec::new(),
            pause: None,
            suppressed: Vec::new(),
            courtesy_sent_at: Vec::new(),
        };
        Story {
            s,
            policy: Policy::default(),
            statements: BTreeMap::new(),
            sent_keys: Vec::new(),
        }
    }

    /// The same, and the confirmation of that Monday named `told`.
    pub fn told(ships: &str, told: &str) -> Story {
        let mut story = Story::of_teapots(ships);
        story.hears(0, told, Basis::Accepted, "2026-02-16 14:31");
        story
    }

    /// Adds a word to the ledger of line `index`.
    pub fn hears(&mut self, index: usize, promise: &str, basis: Basis, when: &str) {
        let line = &mut self.s.lines[index];
        line.told.push(Told {
            seq: line.told_seq() + 1,
            message: None,
            promise: eta(promise),
            eta: eta(promise),
            basis,
            at: at(when),
        });
    }

    /// A second line of one kettle, told `promise` like the first.
    pub fn and_kettle(mut self, ships: &str, promise: &str) -> Story {
        self.s
            .lines
            .push(line(2, "L2", "Copper kettle", eta(ships), 1));
        self.hears(1, promise, Basis::Accepted, "2026-02-16 14:31");
        self
    }

    /// The shop changes the date of line `index`.
    pub fn moves(&mut self, index: usize, ships: &str, when: &str) {
        self.s.lines[index].eta = eta(ships);
        self.s.lines[index].eta_changed_at = at(when);
    }
    #[must_use]
    pub fn moved(mut self, ships: &str, when: &str) -> Story {
        self.moves(0, ships, when);
        self
    }

    pub fn ships(&mut self, index: usize, pieces: i64, when: &str) {
        self.s.lines[index].shipped = Quantity::pieces(pieces);
        self.s.lines[index].shipped_changed_at = Some(at(when));
    }
    /// A parcel with a tracking number.
    pub fn parcel(&mut self, key: &str) {
        self.s.untold_shipments.push(Shipment {
            key: key.to_owned(),
            carrier: Some("UPS".to_owned()),
            tracking_numbers: vec!["1Z999AA1012345678".to_owned()],
            tracking_url: None,
            estimate_on: None,
        });
    }
    pub fn cancels(&mut self, index: usize, pieces: i64, when: &str) {
        self.s.lines[index].cancelled = Quantity::pieces(pieces);
        self.s.lines[index].cancelled_changed_at = Some(at(when));
    }

    /// Texts are on, the customer agreed to them, and prefers this.
    #[must_use]
    pub fn texting(mut self, preferred: Preference) -> Story {
        self.policy.sms.enabled = true;
        let contact = &mut self.s.order.contact;
        contact.phone = Some(PhoneNumber::parse("+447400120123", None).unwrap());
        contact.sms_consent = true;
        contact.preferred = preferred;
        self
    }

    pub fn plan(&self, now: Instant) -> OrderPlan {
        plan(&self.s, &self.policy, Mode::Live, now)
    }
    pub fn plan_at(&self, now: &str) -> OrderPlan {
        self.plan(at(now))
    }

    /// Stores a plan as the store would; answers the messages written.
    pub fn commit(&mut self, planned: &OrderPlan) -> Vec<MessageNo> {
        for no in &planned.supersede {
            let notice = self.notice(*no);
            assert!(notice.in_queue, "only queued messages are superseded");
            notice.in_queue = false;
            notice.state = MessageState::Superseded;
            notice.key = None;
        }
        let mut written = Vec::new();
        for draft in &planned.drafts {
            let taken = |n: &PastNotice| n.key.as_deref() == Some(draft.key.as_str());
            assert!(!self.s.notices.iter().any(taken), "key used twice");
            let crowded = |n: &PastNotice| n.in_queue && n.channel == draft.channel;
            assert!(!self.s.notices.iter().any(crowded), "two queued notices");
            let message = MessageNo(self.statements.len() as i64 + 1);
            self.statements.insert(message, draft.statement.clone());
            self.s.notices.push(PastNotice {
                message,
                kind: draft.kind,
                channel: draft.channel,
                discriminator: draft.discriminator.clone(),
                key: Some(draft.key.clone()),
                take: draft.take,
                facts_hash: draft.statement.facts_hash(),
                state: MessageState::Queued,
                in_queue: true,
                in_flight: false,
                milestone_days: draft.statement.milestone_days,
                due_at: draft.due_at,
                not_after: draft.not_after,
                sent_at: None,
                elsewhere: false,
            });
            written.push(message);
        }
        written
    }

    pub fn notice(&mut self, no: MessageNo) -> &mut PastNotice {
        self.s
            .notices
            .iter_mut()
            .find(|n| n.message == no)
            .expect("a committed message")
    }

    fn leave_queue(&mut self, no: MessageNo, state: MessageState, in_flight: bool) {
        let notice = self.notice(no);
        notice.state = state;
        notice.in_queue = false;
        notice.in_flight = in_flight;
    }
    pub fn launch(&mut self, no: MessageNo) {
        self.leave_queue(no, MessageState::Submitting, true);
    }
    /// A person took it back.
    pub fn withdraw(&mut self, no: MessageNo) {
        self.leave_queue(no, MessageState::Withdrawn, false);
    }
    pub fn fail(&mut self, no: MessageNo) {
        self.leave_queue(no, MessageState::Failed, false);
    }

    /// The far side took it: what it states is told.
    pub fn accept(&mut self, no: MessageNo, when: Instant) {
        self.tell(no, Basis::Accepted, when);
        self.settle(no, when);
    }

    fn settle(&mut self, no: MessageNo, when: Instant) {
        self.leave_queue(no, MessageState::Sent, false);
        let notice = self.notice(no);
        notice.sent_at = Some(when);
        let (kind, key) = (notice.kind, notice.key.clone().expect("a live key"));
        self.sent_keys.push(key);
        if !kind.must_arrive() {
            self.s.courtesy_sent_at.push(when);
        }
        let statement = &self.statements[&no];
        self.s.order.next_word_by = statement.next_word_by;
        for stated in &statement.lines {
            if let Some(line) = self.s.lines.iter_mut().find(|l| l.id == stated.line) {
                line.shipped_told = line.shipped_told.max(stated.shipped);
                line.cancelled_told = line.cancelled_told.max(stated.cancelled);
            }
        }
        let told: Vec<&str> = statement.shipments.iter().map(|p| p.key.as_str()).collect();
        self.s
            .untold_shipments
            .retain(|p| !told.contains(&p.key.as_str()));
    }

    /// It came back: its words do not count any more.
    pub fn bounce(&mut self, no: MessageNo, when: Instant) {
        self.leave_queue(no, MessageState::Bounced, false);
        self.tell(no, Basis::Retracted, when);
    }

    /// Nobody knows whether it went out; its quiet period is over.
    pub fn doubt(&mut self, no: MessageNo, when: Instant) {
        self.leave_queue(no, MessageState::InDoubt, false);
        self.tell(no, Basis::Possible, when);
    }

    /// ... and is settled as sent.
    pub fn assume(&mut self, no: MessageNo, when: Instant) {
        self.tell(no, Basis::Assumed, when);
        self.settle(no, when);
    }

    fn tell(&mut self, no: MessageNo, basis: Basis, when: Instant) {
        for stated in &self.statements[&no].lines {
            let Some(promise) = stated.promise else {
                continue;
            };
            if let Some(line) = self.s.lines.iter_mut().find(|l| l.id == stated.line) {
                line.told.push(Told {
                    seq: line.told_seq() + 1,
                    message: Some(no),
                    promise,
                    eta: stated.eta,
                    basis,
                    at: when,
                });
            }
        }
    }

    /// Plans, commits and accepts everything at once; says what went out.
    pub fn turn(&mut self, now: &str) -> Vec<String> {
        let planned = self.plan_at(now);
        for no in self.commit(&planned) {
            self.accept(no, at(now));
        }
        said(&planned)
    }
}

/// `delay email`, in order of the drafts.
pub fn said(planned: &OrderPlan) -> Vec<String> {
    planned
        .drafts
        .iter()
        .map(|draft| format!("{} {}", draft.kind, draft.channel))
        .collect()
}

/// The codes of the silences.
pub fn quiet(planned: &OrderPlan) -> Vec<&'static str> {
    planned
        .verdicts
        .iter()
        .filter(|v| !v.is_said())
        .map(|v| v.reason.code())
        .collect()
}

/// The leading kind, if anything is drafted.
pub fn lead(planned: &OrderPlan) -> Option<Kind> {
    planned.drafts.first().map(|draft| draft.kind)
}

pub fn draft_on(planned: &OrderPlan, channel: ChannelName) -> &super::plan::Draft {
    planned
        .drafts
        .iter()
        .find(|draft| draft.channel == channel)
        .expect("a draft on this channel")
}
