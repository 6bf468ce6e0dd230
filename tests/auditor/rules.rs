//! The rules of delivery, each with its number, checked on evidence alone.
//!
//! A rule is a pure function from what was found to what is wrong. Clocks of
//! several machines are never compared: order is the order of the ledgers and
//! of the attempts' numbers, and instants are compared only where the database
//! wrote both.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use uuid::Uuid;

use super::evidence::Attempt;
use super::evidence::Copy;
use super::evidence::Evidence;
use super::evidence::Message;
use super::evidence::Notice;

/// Nothing is repeated sooner after a doubt, in milliseconds.
const QUIET_MS: i64 = 15 * 60 * 1_000;
/// How far two processes may disagree about what was committed first: each
/// asks the clock before it commits.
const SLACK_MS: i64 = 5_000;
/// Sent once more when in doubt. The others are courtesies.
const MUST_ARRIVE: [&str; 6] = [
    "confirmation",
    "delay",
    "date_withdrawn",
    "overdue",
    "shipped",
    "cancelled",
];
/// What the program writes into an attempt whose process died over it.
const LEFT_BY_THE_DEAD: &str = "the sender ended before the answer";

/// What the audit has to know besides the evidence.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections one process may have open, over all channels.
    pub sessions: usize,
    /// Processes that were killed, if that is known.
    pub kills: Option<usize>,
}

/// The evidence, with what belongs to a message at hand.
pub struct Case<'e> {
    pub evidence: &'e Evidence,
    pub limits: Limits,
    attempts: BTreeMap<i64, Vec<&'e Attempt>>,
    notices: BTreeMap<i64, Vec<&'e Notice>>,
    /// By message: position in its ledger, and the copy.
    copies: BTreeMap<i64, Vec<(usize, &'e Copy)>>,
    /// Copies nobody claims to have sent.
    strangers: Vec<&'e Copy>,
    told: BTreeMap<i64, Vec<&'e str>>,
}

