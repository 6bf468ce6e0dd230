//! What the lines of an order give cause to say, and which kind leads.

use crate::domain::assess::{Assessment, Trigger};
use crate::domain::kinds::Kind;
use crate::domain::reason::{Reason, Verdict};
use crate::domain::time::{Instant, Length};

/// A courtesy gives way to other news that ripens within this.
pub(super) const COURTESY_WAITS: Length = Length::hours(1);

/// What the lines give cause to say, ripe or not.
pub(super) struct Owed {
    pub(super) ripe: Vec<Trigger>,
    pub(super) unripe: Vec<Trigger>,
    /// Below a threshold: leads only when something goes out anyway.
    pub(super) small: Vec<Trigger>,
    pub(super) promised: bool,
}

impl Owed {
    pub(super) fn gather(views: &[Assessment], now: Instant) -> Owed {
        let mut owed = Owed {
            ripe: Vec::new(),
            unripe: Vec::new(),
            small: Vec::new(),
            promised: false,
        };
        for trigger in views.iter().flat_map(|view| &view.triggers) {
            let pile = if trigger.small {
                &mut owed.small
            } else if trigger.ripe_at <= now {
                &mut owed.ripe
            } else {
                &mut owed.unripe
            };
            pile.push(trigger.clone());
        }
        owed
    }

    /// A verdict for each thing that is not ripe yet.
    pub(super) fn settling(&self, verdicts: &mut Vec<Verdict>) {
        for trigger in &self.unripe {
            if matches!(trigger.kind, Kind::Overdue) {
                continue; // has its own verdict: grace
            }
            let reason = Reason::Settling {
                until: trigger.ripe_at,
            };
            verdicts.push(Verdict::quiet(Some(trigger.kind), reason));
        }
    }

    /// Takes a kind out that was said, or cannot be said any more.
    pub(super) fn set_aside(&mut self, kind: Kind) {
        self.ripe.retain(|trigger| trigger.kind != kind);
        self.small.retain(|trigger| trigger.kind != kind);
    }

    /// The kind that leads the message to write now, if one is due.
    pub(super) fn lead(&mut self, now: Instant, verdicts: &mut Vec<Verdict>) -> Option<Kind> {
        let lead = self.ripe.iter().map(|t| t.kind).min()?;
        // A courtesy would state a date that is still moving: it can wait.
        let soon = now.plus(COURTESY_WAITS);
        if !lead.must_arrive() && self.unripe.iter().any(|t| t.ripe_at <= soon) {
            return None;
        }
        // An update that has a small change to report leads with the change.
        if lead == Kind::Update
            && let Some(kind) = self
                .small
                .iter()
                .map(|t| t.kind)
                .filter(|k| *k != Kind::Overdue)
                .min()
        {
            self.ripe
                .extend(self.small.iter().filter(|t| t.kind == kind).cloned());
            verdicts.retain(|v| !matches!(v.reason, Reason::SmallChange { .. }));
            return Some(kind);
        }
        Some(lead)
    }

    pub(super) fn discriminator(&self, kind: Kind) -> String {
        let mut marks: Vec<&str> = self
            .ripe
            .iter()
            .filter(|t| t.kind == kind)
            .map(|t| t.mark.as_str())
            .collect();
        marks.sort_unstable();
        marks.join(";")
    }
}
