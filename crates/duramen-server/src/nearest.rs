//! What somebody may have meant.

/// Of some names the one that differs least from another, if it does not differ by much.
pub fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    let distance = |name: &str| strsim::damerau_levenshtein(&wanted, &name.to_lowercase());
    // One slip in three letters, and one in a short name.
    let may_differ = (wanted.chars().count() / 3).max(1);
    let near = names.into_iter().map(|name| (distance(name), name)).filter(|(distance, _)| *distance <= may_differ);
    near.min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_found_and_another_word_is_not() {
        let names = ["default", "orders", "invoices"];
        assert_eq!(nearest("ordrs", names), Some("orders"));
        assert_eq!(nearest("Oredrs", names), Some("orders"));
        assert_eq!(nearest("defualt", names), Some("default"));
        assert_eq!(nearest("payments", names), None);
        assert_eq!(nearest("", names), None);
    }
}
