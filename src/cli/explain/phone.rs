//! What may be said to the customer on the phone: never more than is true.

use super::Teller;
use super::is_said;
use crate::cli::present::{self, PROSE_WIDTH, say_line};
use crate::domain::eta::Eta;
use crate::domain::kinds::ChannelName;
use crate::domain::kinds::Kind;
use crate::domain::order::Line;
use crate::domain::reason::Reason;

impl Teller<'_> {
    // ---- for the customer ----

    pub(super) fn to_the_customer(&self) {
        say_line!(
            "{}",
            present::styled(present::HEAD, "YOU CAN TELL THE CUSTOMER")
        );
        for sentence in self.sentences() {
            say_line!("  {}", present::wrap(&sentence, 2, PROSE_WIDTH));
        }
        let by_mail = self
            .e
            .messages
            .iter()
            .any(|m| is_said(m) && m.channel == ChannelName::Email);
        if by_mail && !self.is_sandbox() {
            say_line!(
                "  Mail not found? Ask them to look for \"{}\", also in spam.",
                self.e.situation.order.number
            );
        }
    }

    /// What may safely be said on the phone; never more than is true.
    pub(super) fn sentences(&self) -> Vec<String> {
        let mut spoken: Vec<String> = Vec::new();
        let mut aside: Vec<String> = Vec::new();
        let waiting: Vec<&Line> = self.waiting().collect();
        for line in &self.e.situation.lines {
            if line.shipped.is_positive() && line.shipped == line.ordered {
                spoken.push(format!("Your {} has shipped.", line.name));
            } else if line.shipped.is_positive() {
                spoken.push(format!(
                    "{} of {} of your {} have shipped.",
                    line.shipped, line.ordered, line.name
                ));
            }
            if line.cancelled.is_positive() {
                let n = if line.cancelled == line.ordered {
                    String::new()
                } else {
                    format!("{} of ", line.cancelled)
                };
                spoken.push(format!("{n}your {} was cancelled.", line.name));
            }
        }
        let mut same: Vec<(Eta, Vec<&Line>)> = Vec::new();
        for line in &waiting {
            let told = line.believed().firm.map(|told| told.promise);
            let promise = self.promise(line);
            let is_good = promise.last().is_none_or(|last| last >= self.today)
                && !self.is_doubted(line)
                && line.missing_since.is_none();
            if !is_good {
                aside.push(format!(
                    "Name no day for {}: the shop's own is not to be relied on at the moment.",
                    line.name
                ));
                continue;
            }
            if self.is_settling(line) {
                aside.push(format!(
                    "The date of {} changed a moment ago and may change again; better not name \
                     one yet.",
                    line.name
                ));
                continue;
            }
            if told.is_some_and(|told| told != promise && told.is_known()) && promise.is_known() {
                aside.push(format!(
                    "{}: we have not written about {} yet.",
                    line.name,
                    self.eta(promise)
                ));
            }
            match same.iter_mut().find(|(eta, _)| *eta == promise) {
                Some((_, lines)) => lines.push(line),
                None => same.push((promise, vec![line])),
            }
        }
        for (promise, lines) in same {
            let names: Vec<&str> = lines.iter().map(|line| line.name.as_str()).collect();
            let names = names.join(" and ");
            spoken.push(match promise {
                Eta::Unknown => format!("We have no ship date for your {names} at the moment."),
                Eta::Day { on } => format!(
                    "We expect to ship your {names} on {}.",
                    present::spoken_day(on, self.today)
                ),
                Eta::Window { from, to } => format!(
                    "We expect to ship your {names} between {} and {}.",
                    present::spoken_day(from, self.today),
                    present::spoken_day(to, self.today)
                ),
            });
        }
        if let Some(m) = self.last_said().filter(|_| !self.is_sandbox()) {
            let at = m.sent_at.unwrap_or(m.planned_at).day_in(self.zone);
            let day = if at == self.today {
                "today".to_owned()
            } else {
                format!("on {}", at.format("%-d %B"))
            };
            let about = match m.kind {
                Kind::Delay | Kind::Sooner | Kind::DateSet => " about the new date",
                Kind::Shipped => " when it shipped",
                _ => "",
            };
            spoken.push(format!("We wrote to you{about} {day}."));
        }
        if let Some(day) = self
            .e
            .situation
            .order
            .next_word_by
            .filter(|day| *day >= self.today && !self.is_sandbox())
        {
            spoken.push(format!(
                "We will write again by {}.",
                present::spoken_day(day, self.today)
            ));
        }
        let mut out = Vec::new();
        if !spoken.is_empty() {
            out.push(format!("\"{}\"", spoken.join(" ")));
        }
        out.extend(aside);
        if self.is_sandbox() {
            out.push(
                "Do not say that we wrote: in the sandbox nothing reaches customers.".to_owned(),
            );
        } else if self.last_said().is_none() {
            out.push("Do not say that we wrote: so far we have not.".to_owned());
        }
        out
    }

    /// A verdict of this moment says that the date is not believed.
    pub(super) fn is_doubted(&self, line: &Line) -> bool {
        self.e.plan.verdicts.iter().any(|v| {
            let about_it = v.about.as_ref().is_none_or(|about| *about == line.name);
            about_it
                && matches!(
                    v.reason,
                    Reason::NotBelieved { .. }
                        | Reason::DateInPast { .. }
                        | Reason::StaleAtBaseline { .. }
                )
        })
    }

    pub(super) fn is_settling(&self, line: &Line) -> bool {
        let settle = self.viewer.policy().delay.settle;
        let fresh = line.eta_changed_at.plus(settle) > self.e.now;
        let told = line.believed().firm.map(|told| told.promise);
        fresh && told.is_some() && told != Some(self.promise(line))
    }
}
