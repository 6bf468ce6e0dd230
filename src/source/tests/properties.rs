//! Bytes and rows from anywhere: nothing panics, every record is accounted
//! for, and what was read once reads the same again.

use super::{lines, options, read};
use crate::domain::contact::Preference;
use crate::domain::eta::Eta;
use crate::domain::row::Row;
use chrono_tz::Tz;
use proptest::prelude::*;

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
