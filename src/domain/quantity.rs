//! Quantities of goods, in thousandths, so that 2.5 metres of cloth are exact.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A quantity in thousandths of a unit: 3 pieces are `Quantity(3000)`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Quantity(pub i64);

impl Quantity {
    pub const ZERO: Quantity = Quantity(0);

    pub const fn pieces(n: i64) -> Quantity {
        Quantity(n * 1000)
    }
    pub fn is_positive(self) -> bool {
        self.0 > 0
    }
    /// Difference, never below zero.
    #[must_use]
    pub fn less(self, other: Quantity) -> Quantity {
        Quantity((self.0 - other.0).max(0))
    }
    #[must_use]
    pub fn and(self, other: Quantity) -> Quantity {
        Quantity(self.0 + other.0)
    }
    /// A whole number of pieces, if it is one.
    pub fn whole(self) -> Option<i64> {
        (self.0 % 1000 == 0).then_some(self.0 / 1000)
    }
    /// Reads `3`, `2.5`, `2,5`, `1.000` only as 1 (three decimals are
    /// thousandths, never a thousands separator).
    ///
    /// # Errors
    /// Not a number, negative, or finer than a thousandth.
    pub fn parse(text: &str) -> Result<Quantity, NotAQuantity> {
        let text = text.trim().replace(',', ".");
        let (whole, fraction) = text.split_once('.').unwrap_or((text.as_str(), ""));
        let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !(fraction.is_empty() || digits(fraction)) {
            return Err(NotAQuantity);
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > 3 {
            return Err(NotAQuantity);
        }
        let whole: i64 = whole.parse().map_err(|_| NotAQuantity)?;
        let thousandths: i64 = format!("{fraction:0<3}")
            .parse()
            .map_err(|_| NotAQuantity)?;
        whole
            .checked_mul(1000)
            .and_then(|w| w.checked_add(thousandths))
            .map(Quantity)
            .ok_or(NotAQuantity)
    }
}

/// Plain digits with a decimal point where needed: `3`, `2.5`.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.whole() {
            Some(n) => write!(f, "{n}"),
            None => {
                let text = format!("{}.{:03}", self.0 / 1000, self.0 % 1000);
                f.write_str(text.trim_end_matches('0'))
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a quantity: a number like 3 or 2.5 is expected")]
pub struct NotAQuantity;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_read_and_print() {
        for (text, thousandths, shown) in [
            ("3", 3000, "3"),
            ("2,5", 2500, "2.5"),
            ("1.000", 1000, "1"),
            ("0", 0, "0"),
        ] {
            let q = Quantity::parse(text).unwrap();
            assert_eq!((q.0, q.to_string().as_str()), (thousandths, shown));
        }
        for bad in [
            "",
            "-1",
            "x",
            "1.2345",
            "1.2.3",
            ".",
            "9223372036854775.999",
        ] {
            assert!(Quantity::parse(bad).is_err(), "{bad}");
        }
    }
}
