//! What goes to a server in one trip.
//!
//! A trip costs the same whatever it asks for: two processes are woken. The
//! short transactions of marks and records, hundreds a second, had six (begin,
//! two kinds of locks, who passes, what follows, commit) and waited for them
//! longer than for the work. Now statements whose answer nobody needs leave with
//! the next question or with COMMIT, and as a rule two trips are left.
//!
//! The driver sends several statements together only as a simple query, which
//! has no parameters and is parsed and planned anew each time. So a session that
//! gathers knows its statements by name ([`Named`]) and is told `EXECUTE` with
//! JSON documents: what is parsed is a name and a literal, the plan is kept.
//!
//! An error of what was gathered is heard with the next question or the commit;
//! nothing behind it has been run then. A server that logs a statement that
//! failed logs its documents too: so no address and no text of a message may be
//! in one.

use futures_util::StreamExt;
use sqlx::Executor;
use sqlx::postgres::{PgArguments, PgConnection, PgRow, Postgres};
use sqlx::query::Query;
use std::fmt::Write;

/// A statement that may be said by its name. All its parameters are JSON
/// documents; one without parameters is said in full.
#[derive(Clone, Copy, Debug)]
pub struct Named {
    pub name: &'static str,
    pub text: &'static str,
    pub documents: usize,
}

impl Named {
    /// A statement that cannot be prepared.
    pub const fn in_full(text: &'static str) -> Named {
        Named {
            name: "",
            text,
            documents: 0,
        }
    }

    /// What makes a session know it.
    pub fn prepare(&self) -> Option<String> {
        let types = vec!["TEXT"; self.documents].join(", ");
        let (name, text) = (self.name, self.text);
        (self.documents > 0).then(|| format!("PREPARE {name} ({types}) AS {text}"))
    }
}

/// What a session has not been told yet.
#[derive(Debug, Default)]
pub struct Unsaid {
    words: String,
    /// The words begin a transaction.
    begins: bool,
    /// The number of the transaction that was begun last, if the server has
    /// said it.
    xid: Option<String>,
}

impl Unsaid {
    /// A transaction begins with whatever is said next. `begin` answers its
    /// number in its second statement.
    pub fn begin(&mut self, begin: &str) {
        *self = Unsaid {
            words: format!("{begin};"),
            begins: true,
            xid: None,
        };
    }

    /// What is left to say, with these last words.
    pub fn and(&mut self, last: &str) -> String {
        self.begins = false;
        std::mem::take(&mut self.words) + last
    }

    /// Forgets what was not said; whether a transaction was begun.
    pub fn forget(&mut self) -> bool {
        let begun = !self.begins;
        // The next beginning does so too.
        self.words.clear();
        self.begins = false;
        begun
    }

    /// The number of the transaction, once the server has said it.
    pub fn xid(&self) -> Option<&str> {
        self.xid.as_deref()
    }

    fn say(&mut self, named: &Named, documents: &[String]) {
        debug_assert_eq!(named.documents, documents.len(), "{}", named.name);
        if documents.is_empty() {
            self.words.push_str(named.text);
        } else {
            let _ = write!(self.words, "EXECUTE {}(", named.name);
            for (i, document) in documents.iter().enumerate() {
                self.words.push_str(if i == 0 { "'" } else { ", '" });
                push_quoted(&mut self.words, document);
                self.words.push('\'');
            }
            self.words.push(')');
        }
        self.words.push(';');
    }
}

/// What stands between the quotes of a literal. The session has
/// `standard_conforming_strings` on: nothing but the quote is special.
fn push_quoted(words: &mut String, document: &str) {
    for (i, piece) in document.split('\'').enumerate() {
        if i > 0 {
            words.push_str("''");
        }
        words.push_str(piece);
    }
}

/// A session, lent for some statements; one that gathers has unsaid words.
pub struct Line<'a> {
    conn: &'a mut PgConnection,
    unsaid: Option<&'a mut Unsaid>,
}

impl<'a> From<&'a mut PgConnection> for Line<'a> {
    fn from(conn: &'a mut PgConnection) -> Line<'a> {
        Line { conn, unsaid: None }
    }
}

