//! Domains where anybody gets an address.
//!
//! Their owners publish that nobody else may send for them (DMARC, RFC 7489):
//! a mail that says it is from there and comes from another server is refused
//! or filed as spam. The list is not complete and need not be: it is there to
//! stop the usual first attempt, not to judge domains.

/// Providers with one or a few domains.
const DOMAINS: [&str; 44] = [
    "126.com",
    "163.com",
    "aim.com",
    "aol.com",
    "att.net",
    "bigpond.com",
    "bluewin.ch",
    "btinternet.com",
    "comcast.net",
    "fastmail.com",
    "fastmail.fm",
    "free.fr",
    "freenet.de",
    "gmail.com",
    "googlemail.com",
    "icloud.com",
    "laposte.net",
    "libero.it",
    "live.com",
    "live.nl",
    "mac.com",
    "mail.com",
    "mail.de",
    "mail.ru",
    "me.com",
    "msn.com",
    "orange.fr",
    "pm.me",
    "posteo.de",
    "proton.me",
    "protonmail.ch",
    "protonmail.com",
    "qq.com",
    "rocketmail.com",
    "sky.com",
    "t-online.de",
    "tutanota.com",
    "verizon.net",
    "wanadoo.fr",
    "web.de",
    "wp.pl",
    "ya.ru",
    "zoho.com",
    "zohomail.eu",
];
/// Names with a domain in many countries.
const FAMILIES: [&str; 8] = [
    "aol", "gmx", "hotmail", "live", "outlook", "yahoo", "yandex", "ymail",
];

/// Whether anybody can have an address at `domain` (lower case).
pub fn is_freemail(domain: &str) -> bool {
    if DOMAINS.binary_search(&domain).is_ok() {
        return true;
    }
    let Some((name, country)) = domain.split_once('.') else {
        return false;
    };
    // `yahoo.de` and `yahoo.co.uk`, but not somebody's own `live.shop.com`.
    let is_top = match country.split_once('.') {
        None => country.len() == 2 || matches!(country, "com" | "net"),
        Some((second, top)) => matches!(second, "co" | "com" | "ne") && top.len() == 2,
    };
    is_top && FAMILIES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybodys_domains_are_known_and_ones_own_are_not() {
        for domain in [
            "gmail.com",
            "googlemail.com",
            "yahoo.com",
            "yahoo.de",
            "yahoo.co.uk",
            "yahoo.com.br",
            "yahoo.co.jp",
            "outlook.com",
            "outlook.de",
            "hotmail.com",
            "hotmail.co.uk",
            "live.com",
            "gmx.de",
            "gmx.net",
            "web.de",
            "icloud.com",
            "me.com",
            "aol.com",
            "proton.me",
            "protonmail.com",
            "t-online.de",
            "zohomail.eu",
        ] {
            assert!(is_freemail(domain), "{domain}");
        }
        for domain in [
            "fernkettle.example",
            "live.fernkettle.com",
            "gmail.com.fernkettle.example",
            "outlook.shop.com",
            "live.shop",
            "yahoo",
            "",
        ] {
            assert!(!is_freemail(domain), "{domain}");
        }
    }

    #[test]
    fn the_list_is_in_order_as_the_search_needs_it() {
        assert!(DOMAINS.is_sorted());
    }
}
