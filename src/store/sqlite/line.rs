//! What goes to the engine's thread in one trip.
//!
//! A statement costs two wake-ups, of the thread and of whoever waits for it;
//! for the short transactions of marks and records they were a third of what a
//! message cost that had its transaction for itself. Now BEGIN leaves with the
//! first question, and what nobody needs an answer of with COMMIT.
//!
//! What is on disk after a failed COMMIT nobody knows, while a statement before
//! it that failed has written nothing. So there is a row between the two: who
//! has seen it knows that COMMIT was reached.

use super::open::is_busy;
use crate::store::writer::Committed;
use futures_util::StreamExt;
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Executor};

const BEGIN: &str = "BEGIN IMMEDIATE";
/// The row, and the end.
const REACHED_AND_COMMIT: &str = "SELECT 1; COMMIT";

/// What the thread has not been told yet.
#[derive(Debug, Default)]
pub struct Unsaid {
    begins: bool,
    last: Option<Words>,
}

#[derive(Debug)]
struct Words {
    text: &'static str,
    documents: Vec<String>,
}

/// The connection, lent for some statements; one that gathers has unsaid words.
pub struct Line<'a> {
    conn: &'a mut SqliteConnection,
    unsaid: Option<&'a mut Unsaid>,
}

impl<'a> From<&'a mut SqliteConnection> for Line<'a> {
    fn from(conn: &'a mut SqliteConnection) -> Line<'a> {
        Line { conn, unsaid: None }
    }
}

impl Unsaid {
    /// A transaction begins with whatever is said next.
    pub fn begin(&mut self) {
        *self = Unsaid {
            begins: true,
            last: None,
        };
    }

    /// Forgets what was not said; whether a transaction was begun.
    pub fn forget(&mut self) -> bool {
        let begun = !self.begins;
        *self = Unsaid::default();
        begun
    }
}

impl<'a> Line<'a> {
    /// One that gathers.
    pub fn gathering(conn: &'a mut SqliteConnection, unsaid: &'a mut Unsaid) -> Line<'a> {
        Line {
            conn,
            unsaid: Some(unsaid),
        }
    }

    /// The connection, once everything is said. Waits as long as another
    /// process has the file.
    ///
    /// # Errors
    /// Something that was not said yet failed.
    pub async fn session(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        if let Some(unsaid) = &mut self.unsaid {
            if unsaid.begins {
                // Nothing has happened yet: a long import elsewhere is no failure.
                while let Err(error) = self.conn.execute(BEGIN).await {
                    if !is_busy(&error) {
                        return Err(error);
                    }
                }
                unsaid.begins = false;
            }
            if let Some(last) = unsaid.last.take() {
                bound(last.text.to_owned(), &last.documents)
                    .execute(&mut *self.conn)
                    .await?;
            }
        }
        Ok(&mut *self.conn)
    }

    /// Runs it, with COMMIT if this line gathers and nothing is said in between.
    ///
    /// # Errors
    /// It failed, or what was to be said before it.
    pub async fn later(
        &mut self,
        text: &'static str,
        documents: Vec<String>,
    ) -> Result<(), sqlx::Error> {
        self.session().await?;
        match &mut self.unsaid {
            Some(unsaid) => unsaid.last = Some(Words { text, documents }),
            None => {
                let words = bound(text.to_owned(), &documents);
                words.execute(&mut *self.conn).await?;
            }
        }
        Ok(())
    }

    /// Its rows; the transaction begins with it if it has not begun.
    ///
    /// # Errors
    /// It failed, or what was to be said before it.
    pub async fn answers(
        &mut self,
        text: &'static str,
        documents: Vec<String>,
    ) -> Result<Vec<SqliteRow>, sqlx::Error> {
        let Some(unsaid) = self.unsaid.as_mut().filter(|unsaid| unsaid.begins) else {
            let conn = self.session().await?;
            return bound(text.to_owned(), &documents).fetch_all(conn).await;
        };
        loop {
            let words = bound(format!("{BEGIN};{text}"), &documents);
            match words.fetch_all(&mut *self.conn).await {
                // As a rule it has not begun. If it has, it is taken back.
                Err(error) if is_busy(&error) => {
                    let _ = self.conn.execute("ROLLBACK").await;
                }
                answered => {
                    // Whatever failed: it may have begun.
                    unsaid.begins = false;
                    return answered;
                }
            }
        }
    }
}

/// Says what is left, and COMMIT.
pub async fn commit(conn: &mut SqliteConnection, unsaid: &mut Unsaid) -> Committed {
    if std::mem::take(&mut unsaid.begins) {
        // Nothing was asked and nothing written.
        return Committed::Yes;
    }
    if let Some(last) = unsaid.last.take() {
        return commit_with(conn, last).await;
    }
    match conn.execute("COMMIT").await {
        Ok(_) => Committed::Yes,
        Err(error) => Committed::Unknown(error),
    }
}

async fn commit_with(conn: &mut SqliteConnection, last: Words) -> Committed {
    let words = format!("{};{REACHED_AND_COMMIT}", last.text);
    let mut heard = conn.fetch_many(bound(words, &last.documents));
    let mut is_reached = false;
    while let Some(next) = heard.next().await {
        match next {
            Ok(next) => is_reached |= next.is_right(),
            Err(error) if is_reached => return Committed::Unknown(error),
            Err(error) => return Committed::No(error),
        }
    }
    Committed::Yes
}

fn bound<'q>(text: String, documents: &'q [String]) -> Query<'q, Sqlite, SqliteArguments> {
    let mut words = sqlx::query(AssertSqlSafe(text));
    for document in documents {
        words = words.bind(document.as_str());
    }
    words
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
