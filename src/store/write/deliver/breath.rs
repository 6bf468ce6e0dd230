//! Marks and records of one breath on a server: everybody who asked in the same
//! moment is answered from one transaction.
//!
//! A trip to a server costs as much as the work it asks for. So the statements
//! go together: one says who passes, one writes all that follows. Measured with
//! sixteen sessions, thirteen trips in a group's transaction were half of what
//! sending cost. In a file there are no trips: see [`super::by_row`].
//!
//! Locks are taken before anything is written.

use super::mark::{MarkRow, begin_attempts, mark, mark_row};
use super::record::{
    self, RecordRow, end_attempts, land_notices, record, record_row, said, wake_orders,
};
use super::told::{Ledger, append_told, count_told, tell_shipments};
use super::vague::{self, clear_vague};
use crate::domain::ids::{MessageNo, WorkerId};
use crate::domain::outcome::Outcome;
use crate::domain::time::Instant;
use crate::store::codec::json;
use crate::store::conn::{Conn, at_once, server_now, statements};
use crate::store::postgres::line::Named;
use crate::store::statement::{answers, later};
use crate::store::types::{Mark, Record};
use crate::store::write::locks;
use crate::store::writer::{Answers, Asked};
use std::collections::{HashMap, HashSet};

/// Who passes (both look messages up by their number; `coalesce` hides the short
/// lists of what is leased and submitting, each of which PostgreSQL would hold
/// against each row it was given): whether it was a record, its message, whether
/// the message is of the database's present mode (what a rehearsal told counts
/// for nothing in a shop that went live meanwhile), and whether its orders may
/// rest.
const PASS: &str = concat!(
    "WITH recorded AS (",
    record!(),
    " RETURNING m.no, m.mode, m.planned_at, j.now), marked AS (",
    mark!(),
    " RETURNING m.no)
SELECT TRUE, r.no, coalesce(r.mode = (SELECT p.value FROM meta p WHERE p.name = 'mode'), TRUE),
  r.planned_at <= r.now AND NOT EXISTS (SELECT 1 FROM notices n JOIN orders o ON o.id = n.order_id
    WHERE n.message_no = r.no AND n.rests_at IS DISTINCT FROM o.review_version LIMIT 1 OFFSET 0)
FROM recorded r
UNION ALL SELECT FALSE, k.no, TRUE, TRUE FROM marked k"
);

/// What follows for those who passed.
const FOLLOW: &str = at_once![
    words: "SELECT e.value FROM jsonb_each($1) AS e",
    ended_ones: "SELECT e.value FROM jsonb_each($3) AS e",
    ended: end_attempts!(),
    landed: land_notices!(),
    written: append_told!("words"),
    counted: count_told!("words"),
    shipped: tell_shipments!(),
    woken: wake_orders!(),
    cleared: clear_vague!(),
    begun: begin_attempts!(),
];

const PASS_BY_NAME: Named = Named {
    name: "pass",
    text: PASS,
    documents: 2,
};
const FOLLOW_BY_NAME: Named = Named {
    name: "follow",
    text: FOLLOW,
    documents: 5,
};

/// What a session of a server has to know by name for this.
pub const NAMED: &[Named] = &[locks::ORDERS_BY_NAME, PASS_BY_NAME, FOLLOW_BY_NAME];

/// What the other engine says in [`super::by_row`].
const NOT_HERE: &str = "SELECT 1";

statements![NOT_HERE | PASS, NOT_HERE | FOLLOW];

type AskedRecord<'a> = (WorkerId, Instant, &'a Record);
type AskedMark<'a> = (WorkerId, Instant, &'a Mark);

