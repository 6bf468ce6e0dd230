//! The told-ledger: every date a customer was given about a line, and what
//! they may believe now.
//!
//! Append-only. *Believed* is the last unretracted firm entry and every
//! unretracted *possible* one after it: a message that may have gone out may
//! be believed, so news is compared with all of them.

use super::eta::Eta;
use super::ids::MessageNo;
use super::time::Instant;
use serde::{Deserialize, Serialize};

/// One entry of the ledger of one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// Counts all entries of the line, from 1.
    pub seq: i64,
    pub message: Option<MessageNo>,
    /// What was said, buffer included.
    pub promise: Eta,
    /// The shop's raw ETA behind it.
    pub eta: Eta,
    pub basis: Basis,
    pub at: Instant,
}

/// How we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Assumed at first sight: nobody said it to us.
    Baseline,
    /// The shop says it told the customer.
    Shop,
    /// A relay or gateway accepted the message.
    Accepted,
    /// A message in doubt may have said it.
    Possible,
    /// In doubt, settled as sent.
    Assumed,
    /// The entries of this message do not count: it bounced, or evidence says
    /// it never went out.
    Retracted,
}

impl Basis {
    pub fn as_str(self) -> &'static str {
        match self {
            Basis::Baseline => "baseline",
            Basis::Shop => "shop",
            Basis::Accepted => "accepted",
            Basis::Possible => "possible",
            Basis::Assumed => "assumed",
            Basis::Retracted => "retracted",
        }
    }
    pub fn parse(text: &str) -> Option<Basis> {
        [
            Basis::Baseline,
            Basis::Shop,
            Basis::Accepted,
            Basis::Possible,
            Basis::Assumed,
            Basis::Retracted,
        ]
        .into_iter()
        .find(|b| b.as_str() == text)
    }
    /// Firm entries replace what was believed before.
    pub fn is_firm(self) -> bool {
        matches!(
            self,
            Basis::Baseline | Basis::Shop | Basis::Accepted | Basis::Assumed
        )
    }
    /// Really said, so that "we told you" may be printed.
    pub fn was_said(self) -> bool {
        matches!(self, Basis::Shop | Basis::Accepted)
    }
}

/// What the customer may believe about a line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Believed<'a> {
    pub firm: Option<&'a Told>,
    /// Newer than `firm`, oldest first.
    pub possible: Vec<&'a Told>,
}

impl Believed<'_> {
    pub fn is_empty(&self) -> bool {
        self.firm.is_none() && self.possible.is_empty()
    }
    /// Every promise that may be believed.
    pub fn promises(&self) -> impl Iterator<Item = Eta> {
        self.firm
            .into_iter()
            .chain(self.possible.iter().copied())
            .map(|told| told.promise)
    }
    /// The entry to compare words with: the newest of all.
    pub fn latest(&self) -> Option<&Told> {
        self.possible.last().copied().or(self.firm)
    }
}

/// Works out what is believed from a line's ledger, given in order of `seq`.
pub fn believed(ledger: &[Told]) -> Believed<'_> {
    let retracted = |entry: &Told| {
        entry.message.is_some()
            && ledger.iter().any(|other| {
                other.basis == Basis::Retracted
                    && other.message == entry.message
                    && other.seq > entry.seq
            })
    };
    let mut out = Believed::default();
    for entry in ledger {
        if entry.basis == Basis::Retracted || retracted(entry) {
            continue;
        }
        if entry.basis.is_firm() {
            out.firm = Some(entry);
            out.possible.clear();
        } else {
            out.possible.push(entry);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seq: i64, message: i64, day: &str, basis: Basis) -> Told {
        let promise = Eta::day(day.parse().unwrap());
        Told {
            seq,
            message: (message > 0).then_some(MessageNo(message)),
            promise,
            eta: promise,
            basis,
            at: Instant(seq),
        }
    }

    fn check(ledger: &[Told], expected: &[&str]) {
        let days: Vec<String> = believed(ledger).promises().map(|p| p.to_string()).collect();
        assert_eq!(days, expected);
    }

    #[test]
    fn belief_is_the_last_firm_word_and_every_possible_one_after_it() {
        use Basis::{Accepted, Assumed, Baseline, Possible, Retracted};
        let a = "2026-03-06";
        let b = "2026-03-20";
        let c = "2026-04-01";
        check(&[], &[]);
        check(&[entry(1, 0, a, Baseline)], &[a]);
        check(&[entry(1, 0, a, Baseline), entry(2, 7, b, Accepted)], &[b]);
        check(
            &[entry(1, 5, a, Accepted), entry(2, 7, b, Possible)],
            &[a, b],
        );
        check(
            &[
                entry(1, 5, a, Accepted),
                entry(2, 7, b, Possible),
                entry(3, 8, c, Possible),
            ],
            &[a, b, c],
        );
        check(
            &[
                entry(1, 5, a, Accepted),
                entry(2, 7, b, Possible),
                entry(3, 7, b, Assumed),
            ],
            &[b],
        );
        // A bounce takes its message's words back; the word before counts again.
        check(
            &[
                entry(1, 5, a, Accepted),
                entry(2, 7, b, Accepted),
                entry(3, 7, b, Retracted),
            ],
            &[a],
        );
        check(
            &[
                entry(1, 5, a, Accepted),
                entry(2, 7, b, Possible),
                entry(3, 7, b, Retracted),
            ],
            &[a],
        );
    }
}
