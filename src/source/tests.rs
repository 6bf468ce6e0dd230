//! Whole files: the fixtures a shop could have sent, and properties.

mod properties;

use super::column_map::ColumnMap;
use super::dates::DateOrder;
use super::*;
use crate::domain::eta::Eta;
use crate::domain::quantity::Quantity;
use crate::domain::row::RowStatus;

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../tests/fixtures/import/", $name)).as_slice()
    };
}

fn options() -> ParseOptions {
    let mut options = ParseOptions::in_zone(chrono_tz::Europe::Berlin);
    options.shop_country = Country::parse("DE").ok();
    options.shop_currency = Some("EUR".into());
    options
}

fn read(bytes: &[u8], options: &ParseOptions) -> Result<ParsedFile, FileProblem> {
    parse(bytes, "test.csv", options, &mut |_| {})
}

fn lines(bytes: &[u8], options: &ParseOptions) -> Parsed<Row> {
    match read(bytes, options) {
        Ok(ParsedFile::Lines(parsed)) => parsed,
        other => panic!("{other:?}"),
    }
}

fn keys(parsed: &Parsed<Row>) -> Vec<&str> {
    parsed
        .rows
        .iter()
        .map(|row| row.line_key.as_str())
        .collect()
}

/// Line, field and a part of the reason of every rejected record.
fn check_rejected(rejected: &[Rejection], expected: &[(u64, &str, &str)]) {
    let got: Vec<(u64, &str)> = rejected
        .iter()
        .map(|r| (r.line, r.field.as_deref().unwrap_or("")))
        .collect();
    let want: Vec<(u64, &str)> = expected
        .iter()
        .map(|(line, field, _)| (*line, *field))
        .collect();
    assert_eq!(got, want);
    for (rejection, (line, _, part)) in rejected.iter().zip(expected) {
        assert!(
            rejection.reason.contains(part),
            "line {line}: {}",
            rejection.reason
        );
        assert!(!rejection.cure.is_empty(), "line {line}");
    }
}

fn day(text: &str) -> Option<Eta> {
    Some(Eta::day(text.parse().unwrap()))
}

#[test]
fn a_german_file_with_its_own_names_is_read() {
    let mut options = options();
    options.map = ColumnMap::parse(&[
        "line_id=Positionsnr.",
        "order_number=Belegnummer",
        "status=Stand",
        "customer_name=Kunde",
        "email=E-Mail",
        "phone=Telefon",
        "country=Land",
        "locale=Sprache",
        "sku=Artikel",
        "product_name=Bezeichnung",
        "quantity=Menge",
        "quantity_shipped=Geliefert",
        "unit_price=Preis",
        "currency=Währung",
        "ordered_at=Bestelldatum",
        "eta=Liefertermin",
        "sms_consent=sms erlaubt",
    ])
    .unwrap();
    let parsed = lines(fixture!("german-utf16.csv"), &options);
    assert_eq!(parsed.encoding, Encoding::Utf16Le);
    assert_eq!(parsed.format, Format::Csv { delimiter: ';' });
    assert!(parsed.rejected.is_empty(), "{:?}", parsed.rejected);
    assert!(parsed.warnings.is_empty(), "{:?}", parsed.warnings);
    assert!(parsed.columns.iter().all(|column| column.field.is_some()));
    let [first, second, third, fourth] = parsed.rows.as_slice() else {
        panic!("{:?}", keys(&parsed));
    };
    assert_eq!(first.customer_name.as_deref(), Some("Jürgen Groß"));
    assert_eq!(
        first.product_name.as_deref(),
        Some("Emaille-Teekanne; 1 Liter, blau")
    );
    assert_eq!(first.phone.as_ref().unwrap().expose(), "+4930901820");
    assert_eq!(first.price_minor, Some(129_950));
    assert_eq!(first.eta, day("2026-03-06"));
    assert_eq!(first.ordered_on, Some("2026-02-16".parse().unwrap()));
    assert_eq!(first.sms_consent, Some(true));
    assert_eq!(second.ordered, Quantity(2500));
    assert_eq!(
        format!("{:?}", second.ordered_at.unwrap()),
        "2026-02-16T13:25:00.000Z"
    );
    assert_eq!(second.eta, Some(Eta::Unknown));
    assert_eq!(
        (third.status, third.cancelled),
        (RowStatus::Cancelled, Some(Quantity::pieces(1)))
    );
    assert_eq!(fourth.eta, Some(Eta::Unknown));
    assert_eq!(fourth.phone.as_ref().unwrap().expose(), "+436641234567");
    assert_eq!(
        fourth.email.as_ref().unwrap().domain(),
        "xn--bcher-kva.example"
    );
}