/// Records what became of attempts and marks what may be sent; answers each by
/// itself: whether the attempt was still its worker's, whether the message may
/// be sent. Records come first.
pub async fn record_and_mark(c: &mut Conn<'_>, asked: &Asked) -> Result<Answers, sqlx::Error> {
    let records: Vec<AskedRecord<'_>> = (asked.records.iter())
        .map(|(by, now, record)| (*by, *now, record))
        .collect();
    let marks: Vec<AskedMark<'_>> = (asked.marks.iter())
        .map(|(by, now, mark)| (*by, *now, mark))
        .collect();
    let numbers_of = |records: &[AskedRecord<'_>]| -> Vec<MessageNo> {
        records.iter().map(|(_, _, record)| record.no).collect()
    };
    let of_marks: Vec<MessageNo> = marks.iter().map(|(_, _, mark)| mark.no).collect();
    let (refused, plain): (Vec<usize>, Vec<usize>) =
        (0..records.len()).partition(|i| vague::may_suppress(records[*i].2));
    let all: Vec<i64> = numbers_of(&records)
        .iter()
        .chain(&of_marks)
        .map(|no| no.0)
        .collect();
    let may_suppress: Vec<i64> = refused.iter().map(|i| records[*i].2.no.0).collect();
    locks::orders_and_neighbours(c, &all, &may_suppress).await?;
    locks::lists_for_marks(c, !marks.is_empty(), !refused.is_empty()).await?;

    let mut turns = rounds(&numbers_of(&records), &plain);
    let mut marks_in_turns = rounds(&of_marks, &(0..marks.len()).collect::<Vec<_>>());
    if refused.is_empty() {
        // All in one turn, unless a message is named twice.
        let n = turns.len().max(marks_in_turns.len());
        turns.resize(n, Vec::new());
        marks_in_turns.resize(n, Vec::new());
    } else {
        // What was accepted clears an address before it is judged, and the
        // marks see who must not be written to any more.
        turns.extend(rounds(&numbers_of(&records), &refused));
        let n = turns.len();
        turns.resize(n + marks_in_turns.len(), Vec::new());
        marks_in_turns.splice(0..0, vec![Vec::new(); n]);
    }
    let (mut recorded, mut marked) = (vec![false; records.len()], vec![false; marks.len()]);
    let mut all_rest = true;
    for (of_records, of_marks) in turns.into_iter().zip(marks_in_turns) {
        let told: Vec<_> = of_records.iter().map(|i| records[*i]).collect();
        let asked: Vec<_> = of_marks.iter().map(|i| marks[*i]).collect();
        let passed = turn(c, &told, &asked).await?;
        for i in of_records {
            recorded[i] = passed.recorded.contains_key(&records[i].2.no.0);
        }
        for i in of_marks {
            marked[i] = passed.marked.contains(&marks[i].2.no.0);
        }
        all_rest &= passed.all_rest;
    }
    Ok(Answers {
        recorded,
        marked,
        all_rest,
    })
}

/// Positions in rounds in which no number comes twice: a set-wise statement
/// answers by number, and two callers that name the same message (one of them
/// with a lease that is not theirs) must not share an answer.
fn rounds(numbers: &[MessageNo], positions: &[usize]) -> Vec<Vec<usize>> {
    let mut seen: HashMap<MessageNo, usize> = HashMap::new();
    let mut out: Vec<Vec<usize>> = Vec::new();
    for position in positions {
        let no = numbers[*position];
        let round = seen.entry(no).and_modify(|n| *n += 1).or_default();
        if *round == out.len() {
            out.push(Vec::new());
        }
        out[*round].push(*position);
    }
    out
}

/// Messages that passed.
#[derive(Default)]
struct Passed {
    /// And whether they are of the present mode, and their orders may rest.
    recorded: HashMap<i64, (bool, bool)>,
    marked: HashSet<i64>,
    /// All of the orders do.
    all_rest: bool,
}

async fn turn(
    c: &mut Conn<'_>,
    records: &[AskedRecord<'_>],
    marks: &[AskedMark<'_>],
) -> Result<Passed, sqlx::Error> {
    let mut landed: Vec<RecordRow<'_>> = (records.iter())
        .map(|(by, now, record)| record_row(*by, *now, record))
        .collect();
    let mut begun: Vec<MarkRow<'_>> = (marks.iter())
        .map(|(by, now, mark)| mark_row(*by, *now, mark))
        .collect();
    let asked = [json(&landed), json(&begun)];
    let answers: Vec<(bool, i64, bool, bool)> = answers(c, &PASS_BY_NAME, asked).await?;
    let mut passed = Passed {
        all_rest: true,
        ..Passed::default()
    };
    for (is_record, no, in_mode, may_rest) in answers {
        if is_record {
            passed.recorded.insert(no, (in_mode, may_rest));
        } else {
            passed.marked.insert(no);
        }
    }
    begun.retain(|row| passed.marked.contains(&row.no));
    landed.retain_mut(|row| match passed.recorded.get(&row.no) {
        Some((in_mode, may_rest)) => {
            passed.all_rest &= row.may_rest(*in_mode, *may_rest);
            true
        }
        None => false,
    });
    if landed.is_empty() && begun.is_empty() {
        return Ok(passed);
    }
    vague::judge(c, &mut landed, records).await?;
    let counted =
        || (records.iter()).filter(|(_, _, record)| passed.recorded.contains_key(&record.no.0));
    let words: Vec<_> = counted()
        .filter_map(|(_, now, record)| said(*now, record))
        .collect();
    let ledger = Ledger::of(&words);
    let accepted: Vec<i64> = counted()
        .filter(|(_, _, record)| matches!(record.outcome, Outcome::Accepted { .. }))
        .map(|(_, _, record)| record.no.0)
        .collect();
    let follows = [
        ledger.told,
        ledger.parcels,
        json(&landed),
        json(&accepted),
        json(&begun),
    ];
    later(c, &FOLLOW_BY_NAME, follows).await?;
    record::suppress(c, &landed).await?;
    Ok(passed)
}
