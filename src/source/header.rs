//! What the columns of a file mean, and whether they are enough.

use super::FileKind;
use super::FileProblem;
use super::ParseOptions;
use super::ProblemKind;
use super::Warnings;
use super::column_map::ColumnMap;
use super::columns;
use super::columns::Field;

/// Columns a file of order lines cannot do without.
const LINES_NEED: &[Field] = &[Field::LineId, Field::OrderNumber, Field::Status];
/// Columns a file of dates cannot do without.
const ETAS_NEED: &[Field] = &[Field::Sku, Field::EtaFrom];

/// What a file with these (normalised) names holds. A file of dates has a SKU
/// and a date and nothing of an order; a file of lines that merely lost its
/// line ids must not move the dates of a SKU.
pub(super) fn kind_of(names: &[String], map: &ColumnMap) -> FileKind {
    let has = |field: Field, kind: FileKind| {
        names
            .iter()
            .any(|name| map.fields_of(name, kind).contains(&field))
    };
    let of_an_order = [
        Field::LineId,
        Field::OrderNumber,
        Field::OrderId,
        Field::Status,
        Field::Email,
    ];
    let ordered = of_an_order
        .into_iter()
        .any(|field| has(field, FileKind::Lines));
    if !ordered && has(Field::Sku, FileKind::Etas) && has(Field::EtaFrom, FileKind::Etas) {
        FileKind::Etas
    } else {
        FileKind::Lines
    }
}

/// A header that is understood.
#[derive(Debug)]
pub(super) struct Header {
    pub line: u64,
    pub kind: FileKind,
    /// As the file spells them.
    pub names: Vec<String>,
    /// Fields fed by each column; empty for one nobody reads.
    pub fields: Vec<Vec<Field>>,
    /// Said about the columns nobody reads.
    pub unread: Vec<Unread>,
}

impl Header {
    /// `file` is the file's name, for messages.
    ///
    /// # Errors
    /// A field twice, a mandatory one missing, a map that names what is not
    /// there.
    pub fn understand(
        cells: Vec<String>,
        line: u64,
        file: &str,
        options: &ParseOptions,
    ) -> Result<Header, FileProblem> {
        let names: Vec<String> = cells.iter().map(|cell| columns::normalised(cell)).collect();
        refuse_data(&names, line, options)?;
        options.map.check(&names)?;
        let kind = options
            .kind
            .unwrap_or_else(|| kind_of(&names, &options.map));
        let fields: Vec<Vec<Field>> = names
            .iter()
            .map(|name| options.map.fields_of(name, kind))
            .collect();
        refuse_doubles(&names, &fields, line)?;
        require(&names, &fields, kind, file, line)?;
        let unread = (names.iter().zip(&cells).zip(&fields).zip(1..))
            .filter(|((_, fields), _)| fields.is_empty())
            .map(|(((name, cell), _), number)| Unread::of(name, cell, number, kind, &options.map))
            .collect();
        Ok(Header {
            line,
            kind,
            names: cells,
            fields,
            unread,
        })
    }

    /// Number of the column that feeds a field, from 1.
    pub fn column_of(&self, field: Field) -> Option<usize> {
        Some(
            1 + self
                .fields
                .iter()
                .position(|fields| fields.contains(&field))?,
        )
    }
}

/// A file without a header begins with somebody's data; none of it may be
/// repeated in a message about columns.
fn refuse_data(names: &[String], line: u64, options: &ParseOptions) -> Result<(), FileProblem> {
    let known = |name: &String| {
        let kinds = [FileKind::Lines, FileKind::Etas];
        kinds
            .iter()
            .any(|kind| !options.map.fields_of(name, *kind).is_empty())
    };
    let is_data = |name: &String| {
        name.contains('@') || name.chars().filter(char::is_ascii_digit).count() >= 4
    };
    if names.iter().any(known) || !names.iter().any(is_data) {
        return Ok(());
    }
    Err(FileProblem::of(
        ProblemKind::Header,
        "the first line holds data, not the names of the columns",
        "put a header above it: line_id, order_number, status, ...",
    )
    .at(line, 1))
}

fn refuse_doubles(names: &[String], fields: &[Vec<Field>], line: u64) -> Result<(), FileProblem> {
    for (at, name) in names.iter().enumerate() {
        let same = |other: usize| {
            names[other] == *name || fields[other].iter().any(|f| fields[at].contains(f))
        };
        if name.is_empty() {
            continue;
        }
        if let Some(first) = (0..at).find(|other| same(*other)) {
            return Err(FileProblem::of(
                ProblemKind::Header,
                format!("columns {} and {} both are {name}", first + 1, at + 1),
                "remove or rename one of them",
            )
            .at(line, at + 1)
            .about(name));
        }
    }
    Ok(())
}