#[test]
fn lines_are_numbered_as_in_the_file_behind_quoted_newlines() {
    let parsed = lines(fixture!("quoted-newlines.csv"), &options());
    let at: Vec<(&str, u64)> = parsed
        .rows
        .iter()
        .map(|row| (row.line_key.as_str(), row.at_line))
        .collect();
    assert_eq!(at, [("L1", 2), ("L2", 6), ("L5", 11)]);
    assert_eq!(
        parsed.rows[0].product_name.as_deref(),
        Some("Enamel teapot, 1 litre \"blue\"")
    );
    check_rejected(
        &parsed.rejected,
        &[
            (8, "email", "not an e-mail address"),
            (9, "eta_from", "2026-04-03 or 2026-03-04"),
        ],
    );
    assert_eq!(parsed.rejected[0].column, Some(5));
    assert_eq!(
        parsed.rejected[0].raw,
        "L3,#1043,waiting,Max Marsh,max.mail.example,Mug,,2026-03-06"
    );
    assert!(parsed.rejected[1].cure.contains("--dates dmy"));
    assert_eq!(parsed.n_records, 5);

    let mut told = options();
    told.dates = Some(DateOrder::MonthDayYear);
    let parsed = lines(fixture!("quoted-newlines.csv"), &told);
    assert_eq!(parsed.rows[2].eta, day("2026-03-04"));
}

#[test]
fn objects_with_parcels_are_read_and_broken_ones_named_with_their_column() {
    let parsed = lines(fixture!("shipments.ndjson"), &options());
    assert_eq!(parsed.format, Format::Ndjson);
    assert_eq!(keys(&parsed), ["7001", "7002", "7003", "7011"]);
    let first = &parsed.rows[0];
    assert_eq!(first.email.as_ref().unwrap().expose(), "EMMA@example.fi");
    assert_eq!(
        (first.eta, first.told),
        (day("2026-03-20"), day("2026-03-06"))
    );
    assert_eq!(first.price_minor, Some(1299));
    let parcels: Vec<(&str, usize)> = first
        .shipments
        .iter()
        .map(|p| (p.key.as_str(), p.tracking_numbers.len()))
        .collect();
    assert_eq!(parcels, [("S-1", 2), ("S-2", 1)]);
    assert_eq!(
        first.shipments[0].estimate_on,
        Some("2026-03-09".parse().unwrap())
    );
    let second = &parsed.rows[1];
    assert_eq!(second.shipments[0].key, "tracking:JJD03");
    assert_eq!(
        (second.shipped, second.eta),
        (Some(Quantity::pieces(1)), Some(Eta::Unknown))
    );
    let third = &parsed.rows[2];
    assert_eq!(
        (third.ordered, third.eta),
        (Quantity(2500), Some(Eta::Unknown))
    );
    assert_eq!(third.order_key, None);
    assert_eq!(parsed.rows[3].cancelled, Some(Quantity::pieces(3)));
    assert_eq!(parsed.rows[3].eta, None);
    check_rejected(
        &parsed.rejected,
        &[
            (5, "", "does not end in this line"),
            (6, "status", "\"wäiting\" is not a status"),
            (7, "line_id", "a number with a fraction"),
            (8, "", "a key stands twice"),
            (9, "order_number", "a plain value is expected"),
            (10, "", "not a JSON object"),
        ],
    );
    assert_eq!(parsed.rejected[0].column, Some(83));
    assert_eq!(parsed.rejected[1].column, Some(42));
    assert_eq!(parsed.warnings.len(), 1);
    assert_eq!(parsed.warnings[0].cure, "did you mean warehouse?");
    assert_eq!(parsed.warnings[0].lines, [4]);
}

