//! Rows on their way from one engine to the other, and what they come to.
//!
//! A row is decoded into plain values, which are the same whichever engine they
//! come from. A table's digest is computed from these values on both sides and
//! does not depend on the order of rows: that two digests agree says that every
//! value of every row arrived.

use super::tables::{Column, Holds, PAGE, Table};
use crate::domain::statement::hex;
use crate::store::conn::{Conn, on, sql};
use serde_json::{Map, Value as Json, json};
use sha2::{Digest as _, Sha256};
use sqlx::{ColumnIndex, Decode, Row, Type};
use uuid::Uuid;

/// One value of one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Null,
    Int(i64),
    Flag(bool),
    Text(String),
    Uid(Uuid),
    Bytes(Vec<u8>),
}

impl Value {
    fn json(&self) -> Json {
        match self {
            Value::Null => Json::Null,
            Value::Int(n) => json!(n),
            Value::Flag(yes) => json!(yes),
            Value::Text(text) => json!(text),
            Value::Uid(uid) => json!(uid.simple().to_string()),
            Value::Bytes(bytes) => json!(hex(bytes)),
        }
    }

    /// As a key is handed back to the engine.
    fn text(&self) -> String {
        match self {
            Value::Int(n) => n.to_string(),
            Value::Text(text) => text.clone(),
            Value::Null | Value::Flag(_) | Value::Uid(_) | Value::Bytes(_) => String::new(),
        }
    }

    fn add_to(&self, hash: &mut Sha256) {
        let mut add = |tag: u8, bytes: &[u8]| {
            hash.update([tag]);
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        match self {
            Value::Null => add(0, &[]),
            Value::Int(n) => add(1, &n.to_be_bytes()),
            Value::Flag(yes) => add(2, &[u8::from(*yes)]),
            Value::Text(text) => add(3, text.as_bytes()),
            Value::Uid(uid) => add(4, uid.as_bytes()),
            Value::Bytes(bytes) => add(5, bytes),
        }
    }
}

fn decode<'r, R>(row: &'r R, columns: &[Column]) -> Result<Vec<Value>, sqlx::Error>
where
    R: Row,
    usize: ColumnIndex<R>,
    Option<i64>: Decode<'r, R::Database> + Type<R::Database>,
    Option<bool>: Decode<'r, R::Database> + Type<R::Database>,
    Option<String>: Decode<'r, R::Database> + Type<R::Database>,
    Option<Uuid>: Decode<'r, R::Database> + Type<R::Database>,
    Option<Vec<u8>>: Decode<'r, R::Database> + Type<R::Database>,
{
    let value = |(n, column): (usize, &Column)| {
        let value = match column.holds {
            Holds::Int => row.try_get::<Option<i64>, _>(n)?.map(Value::Int),
            Holds::Flag => row.try_get::<Option<bool>, _>(n)?.map(Value::Flag),
            Holds::Text | Holds::Day => row.try_get::<Option<String>, _>(n)?.map(Value::Text),
            Holds::Uid => row.try_get::<Option<Uuid>, _>(n)?.map(Value::Uid),
            Holds::Bytes => row.try_get::<Option<Vec<u8>>, _>(n)?.map(Value::Bytes),
        };
        Ok(value.unwrap_or(Value::Null))
    };
    columns.iter().enumerate().map(value).collect()
}

/// Reads a table from its beginning to its end.
pub struct Pages<'t> {
    table: &'t Table,
    /// The key behind which the next page begins; `None` at the end.
    behind: Option<Vec<String>>,
}

impl<'t> Pages<'t> {
    pub fn of(table: &'t Table) -> Pages<'t> {
        // Numbers begin at the lowest there is; no key is an empty text.
        let lowest = |column: &Column| match column.holds {
            Holds::Int => i64::MIN.to_string(),
            _ => String::new(),
        };
        let keys = &table.columns[..table.n_keys];
        Pages {
            table,
            behind: Some(keys.iter().map(lowest).collect()),
        }
    }

    /// The next rows; none at the end.
    ///
    /// # Errors
    /// The engine's own.
    pub async fn next(&mut self, c: &mut Conn<'_>) -> Result<Vec<Vec<Value>>, sqlx::Error> {
        let Some(behind) = self.behind.take() else {
            return Ok(Vec::new());
        };
        let table = self.table;
        let text = sql(c, table.page.sqlite, table.page.postgres);
        let rows: Vec<Vec<Value>> = on!(c, x => {
            let mut ask = sqlx::query(text);
            for key in &behind {
                ask = ask.bind(key);
            }
            let rows = ask.fetch_all(x).await?;
            rows.iter()
                .map(|row| decode(row, table.columns))
                .collect::<Result<_, _>>()
        })?;
        if rows.len() == PAGE {
            self.behind = rows
                .last()
                .map(|row| row[..table.n_keys].iter().map(Value::text).collect());
        }
        Ok(rows)
    }
}

/// Rows as the JSON array that `insert` takes.
pub fn document(table: &Table, rows: &[Vec<Value>]) -> String {
    let object = |row: &Vec<Value>| {
        let columns = table.columns.iter().map(|column| column.name.to_owned());
        Json::Object(
            columns
                .zip(row.iter().map(Value::json))
                .collect::<Map<_, _>>(),
        )
    };
    Json::Array(rows.iter().map(object).collect()).to_string()
}

/// What the rows of a table come to, whatever their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    pub rows: u64,
    /// The sum of the rows' own hashes, in four parts.
    sum: [u64; 4],
}

impl Digest {
    pub fn add(&mut self, row: &[Value]) {
        let mut hash = Sha256::new();
        for value in row {
            value.add_to(&mut hash);
        }
        self.rows += 1;
        for (sum, part) in self.sum.iter_mut().zip(hash.finalize().chunks_exact(8)) {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(part);
            *sum = sum.wrapping_add(u64::from_be_bytes(bytes));
        }
    }

    /// Short, for people to compare.
    pub fn shown(&self) -> String {
        hex(&self.sum[0].to_be_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(rows: &[&[Value]]) -> Digest {
        let mut digest = Digest::default();
        for row in rows {
            digest.add(row);
        }
        digest
    }

    #[test]
    fn a_digest_sees_every_value_and_no_order() {
        let (a, b) = ([Value::Int(1), Value::Null], [Value::Int(2), Value::Null]);
        assert_eq!(digest(&[&a, &b]), digest(&[&b, &a]));
        let all: [&[&[Value]]; 7] = [
            &[],
            &[&a],
            &[&a, &a],
            &[&[Value::Int(1), Value::Text(String::new())]],
            &[&[Value::Int(1), Value::Flag(false)]],
            &[&[Value::Text("ab".to_owned()), Value::Text("c".to_owned())]],
            &[&[Value::Text("a".to_owned()), Value::Text("bc".to_owned())]],
        ];
        for (n, one) in all.iter().enumerate() {
            for other in &all[n + 1..] {
                assert_ne!(digest(one), digest(other), "{one:?} {other:?}");
            }
        }
    }
}
