//! Receipts: what others report about a message after it was handed over, and
//! what follows from it.
//!
//! Receipts come late, twice, in any order, and sometimes before our own
//! record of the acceptance. So nothing here depends on order: what became of
//! a message is a function of the *set* of things known about it. Each one has
//! a rank on the message's channel, and the highest rank stands:
//!
//! ```text
//! e-mail:  in_doubt < sent < delivered < bounced
//! text:    in_doubt < sent < bounced < delivered
//! ```
//!
//! A mail is reported as delivered by one host and returned by the next; the
//! return is the truth. A network gives a text up and the phone then answers;
//! the phone is the truth.
//!
//! Who may say something about a message is decided before this: a mail by its
//! token ([`super::verp`]), a gateway by its signature. Pure; the store writes
//! what [`consequences`] answers in one transaction.

use super::kinds::ChannelName;
use super::message::MessageState;
use super::outcome::{Evidence, Refusal};
use super::time::{Instant, Length};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// How long a receipt whose message nobody knows waits for it to appear: a
/// gateway may report before our own record of its answer is written.
pub const PARKED_FOR: Length = Length::hours(24);
/// How long the raw text of a receipt is kept.
pub const RAW_KEPT_FOR: Length = Length::days(30);

/// One report about one message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// The same for every copy of the same report.
    pub event_key: String,
    pub kind: ReceiptKind,
    /// When we got it.
    pub at: Instant,
    /// Codes and words, without addresses.
    pub evidence: Evidence,
}

/// What a receipt says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptKind {
    /// Not delivered yet, still being tried. Whoever tries has accepted it.
    Delayed,
    /// Handed to a system that reports nothing: the trail ends here.
    Relayed,
    /// Handed to a list of further recipients.
    Expanded,
    Delivered,
    /// Came back, or the network gave it up.
    Failed(Refusal),
    /// The recipient called it unwanted. It arrived, then.
    Complaint,
}

impl ReceiptKind {
    pub const ALL: [ReceiptKind; 11] = [
        ReceiptKind::Delayed,
        ReceiptKind::Relayed,
        ReceiptKind::Expanded,
        ReceiptKind::Delivered,
        ReceiptKind::Complaint,
        ReceiptKind::Failed(Refusal::Hard),
        ReceiptKind::Failed(Refusal::HardAfterTwoDays),
        ReceiptKind::Failed(Refusal::OptedOut),
        ReceiptKind::Failed(Refusal::Policy),
        ReceiptKind::Failed(Refusal::Content),
        ReceiptKind::Failed(Refusal::Soft),
    ];

