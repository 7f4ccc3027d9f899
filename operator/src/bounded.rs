//! Input stage, pure: reads JSON of any depth, as far down as is looked at.
//!
//! A JSON reader gives up at 128 levels, and with it the whole answer that the object is in: one object with a deeper one in a
//! field that takes anything would hide all others from a watch. What lies deeper is skipped here, without recursion.

use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Number, Value};

/// Levels of an object that are read: with those of the answer around it, fewer than the reader's own limit. The resources'
/// schemas have less than a third.
pub const DEPTH: usize = 100;

/// A value, as far down as it was read.
#[derive(Debug, PartialEq)]
pub struct Bounded {
    /// The value, with nothing where it goes on below the last level.
    pub value: Value,
    /// Whether it ends before that.
    pub is_whole: bool,
}

impl<'de> Deserialize<'de> for Bounded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut is_whole = true;
        let value = Level { left: DEPTH, is_whole: &mut is_whole }.deserialize(deserializer)?;
        Ok(Self { value, is_whole })
    }
}

/// A value with so many levels left.
struct Level<'a> {
    left: usize,
    is_whole: &'a mut bool,
}

impl Level<'_> {
    fn below(&mut self) -> Level<'_> {
        Level { left: self.left - 1, is_whole: self.is_whole }
    }
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if self.left == 0 {
            IgnoredAny::deserialize(deserializer)?;
            *self.is_whole = false;
            return Ok(Value::Null);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(value) = list.next_element_seed(self.below())? {
            all.push(value);
        }
        Ok(all.into())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            all.insert(name, fields.next_value_seed(self.below())?);
        }
        Ok(all.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn nested(levels: usize) -> String {
        format!("{}1{}", "[".repeat(levels), "]".repeat(levels))
    }

    #[test]
    fn what_is_not_deep_is_read_as_it_is() {
        let value = json!({"a": [1, -1, 1.5, "b", true, null, {"c": {}}], "d": u64::MAX});
        let read: Bounded = serde_json::from_str(&value.to_string()).unwrap();
        assert_eq!(read, Bounded { value, is_whole: true });
        assert!(serde_json::from_str::<Bounded>("{\"a\": ").is_err());
    }

    #[test]
    fn what_is_deep_is_read_as_far_as_it_is_looked_at() {
        let read = |levels| serde_json::from_str::<Bounded>(&nested(levels)).unwrap().is_whole;
        assert!(read(DEPTH - 1) && !read(DEPTH) && !read(100_000));
        let text = format!(r#"{{"a": {}, "b": "c"}}"#, nested(1000));
        let read: Bounded = serde_json::from_str(&text).unwrap();
        assert_eq!((&read.value["b"], read.is_whole), (&json!("c"), false));
    }
}
