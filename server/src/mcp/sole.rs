//! JSON in which every member is there once. Serde takes the last of two members of one name, and others who read the same
//! text take the first: where the difference is a person's word or an amount, neither is taken.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

/// What was read from JSON in which no object, however deep, has a member twice.
#[derive(Debug)]
pub(super) struct Sole<T>(pub(super) T);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Sole<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Values.deserialize(deserializer)?;
        T::deserialize(value).map(Self).map_err(D::Error::custom)
    }
}

/// Reads values.
struct Values;

impl<'de> DeserializeSeed<'de> for Values {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Values {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut read = Vec::new();
        while let Some(item) = items.next_element_seed(Self)? {
            read.push(item);
        }
        Ok(read.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut read = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if read.insert(name, members.next_value_seed(Self)?).is_some() {
                return Err(A::Error::custom("a member is there twice"));
            }
        }
        Ok(read.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Value, String> {
        serde_json::from_str::<Sole<Value>>(json).map(|sole| sole.0).map_err(|error| error.to_string())
    }

    #[test]
    fn whatever_has_no_member_twice_is_read_as_it_is() {
        for json in [
            "null",
            "true",
            "-1",
            "18446744073709551615",
            "1.5",
            r#""a\u0062""#,
            r#"[{"a":1},{"a":1}]"#,
            r#"{"a":{"a":{"a":[]}},"b":{}}"#,
        ] {
            assert_eq!(read(json), Ok(serde_json::from_str(json).unwrap()), "{json}");
        }
        assert!(read("1e999").unwrap_err().contains("out of range"));
    }

    #[test]
    fn a_member_twice_is_refused_at_every_depth_and_not_repeated() {
        for json in [
            r#"{"4111":1,"4111":1}"#,
            r#"{"4111":1,"b":2,"\u00341\u00311":3}"#,
            r#"[0,{"a":[{"4111":null,"4111":[]}]}]"#,
        ] {
            let refusal = read(json).unwrap_err();
            assert!(refusal.starts_with("a member is there twice") && !refusal.contains("4111"), "{refusal}");
        }
    }
}
