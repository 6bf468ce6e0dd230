//! Which character separates the fields of a CSV file.
//!
//! The header decides: the candidate under which most header cells are known
//! names wins, then the one that gives most cells. Values are not asked; a
//! decimal comma in every row must not make a semicolon file a comma file.

use super::FileKind;
use super::column_map::ColumnMap;
use super::columns::normalised;

const CANDIDATES: [u8; 3] = [b',', b';', b'\t'];

/// The delimiter, and how many bytes an Excel hint (`sep=;`) takes up front.
pub(super) fn detect(text: &str, map: &ColumnMap) -> (u8, usize) {
    if let Some(hinted) = excel_hint(text) {
        return hinted;
    }
    let score = |delimiter: u8| {
        let cells = header_cells(text, delimiter);
        let known = cells.iter().filter(|cell| is_known(cell, map)).count();
        (known, cells.len())
    };
    let best = CANDIDATES
        .into_iter()
        // The first of equals: a comma, when nothing tells them apart.
        .rev()
        .max_by_key(|delimiter| score(*delimiter))
        .unwrap_or(b',');
    (best, 0)
}

fn is_known(cell: &str, map: &ColumnMap) -> bool {
    let name = normalised(cell);
    [FileKind::Lines, FileKind::Etas]
        .iter()
        .any(|kind| !map.fields_of(&name, *kind).is_empty())
}

/// Excel writes and reads a first line `sep=;`.
fn excel_hint(text: &str) -> Option<(u8, usize)> {
    let line = text.split(['\n', '\r']).next()?;
    let delimiter = match line.trim_matches('"').strip_prefix("sep=")? {
        "," => b',',
        ";" => b';',
        "\t" => b'\t',
        _ => return None,
    };
    Some((delimiter, line.len()))
}

/// Cells of the first record that is not blank, quotes respected.
fn header_cells(text: &str, delimiter: u8) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .buffer_capacity(4096)
        .from_reader(text.as_bytes());
    let mut record = csv::StringRecord::new();
    match reader.read_record(&mut record) {
        Ok(true) => record.iter().map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_tells_the_delimiter() {
        for (text, delimiter) in [
            ("line_id,order_number,status\n", b','),
            ("line_id;order_number;status\n1;a,b,c,d,e;f\n", b';'),
            ("line_id\torder_number\tstatus\n", b'\t'),
            ("\"line_id\";\"order;number\";status\n", b';'),
            ("\"note, with, commas, in, it\";line_id;status\n", b';'),
            ("sku,from\n", b','),
            ("nothing\n", b','),
            ("a;b;c\n", b';'),
        ] {
            assert_eq!(detect(text, &ColumnMap::default()).0, delimiter, "{text}");
        }
    }

    #[test]
    fn mapped_names_count_as_known() {
        let map = ColumnMap::parse(&["line_id=Position, Nr", "status=Stand"]).unwrap();
        assert_eq!(detect("\"Position, Nr\";Stand\n", &map).0, b';');
    }

    #[test]
    fn the_hint_of_excel_wins() {
        assert_eq!(
            detect("sep=;\r\nline_id,x\n", &ColumnMap::default()),
            (b';', 5)
        );
    }
}