impl<'e> Case<'e> {
    pub fn of(evidence: &'e Evidence, limits: Limits) -> Case<'e> {
        let mut case = Case {
            evidence,
            limits,
            attempts: BTreeMap::new(),
            notices: BTreeMap::new(),
            copies: BTreeMap::new(),
            strangers: Vec::new(),
            told: BTreeMap::new(),
        };
        let mut known: BTreeMap<String, i64> = BTreeMap::new();
        for message in &evidence.messages {
            known.insert(hex(message.uid.as_bytes()), message.no);
        }
        for attempt in &evidence.attempts {
            let of_message = case.attempts.entry(attempt.message_no).or_default();
            of_message.push(attempt);
            if let Some(header) = &attempt.header {
                known.insert(header.clone(), attempt.message_no);
            }
        }
        for notice in &evidence.notices {
            let of_message = case.notices.entry(notice.message_no).or_default();
            of_message.push(notice);
        }
        for told in &evidence.told {
            if let Some(no) = told.message_no {
                case.told.entry(no).or_default().push(&told.basis);
            }
        }
        for (at, copy) in evidence.copies.iter().flat_map(|l| l.iter().enumerate()) {
            match known.get(&copy.id) {
                _ if copy.refused.is_some() => {}
                Some(no) => case.copies.entry(*no).or_default().push((at, copy)),
                None => case.strangers.push(copy),
            }
        }
        case
    }

    fn attempts(&self, message: &Message) -> &[&'e Attempt] {
        self.attempts.get(&message.no).map_or(&[], Vec::as_slice)
    }

    pub fn copies(&self, message: &Message) -> &[(usize, &'e Copy)] {
        self.copies.get(&message.no).map_or(&[], Vec::as_slice)
    }

    fn notices(&self, message: &Message) -> &[&'e Notice] {
        self.notices.get(&message.no).map_or(&[], Vec::as_slice)
    }

    fn was_told(&self, message: &Message, basis: &str) -> bool {
        self.told
            .get(&message.no)
            .is_some_and(|told| told.contains(&basis))
    }

    /// Doubts that dead processes left, the most of one of them first.
    pub fn doubts_of_the_dead(&self) -> Vec<usize> {
        let mut by_process: BTreeMap<Uuid, usize> = BTreeMap::new();
        for attempt in &self.evidence.attempts {
            if attempt.reply.as_deref() == Some(LEFT_BY_THE_DEAD) {
                *by_process.entry(attempt.worker).or_default() += 1;
            }
        }
        let mut counts: Vec<usize> = by_process.into_values().collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        counts
    }
}

pub fn must_arrive(kind: &str) -> bool {
    MUST_ARRIVE.contains(&kind)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One rule: its number, what it says, and who finds what is wrong.
pub struct Rule {
    pub number: &'static str,
    pub says: &'static str,
    pub check: fn(&Case<'_>) -> Vec<String>,
}

/// The rules, in the order in which they are printed.
pub const RULES: &[Rule] = &[
    Rule {
        number: "L",
        says: "nothing that is owed is lost",
        check: nothing_is_lost,
    },
    Rule {
        number: "I1",
        says: "the file is sound, states and flags agree, nothing is left half-way",
        check: states_and_flags_agree,
    },
    Rule {
        number: "I2",
        says: "one thing to say is said by one message, unless the first is in doubt",
        check: one_message_a_notice,
    },
    Rule {
        number: "I3",
        says: "no copy without an intent written down before",
        check: no_copy_without_an_intent,
    },
    Rule {
        number: "I4",
        says: "courtesies once, what must arrive twice at most, and after the quiet period",
        check: no_copy_too_many,
    },
    Rule {
        number: "I5",
        says: "sent is in the ledger, word for word; what is in the ledger is admitted",
        check: sent_arrived_and_arrived_is_admitted,
    },
    Rule {
        number: "I6",
        says: "a dead process leaves no more doubts than it had sessions",
        check: few_doubts_a_kill,
    },
    Rule {
        number: "I11",
        says: "nothing that calls it waiting after the ship notice",
        check: nothing_after_the_ship_notice,
    },
    Rule {
        number: "I12",
        says: "one message in flight for an order and channel",
        check: one_in_flight,
    },
    Rule {
        number: "I13",
        says: "copies arrive in the order in which their sending began",
        check: copies_in_order,
    },
    Rule {
        number: "I14",
        says: "no sending begins under a hold",
        check: hold_holds,
    },
    Rule {
        number: "I17",
        says: "no two attempts of a message in the same epoch",
        check: one_attempt_an_epoch,
    },
    Rule {
        number: "I18",
        says: "no sending begins to an address on the do-not-write list",
        check: suppressed_is_suppressed,
    },
    Rule {
        number: "I19",
        says: "a customer reads about nobody else",
        check: nobody_reads_of_others,
    },
    Rule {
        number: "I31",
        says: "attempts and the told-ledger add up to the states",
        check: the_books_add_up,
    },
];

fn nothing_is_lost(case: &Case<'_>) -> Vec<String> {
    let evidence = case.evidence;
    let Some(shop) = &evidence.shop else {
        return Vec::new();
    };
    let mut wrong = Vec::new();
    for line in shop {
        let mut about = evidence.messages.iter().filter(|m| {
            let notices = case.notices(m).iter();
            notices.clone().any(|n| n.order_number == line.order_number)
        });
        // Not reachable, and a person is told so. What was set aside because
        // the program died over it again and again is not that.
        let refused = |m: &Message| match m.state.as_str() {
            "failed" => m.settled_by.is_none(),
            state => state == "suppressed",
        };
        if about.clone().any(refused) {
            continue;
        }
        let is_out = |m: &Message| ["sent", "delivered", "in_doubt"].contains(&m.state.as_str());
        let order = &line.order_number;
        if line.is_shipped {
            if !about.any(|m| m.kind == "shipped" && is_out(m)) {
                wrong.push(format!("order {order} shipped and nobody said so"));
            }
            continue;
        }
        let told = evidence
            .told
            .iter()
            .rfind(|t| t.line_key == line.line_id && t.basis != "retracted");
        match told {
            None => wrong.push(format!("order {order} is not known")),
            Some(told) if told.eta_to != line.eta => wrong.push(format!(
                "order {order} was told {:?}, the shop says {:?}",
                told.eta_to, line.eta
            )),
            Some(_) => {}
        }
    }
    wrong
}

fn states_and_flags_agree(case: &Case<'_>) -> Vec<String> {
    let mut wrong = case.evidence.unsound.clone();
    for message in &case.evidence.messages {
        let (no, state) = (message.no, message.state.as_str());
        if ["leased", "submitting"].contains(&state) {
            wrong.push(format!("message {no} is {state} and nobody is at it"));
        }
        let notices = case.notices(message);
        if notices.is_empty() {
            wrong.push(format!("message {no} says nothing about any order"));
        }
        for notice in notices {
            let flags = (notice.in_queue == 1, notice.in_flight == 1);
            let expected = (state == "queued", state == "in_doubt");
            if flags != expected && !["leased", "submitting"].contains(&state) {
                wrong.push(format!("message {no} is {state}, its flags say {flags:?}"));
            }
        }
    }
    wrong
}

/// What one thing to say is known by.
type Said<'e> = (i64, &'e str, &'e str, &'e str);

fn by_thing_said<'e>(case: &Case<'e>) -> BTreeMap<Said<'e>, Vec<&'e Message>> {
    let mut said: BTreeMap<_, Vec<&Message>> = BTreeMap::new();
    for message in &case.evidence.messages {
        for n in case.notices(message) {
            let key = (n.order_id, &*n.kind, &*n.discriminator, &*n.channel);
            said.entry(key).or_default().push(message);
        }
    }
    said
}

fn one_message_a_notice(case: &Case<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (said, messages) in by_thing_said(case) {
        let certain = messages
            .iter()
            .filter(|m| ["sent", "delivered"].contains(&m.state.as_str()))
            .filter(|m| m.settled_by.is_none());
        let numbers: Vec<i64> = certain.map(|m| m.no).collect();
        if numbers.len() > 1 {
            wrong.push(format!("{said:?} was said by messages {numbers:?}"));
        }
    }
    wrong
}

fn no_copy_without_an_intent(case: &Case<'_>) -> Vec<String> {
    let mut wrong: Vec<String> = case
        .strangers
        .iter()
        .map(|copy| format!("nobody meant to send {}", copy.id))
        .collect();
    for message in &case.evidence.messages {
        let (copies, attempts) = (case.copies(message).len(), case.attempts(message).len());
        if copies > attempts {
            let no = message.no;
            wrong.push(format!("message {no}: {copies} copies, {attempts} intents"));
        }
    }
    wrong
}

/// Copies by thing said: planned anew under another number, it is the same to
/// the customer.
fn copies_of(case: &Case<'_>, messages: &[&Message]) -> usize {
    messages.iter().map(|m| case.copies(m).len()).sum()
}

/// Courtesies that arrived twice.
pub fn courtesies_twice(case: &Case<'_>) -> Vec<String> {
    too_often(case, false, 1)
}

/// What must arrive and arrived more than twice.
pub fn thrice(case: &Case<'_>) -> Vec<String> {
    too_often(case, true, 2)
}

fn too_often(case: &Case<'_>, must: bool, limit: usize) -> Vec<String> {
    by_thing_said(case)
        .iter()
        .filter(|((_, kind, ..), _)| must_arrive(kind) == must)
        .map(|(said, messages)| (said, copies_of(case, messages)))
        .filter(|(_, copies)| *copies > limit)
        .map(|(said, copies)| format!("{said:?} arrived {copies} times"))
        .collect()
}

fn no_copy_too_many(case: &Case<'_>) -> Vec<String> {
    let mut wrong = courtesies_twice(case);
    wrong.extend(thrice(case));
    for message in &case.evidence.messages {
        let no = message.no;
        for pair in case.attempts(message).windows(2) {
            let (first, second) = (pair[0], pair[1]);
            match first.outcome.as_deref() {
                Some("in_doubt") => {
                    let quiet_until = first.ended_at.unwrap_or(i64::MAX).saturating_add(QUIET_MS);
                    if !must_arrive(&message.kind) {
                        wrong.push(format!("message {no}, a courtesy, was tried after a doubt"));
                    }
                    if second.began_at < quiet_until {
                        let early = quiet_until - second.began_at;
                        wrong.push(format!("message {no} was repeated {early} ms too early"));
                    }
                }
                Some("deferred") => {}
                other => wrong.push(format!("message {no} was tried again after {other:?}")),
            }
        }
        // Copies can only come from attempts whose end is not known, and one
        // that was accepted.
        let may_have_arrived = case
            .attempts(message)
            .iter()
            .filter(|a| matches!(a.outcome.as_deref(), Some("in_doubt" | "accepted")))
            .count();
        let copies = case.copies(message).len();
        if copies > may_have_arrived {
            wrong.push(format!(
                "message {no} has {copies} copies and {may_have_arrived} attempts that may have made one"
            ));
        }
    }
    wrong
}

/// Messages called sent of which no copy with their words exists.
pub fn sent_without_copy(case: &Case<'_>) -> Vec<String> {
    let certain = case.evidence.messages.iter().filter(|m| {
        ["sent", "delivered", "bounced"].contains(&m.state.as_str()) && m.settled_by.is_none()
    });
    certain
        .filter(|m| {
            let words = m.content_hash.as_deref().unwrap_or_default();
            !case.copies(m).iter().any(|(_, copy)| copy.sha256 == words)
        })
        .map(|m| {
            let other = case.copies(m).len();
            format!("message {} is sent; copies with other words: {other}", m.no)
        })
        .collect()
}

fn sent_arrived_and_arrived_is_admitted(case: &Case<'_>) -> Vec<String> {
    let mut wrong = sent_without_copy(case);
    for message in &case.evidence.messages {
        if case.copies(message).is_empty() {
            continue;
        }
        let (no, state) = (message.no, message.state.as_str());
        let admits = ["sent", "delivered", "bounced", "in_doubt"].contains(&state)
            // It was in doubt, that is on record, and then it ended otherwise.
            || (message.doubts > 0
                && (case.was_told(message, "possible") || !tells_dates(message)));
        if !admits {
            let (kind, doubts) = (&message.kind, message.doubts);
            let ends: Vec<&str> = (case.attempts(message).iter())
                .map(|a| a.outcome.as_deref().unwrap_or("open"))
                .collect();
            wrong.push(format!(
                "message {no} ({kind}, {doubts} doubts, {}) arrived and is {state}",
                ends.join(", ")
            ));
        }
    }
    wrong
}

fn few_doubts_a_kill(case: &Case<'_>) -> Vec<String> {
    let counts = case.doubts_of_the_dead();
    let sessions = case.limits.sessions;
    let mut wrong: Vec<String> = counts
        .iter()
        .filter(|n| **n > sessions)
        .map(|n| format!("{n} doubts of one process with {sessions} sessions"))
        .collect();
    if case.limits.kills.is_some_and(|kills| counts.len() > kills) {
        wrong.push(format!("{} processes left doubts", counts.len()));
    }
    wrong
}

/// Copies of an order on one channel, as its ledger has them.
type Road<'e> = Vec<(usize, &'e Message)>;

fn roads<'e>(case: &Case<'e>) -> BTreeMap<(i64, &'e str), Road<'e>> {
    let mut roads: BTreeMap<_, Road<'e>> = BTreeMap::new();
    for message in &case.evidence.messages {
        let orders: BTreeSet<i64> = case.notices(message).iter().map(|n| n.order_id).collect();
        for order in orders {
            let road = roads.entry((order, &*message.channel)).or_default();
            road.extend(case.copies(message).iter().map(|(at, _)| (*at, message)));
        }
    }
    for road in roads.values_mut() {
        road.sort_by_key(|(at, _)| *at);
    }
    roads
}

fn nothing_after_the_ship_notice(case: &Case<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for ((order, _), road) in roads(case) {
        let Some(first) = road.iter().position(|(_, m)| m.kind == "shipped") else {
            continue;
        };
        for (_, late) in &road[first..] {
            if !["shipped", "cancelled"].contains(&late.kind.as_str()) {
                let (no, kind) = (late.no, &late.kind);
                wrong.push(format!("order {order}: {kind} {no} after the ship notice"));
            }
        }
    }
    wrong
}

fn one_in_flight(case: &Case<'_>) -> Vec<String> {
    let mut flying: BTreeMap<(i64, &str), usize> = BTreeMap::new();
    for notice in case.evidence.notices.iter().filter(|n| n.in_flight == 1) {
        let road = (notice.order_id, notice.channel.as_str());
        *flying.entry(road).or_default() += 1;
    }
    flying.retain(|_, n| *n > 1);
    let mut wrong: Vec<String> = flying
        .iter()
        .map(|(road, n)| format!("{n} in flight at once: {road:?}"))
        .collect();
    // Attempts of different messages of one road begin after the one before
    // has ended, the quiet time of a doubt included.
    let mut last: BTreeMap<(i64, &str), &Attempt> = BTreeMap::new();
    let by_no: BTreeMap<i64, &Message> = case.evidence.messages.iter().map(|m| (m.no, m)).collect();
    for attempt in &case.evidence.attempts {
        let Some(message) = by_no.get(&attempt.message_no) else {
            continue;
        };
        for notice in case.notices(message) {
            let road = (notice.order_id, notice.channel.as_str());
            let Some(before) = last.insert(road, attempt) else {
                continue;
            };
            let quiet = match before.outcome.as_deref() {
                Some("in_doubt") => QUIET_MS,
                _ => 0,
            };
            let free_at = before.ended_at.unwrap_or(i64::MAX).saturating_add(quiet);
            if before.message_no != attempt.message_no && attempt.began_at + SLACK_MS < free_at {
                let (a, b) = (before.message_no, attempt.message_no);
                wrong.push(format!("message {b} began while {a} was on its way"));
            }
        }
    }
    wrong
}

fn copies_in_order(case: &Case<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    let began = |m: &Message| case.attempts(m).iter().map(|a| a.id).min();
    let ended = |m: &Message| case.attempts(m).iter().map(|a| a.id).max();
    for (_, road) in roads(case) {
        for (nth, (_, late)) in road.iter().enumerate() {
            let overtaken = road[..nth]
                .iter()
                .find(|(_, early)| began(early) > ended(late));
            if let Some((_, early)) = overtaken {
                wrong.push(format!("message {} overtook {}", early.no, late.no));
            }
        }
    }
    wrong
}

fn hold_holds(case: &Case<'_>) -> Vec<String> {
    let by_no: BTreeMap<i64, &Message> = case.evidence.messages.iter().map(|m| (m.no, m)).collect();
    let mut wrong = Vec::new();
    for (nth, hold) in case.evidence.holds.iter().enumerate() {
        if hold.verb != "hold" {
            continue;
        }
        let later = &case.evidence.holds[nth + 1..];
        let release = later
            .iter()
            .find(|event| event.verb == "release" && event.target == hold.target);
        let until = release.map_or(i64::MAX, |event| event.at);
        let channel = hold.target.strip_prefix("channel:");
        for attempt in &case.evidence.attempts {
            let covered = by_no
                .get(&attempt.message_no)
                .is_some_and(|m| channel.is_none_or(|name| name == m.channel));
            if covered && attempt.began_at > hold.at + SLACK_MS && attempt.began_at < until {
                let no = attempt.message_no;
                wrong.push(format!("message {no} began under the hold {}", hold.target));
            }
        }
    }
    wrong
}

fn one_attempt_an_epoch(case: &Case<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for message in &case.evidence.messages {
        for pair in case.attempts(message).windows(2) {
            if pair[1].epoch <= pair[0].epoch {
                let (no, epoch) = (message.no, pair[1].epoch);
                wrong.push(format!("message {no} was tried again in epoch {epoch}"));
            }
        }
    }
    wrong
}

fn suppressed_is_suppressed(case: &Case<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for message in &case.evidence.messages {
        let on_list = case
            .evidence
            .suppressions
            .iter()
            .find(|s| s.address_hash == message.address_hash && s.channel == message.channel);
        let Some(listed) = on_list else { continue };
        for attempt in case.attempts(message) {
            if attempt.began_at > listed.since + SLACK_MS {
                wrong.push(format!("message {} began in spite of the list", message.no));
            }
        }
    }
    wrong
}

fn nobody_reads_of_others(case: &Case<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for message in &case.evidence.messages {
        let own: BTreeSet<&str> = case
            .notices(message)
            .iter()
            .map(|n| n.order_number.as_str())
            .collect();
        for (_, copy) in case.copies(message) {
            let no = message.no;
            if copy.recipients != [message.recipient.as_str()] {
                wrong.push(format!("message {no} went to somebody else"));
            }
            if copy.names.iter().any(|name| !own.contains(name.as_str())) {
                wrong.push(format!("message {no} names another customer"));
            }
        }
    }
    wrong
}

/// A shipment of all there is has no date to tell.
fn tells_dates(message: &Message) -> bool {
    !["shipped", "cancelled"].contains(&message.kind.as_str())
}

fn the_books_add_up(case: &Case<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for message in &case.evidence.messages {
        let (no, attempts) = (message.no, case.attempts(message));
        if i64::try_from(attempts.len()) != Ok(message.attempts) {
            let (listed, counted) = (attempts.len(), message.attempts);
            wrong.push(format!(
                "message {no}: {listed} attempts listed, {counted} counted"
            ));
        }
        let last = attempts.last().and_then(|a| a.outcome.as_deref());
        let basis = |name| case.was_told(message, name);
        let state = message.state.as_str();
        let agrees = match (state, message.settled_by.as_deref()) {
            ("sent" | "delivered", None) => last == Some("accepted") && basis("accepted"),
            ("sent", Some(_)) | ("in_doubt", _) => {
                last == Some("in_doubt") && basis("possible") && !basis("accepted")
            }
            ("failed", None) => matches!(last, Some("refused" | "deferred")) && !basis("accepted"),
            ("bounced", _) => true,
            _ => !basis("accepted"),
        };
        if !agrees && tells_dates(message) {
            wrong.push(format!(
                "message {no} is {state}: its attempt or ledger says otherwise"
            ));
        }
        let refused = case
            .evidence
            .copies
            .iter()
            .flatten()
            .any(|copy| copy.refused.is_some() && copy.recipients.contains(&message.recipient));
        let by_peer = attempts.last().is_some_and(|a| a.code.is_some());
        let knows_refusals = case
            .evidence
            .copies
            .iter()
            .flatten()
            .any(|c| c.refused.is_some());
        if state == "failed" && by_peer && knows_refusals && !refused {
            wrong.push(format!("message {no} failed and nobody refused it"));
        }
    }
    wrong
}