impl<'a> Line<'a> {
    /// One that gathers.
    pub fn gathering(conn: &'a mut PgConnection, unsaid: &'a mut Unsaid) -> Line<'a> {
        Line {
            conn,
            unsaid: Some(unsaid),
        }
    }

    /// The session, once it has been told everything.
    ///
    /// # Errors
    /// Something it had not been told yet failed.
    pub async fn session(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        if self.unsaid.as_ref().is_some_and(|u| !u.words.is_empty()) {
            self.said().await?;
        }
        Ok(&mut *self.conn)
    }

    /// Runs it, with the next question or the commit if this line gathers.
    ///
    /// # Errors
    /// It failed; of one that gathers it is heard later.
    pub async fn later(
        &mut self,
        named: &Named,
        documents: Vec<String>,
    ) -> Result<(), sqlx::Error> {
        match &mut self.unsaid {
            Some(unsaid) => unsaid.say(named, &documents),
            None => {
                bound(named, documents).execute(&mut *self.conn).await?;
            }
        }
        Ok(())
    }

    /// Its rows.
    ///
    /// # Errors
    /// It failed, or something that was gathered before it.
    pub async fn answers(
        &mut self,
        named: &Named,
        documents: Vec<String>,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        match &mut self.unsaid {
            Some(unsaid) => {
                unsaid.say(named, &documents);
                self.said().await
            }
            None => bound(named, documents).fetch_all(&mut *self.conn).await,
        }
    }

    /// Says what is unsaid; answers the rows of the last statement.
    ///
    /// # Errors
    /// The server refused one of them, or is gone.
    pub async fn said(&mut self) -> Result<Vec<PgRow>, sqlx::Error> {
        let Some(unsaid) = &mut self.unsaid else {
            return Ok(Vec::new());
        };
        let begins = std::mem::take(&mut unsaid.begins);
        let words = std::mem::take(&mut unsaid.words);
        let mut answers: Vec<Vec<PgRow>> = vec![Vec::new()];
        let mut stream = self
            .conn
            .fetch_many(sqlx::raw_sql(sqlx::AssertSqlSafe(words)));
        while let Some(heard) = stream.next().await {
            match heard? {
                // A statement has ended.
                sqlx::Either::Left(_) => answers.push(Vec::new()),
                sqlx::Either::Right(row) => {
                    if let Some(rows) = answers.last_mut() {
                        rows.push(row);
                    }
                }
            }
        }
        drop(stream);
        // Behind the last end there is nothing.
        answers.pop();
        if begins {
            let number = answers.get(1).and_then(|rows| rows.first());
            unsaid.xid = number.map(|row| sqlx::Row::try_get(row, 0)).transpose()?;
        }
        Ok(answers.pop().unwrap_or_default())
    }
}

fn bound(named: &Named, documents: Vec<String>) -> Query<'_, Postgres, PgArguments> {
    let mut words = sqlx::query(named.text);
    for document in documents {
        words = words.bind(document);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::write::deliver;

    const PASS: Named = Named {
        name: "pass",
        text: "SELECT $1, $2",
        documents: 2,
    };

    #[test]
    fn what_is_gathered_leaves_in_its_order() {
        let mut unsaid = Unsaid::default();
        unsaid.begin("BEGIN; SELECT 7");
        unsaid.say(&Named::in_full("LOCK TABLE holds"), &[]);
        unsaid.say(&PASS, &["[1]".to_owned(), "it's".to_owned()]);
        assert_eq!(
            unsaid.and("COMMIT"),
            "BEGIN; SELECT 7;LOCK TABLE holds;EXECUTE pass('[1]', 'it''s');COMMIT"
        );
        assert_eq!(unsaid.and("COMMIT"), "COMMIT", "said once");
    }

    #[test]
    fn what_was_not_begun_need_not_be_taken_back() {
        let mut unsaid = Unsaid::default();
        unsaid.begin("BEGIN");
        assert!(!unsaid.forget());
        unsaid.begin("BEGIN");
        let _ = unsaid.and("COMMIT");
        assert!(unsaid.forget());
    }

    #[test]
    fn only_what_has_parameters_is_prepared() {
        let text = "PREPARE pass (TEXT, TEXT) AS SELECT $1, $2";
        assert_eq!(PASS.prepare().as_deref(), Some(text));
        assert_eq!(Named::in_full("LOCK TABLE holds").prepare(), None);
    }

    #[test]
    fn every_name_is_one_statement_with_all_its_documents() {
        let mut names: Vec<&str> = deliver::NAMED.iter().map(|named| named.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), deliver::NAMED.len());
        for Named {
            name,
            text,
            documents,
        } in deliver::NAMED
        {
            let highest = (1..20).filter(|n| text.contains(&format!("${n})"))).max();
            assert_eq!(highest, Some(*documents), "{name}");
        }
    }
}
