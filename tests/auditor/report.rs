//! An audit and how it is printed: a table by rule, and the figures that a
//! campaign adds up.

use std::fmt;

use super::evidence::Evidence;
use super::rules::Case;
use super::rules::Limits;
use super::rules::RULES;
use super::rules::courtesies_twice;
use super::rules::sent_without_copy;
use super::rules::thrice;

/// Broken rules that are spelled out, per rule.
const SHOWN: usize = 5;

/// What one audit came to.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// By rule: number, what it says, what is wrong.
    pub rules: Vec<(&'static str, &'static str, Vec<String>)>,
    pub messages: usize,
    pub copies: usize,
    pub lost: usize,
    pub sent_without_copy: usize,
    pub courtesies_twice: usize,
    pub thrice: usize,
    /// Arrived twice, as what must arrive may.
    pub twice: usize,
    /// In doubt at some time.
    pub doubts: usize,
    /// Assumed sent, and no copy arrived: what the promise leaves open.
    pub assumed_without_copy: usize,
    /// The most doubts that one dead process left.
    pub doubts_a_kill: usize,
}

/// Holds the evidence against every rule.
pub fn audit(evidence: &Evidence, limits: Limits) -> Report {
    let case = Case::of(evidence, limits);
    let rules: Vec<_> = RULES
        .iter()
        .map(|rule| (rule.number, rule.says, (rule.check)(&case)))
        .collect();
    let messages = &evidence.messages;
    Report {
        messages: messages.len(),
        copies: messages.iter().map(|m| case.copies(m).len()).sum(),
        lost: rules
            .iter()
            .find(|(number, ..)| *number == "L")
            .map_or(0, |(.., wrong)| wrong.len()),
        sent_without_copy: sent_without_copy(&case).len(),
        courtesies_twice: courtesies_twice(&case).len(),
        thrice: thrice(&case).len(),
        twice: messages
            .iter()
            .filter(|m| case.copies(m).len() == 2)
            .count(),
        doubts: messages.iter().filter(|m| m.doubts > 0).count(),
        assumed_without_copy: messages
            .iter()
            .filter(|m| m.settled_by.is_some() && m.state == "sent" && case.copies(m).is_empty())
            .count(),
        doubts_a_kill: case.doubts_of_the_dead().first().copied().unwrap_or(0),
        rules,
    }
}

impl Report {
    pub fn is_clean(&self) -> bool {
        self.rules.iter().all(|(.., wrong)| wrong.is_empty())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "rule  broken  says")?;
        for (number, says, wrong) in &self.rules {
            writeln!(f, "{number:<5} {:>6}  {says}", wrong.len())?;
            for what in wrong.iter().take(SHOWN) {
                writeln!(f, "              - {what}")?;
            }
        }
        let figures = [
            ("messages", self.messages),
            ("copies", self.copies),
            ("lost", self.lost),
            ("accepted without copy", self.sent_without_copy),
            ("courtesy twice", self.courtesies_twice),
            ("must-arrive > 2", self.thrice),
            ("must-arrive twice", self.twice),
            ("in doubt at some time", self.doubts),
            ("in doubt max per kill", self.doubts_a_kill),
            ("assumed sent, no copy", self.assumed_without_copy),
        ];
        for (name, n) in figures {
            writeln!(f, "{name:<22} {n:>6}")?;
        }
        Ok(())
    }
}
