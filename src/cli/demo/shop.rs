//! The made-up shop: its customers, their orders, and the export file it
//! writes.
//!
//! The story edits orders here as a shop's staff would edit theirs;
//! [`Shop::export`] writes what a shop system would write, and the import
//! reads that and nothing else.

use crate::domain::time::Instant;
use chrono::DateTime;
use serde::Serialize;

/// The shop's configuration; `{now}` is when the story ends.
pub const CONFIGURATION: &str = r#"# Made by `backorderd demo`: a made-up shop whose clock stands still.
# Nothing here can send: sandbox mode, and every message becomes a file.
mode = "sandbox"

[shop]
name = "Fern & Kettle"
phone = "020 7946 0018"
website = "https://fernkettle.example/"
reply_to = "help@fernkettle.example"
zone = "Europe/London"
locale = "en"
country = "GB"
currency = "GBP"
charges = "at_order"
cancel = "until_shipped"

[shop.hours]
en = "Monday to Friday 9:00 to 17:00"
de = "Montag bis Freitag 9 bis 17 Uhr"

[email]
from = "Fern & Kettle <orders@fernkettle.example>"

[sms]
gateway = "folder"
countries = ["GB", "DE", "US"]

[brake]
per_hour = 20

# Three weeks pass in seconds; a real shop leaves this at its default.
[pace]
per_minute = 1000000

[demo]
now = "{now}"
"#;

/// One line of the shop's export, in the columns every source has.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ShopRow {
    pub line_id: String,
    pub order_number: String,
    pub customer_name: &'static str,
    pub email: String,
    pub phone: &'static str,
    pub sms_consent: &'static str,
    pub preferred_channel: &'static str,
    pub locale: &'static str,
    pub time_zone: &'static str,
    pub country: &'static str,
    pub sku: &'static str,
    pub product_name: &'static str,
    pub quantity: u32,
    pub quantity_shipped: u32,
    pub quantity_cancelled: u32,
    pub unit_price: &'static str,
    pub currency: &'static str,
    pub ordered_at: &'static str,
    pub eta_from: String,
    pub eta_to: String,
    pub eta_withdrawn: &'static str,
    pub reason: &'static str,
    pub status: &'static str,
    pub shipment_id: &'static str,
    pub shipped_at: &'static str,
    pub tracking_number: &'static str,
    pub carrier: &'static str,
    pub tracking_url: &'static str,
    pub estimated_delivery: &'static str,
    pub view_url: String,
}

/// Who orders.
struct Customer {
    name: &'static str,
    mailbox: &'static str,
    locale: &'static str,
    zone: &'static str,
    country: &'static str,
    /// Also wants texts, to this number.
    texts: &'static str,
}

const fn customer(
    name: &'static str,
    mailbox: &'static str,
    locale: &'static str,
    texts: &'static str,
) -> Customer {
    let german = locale.as_bytes()[0] == b'd';
    Customer {
        name,
        mailbox,
        locale,
        zone: if german {
            "Europe/Berlin"
        } else {
            "Europe/London"
        },
        country: if german { "DE" } else { "GB" },
        texts,
    }
}

/// SKU, name, price.
const PRODUCTS: [(&str, &str, &str); 11] = [
    ("TP-100-BL", "Enamel teapot, 1 litre, blue", "34.00"),
    ("TRAY-OAK", "Oak tea tray", "42.50"),
    ("MUG-GR", "Stoneware mug, grey", "12.00"),
    ("POT-4L", "Cast iron pot, 4 litres", "119.00"),
    ("APR-LIN", "Linen apron", "38.00"),
    ("TWL-NAT", "Linen tea towel, natural", "9.50"),
    ("TRV-CORK", "Cork trivet", "14.00"),
    ("PAN-MILK", "Milk pan", "27.00"),
    ("CAKE-ST", "Cake stand", "46.00"),
    ("JAM-CU", "Copper jam pan", "164.00"),
    ("BOWL-28", "Mixing bowl, 28 cm", "31.00"),
];

/// Number, customer, when, and lines of SKU, pieces, first and last day.
type Placed = (
    u32,
    Customer,
    &'static str,
    &'static [(&'static str, u32, &'static str, &'static str)],
);

