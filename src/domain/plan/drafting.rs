//! From the owed notice to drafts, one per channel that needs one.
//!
//! Compares with what is queued, on its way or was said, so that nothing is
//! said twice, what is still right stays queued, and what is not is superseded.

use super::channels::{reachable_channels, wanted_channels};
use super::owed::Owed;
use super::{Draft, OrderPlan};
use crate::domain::assess::day_after;
use crate::domain::ids::MessageNo;
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::message::{MessageState, earliest_send};
use crate::domain::notice_key::{Mode, notice_key};
use crate::domain::order::{Order, PastNotice, Situation};
use crate::domain::policy::Policy;
use crate::domain::reason::{Reason, Verdict};
use crate::domain::statement::{LineStatement, Statement};
use crate::domain::time::Instant;

/// Turns the owed notice into drafts, one per channel that needs one.
#[expect(
    clippy::too_many_arguments,
    reason = "the second half of `plan`, split off to fit a screen"
)]
pub(super) fn draft(
    s: &Situation,
    policy: &Policy,
    mode: Mode,
    now: Instant,
    kind: Kind,
    statement: &Statement,
    owed: &Owed,
    out: &mut OrderPlan,
) -> bool {
    let discriminator = owed.discriminator(kind);
    // Only a queued message is compared by its facts.
    let has_queue = s.notices.iter().any(|n| n.in_queue);
    let hash = has_queue.then(|| statement.facts_hash());
    let is_kept = |past: &PastNotice| {
        past.in_queue && !past.elsewhere && Some(&past.facts_hash) == hash.as_ref()
    };
    // What did not arrive at an address that was repaired since is said once
    // more under the next number.
    let key_on = |channel| {
        let missed = |key: &String| {
            let is_key = |n: &&PastNotice| n.key.as_ref() == Some(key);
            let found = s.notices.iter().find(is_key);
            found.is_some_and(PastNotice::missed_the_present_address)
        };
        let mut take = 0;
        loop {
            let key = notice_key(&s.order.key, kind, &discriminator, channel, mode, take);
            if !missed(&key) {
                return (key, take);
            }
            take += 1;
        }
    };
    let holds_key = |channel| {
        let (key, _) = key_on(channel);
        s.notices
            .iter()
            .find(|n| n.key.as_deref() == Some(key.as_str()))
    };

    let mut channels = wanted_channels(s, policy, kind, owed.promised);
    // A channel on which this failed is not tried again; must-arrive kinds
    // and a promised word take the other one.
    let came_back = |channel| {
        s.notices.iter().filter(move |n| {
            n.state == MessageState::Bounced
                && n.kind == kind
                && n.channel == channel
                && !n.missed_the_present_address()
        })
    };
    let same_news = |n: &&PastNotice| news(&n.discriminator) == news(&discriminator);
    let failed_on = |channel| {
        // A person's no is no failure: it holds for every channel.
        holds_key(channel).is_some_and(|n| {
            n.state.is_final() && !n.state.is_sent() && n.state != MessageState::Withdrawn
        }) || came_back(channel).any(|n| same_news(&n))
    };
    let is_owed = kind.must_arrive() || owed.promised;
    if is_owed && channels.len() == 1 && failed_on(channels[0]) {
        let others = reachable_channels(s, policy);
        let tried = channels[0];
        channels.extend(others.into_iter().filter(|c| *c != tried));
    }
    let only_one = channels.len() == 1;
    let true_until = true_until(statement, &s.order);
    if channels.is_empty() {
        out.verdicts
            .push(Verdict::quiet(Some(kind), Reason::Unreachable));
    }
    let past_on = |channel| {
        // What came back raised `told_seq`, so its news has a key of its own:
        // without this it would be said, and come back, for ever.
        let returned = came_back(channel).filter(same_news);
        // Its first copy may have raised `told_seq` as well.
        let repeats =
            |n: &&PastNotice| n.again && (n.channel, n.kind) == (channel, kind) && is_kept(n);
        s.notices
            .iter()
            .find(repeats)
            .or_else(|| holds_key(channel))
            .or(returned.skip(usize::from(only_one)).last())
    };
    let silence_on = |channel| {
        let in_the_way = |n: &&PastNotice| n.in_flight && n.channel == channel;
        let flying = s.notices.iter().find(in_the_way);
        match (past_on(channel), flying) {
            (Some(past), _) if is_kept(past) => Some(Reason::Queued {
                message: past.message,
                due_at: past.due_at,
            }),
            (_, Some(flying)) => Some(Reason::InFlight {
                message: flying.message,
            }),
            (Some(past), None) if past.state.is_sent() => Some(Reason::AlreadySaid {
                message: past.message,
            }),
            (Some(past), None) if past.state.is_final() => Some(Reason::CannotSay {
                message: past.message,
            }),
            // In doubt: whether it was said is about to be settled.
            (Some(past), None) if !past.in_queue => Some(Reason::InFlight {
                message: past.message,
            }),
            _ => None,
        }
    };
    let silences: Vec<(ChannelName, Option<Reason>)> = channels
        .iter()
        .map(|channel| (*channel, silence_on(*channel)))
        .collect();
    let is_over = |reason: &Option<Reason>| {
        matches!(
            reason,
            Some(Reason::AlreadySaid { .. } | Reason::CannotSay { .. })
        )
    };
    let speaks = silences.is_empty() || silences.iter().any(|(_, reason)| !is_over(reason));
    for (channel, silence) in silences {
        if let Some(reason) = silence {
            if let Reason::Queued { message, .. } = &reason {
                out.keep.push(*message);
            }
            out.verdicts.push(Verdict {
                channel: Some(channel),
                ..Verdict::quiet(Some(kind), reason)
            });
            continue;
        }
        let due_at = due_at(s, policy, kind, channel, owed, true_until, now);
        out.verdicts.push(Verdict::said(kind, channel));
        let (key, take) = key_on(channel);
        out.drafts.push(Draft {
            kind,
            channel,
            discriminator: discriminator.clone(),
            key,
            take,
            statement: statement.clone(),
            due_at,
            not_after: due_at.plus(policy.retry.age_max(kind)).min(true_until),
            promised: owed.promised,
        });
    }
    if !speaks {
        return false;
    }
    // What is said once more stays while it is true and nothing newer takes
    // its place.
    let drafted: Vec<ChannelName> = out.drafts.iter().map(|d| d.channel).collect();
    for notice in s.notices.iter().filter(|n| n.in_queue && n.again) {
        let is_new = !out.keep.contains(&notice.message);
        if is_new && !drafted.contains(&notice.channel) && stays_true(notice, s, policy, statement)
        {
            out.keep.push(notice.message);
        }
    }
    let superseded: Vec<MessageNo> = s
        .notices
        .iter()
        .filter(|n| n.in_queue && !out.keep.contains(&n.message))
        .map(|n| n.message)
        .collect();
    out.supersede.extend(superseded);
    true
}

