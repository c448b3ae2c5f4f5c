//! The name of a task hub.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The name of a task hub, in lower case: names are compared without case. It is a good name of a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HubName(Arc<str>);

/// What was given is no name of a task hub.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no name of a task hub: use 3 to 45 letters (a to z), digits, `-` and `_`")]
pub struct NameError {
    /// The beginning of it.
    name: String,
}

impl HubName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for HubName {
    /// The hub of those who name none.
    fn default() -> Self {
        Self("default".into())
    }
}

impl FromStr for HubName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        let fits = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if fits && (3..=45).contains(&name.len()) {
            Ok(Self(name.to_ascii_lowercase().into()))
        } else {
            Err(NameError { name: name.chars().take(64).collect() })
        }
    }
}

impl fmt::Display for HubName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for HubName {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for HubName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_letters_digits_and_two_signs_and_are_compared_without_case() {
        assert_eq!("My-Hub_2".parse(), Ok::<HubName, _>(HubName("my-hub_2".into())));
        for bad in ["", "ab", "a b", "a.b", "../up", "größe", "a/b", &"x".repeat(46)] {
            assert!(bad.parse::<HubName>().is_err(), "{bad}");
        }
        assert!("x".repeat(45).parse::<HubName>().is_ok());
    }
}