    /// The word in the database and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            ReceiptKind::Delayed => "delayed",
            ReceiptKind::Relayed => "relayed",
            ReceiptKind::Expanded => "expanded",
            ReceiptKind::Delivered => "delivered",
            ReceiptKind::Complaint => "complaint",
            ReceiptKind::Failed(Refusal::Hard) => "failed_hard",
            ReceiptKind::Failed(Refusal::HardAfterTwoDays) => "failed_vague",
            ReceiptKind::Failed(Refusal::OptedOut) => "failed_opted_out",
            ReceiptKind::Failed(Refusal::Policy) => "failed_policy",
            ReceiptKind::Failed(Refusal::Content) => "failed_content",
            ReceiptKind::Failed(Refusal::Soft) => "failed_soft",
        }
    }
    pub fn parse(text: &str) -> Option<ReceiptKind> {
        ReceiptKind::ALL.into_iter().find(|k| k.as_str() == text)
    }

    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            ReceiptKind::Delayed => "on its way, delayed",
            ReceiptKind::Relayed => "passed on to a system that reports nothing",
            ReceiptKind::Expanded => "passed on to a list",
            ReceiptKind::Delivered => "arrived",
            ReceiptKind::Complaint => "called unwanted by the recipient",
            ReceiptKind::Failed(Refusal::Hard) => "came back: no such mailbox or number",
            ReceiptKind::Failed(Refusal::HardAfterTwoDays) => {
                "came back: something is wrong with the mailbox or its host"
            }
            ReceiptKind::Failed(Refusal::OptedOut) => "came back: the recipient opted out",
            ReceiptKind::Failed(Refusal::Policy) => "came back: refused by the other side's rules",
            ReceiptKind::Failed(Refusal::Content) => "came back: the message itself was refused",
            ReceiptKind::Failed(Refusal::Soft) => "came back: could not be delivered in time",
        }
    }

    /// The state it stands for by itself.
    fn state(self) -> MessageState {
        match self {
            ReceiptKind::Delayed | ReceiptKind::Relayed | ReceiptKind::Expanded => {
                MessageState::Sent
            }
            ReceiptKind::Delivered | ReceiptKind::Complaint => MessageState::Delivered,
            ReceiptKind::Failed(_) => MessageState::Bounced,
        }
    }

    /// Its rank among everything that can be known about a message of a
    /// channel.
    pub fn rank(self, channel: ChannelName) -> u8 {
        rank(self.state(), channel).unwrap_or_default()
    }

    /// Why its address is not written to any more, if that follows from it
    /// alone; see also [`are_vague_on_two_days`].
    pub fn stops(self) -> Option<Stop> {
        match self {
            ReceiptKind::Failed(Refusal::Hard) => Some(Stop::Dead),
            ReceiptKind::Failed(Refusal::OptedOut) => Some(Stop::OptedOut),
            ReceiptKind::Complaint => Some(Stop::Complained),
            _ => None,
        }
    }
}

/// The rank of a state that receipts can change, or lead to; `None` for all
/// others: what was never handed over has no receipts, and what is being
/// handed over is decided by our own record first.
fn rank(state: MessageState, channel: ChannelName) -> Option<u8> {
    match (state, channel) {
        (MessageState::InDoubt, _) => Some(0),
        (MessageState::Sent, _) => Some(1),
        (MessageState::Delivered, ChannelName::Email)
        | (MessageState::Bounced, ChannelName::Sms) => Some(2),
        (MessageState::Bounced, ChannelName::Email)
        | (MessageState::Delivered, ChannelName::Sms) => Some(3),
        _ => None,
    }
}

/// A message as the receipts find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    pub channel: ChannelName,
    pub state: MessageState,
    /// Times it was in doubt: a queued message with a doubt is a repetition
    /// whose first copy may be what the receipt is about.
    pub doubts: u32,
}

/// What receipts do to their message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consequences {
    pub state: MessageState,
    pub told: ToldEffect,
    /// Stop writing to the address on this channel.
    pub suppress: Option<Stop>,
}

/// What receipts do to the told-ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToldEffect {
    Nothing,
    /// It was said after all.
    Confirm,
    /// It was not said: the entries of this message do not count.
    Retract,
}

/// Why an address is not written to any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// No such mailbox or number.
    Dead,
    OptedOut,
    /// The recipient called our mail unwanted: courtesies end, and what must
    /// arrive goes another way or to a person.
    Complained,
}

impl Stop {
    /// The reason stored with the suppression.
    pub fn as_str(self) -> &'static str {
        match self {
            Stop::Dead => "came back",
            Stop::OptedOut => "opted out",
            Stop::Complained => "complaint",
        }
    }
}