fn require(
    names: &[String],
    fields: &[Vec<Field>],
    kind: FileKind,
    file: &str,
    line: u64,
) -> Result<(), FileProblem> {
    let needed = match kind {
        FileKind::Lines => LINES_NEED,
        FileKind::Etas => ETAS_NEED,
    };
    let missing: Vec<&str> = needed
        .iter()
        .filter(|field| !fields.iter().flatten().any(|known| known == *field))
        .map(|field| field.name())
        .collect();
    let Some(first) = missing.first() else {
        return Ok(());
    };
    let near = names
        .iter()
        .find(|name| columns::nearest(name, kind) == Some(*first));
    let cure = match near {
        _ if file.to_ascii_lowercase().ends_with("json") => {
            "the name says JSON, but the content does not begin with {".to_owned()
        }
        Some(near) => format!("name it in the header, or say --map {first}={near}"),
        None => format!(
            "name it in the header, or say --map {first}=COLUMN; the columns are: {}",
            columns::listed(names)
        ),
    };
    Err(FileProblem::of(
        ProblemKind::Header,
        format!("the header has no column {}", missing.join(", ")),
        cure,
    )
    .at(line, 1)
    .about(first))
}

/// What is said about a column nobody reads.
#[derive(Clone, Debug)]
pub(super) struct Unread {
    column: Option<String>,
    what: String,
    cure: String,
}

impl Unread {
    /// `number` counts columns from 1.
    pub fn of(name: &str, cell: &str, number: usize, kind: FileKind, map: &ColumnMap) -> Unread {
        if name.is_empty() {
            return Unread {
                column: None,
                what: format!("column {number} has no name and is not read"),
                cure: "name it, or leave it".to_owned(),
            };
        }
        let cell: String = cell.chars().filter(|c| !c.is_control()).take(60).collect();
        let cure = if map.sets_aside(name, kind) {
            "the column map reads this field from another column".to_owned()
        } else {
            match columns::nearest(name, kind) {
                Some(near) => format!("did you mean {near}?"),
                None => "nothing to do, if it is not needed".to_owned(),
            }
        };
        Unread {
            what: format!("column {cell} is not read"),
            column: Some(cell),
            cure,
        }
    }

    pub fn note(&self, line: u64, warnings: &mut Warnings) {
        warnings.note(line, self.column.as_deref(), &self.what, &self.cure);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn understand(header: &str, map: &[&str]) -> Result<Header, FileProblem> {
        let mut options = ParseOptions::in_zone(chrono_tz::UTC);
        options.map = ColumnMap::parse(map).unwrap();
        Header::understand(
            header.split(',').map(str::to_owned).collect(),
            1,
            "a.csv",
            &options,
        )
    }

    #[test]
    fn columns_tell_lines_from_dates() {
        for (header, map, kind) in [
            ("line_id,order_number,status", vec![], FileKind::Lines),
            ("sku,from", vec![], FileKind::Etas),
            ("SKU,ETA From,ETA to,Reason", vec![], FileKind::Etas),
            (
                "Artikel,Termin",
                vec!["sku=Artikel", "from=Termin"],
                FileKind::Etas,
            ),
            (
                "line_id,order_number,status,sku,eta_from",
                vec![],
                FileKind::Lines,
            ),
        ] {
            assert_eq!(understand(header, &map).unwrap().kind, kind, "{header}");
        }
        // Lines without their ids are not mistaken for dates.
        let problem = understand("order_number,status,sku,eta_from", &[]).unwrap_err();
        assert_eq!(problem.what, "the header has no column line_id");
    }

    #[test]
    fn headers_that_cannot_be_used_say_what_to_do() {
        for (header, map, what, cure) in [
            (
                "line_id,Line-ID,order_number,status",
                vec![],
                "columns 1 and 2 both are line_id",
                "remove or rename",
            ),
            (
                "line_id,order_number,status,eta,eta_from",
                vec![],
                "columns 4 and 5 both are eta_from",
                "remove",
            ),
            (
                "lineid,order_number,status",
                vec![],
                "no column line_id",
                "--map line_id=lineid",
            ),
            (
                "a,b",
                vec![],
                "no column line_id, order_number, status",
                "the columns are: a, b",
            ),
            (
                "line_id,order_number,status",
                vec!["sku=Artikel"],
                "no column \"Artikel\"",
                "the columns are",
            ),
        ] {
            let problem = understand(header, &map).unwrap_err();
            assert!(problem.what.contains(what), "{}", problem.what);
            assert!(problem.cure.contains(cure), "{}", problem.cure);
        }
    }

    #[test]
    fn a_file_without_a_header_is_told_so_without_its_data() {
        for header in ["L1,#1042,waiting,anna@mail.example", "7,+49 30 901820,7,7"] {
            let problem = understand(header, &[]).unwrap_err();
            assert!(problem.what.contains("holds data"), "{}", problem.what);
            assert!(!problem.cure.contains("anna"), "{}", problem.cure);
        }
    }

    #[test]
    fn unknown_columns_are_named_with_the_nearest_known() {
        let header = understand("line_id,order_number,status,e-mial,,qty", &[]).unwrap();
        let mut warnings = Warnings::default();
        header
            .unread
            .iter()
            .for_each(|unread| unread.note(1, &mut warnings));
        let said: Vec<(&str, &str)> = warnings
            .list
            .iter()
            .map(|w| (w.what.as_str(), w.cure.as_str()))
            .collect();
        assert_eq!(
            said,
            [
                ("column e-mial is not read", "did you mean email?"),
                (
                    "column 5 has no name and is not read",
                    "name it, or leave it"
                ),
                ("column qty is not read", "did you mean quantity?"),
            ]
        );
    }
}