/// Everybody who orders in these three weeks, in order of time.
fn cast() -> Vec<Placed> {
    let gb = customer;
    vec![
        // Waiting already when we first look.
        (
            1033,
            gb("Ragna Lindqvist", "ragna.lindqvist", "en-GB", ""),
            "2026-02-04T12:40:00Z",
            &[("TWL-NAT", 4, "2026-03-10", "")],
        ),
        (
            1034,
            gb("Joan Marsh", "j.marsh", "en-GB", ""),
            "2026-02-06T09:02:00Z",
            &[("PAN-MILK", 1, "2026-02-27", "")],
        ),
        (
            1035,
            gb("Pius Oduya", "pius.oduya", "en-GB", ""),
            "2026-02-07T18:31:00Z",
            &[("BOWL-28", 1, "2026-03-12", "")],
        ),
        (
            1037,
            customer("Clara Weber", "clara.weber", "de-DE", ""),
            "2026-02-09T08:15:00Z",
            &[("TRV-CORK", 2, "2026-03-20", "")],
        ),
        (
            1036,
            gb("Samira Amin", "samira.amin", "en-GB", ""),
            "2026-02-12T20:44:00Z",
            &[("CAKE-ST", 1, "", "")],
        ),
        (
            1038,
            gb("Owen O'Brien & Sons", "owen.obrien", "en-GB", ""),
            "2026-02-14T11:09:00Z",
            &[("BOWL-28", 1, "2026-03-10", "2026-03-12")],
        ),
        (
            1039,
            gb("Thea Lund", "thea.lund", "en", ""),
            "2026-02-15T16:20:00Z",
            &[("TWL-NAT", 6, "2026-03-10", "")],
        ),
        (
            1040,
            gb("Marcus Bell", "marcus.bell", "en-GB", ""),
            "2026-02-15T21:55:00Z",
            &[("TWL-NAT", 2, "2026-03-10", "")],
        ),
        (
            1041,
            customer("Friederike Groß", "f.gross", "de-DE", ""),
            "2026-02-16T08:10:00Z",
            &[("BOWL-28", 1, "2026-03-12", "")],
        ),
        // New ones.
        (
            1042,
            gb("Anna Kowalski", "anna.kowalski", "en-GB", "+442079460123"),
            "2026-02-16T14:22:00Z",
            &[("TP-100-BL", 2, "2026-03-06", "")],
        ),
        (
            1043,
            gb("David Obi", "david.obi", "en-GB", ""),
            "2026-02-16T17:40:00Z",
            &[("TP-100-BL", 1, "2026-03-06", "")],
        ),
        (
            1044,
            Customer {
                zone: "America/New_York",
                country: "US",
                ..customer("Lucía Moreno", "lucia.moreno", "en-US", "+12125550143")
            },
            "2026-02-17T01:15:00Z",
            &[("TP-100-BL", 1, "2026-03-06", "")],
        ),
        (
            1045,
            gb("Kamila Novak", "kamila.novak", "en-GB", ""),
            "2026-02-17T09:30:00Z",
            &[("APR-LIN", 1, "2026-03-18", "")],
        ),
        (
            1046,
            gb("Isaac Stone", "isaac.stone", "en-GB", ""),
            "2026-02-17T12:05:00Z",
            &[("APR-LIN", 2, "2026-03-18", "")],
        ),
        (
            1047,
            customer("Jonas Brandt", "jonas.brandt", "de-DE", "+491713920012"),
            "2026-02-17T18:20:00Z",
            &[
                ("BOWL-28", 2, "2026-03-12", ""),
                ("TWL-NAT", 1, "2026-03-10", ""),
            ],
        ),
        (
            1048,
            gb("Petra Quinn", "petra.quinn", "en-GB", ""),
            "2026-02-17T20:10:00Z",
            &[("TRAY-OAK", 1, "2026-03-12", "")],
        ),
        (
            1049,
            gb("Yusuf Demir", "yusuf.demir", "en-GB", ""),
            "2026-02-21T10:30:00Z",
            &[("TWL-NAT", 3, "2026-03-10", "")],
        ),
        (
            1050,
            gb("Harriet Cole", "harriet.cole", "en-GB", "+442079460456"),
            "2026-02-23T15:12:00Z",
            &[("APR-LIN", 1, "2026-03-18", "")],
        ),
        (
            1051,
            gb("Mika Ito", "mika.ito", "en-GB", ""),
            "2026-02-24T08:45:00Z",
            &[("POT-4L", 1, "2026-03-06", "")],
        ),
        (
            1052,
            gb("Bronwen Pugh", "bronwen.pugh", "en-GB", ""),
            "2026-02-24T13:10:00Z",
            &[("JAM-CU", 1, "2026-03-13", "")],
        ),
        (
            1053,
            customer("Lena Vogt", "lena.vogt", "de-AT", ""),
            "2026-02-25T10:10:00Z",
            &[("TRV-CORK", 1, "2026-03-12", "")],
        ),
        (
            1054,
            customer("Lena Vogt", "lena.vogt", "de-AT", ""),
            "2026-02-25T10:25:00Z",
            &[("APR-LIN", 1, "2026-03-18", "")],
        ),
        (
            1055,
            gb("Tom Fielding", "tom.fielding", "en-GB", ""),
            "2026-02-25T15:00:00Z",
            &[("TRV-CORK", 4, "2026-03-12", "")],
        ),
        (
            1056,
            gb("Ines Duarte", "ines.duarte", "en-GB", ""),
            "2026-02-26T08:00:00Z",
            &[("PAN-MILK", 1, "2026-03-17", "")],
        ),
        (
            1057,
            gb("Noor Haddad", "noor.haddad", "en-GB", ""),
            "2026-02-26T11:45:00Z",
            &[("BOWL-28", 1, "2026-03-12", "")],
        ),
        (
            1058,
            gb("Grace Tan", "grace.tan", "en-GB", "+442079460789"),
            "2026-02-26T16:30:00Z",
            &[("MUG-GR", 5, "2026-03-20", "")],
        ),
        (
            1059,
            gb("Walter Fry", "walter.fry", "en-GB", ""),
            "2026-02-27T07:50:00Z",
            &[("CAKE-ST", 1, "2026-03-12", "")],
        ),
        (
            1060,
            gb("Elin Berg", "elin.berg", "en-GB", ""),
            "2026-02-27T14:15:00Z",
            &[("MUG-GR", 2, "2026-03-20", "")],
        ),
        (
            1061,
            gb("Rosa Kent", "rosa.kent", "en-GB", ""),
            "2026-02-28T19:05:00Z",
            &[("TWL-NAT", 2, "2026-03-10", "")],
        ),
        (
            1062,
            customer("Moritz Keller", "moritz.keller", "de-DE", ""),
            "2026-03-02T08:40:00Z",
            &[("BOWL-28", 1, "2026-03-12", "")],
        ),
    ]
}

