//! A reader of whole numbers in JSON, where 185.0 is one too (JSON Schema, and RFC 8259 section 6).

use std::fmt;
use std::marker::PhantomData;

use serde::Deserializer;
use serde::de::{Error, Unexpected, Visitor};

/// Reads a whole number from 0 to `MAX`, or `null`.
pub(crate) fn maybe<'de, const MAX: u64, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: TryFrom<u64>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_any(Whole::<MAX, T>(PhantomData))
}

/// Reads a whole number from 0 to `MAX`.
pub(crate) fn number<'de, const MAX: u64, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: TryFrom<u64>,
    D: Deserializer<'de>,
{
    let read = deserializer.deserialize_any(Whole::<MAX, T>(PhantomData))?;
    read.ok_or_else(|| D::Error::invalid_type(Unexpected::Unit, &Whole::<MAX, T>(PhantomData)))
}

/// The greatest number up to which every whole one is exact in JavaScript and other readers of JSON.
pub(crate) const EXACT: u64 = (1 << 53) - 1;

struct Whole<const MAX: u64, T>(PhantomData<T>);

// === impl Whole ===

impl<const MAX: u64, T: TryFrom<u64>> Visitor<'_> for Whole<MAX, T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from 0 to {MAX}")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Option<T>, E> {
        let fits = (number <= MAX).then(|| T::try_from(number).ok()).flatten();
        fits.map(Some).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Option<T>, E> {
        if number.fract() != 0.0 || !(0.0..=EXACT as f64).contains(&number) {
            return Err(E::invalid_value(Unexpected::Float(number), &self));
        }
        self.visit_u64(number as u64)
    }

    fn visit_unit<E: Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_read_however_they_are_written() {
        let rows = [
            ("0", Some(Some(0))),
            ("185", Some(Some(185))),
            ("185.0", Some(Some(185))),
            ("1.85e2", Some(Some(185))),
            ("-0.0", Some(Some(0))),
            ("255", Some(Some(255))),
            ("null", Some(None)),
            ("256", None),
            ("256.0", None),
            ("-1", None),
            ("185.5", None),
            ("1e300", None),
            ("\"1\"", None),
            ("true", None),
            ("[]", None),
        ];
        for (text, number) in rows {
            let read = maybe::<255, u8, _>(&mut serde_json::Deserializer::from_str(text));
            assert_eq!(read.ok(), number, "{text}");
        }
        let read = |text| number::<EXACT, u64, _>(&mut serde_json::Deserializer::from_str(text));
        assert_eq!(read("9007199254740991").unwrap(), EXACT);
        assert_eq!(read("2.0").unwrap(), 2);
        for text in ["9007199254740992", "9007199254740992.0", "null"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
