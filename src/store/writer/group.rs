//! Marks and records that share a commit.
//!
//! One durable commit per message would cap sending at the disk's flush rate
//! (measured: some 850 a second). So what waits is taken together, its guarded
//! statements run over all of it, it is committed once, and then everybody is
//! answered. A savepoint per job was tried elsewhere at 4,000 jobs a second and
//! is slower. To begin with those that are there while others are still gathered
//! was tried, too: it is no faster, as there are fewer processors than threads
//! that have something to do.
//!
//! One job the engine refuses takes no other with it: then each is tried by
//! itself.

use super::task::Failed;
use super::{Alone, Answer, Asked, Engine, Job};
use crate::store::types::StoreError;
use std::sync::Arc;

/// Jobs that share a commit, and who waits for each.
#[derive(Default)]
pub(super) struct Group {
    asked: Asked,
    of_records: Vec<Answer<bool>>,
    of_marks: Vec<Answer<bool>>,
}

impl Group {
    /// Takes a job in, or gives it back: it wants to be alone.
    pub(super) fn take(&mut self, job: Job) -> Option<Alone> {
        match job {
            Job::Mark {
                by,
                now,
                mark,
                answer,
            } => {
                self.asked.marks.push((by, now, mark));
                self.of_marks.push(answer);
                None
            }
            Job::Record {
                by,
                now,
                record,
                answer,
            } => {
                self.asked.records.push((by, now, *record));
                self.of_records.push(answer);
                None
            }
            Job::Alone(job) => Some(job),
        }
    }

    pub(super) fn n_jobs(&self) -> usize {
        self.of_marks.len() + self.of_records.len()
    }

    fn singles(self) -> impl Iterator<Item = Group> {
        let records = self.asked.records.into_iter().zip(self.of_records);
        let records = records.map(|(record, answer)| Group {
            asked: Asked {
                records: vec![record],
                ..Asked::default()
            },
            of_records: vec![answer],
            ..Group::default()
        });
        let marks = self.asked.marks.into_iter().zip(self.of_marks);
        let marks = marks.map(|(mark, answer)| Group {
            asked: Asked {
                marks: vec![mark],
                ..Asked::default()
            },
            of_marks: vec![answer],
            ..Group::default()
        });
        records.chain(marks)
    }

    fn refuse(self, error: &StoreError) {
        for answer in self.of_records.into_iter().chain(self.of_marks) {
            let _ = answer.send(Err(error.again()));
        }
    }
}

/// Answers a group from one commit; `false`: the task must stop.
pub(super) async fn answer(engine: &mut impl Engine, mut group: Group) -> bool {
    let n_jobs = group.n_jobs();
    if n_jobs == 0 {
        return true;
    }
    let asked = Arc::new(std::mem::take(&mut group.asked));
    match engine.record_and_mark(asked.clone()).await {
        Ok(answers) => {
            for (answer, mine) in group.of_records.into_iter().zip(answers.recorded) {
                let _ = answer.send(Ok(mine));
            }
            for (answer, passed) in group.of_marks.into_iter().zip(answers.marked) {
                let _ = answer.send(Ok(passed));
            }
            true
        }
        Err(Failed::Taken(_)) if n_jobs > 1 => {
            group.asked = Arc::unwrap_or_clone(asked);
            for single in group.singles() {
                if !Box::pin(self::answer(engine, single)).await {
                    return false;
                }
            }
            true
        }
        Err(Failed::Taken(error)) => {
            group.refuse(&error);
            true
        }
        Err(Failed::Stuck(error) | Failed::Unknown(error)) => {
            group.refuse(&error);
            false
        }
    }
}