/// A day that is named must not be over when the message arrives.
pub(super) fn true_until(statement: &Statement, order: &Order) -> Instant {
    statement
        .lines
        .iter()
        .filter_map(|line| line.promise?.last())
        .min()
        .and_then(|day| day_after(day, order))
        .unwrap_or(Instant(i64::MAX))
}

/// A discriminator without the places in the ledger it starts from: the same
/// news before and after a bounce.
fn news(discriminator: &str) -> Vec<(&str, &str)> {
    discriminator
        .split(';')
        .map(|mark| match mark.rsplit_once('@') {
            Some((line, rest)) => (line, rest.split_once('>').map_or(rest, |(_, to)| to)),
            None => (mark, ""),
        })
        .collect()
}

/// With nothing newly owed, a queued message stays only as the companion of
/// one that was accepted: the text that waits for morning after the e-mail
/// went out; or as what is said again, by a person's wish or because of a doubt.
/// Either only as long as it is still true.
pub(super) fn retain_companions(
    s: &Situation,
    policy: &Policy,
    current: &Statement,
    out: &mut OrderPlan,
) {
    for notice in s.notices.iter().filter(|n| n.in_queue) {
        let sibling = s.notices.iter().any(|other| {
            other.message != notice.message
                && other.kind == notice.kind
                && other.discriminator == notice.discriminator
                && other.channel != notice.channel
                && (other.state.is_sent() || other.in_flight)
        });
        if (sibling || notice.again) && stays_true(notice, s, policy, current) {
            out.keep.push(notice.message);
            let reason = Reason::Queued {
                message: notice.message,
                due_at: notice.due_at,
            };
            out.verdicts.push(Verdict {
                channel: Some(notice.channel),
                ..Verdict::quiet(Some(notice.kind), reason)
            });
        } else {
            out.supersede.push(notice.message);
        }
    }
}

fn stays_true(notice: &PastNotice, s: &Situation, policy: &Policy, current: &Statement) -> bool {
    let reaches = !notice.elsewhere && reachable_channels(s, policy).contains(&notice.channel);
    reaches && (notice.facts_hash == current.facts_hash() || covers(notice, s, current))
}

/// A ship or cancel notice's own lines leave the statement once its sibling
/// told them; it stays true while no fact moved since it was written or
/// vouched for, their quantities are the ones it was written for, and what
/// waits has the date the sibling named.
fn covers(notice: &PastNotice, s: &Situation, current: &Statement) -> bool {
    let reached = |mark: &str| {
        s.lines.iter().any(|line| {
            let quantity = match notice.kind {
                Kind::Shipped => line.shipped,
                Kind::Cancelled => line.cancelled,
                _ => return false,
            };
            mark == format!("{}:{quantity}", line.key)
        })
    };
    let as_told = |line: &LineStatement| line.told.map(|told| told.promise) == line.promise;
    notice.fact_version == s.order.fact_version
        && notice.discriminator.split(';').all(reached)
        && current.waiting_lines().all(as_told)
}

/// The earliest decent moment to send.
fn due_at(
    s: &Situation,
    policy: &Policy,
    kind: Kind,
    channel: ChannelName,
    owed: &Owed,
    true_until: Instant,
    now: Instant,
) -> Instant {
    let zone = s.order.zone;
    let today = now.day_in(zone);
    let near = owed
        .ripe
        .iter()
        .filter_map(|t| t.told_day)
        .any(|day| (day - today).num_days() <= i64::from(policy.delay.near_days));
    let at = match kind {
        Kind::Delay | Kind::DateSet | Kind::Sooner | Kind::DateWithdrawn | Kind::Overdue
            if !near =>
        {
            policy.delay.hours.earliest(now, zone)
        }
        _ => now,
    };
    // Put off, it would name a day that is over.
    let at = if at < true_until { at } else { now };
    let recipients = s.order.contact.zone.unwrap_or(zone);
    earliest_send(channel, &policy.sms.hours, recipients, at)
}
