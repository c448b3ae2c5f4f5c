//! Values as JSON text, by one rule for every language.
//!
//! `()` and `None` are written as `null`. An absent payload, an empty one and `null` read alike.
//! Numbers that JSON does not have are an error where they are written, and not a `null` that
//! somebody reads much later.

mod finite;

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::{Any, TypeId, type_name};

/// Why a value could not be written as JSON, or read from it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// The value has no JSON form.
    #[error("a value of type {type_name} has no JSON form: {reason}")]
    Write {
        /// The Rust type.
        type_name: &'static str,
        /// What is in the way.
        reason: String,
    },
    /// The text does not fit the type.
    #[error("JSON does not fit {type_name} at `{path}`: {reason}")]
    Read {
        /// The Rust type.
        type_name: &'static str,
        /// Where in the JSON, as `.orders[3].price`; `.` is the whole.
        path: String,
        /// What is wrong there.
        reason: String,
    },
}

/// Writes a value.
pub(crate) fn to_text<T: Serialize + ?Sized>(value: &T) -> Result<String, JsonError> {
    let failed = |reason: String| JsonError::Write { type_name: type_name::<T>(), reason };
    let text = serde_json::to_string(value).map_err(|error| failed(error.to_string()))?;
    // serde_json writes NaN and infinities as null: only where there is one can there have been such.
    if text.contains("null") {
        finite::check(value).map_err(|error| failed(error.to_string()))?;
    }
    Ok(text)
}

/// Reads a value.
pub(crate) fn from_text<T: DeserializeOwned>(text: Option<&str>) -> Result<T, JsonError> {
    let text = text.filter(|text| !text.is_empty()).unwrap_or("null");
    serde_json::from_str(text).map_err(|_| {
        // Read again for the path, which costs too much to be tracked every time.
        let mut reader = serde_json::Deserializer::from_str(text);
        let read: Result<T, _> = serde_path_to_error::deserialize(&mut reader);
        let (path, reason) = match read {
            Ok(_) => (".".to_string(), "there is something behind the value".to_string()),
            Err(error) => (error.path().to_string(), error.inner().to_string()),
        };
        JsonError::Read { type_name: type_name::<T>(), path, reason }
    })
}

/// Reads a result. Whoever asks for `()` does not want it, so anything will do.
pub(crate) fn result_from_text<T: DeserializeOwned + 'static>(text: Option<&str>) -> Result<T, JsonError> {
    if TypeId::of::<T>() == TypeId::of::<()>() {
        let mut unit: Option<()> = Some(());
        if let Some(unit) = (&mut unit as &mut dyn Any).downcast_mut::<Option<T>>().and_then(Option::take) {
            return Ok(unit);
        }
    }
    from_text(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Serialize, Deserialize, PartialEq)]
    struct Order {
        lines: Vec<Line>,
    }

    #[derive(Debug, Serialize, Deserialize, PartialEq)]
    struct Line {
        price: f64,
    }

    #[test]
    fn nothing_is_null() {
        assert_eq!(to_text(&()).unwrap(), "null");
        assert_eq!(to_text(&None::<u8>).unwrap(), "null");
        for text in [None, Some(""), Some("null")] {
            from_text::<()>(text).unwrap();
            assert_eq!(from_text::<Option<u8>>(text).unwrap(), None);
        }
    }

    #[test]
    fn empty_values_keep_what_they_are() {
        assert_eq!(from_text::<i32>(Some(&to_text(&0).unwrap())).unwrap(), 0);
        assert!(!from_text::<bool>(Some(&to_text(&false).unwrap())).unwrap());
        assert_eq!(to_text("").unwrap(), "\"\"");
        assert_eq!(from_text::<String>(Some("\"\"")).unwrap(), "");
        assert_eq!(from_text::<Vec<u8>>(Some("[]")).unwrap(), [0u8; 0]);
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_place() {
        let error = from_text::<Order>(Some(r#"{"lines":[{"price":1},{"price":"x"}]}"#)).unwrap_err().to_string();
        assert!(error.contains("Order") && error.contains("lines[1].price"), "{error}");
        assert!(from_text::<u8>(Some("1 2")).unwrap_err().to_string().contains("behind"));
        assert!(from_text::<String>(None).is_err());
    }

    #[test]
    fn numbers_that_json_lacks_are_an_error() {
        for price in [f64::NAN, f64::INFINITY] {
            let error = to_text(&Order { lines: vec![Line { price }] }).unwrap_err().to_string();
            assert!(error.contains("no JSON form"), "{error}");
        }
        assert!(to_text(&f32::NEG_INFINITY).is_err());
        assert!(to_text(&(Some(1.5), None::<f64>)).is_ok());
        assert!(to_text(&std::collections::BTreeMap::from([("a", f64::NAN)])).is_err());
    }

    #[test]
    fn unit_takes_any_result() {
        result_from_text::<()>(Some("[1,2]")).unwrap();
        assert_eq!(result_from_text::<u8>(Some("7")).unwrap(), 7);
    }
}
