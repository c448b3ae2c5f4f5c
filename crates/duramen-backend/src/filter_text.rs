//! What the protocol's filters do not say, as text that goes beside them.

use crate::{Order, Query};
use duramen_core::history::rfc3339;
use duramen_core::time::Time;
use form_urlencoded::{Serializer, parse};

impl Query {
    /// The part of the filter and of the order that `InstanceQuery` and `PurgeInstanceFilter` do not both have, in ASCII
    /// characters, as a form is sent; `None` when there is none.
    pub fn beyond_protocol(&self) -> Option<String> {
        let mut text = Serializer::new(String::new());
        let mut put = |key: &str, value: Option<&str>| {
            if let Some(value) = value {
                text.append_pair(key, value);
            }
        };
        put("prefix", self.prefix.as_deref());
        put("name", self.name.as_deref());
        put("tag", self.tag.as_ref().map(|(key, _)| key.as_str()));
        put("value", self.tag.as_ref().map(|(_, value)| value.as_str()));
        put("parent", self.parent.as_deref());
        put("completed-from", self.completed_from.map(rfc3339::format).as_deref());
        put("completed-to", self.completed_to.map(rfc3339::format).as_deref());
        put("order", (self.order == Order::Completed).then_some("completed"));
        Some(text.finish()).filter(|text| !text.is_empty())
    }

    /// Adds what such a text says. A key that is unknown is an error: left out, it would make the list longer.
    pub fn add_beyond_protocol(&mut self, text: &str) -> Result<(), String> {
        let time = |text: &str| -> Result<Option<Time>, String> {
            rfc3339::parse(text).map(Some).ok_or_else(|| format!("{text:?} is no time"))
        };
        let mut tag = (None, None);
        for (key, value) in parse(text.as_bytes()) {
            match key.as_ref() {
                "prefix" => self.prefix = Some(value.into_owned()),
                "name" => self.name = Some(value.into_owned()),
                "tag" => tag.0 = Some(value.into_owned()),
                "value" => tag.1 = Some(value.into_owned()),
                "parent" => self.parent = Some(value.into_owned()),
                "completed-from" => self.completed_from = time(&value)?,
                "completed-to" => self.completed_to = time(&value)?,
                "order" if value == "completed" => self.order = Order::Completed,
                _ => return Err(format!("{key}={value} is unknown")),
            }
        }
        self.tag = match tag {
            (Some(key), Some(value)) => Some((key, value)),
            (None, None) => None,
            _ => return Err("a tag and its value go together".into()),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_beside_the_protocol_comes_back() {
        let queries = [
            Query::default(),
            Query { prefix: Some("ü&=".into()), name: Some("N".into()), parent: Some("p".into()), ..Query::default() },
            Query {
                tag: Some(("k=".into(), String::new())),
                completed_from: Some(Time::new(-7, 42)),
                completed_to: Some(Time::MAX),
                order: Order::Completed,
                ..Query::default()
            },
        ];
        for query in queries {
            let text = query.beyond_protocol().unwrap_or_default();
            assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text}");
            let mut read = Query::default();
            read.add_beyond_protocol(&text).unwrap();
            assert_eq!(read, query);
        }
        assert_eq!(Query::default().beyond_protocol(), None);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in ["color=red", "order=random", "completed-from=yesterday", "tag=k", "value=v"] {
            assert!(Query::default().add_beyond_protocol(text).is_err(), "{text}");
        }
    }
}
