//! Whole files: the fixtures a shop could have sent, and properties.

use super::column_map::ColumnMap;
use super::dates::DateOrder;
use super::*;
use crate::domain::contact::Preference;
use crate::domain::eta::Eta;
use crate::domain::quantity::Quantity;
use crate::domain::row::RowStatus;
use proptest::prelude::*;

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

/// A row written down again, as an NDJSON object.
fn emitted(row: &Row) -> String {
    let instant = |at: Option<crate::domain::time::Instant>| at.map(|at| format!("{at:?}"));
    let mut object = serde_json::json!({
        "line_id": row.line_key,
        "order_id": row.order_key,
        "order_number": row.order_number,
        "status": row.status,
        "customer_name": row.customer_name,
        "email": row.email,
        "phone": row.phone,
        "sms_consent": row.sms_consent,
        "preferred_channel": row.preferred.map(Preference::as_str),
        "locale": row.locale,
        "time_zone": row.zone.map(Tz::name),
        "country": row.country,
        "customer_deleted": row.customer_deleted,
        "sku": row.sku,
        "product_name": row.product_name,
        "quantity": row.ordered.to_string(),
        "quantity_shipped": row.shipped.map(|q| q.to_string()),
        "quantity_cancelled": row.cancelled.map(|q| q.to_string()),
        "unit_price_minor": row.price_minor,
        "currency": row.currency,
        "ordered_at": instant(row.ordered_at).or(row.ordered_on.map(|on| on.to_string())),
        "told_from": row.told.and_then(Eta::first),
        "told_to": row.told.and_then(Eta::last),
        "reason": row.reason,
        "view_url": row.view_url,
        "updated_at": instant(row.updated_at),
        "shipments": row.shipments.iter().map(|parcel| serde_json::json!({
            "shipment_id": parcel.key,
            "shipped_at": instant(parcel.shipped_at),
            "carrier": parcel.carrier,
            "tracking_numbers": parcel.tracking_numbers,
            "tracking_url": parcel.tracking_url,
            "estimated_delivery": parcel.estimate_on,
        })).collect::<Vec<_>>(),
    });
    if let Some(eta) = row.eta {
        object["eta_from"] = serde_json::json!(eta.first());
        object["eta_to"] = serde_json::json!(eta.last());
    }
    for (key, value) in &row.extras {
        object[key] = serde_json::json!(value);
    }
    object.to_string()
}

const HEADER: &str = "line_id,order_id,order_number,status,customer_name,email,phone,country,\
    locale,sku,product_name,quantity,quantity_shipped,unit_price,currency,ordered_at,eta_from,\
    eta_to,told_from,reason,shipment_id,shipped_at,tracking_number,estimated_delivery,priority,\
    view_url";

/// One CSV record under [`HEADER`], most of them good.
fn record() -> impl Strategy<Value = Vec<String>> {
    let of = |words: &'static [&'static str]| {
        prop::sample::select(words).prop_map(str::to_owned).boxed()
    };
    let dates: &'static [&'static str] = &[
        "",
        "2026-03-06",
        "06.03.2026",
        "20260306",
        "2026-04-01 00:00:00",
        "13/04/2026",
        "03/04/2026",
        "n/a",
    ];
    vec![
        "L[0-9]{1,2}".boxed(),
        of(&["", "O1", "O2"]),
        "#[0-9]{1,3}".boxed(),
        of(&["waiting", "open", "shipped", "Cancelled", "lost"]),
        "\\PC{0,20}".boxed(),
        of(&[
            "",
            "a@mail.example",
            "B@Mail.Example",
            "ü@bücher.example",
            "bad",
        ]),
        of(&["", "030 901820", "+44 20 7946 0018", "12"]),
        of(&["", "DE", "gb", "Germany"]),
        of(&["", "de_DE", "en", "german"]),
        of(&["", "TP-1", "1E+05", "0001"]),
        "[ -~\n\r]{0,20}".boxed(),
        of(&["", "1", "2,5", "3.000", "x"]),
        of(&["", "0", "1", "0.5"]),
        of(&["", "12,99", "1.299,50", "1.299", "5"]),
        of(&["", "EUR", "jpy", "euro"]),
        of(&[
            "",
            "2026-02-16",
            "2026-02-16 14:25",
            "2026-02-16T14:25:00+02:00",
        ]),
        of(dates),
        of(dates),
        of(dates),
        "[a-z ,;\"\t]{0,20}".boxed(),
        of(&["", "S1", "S2"]),
        of(&["", "2026-03-06 12:00", "1772445600"]),
        of(&["", "JJ1", "JJ1, JJ2", "1,5E+12"]),
        of(dates),
        of(&["", "high"]),
        of(&["", "https://shop.example/o/1", "javascript:x"]),
    ]
}

fn csv_of(records: &[Vec<String>], delimiter: u8) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new()
        .delimiter(delimiter)
        .from_writer(Vec::new());
    writer.write_record(HEADER.split(',')).unwrap();
    for record in records {
        writer.write_record(record).unwrap();
    }
    writer.into_inner().unwrap()
}

fn without_lines(rows: &[Row]) -> Vec<Row> {
    rows.iter()
        .map(|row| Row {
            at_line: 0,
            ..row.clone()
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes, &options());
    }

    #[test]
    fn no_text_under_a_good_header_panics_and_every_record_is_accounted_for(
        body in "[L0-9,;\"\n\ra-z#@.'=+-]{0,300}",
    ) {
        let parsed = lines(format!("line_id,order_number,status\n{body}").as_bytes(), &options());
        let n = parsed.rows.len() + parsed.rejected.len();
        prop_assert!(n as u64 <= parsed.n_records);
        let n_lines = 2 + body.matches(['\n', '\r']).count() as u64;
        for line in parsed.rejected.iter().map(|r| r.line).chain(parsed.rows.iter().map(|r| r.at_line)) {
            prop_assert!((2..=n_lines).contains(&line));
        }
    }

    #[test]
    fn no_object_panics(body in "[{}\\[\\]:,\"a-z0-9_.e\n -]{0,200}") {
        let _ = read(format!("{{\"line_id\":1{body}").as_bytes(), &options());
    }

    #[test]
    fn the_delimiter_and_the_encoding_change_nothing(records in prop::collection::vec(record(), 0..12)) {
        let comma = lines(&csv_of(&records, b','), &options());
        let tab = csv_of(&records, b'\t');
        let utf16: Vec<u8> = format!("\u{feff}{}", String::from_utf8(tab).unwrap())
            .encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect();
        let tab = lines(&utf16, &options());
        prop_assert_eq!(&comma.rows, &tab.rows);
        prop_assert_eq!(comma.rejected.len(), tab.rejected.len());
        prop_assert_eq!(&comma.warnings, &tab.warnings);
    }

    #[test]
    fn rows_written_down_again_are_the_same_rows(records in prop::collection::vec(record(), 1..12)) {
        let first = lines(&csv_of(&records, b';'), &options());
        let file: Vec<String> = first.rows.iter().map(emitted).collect();
        if !file.is_empty() {
            let second = lines(file.join("\n").as_bytes(), &options());
            prop_assert!(second.rejected.is_empty(), "{:?}", second.rejected);
            prop_assert_eq!(without_lines(&first.rows), without_lines(&second.rows));
        }
    }
}
