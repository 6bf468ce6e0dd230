//! Who orders what in the demo, and when. Names, addresses and numbers are
//! made up: the domains and number ranges are kept for fiction.

/// Who orders.
pub struct Customer {
    pub name: &'static str,
    pub mailbox: &'static str,
    pub locale: &'static str,
    pub zone: &'static str,
    pub country: &'static str,
    /// Also wants texts, to this number.
    pub texts: &'static str,
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
pub const PRODUCTS: [(&str, &str, &str); 11] = [
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
pub type Placed = (
    u32,
    Customer,
    &'static str,
    &'static [(&'static str, u32, &'static str, &'static str)],
);

/// Everybody who orders in these three weeks, in order of time.
pub fn cast() -> Vec<Placed> {
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
            gb("Anna Kowalski", "anna.kowalski", "en-GB", "+447400120123"),
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
            gb("Harriet Cole", "harriet.cole", "en-GB", "+447400120456"),
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
            gb("Grace Tan", "grace.tan", "en-GB", "+447400120789"),
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