#[test]
fn a_file_of_dates_is_recognised() {
    let Ok(ParsedFile::Etas(parsed)) = read(fixture!("etas.tsv"), &options()) else {
        panic!("not recognised");
    };
    let etas: Vec<(&str, String)> = parsed
        .rows
        .iter()
        .map(|row| (row.sku.as_str(), row.eta.to_string()))
        .collect();
    assert_eq!(
        etas,
        [
            ("TP-100-BL", "2026-03-20".to_owned()),
            ("MUG-3", "2026-03-20..2026-03-27".to_owned()),
            ("POT-1", "unknown".to_owned()),
        ]
    );
    assert_eq!(
        parsed.rows[0].reason.as_deref(),
        Some("our supplier's delivery to us is late")
    );
    check_rejected(
        &parsed.rejected,
        &[
            (5, "sku", "line 2 has the same sku"),
            (6, "eta_from", "after its end"),
        ],
    );
    let mut asked = options();
    asked.kind = Some(FileKind::Lines);
    assert_eq!(
        read(fixture!("etas.tsv"), &asked).unwrap_err().kind,
        ProblemKind::Header
    );
}

#[test]
fn a_file_in_another_encoding_is_refused_with_the_command_that_helps() {
    let problem = read(fixture!("windows-1252.csv"), &options()).unwrap_err();
    assert_eq!(problem.kind, ProblemKind::Encoding);
    assert_eq!((problem.line, problem.column), (Some(3), Some(16)));
    assert!(
        problem.cure.contains("iconv -f WINDOWS-1252"),
        "{}",
        problem.cure
    );
}

#[test]
fn a_stray_quote_costs_its_line_and_not_the_rest() {
    let parsed = lines(fixture!("stray-quote.csv"), &options());
    check_rejected(&parsed.rejected, &[(3, "", "quotes"), (4, "", "quotes")]);
    assert_eq!(parsed.rows.len(), 27);
    assert_eq!(parsed.rows[1].at_line, 5);
}

#[test]
fn ragged_records_are_rejected_with_both_counts() {
    let parsed = lines(fixture!("ragged.csv"), &options());
    assert_eq!(keys(&parsed), ["L1", "L4"]);
    check_rejected(
        &parsed.rejected,
        &[
            (3, "", "has 3 fields, the header has 4"),
            (4, "", "has 5 fields, the header has 4"),
        ],
    );
}

#[test]
fn every_bad_row_says_its_line_field_and_reason() {
    let parsed = lines(fixture!("bad-rows.csv"), &options());
    assert_eq!(keys(&parsed), ["ok", "L19", "L21"]);
    check_rejected(
        &parsed.rejected,
        &[
            (3, "line_id", "is missing"),
            (4, "order_number", "is missing"),
            (5, "status", "\"lost\" is not a status"),
            (6, "status", "is missing"),
            (7, "email", "there is no @"),
            (8, "quantity", "not a quantity"),
            (9, "quantity_shipped", "make 3, and 2 were ordered"),
            (10, "quantity", "nothing was ordered"),
            (11, "eta_from", "can mean 2027-04-03 or 2027-03-04"),
            (12, "eta_from", "after its end"),
            (13, "told_from", "spreadsheet's count of days"),
            (14, "ordered_at", "not a date"),
            (15, "customer_deleted", "neither yes nor no"),
            (16, "line_id", "1E+05"),
            (17, "order_id", "formula"),
            (18, "order_number", "apostrophe"),
            (19, "line_id", "line 2 has the same line_id"),
            (21, "email", "line 20 gives the same order number"),
        ],
    );
    let shown = format!("{:?}", parsed.rejected);
    assert!(!shown.contains("mail.example"), "{shown}");
}

