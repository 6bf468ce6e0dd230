//! Amounts of money: whole minor units and a currency code.
//!
//! Never a float. How many decimals a currency has is data (ISO 4217): a yen
//! has none, a Kuwaiti dinar three.

use serde::{Deserialize, Serialize};

/// An amount in minor units of an ISO 4217 currency (`1299`, `EUR` = 12.99).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    pub minor: i64,
    /// Three upper-case letters.
    pub currency: String,
}

/// Decimals of a currency's minor unit; two for all but the listed exceptions.
pub fn decimals(currency: &str) -> u32 {
    match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX"
        | "UYI" | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        _ => 2,
    }
}

impl Money {
    /// Reads an amount in major units, `12.99`, `1.299,50` or `12`, in a
    /// currency. A single separator followed by exactly three digits is a
    /// thousands separator only where the currency has no three decimals and
    /// another separator proves it; alone it is refused as ambiguous.
    ///
    /// # Errors
    /// Not a number; more decimals than the currency has; `1.234`, which one
    /// country reads as a thousand and the next as one and a bit.
    pub fn parse_major(text: &str, currency: &str) -> Result<Money, NotAnAmount> {
        let text = text.trim();
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let places = decimals(currency);
        let (whole, fraction) = split_amount(digits, places)?;
        if fraction.len() > places as usize
            && fraction[places as usize..].bytes().any(|b| b != b'0')
        {
            return Err(NotAnAmount("it has more decimals than the currency"));
        }
        let mut minor: i64 = whole
            .parse()
            .map_err(|_| NotAnAmount("it is not a number"))?;
        for place in 0..places as usize {
            let digit = fraction
                .as_bytes()
                .get(place)
                .map_or(0, |b| i64::from(b - b'0'));
            minor = minor
                .checked_mul(10)
                .and_then(|m| m.checked_add(digit))
                .ok_or(NotAnAmount("it is too large"))?;
        }
        Ok(Money {
            minor: if negative { -minor } else { minor },
            currency: currency.to_owned(),
        })
    }
}

/// Whole digits and decimal digits of an amount, separators removed.
fn split_amount(text: &str, places: u32) -> Result<(String, String), NotAnAmount> {
    let text: String = text
        .chars()
        .filter(|c| !matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '\''))
        .collect();
    let mark = |c: char| c == '.' || c == ',';
    if !text.contains(|c: char| c.is_ascii_digit())
        || !text.chars().all(|c| c.is_ascii_digit() || mark(c))
    {
        return Err(NotAnAmount("it is not a number"));
    }
    let Some(last) = text.rfind(['.', ',']) else {
        return Ok((text, String::new()));
    };
    let separator = text.as_bytes()[last] as char;
    let other = if separator == '.' { ',' } else { '.' };
    let (head, tail) = (&text[..last], &text[last + 1..]);
    let repeated = head.contains(separator);
    if repeated || (tail.len() == 3 && places != 3 && head.contains(other)) {
        // 1.234.567 or 1,234.567: the last separator groups thousands.
        if repeated && head.contains(other) {
            return Err(NotAnAmount("its separators contradict each other"));
        }
        let whole: String = text.chars().filter(char::is_ascii_digit).collect();
        return Ok((whole, String::new()));
    }
    if tail.len() == 3 && places != 3 {
        return Err(NotAnAmount(
            "1.234 can mean a thousand or one and a bit; write it without separator",
        ));
    }
    let whole: String = head.chars().filter(char::is_ascii_digit).collect();
    Ok((
        if whole.is_empty() { "0".into() } else { whole },
        tail.to_owned(),
    ))
}

/// Why a text is no amount.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an amount: {0}")]
pub struct NotAnAmount(pub &'static str);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_in_many_spellings() {
        for (text, currency, minor) in [
            ("12.99", "EUR", 1299),
            ("12,99", "EUR", 1299),
            ("1.299,50", "EUR", 129_950),
            ("1,299.50", "USD", 129_950),
            ("12", "EUR", 1200),
            ("1200", "JPY", 1200),
            ("1.5", "KWD", 1500),
            ("1.234", "KWD", 1234),
            ("-3,5", "EUR", -350),
            ("1 299,00", "SEK", 129_900),
            ("1.234.567", "EUR", 123_456_700),
            (".5", "EUR", 50),
        ] {
            assert_eq!(
                Money::parse_major(text, currency).unwrap().minor,
                minor,
                "{text} {currency}"
            );
        }
        for (text, currency) in [
            ("1.234", "EUR"),
            ("12.999", "EUR"),
            ("abc", "EUR"),
            ("", "EUR"),
            (".", "EUR"),
            ("1.5", "JPY"),
        ] {
            assert!(
                Money::parse_major(text, currency).is_err(),
                "{text} {currency}"
            );
        }
    }
}