/// What the shop knows of its orders.
pub struct Shop {
    rows: Vec<(Instant, ShopRow)>,
}

/// A moment of the story; it is written by hand and always parses.
pub fn moment(text: &str) -> Instant {
    DateTime::parse_from_rfc3339(text).map_or(Instant(0), |at| Instant::from_datetime(&at))
}

impl Shop {
    /// With everybody's order as it will be when it is placed.
    pub fn open() -> Shop {
        let mut rows = Vec::new();
        for (number, who, at, lines) in cast() {
            for (index, (sku, pieces, from, to)) in lines.iter().enumerate() {
                let product = PRODUCTS.iter().find(|(known, ..)| known == sku);
                let (_, name, price) = product.copied().unwrap_or((sku, sku, ""));
                let row = ShopRow {
                    line_id: format!("{number}-{}", index + 1),
                    order_number: number.to_string(),
                    customer_name: who.name,
                    email: format!("{}@mail.example", who.mailbox),
                    phone: who.texts,
                    sms_consent: if who.texts.is_empty() { "no" } else { "yes" },
                    preferred_channel: if who.texts.is_empty() {
                        "email"
                    } else {
                        "both"
                    },
                    locale: who.locale,
                    time_zone: who.zone,
                    country: who.country,
                    sku,
                    product_name: name,
                    quantity: *pieces,
                    unit_price: price,
                    currency: "GBP",
                    ordered_at: at,
                    eta_from: (*from).to_owned(),
                    eta_to: (*to).to_owned(),
                    status: "waiting",
                    view_url: format!("https://fernkettle.example/o/{number}"),
                    ..ShopRow::default()
                };
                rows.push((moment(at), row));
            }
        }
        Shop { rows }
    }

    /// How many orders are placed in all.
    pub fn n_orders(&self) -> usize {
        let numbers: std::collections::BTreeSet<&str> = self
            .rows
            .iter()
            .map(|(_, row)| row.order_number.as_str())
            .collect();
        numbers.len()
    }

    /// When the next order after `now` is placed.
    pub fn next_order(&self, now: Instant) -> Option<Instant> {
        self.rows
            .iter()
            .map(|(at, _)| *at)
            .filter(|at| *at > now)
            .min()
    }

    /// Changes every line of an order.
    pub fn edit_order(&mut self, number: &str, edit: impl Fn(&mut ShopRow)) {
        let of_order = |(_, row): &&mut (Instant, ShopRow)| row.order_number == number;
        self.rows
            .iter_mut()
            .filter(of_order)
            .for_each(|(_, row)| edit(row));
    }

    /// Changes every line of a product.
    pub fn edit_sku(&mut self, sku: &str, edit: impl Fn(&mut ShopRow)) {
        let of_sku = |(_, row): &&mut (Instant, ShopRow)| row.sku == sku;
        self.rows
            .iter_mut()
            .filter(of_sku)
            .for_each(|(_, row)| edit(row));
    }

    /// Loses an order, as shops do.
    pub fn lose_order(&mut self, number: &str) {
        self.rows.retain(|(_, row)| row.order_number != number);
    }

    /// The export file of this moment: the orders placed so far.
    ///
    /// # Errors
    /// Never in practice: it is written into memory.
    pub fn export(&self, now: Instant) -> anyhow::Result<Vec<u8>> {
        let mut out = csv::Writer::from_writer(Vec::new());
        for (_, row) in self.rows.iter().filter(|(at, _)| *at <= now) {
            out.serialize(row)?;
        }
        Ok(out.into_inner().map_err(|error| error.into_error())?)
    }
}
