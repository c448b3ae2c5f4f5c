//! Which instances a purge or an export is about.

use super::Filter;

/// Instances: one by its id, several by theirs, or those that pass a filter.
#[derive(Clone, Debug, PartialEq)]
pub enum Selection {
    /// Of these ids.
    Ids(Vec<String>),
    /// Those that pass.
    Matching(Box<Filter>),
}

impl From<&str> for Selection {
    fn from(id: &str) -> Self {
        Self::Ids(vec![id.to_owned()])
    }
}

impl From<String> for Selection {
    fn from(id: String) -> Self {
        Self::Ids(vec![id])
    }
}

impl From<&String> for Selection {
    fn from(id: &String) -> Self {
        Self::from(id.as_str())
    }
}

impl<T: Into<String>> From<Vec<T>> for Selection {
    fn from(ids: Vec<T>) -> Self {
        Self::Ids(ids.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<String>, const N: usize> From<[T; N]> for Selection {
    fn from(ids: [T; N]) -> Self {
        Self::Ids(ids.into_iter().map(Into::into).collect())
    }
}

impl From<Filter> for Selection {
    fn from(filter: Filter) -> Self {
        Self::Matching(Box::new(filter))
    }
}
