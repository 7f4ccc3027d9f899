//! A Kubernetes quantity (`500m`, `2Gi`), as text, with its size in base units. Pure.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// A Kubernetes quantity such as `500m` or `2Gi`. Whole numbers may be written without quotes.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Quantity(pub String);

/// What the API server accepts as a quantity of our resources: a number and an optional suffix, never negative.
const PATTERN: &str = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$";

impl Quantity {
    /// The quantity in whole base units (bytes, cores), rounded down; `None` when it isn't a quantity or is
    /// larger than `u64` holds.
    pub fn base_units(&self) -> Option<u64> {
        u64::try_from(self.milli_units()? / 1000).ok()
    }

    /// The quantity in thousandths of its base unit, rounded down; `None` when it isn't a quantity or too large.
    pub fn milli_units(&self) -> Option<u128> {
        let digits = self.0.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(self.0.len());
        let (number, suffix) = self.0.split_at(digits);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let denominator = 10u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        let numerator: u128 = format!("{whole}{fraction}").parse().ok()?;
        let (multiplier, divisor) = match suffix {
            "" => (1, 1),
            "m" => (1, 1000),
            "k" => (1000, 1),
            "M" => (1000u128.pow(2), 1),
            "G" => (1000u128.pow(3), 1),
            "T" => (1000u128.pow(4), 1),
            "P" => (1000u128.pow(5), 1),
            "E" => (1000u128.pow(6), 1),
            "Ki" => (1 << 10, 1),
            "Mi" => (1 << 20, 1),
            "Gi" => (1 << 30, 1),
            "Ti" => (1 << 40, 1),
            "Pi" => (1 << 50, 1),
            "Ei" => (1 << 60, 1),
            _ => return None,
        };
        Some(numerator.checked_mul(multiplier)?.checked_mul(1000)? / denominator.checked_mul(divisor)?)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Number(i64),
        }
        Ok(match Written::deserialize(deserializer)? {
            Written::Text(text) => Self(text),
            Written::Number(number) => Self(number.to_string()),
        })
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "pattern": PATTERN,
            "maxLength": 32,
            "minimum": 0,
        })
    }

    fn inline_schema() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_in_base_units() {
        for (text, units) in [
            ("2Gi", Some(2 << 30)),
            ("1.5Gi", Some(3 << 29)),
            ("500m", Some(0)),
            ("2", Some(2)),
            ("1500M", Some(1_500_000_000)),
            ("", None),
            ("two", None),
            ("99999999999E", None),
        ] {
            assert_eq!(Quantity(text.into()).base_units(), units, "{text}");
        }
    }

    #[test]
    fn a_number_without_quotes_is_read() {
        let quantity: Quantity = serde_json::from_str("2").unwrap();
        assert_eq!(quantity, Quantity("2".into()));
    }
}