#[test]
fn rows_of_one_line_that_differ_in_parcels_are_one_row() {
    let parsed = lines(fixture!("parcels.csv"), &options());
    assert!(parsed.rejected.is_empty(), "{:?}", parsed.rejected);
    assert_eq!(keys(&parsed), ["L1", "L2", "L3"]);
    let first = &parsed.rows[0];
    assert_eq!(first.shipped, Some(Quantity::pieces(3)));
    let parcels: Vec<(&str, &[String])> = first
        .shipments
        .iter()
        .map(|p| (p.key.as_str(), p.tracking_numbers.as_slice()))
        .collect();
    let expected = [
        ("S1", ["JJ1", "JJ1b"].as_slice()),
        ("S2", ["JJ2"].as_slice()),
    ];
    assert_eq!(parcels.len(), expected.len());
    for ((key, numbers), (want_key, want_numbers)) in parcels.iter().zip(expected) {
        assert_eq!(
            (*key, numbers.to_vec()),
            (
                want_key,
                want_numbers.iter().map(ToString::to_string).collect()
            )
        );
    }
    assert_eq!(parsed.rows[1].shipments[0].key, "tracking:JJ2");
    assert!(parsed.rows[2].shipments.is_empty());
}

#[test]
fn empty_files_and_wrong_formats_say_what_they_are() {
    for (bytes, kind) in [
        (b"".as_slice(), ProblemKind::Empty),
        (b"\xEF\xBB\xBF\r\n \n", ProblemKind::Empty),
        (b"[{\"line_id\":1}]", ProblemKind::Format),
        (b"hello", ProblemKind::Header),
        (b"\x1F\x8B\x08", ProblemKind::Format),
    ] {
        assert_eq!(read(bytes, &options()).unwrap_err().kind, kind, "{bytes:?}");
    }
    let only_header = lines(b"line_id,order_number,status", &options());
    assert_eq!(only_header.n_records, 0);
}

#[test]
fn line_ends_and_marks_of_all_systems_give_the_same_rows() {
    let text = "line_id,order_number,status\nL1,1,waiting\nL2,2,shipped\n";
    for ending in ["\n", "\r\n", "\r"] {
        for mark in ["", "\u{feff}", "sep=,\n", "\n\n"] {
            let file = format!("{mark}{text}").replace('\n', ending);
            let parsed = lines(file.as_bytes(), &options());
            assert_eq!(keys(&parsed), ["L1", "L2"], "{file:?}");
            let before = u64::try_from(mark.matches('\n').count()).unwrap();
            assert_eq!(parsed.rows[1].at_line, 3 + before, "{file:?}");
        }
    }
}

#[test]
fn warnings_are_told_once_with_their_lines() {
    let mut file = "line_id,order_number,status,phone,eta\n".to_owned();
    for n in 0..50 {
        file.push_str(&format!("L{n},{n},waiting,12,1796515200\n"));
    }
    let parsed = lines(file.as_bytes(), &options());
    assert_eq!(parsed.rows.len(), 50);
    let told: Vec<(&str, u64, usize)> = parsed
        .warnings
        .iter()
        .map(|w| (w.field.as_deref().unwrap(), w.times, w.lines.len()))
        .collect();
    assert_eq!(told, [("phone", 50, 20), ("eta_from", 50, 20)]);
    assert_eq!(parsed.rows[0].eta, day("2026-12-06"));
}

#[test]
fn progress_rises_to_the_length_of_the_file() {
    let mut file = "line_id,order_number,status\n".to_owned();
    for n in 0..3_500 {
        file.push_str(&format!("L{n},{n},waiting\n"));
    }
    let mut heard = Vec::new();
    parse(file.as_bytes(), "a.csv", &options(), &mut |done| {
        heard.push(done);
    })
    .unwrap();
    assert_eq!(heard.len(), 4);
    assert!(heard.is_sorted());
    assert_eq!(heard.last(), Some(&(file.len() as u64)));
}
