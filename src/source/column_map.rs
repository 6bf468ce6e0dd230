//! Other names of columns: `line_id=ItemNo` reads our field from their column.

use super::FileKind;
use super::FileProblem;
use super::ProblemKind;
use super::columns::Field;
use super::columns::distance;
use super::columns::known;
use super::columns::listed;
use super::columns::nearest;
use super::columns::normalised;

/// Other names of columns: which column of the file feeds which field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnMap {
    /// Our field, its name as given, and the file's column, normalised.
    pairs: Vec<(Field, String, String)>,
}

impl ColumnMap {
    /// Adds one `ours=theirs`, as on a command line. `from` and `to` may be
    /// written for `eta_from` and `eta_to`.
    ///
    /// # Errors
    /// No `=`, an empty side, a field nobody knows, a field named twice.
    pub fn add(&mut self, pair: &str) -> Result<(), BadMap> {
        let (ours, theirs) = pair
            .split_once('=')
            .ok_or_else(|| BadMap::Shape(pair.to_owned()))?;
        let (name, column) = (normalised(ours), normalised(theirs));
        if name.is_empty() || column.is_empty() {
            return Err(BadMap::Shape(pair.to_owned()));
        }
        let field = known(&name, FileKind::Lines)
            .or_else(|| known(&name, FileKind::Etas))
            .ok_or_else(|| BadMap::Unknown {
                nearest: nearest(&name, FileKind::Lines),
                name: name.clone(),
            })?;
        if self.pairs.iter().any(|(known, ..)| *known == field) {
            return Err(BadMap::Twice(field.name()));
        }
        self.pairs.push((field, theirs.trim().to_owned(), column));
        Ok(())
    }

    /// # Errors
    /// The first pair [`ColumnMap::add`] refuses.
    pub fn parse<S: AsRef<str>>(pairs: &[S]) -> Result<ColumnMap, BadMap> {
        let mut map = ColumnMap::default();
        for pair in pairs {
            map.add(pair.as_ref())?;
        }
        Ok(map)
    }

    /// What a column with this normalised name is read as: every field mapped
    /// to it, else the field of that name unless it is mapped elsewhere.
    pub(super) fn fields_of(&self, name: &str, kind: FileKind) -> Vec<Field> {
        let mapped: Vec<Field> = self
            .pairs
            .iter()
            .filter(|(_, _, column)| column == name)
            .map(|(field, ..)| *field)
            .collect();
        if !mapped.is_empty() {
            return mapped;
        }
        known(name, kind)
            .into_iter()
            .filter(|field| !self.pairs.iter().any(|(mapped, ..)| mapped == field))
            .collect()
    }

    /// Is a column of this normalised name set aside, because the map feeds
    /// its field from another one?
    pub(super) fn sets_aside(&self, name: &str, kind: FileKind) -> bool {
        known(name, kind).is_some() && self.fields_of(name, kind).is_empty()
    }

    /// Names the mapped columns that are not among `names` (normalised).
    ///
    /// # Errors
    /// One of them is missing.
    pub(super) fn check(&self, names: &[String]) -> Result<(), FileProblem> {
        for (field, theirs, column) in &self.pairs {
            if names.contains(column) {
                continue;
            }
            let near = names
                .iter()
                .filter(|name| !name.is_empty())
                .min_by_key(|name| distance(column, name));
            let cure = match near {
                Some(near) if distance(column, near) <= 3 => {
                    format!("did you mean {}={near}?", field.name())
                }
                _ => format!("the columns are: {}", listed(names)),
            };
            return Err(FileProblem::of(
                ProblemKind::Header,
                format!(
                    "the file has no column \"{theirs}\", which {} should be read from",
                    field.name()
                ),
                cure,
            )
            .about(field.name()));
        }
        Ok(())
    }
}

/// Why a `ours=theirs` is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMap {
    #[error("\"{0}\" is not a column map: write it as ours=theirs, for example line_id=ItemNo")]
    Shape(String),
    #[error("there is no field \"{name}\"{}", suggestion(*.nearest))]
    Unknown {
        name: String,
        nearest: Option<&'static str>,
    },
    #[error("{0} is mapped twice")]
    Twice(&'static str),
}

fn suggestion(nearest: Option<&'static str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean {name}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_read_and_refuse() {
        let map = ColumnMap::parse(&["line_id=Item No", "from=Liefertermin"]).unwrap();
        assert_eq!(map.fields_of("item_no", FileKind::Lines), [Field::LineId]);
        assert_eq!(
            map.fields_of("liefertermin", FileKind::Lines),
            [Field::EtaFrom]
        );
        assert!(map.fields_of("line_id", FileKind::Lines).is_empty());
        assert!(map.sets_aside("line_id", FileKind::Lines));
        for (pairs, message) in [
            (
                vec!["lineid=x"],
                "there is no field \"lineid\"; did you mean line_id?",
            ),
            (vec!["line_id"], "is not a column map"),
            (vec!["line_id="], "is not a column map"),
            (vec!["line_id=a", "Line-ID=b"], "line_id is mapped twice"),
        ] {
            let error = ColumnMap::parse(&pairs).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        let missing = map
            .check(&["item_nr".into(), "liefertermin".into()])
            .unwrap_err();
        assert_eq!(missing.cure, "did you mean line_id=item_nr?");
    }
}
