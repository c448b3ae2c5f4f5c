//! The file.

use super::Settings;
use anyhow::{Context, anyhow};
use duramen_server::nearest;
use std::path::Path;

/// Reads a file as a layer.
pub(super) fn read(path: &Path) -> anyhow::Result<Settings> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("failed to read the configuration {}", path.display()))?;
    parse(&text).with_context(|| format!("failed to understand the configuration {}", path.display()))
}

fn parse(text: &str) -> anyhow::Result<Settings> {
    toml::from_str(text).map_err(|error| match meant(error.message()) {
        Some(key) => anyhow!("{}\ndid you mean `{key}`?", error.to_string().trim_end()),
        None => anyhow!("{}", error.to_string().trim_end()),
    })
}

/// The key that may have been meant by one that is unknown. The message names it first, and then what there is; serde
/// gives these names in no other form.
fn meant(message: &str) -> Option<&str> {
    let (unknown, known) = message.strip_prefix("unknown field `")?.split_once('`')?;
    nearest(unknown, known.split('`').skip(1).step_by(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_shown_in_its_place_with_the_nearest() {
        let error = parse("hubs = [\"default\"]\n\n[settling]\nbuond = \"1GiB\"\n").expect_err("a slip").to_string();
        assert_eq!(
            error,
            "TOML parse error at line 4, column 1\n  |\n4 | buond = \"1GiB\"\n  | ^^^^^\nunknown field `buond`, expected one of \
             `bytes`, `age`, `bound`, `reserve`\ndid you mean `bound`?"
        );
        let error = parse("colour = 1").expect_err("nothing like it").to_string();
        assert!(error.contains("unknown field `colour`, expected one of `hubs`") && !error.contains("mean"), "{error}");
    }

    #[test]
    fn a_value_that_is_not_understood_is_shown_in_its_place() {
        for (text, says) in [
            ("drain = \"soon\"", "\"soon\" is not a span of time"),
            ("drain = 5", "\"5\" is not a span of time with its unit"),
            ("grpc = [8080, 80000]", "\"80000\" is not a port"),
            ("hubs = [\"a b\"]", "\"a b\" is no name of a task hub"),
            ("insecure = \"yes\"", "expected a boolean"),
            ("hubs = 3", "expected a sequence"),
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.contains("line 1, column") && error.contains(says), "{error}");
        }
    }
}