/// What all receipts of one message, in any order, each any number of times,
/// do to it. `None`: nothing yet; our own record of the attempt comes first,
/// and these receipts are looked at again after it.
pub fn consequences(subject: Subject, receipts: &[ReceiptKind]) -> Option<Consequences> {
    let Subject { channel, state, .. } = subject;
    let suppress = receipts
        .iter()
        .filter_map(|kind| kind.stops())
        .min_by_key(|stop| *stop as u8);
    let before = match state {
        // Its first copy is what the receipts are about.
        MessageState::Queued if subject.doubts > 0 => 0,
        MessageState::Queued | MessageState::Leased | MessageState::Submitting => return None,
        state => match rank(state, channel) {
            Some(rank) => rank,
            // Taken back, expired or failed: nobody waits for it. A copy in
            // doubt that came back was not said all the same.
            None => {
                let came_back = receipts.iter().any(|k| matches!(k, ReceiptKind::Failed(_)));
                return Some(Consequences {
                    state,
                    told: if came_back && subject.doubts > 0 {
                        ToldEffect::Retract
                    } else {
                        ToldEffect::Nothing
                    },
                    suppress,
                });
            }
        },
    };
    let highest = receipts.iter().max_by_key(|kind| kind.rank(channel));
    let after = match highest {
        Some(kind) if kind.rank(channel) > before => kind.state(),
        _ => state,
    };
    let told = match (state, after) {
        (before, after) if before == after => ToldEffect::Nothing,
        (_, MessageState::Bounced) => ToldEffect::Retract,
        // An accepted message was told as accepted: arriving adds nothing.
        (MessageState::Sent, MessageState::Delivered) => ToldEffect::Nothing,
        _ => ToldEffect::Confirm,
    };
    Some(Consequences {
        state: after,
        told,
        suppress,
    })
}

/// Whether vague refusals of one address came on two different days, near
/// enough to mean the same: then the mailbox is gone.
pub fn are_vague_on_two_days(days: &[NaiveDate]) -> bool {
    let vague = Refusal::HardAfterTwoDays;
    let ends = |day: &NaiveDate| {
        let mut before = days.iter();
        before.any(|other| vague.ends_the_address(Some(*other), *day))
    };
    days.iter().any(ends)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ChannelName::{Email, Sms};
    use MessageState::{Bounced, Delivered, InDoubt, Queued, Sent};
    use proptest::prelude::*;

    const HARD: ReceiptKind = ReceiptKind::Failed(Refusal::Hard);
    const SOFT: ReceiptKind = ReceiptKind::Failed(Refusal::Soft);

    fn after(
        channel: ChannelName,
        state: MessageState,
        receipts: &[ReceiptKind],
    ) -> (MessageState, ToldEffect, Option<Stop>) {
        let subject = Subject {
            channel,
            state,
            doubts: u32::from(matches!(state, InDoubt | Queued)),
        };
        let c = consequences(subject, receipts).unwrap();
        (c.state, c.told, c.suppress)
    }

    #[test]
    fn what_receipts_do() {
        use ReceiptKind as R;
        use ToldEffect::{Confirm, Nothing, Retract};
        let cases: &[(ChannelName, MessageState, &[ReceiptKind], _)] = &[
            (Email, Sent, &[], (Sent, Nothing, None)),
            (Email, Sent, &[R::Delayed], (Sent, Nothing, None)),
            (Email, Sent, &[R::Delivered], (Delivered, Nothing, None)),
            (Email, Sent, &[SOFT], (Bounced, Retract, None)),
            (Email, Sent, &[HARD], (Bounced, Retract, Some(Stop::Dead))),
            (
                Email,
                Sent,
                &[HARD, R::Complaint],
                (Bounced, Retract, Some(Stop::Dead)),
            ),
            (
                Email,
                Sent,
                &[R::Complaint],
                (Delivered, Nothing, Some(Stop::Complained)),
            ),
            // Returned after one host had reported it as delivered.
            (Email, Delivered, &[SOFT], (Bounced, Retract, None)),
            (Email, Bounced, &[R::Delivered], (Bounced, Nothing, None)),
            // A phone that answers late was only away.
            (Sms, Bounced, &[R::Delivered], (Delivered, Confirm, None)),
            (Sms, Delivered, &[SOFT], (Delivered, Nothing, None)),
            (Sms, Sent, &[SOFT, R::Delivered], (Delivered, Nothing, None)),
            // Any report settles a doubt: somebody has the message.
            (Email, InDoubt, &[R::Delayed], (Sent, Confirm, None)),
            (Email, InDoubt, &[R::Relayed], (Sent, Confirm, None)),
            (Email, InDoubt, &[R::Delivered], (Delivered, Confirm, None)),
            (Email, InDoubt, &[SOFT], (Bounced, Retract, None)),
            // About to be sent once more: the first copy is accounted for.
            (Email, Queued, &[R::Delivered], (Delivered, Confirm, None)),
            (Email, Queued, &[SOFT], (Bounced, Retract, None)),
            // Replaced by newer facts after a doubt.
            (
                Email,
                MessageState::Failed,
                &[R::Delivered],
                (MessageState::Failed, Nothing, None),
            ),
        ];
        for (channel, state, receipts, expected) in cases {
            let got = after(*channel, *state, receipts);
            assert_eq!(got, *expected, "{channel} {state} {receipts:?}");
        }
    }

    #[test]
    fn a_copy_in_doubt_that_was_replaced_and_came_back_was_not_said() {
        let replaced = |doubts| Subject {
            channel: Email,
            state: MessageState::Superseded,
            doubts,
        };
        let told = |doubts| consequences(replaced(doubts), &[SOFT]).unwrap().told;
        assert_eq!(told(1), ToldEffect::Retract);
        assert_eq!(told(0), ToldEffect::Nothing);
    }

    #[test]
    fn our_own_record_comes_first() {
        for state in [Queued, MessageState::Leased, MessageState::Submitting] {
            let subject = Subject {
                channel: Email,
                state,
                doubts: 0,
            };
            assert_eq!(consequences(subject, &[HARD]), None, "{state}");
        }
    }

    #[test]
    fn a_vague_refusal_ends_an_address_on_its_second_day() {
        let day = |d| NaiveDate::from_ymd_opt(2026, 3, d).unwrap();
        for (days, ends) in [
            (vec![], false),
            (vec![day(2)], false),
            (vec![day(2), day(2)], false),
            (vec![day(3), day(2)], true),
        ] {
            assert_eq!(are_vague_on_two_days(&days), ends, "{days:?}");
        }
    }

    #[test]
    fn words_read_back() {
        for kind in ReceiptKind::ALL {
            assert_eq!(ReceiptKind::parse(kind.as_str()), Some(kind));
        }
    }

    fn kinds() -> impl Strategy<Value = Vec<ReceiptKind>> {
        prop::collection::vec(prop::sample::select(ReceiptKind::ALL.to_vec()), 0..8)
    }

    proptest! {
        /// Applied one by one as they come, with our own acceptance anywhere
        /// among them, receipts end where all of them together end.
        #[test]
        fn order_and_repetition_do_not_matter(
            receipts in kinds(),
            repeated in kinds(),
            accepted_at in 0usize..16,
            sms: bool,
            seed: u64,
        ) {
            let channel = if sms { Sms } else { Email };
            let repeated = repeated.into_iter().filter(|kind| receipts.contains(kind));
            let mut shuffled: Vec<ReceiptKind> =
                receipts.iter().copied().chain(repeated).collect();
            let n = shuffled.len().max(1) as u64;
            for i in 0..shuffled.len() {
                let other = (seed.wrapping_mul(i as u64 + 7) % n) as usize;
                shuffled.swap(i, other);
            }
            let together = after(channel, Sent, &receipts);

            // Before our own record they wait; after it they are applied.
            let mut state = None;
            let mut seen = Vec::new();
            let mut suppress = None;
            for (i, kind) in shuffled.iter().enumerate() {
                seen.push(*kind);
                if i == accepted_at {
                    state = Some(Sent);
                }
                if let Some(now) = state {
                    let (next, _, stop) = after(channel, now, &seen);
                    prop_assert!(rank(next, channel) >= rank(now, channel), "fell in rank");
                    state = Some(next);
                    suppress = stop;
                }
            }
            if state.is_none() {
                let (next, _, stop) = after(channel, Sent, &seen);
                (state, suppress) = (Some(next), stop);
            }
            prop_assert_eq!(state, Some(together.0));
            prop_assert_eq!(suppress, together.2);
        }
    }
}
