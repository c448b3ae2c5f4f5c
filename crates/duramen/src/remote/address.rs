//! Where a server is, as people write it.

use super::ConnectError;
use tonic::transport::Uri;

/// A server and, if it was said, the task hub on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) server: Uri,
    pub(super) task_hub: Option<String>,
}

impl Address {
    /// Reads a URL, `host:port`, or a connection string.
    pub(super) fn parse(text: &str) -> Result<Self, ConnectError> {
        let parsed = match text.contains('=') {
            true => connection_string(text),
            false => server(text).map(|server| Self { server, task_hub: None }),
        };
        parsed.map_err(|problem| ConnectError::Address { text: text.to_owned(), problem })
    }
}

/// `Endpoint=http://localhost:8080;Authentication=None;TaskHub=default`: keys are compared without case.
fn connection_string(text: &str) -> Result<Address, String> {
    let (mut endpoint, mut task_hub) = (None, None);
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        let (key, value) = part.split_once('=').ok_or_else(|| format!("has {part:?}, which is no key=value"))?;
        let value = value.trim();
        match key.trim().to_ascii_lowercase().as_str() {
            "endpoint" => endpoint = Some(server(value)?),
            "taskhub" => task_hub = Some(value.to_owned()),
            "authentication" if value.eq_ignore_ascii_case("none") => {}
            "authentication" => return Err(format!("asks for the authentication {value:?}; only None is supported")),
            _ => return Err(format!("has the unknown key {key:?}; known are Endpoint, Authentication and TaskHub")),
        }
    }
    let server = endpoint.ok_or_else(|| "has no Endpoint".to_owned())?;
    Ok(Address { server, task_hub })
}

fn server(text: &str) -> Result<Uri, String> {
    let (scheme, authority) = text.split_once("://").unwrap_or(("http", text));
    match scheme {
        "http" => {}
        "https" => return Err("asks for TLS, which this version does not speak; use http".into()),
        other => return Err(format!("has the scheme {other:?}; only http is supported")),
    }
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    let uri: Uri = format!("http://{authority}/").parse().map_err(|error| format!("is no URL: {error}"))?;
    match uri.path() == "/" && uri.query().is_none() && uri.port_u16().is_some() {
        true => Ok(uri),
        false => Err("is not just a host and a port".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (String, Option<String>) {
        let Address { server, task_hub } = Address::parse(text).unwrap();
        (server.to_string(), task_hub)
    }

    #[test]
    fn a_url_a_host_and_what_the_server_prints_are_addresses() {
        let server = "http://localhost:8080/".to_owned();
        for text in ["http://localhost:8080", "http://localhost:8080/", "localhost:8080"] {
            assert_eq!(parsed(text), (server.clone(), None), "{text}");
        }
        let printed = "Endpoint=http://localhost:8080;Authentication=None;TaskHub=default";
        assert_eq!(parsed(printed), (server.clone(), Some("default".into())));
        assert_eq!(parsed(" taskhub = a ;endpoint=localhost:8080; "), (server, Some("a".into())));
        assert_eq!(parsed("http://[::1]:80").0, "http://[::1]:80/");
    }

    #[test]
    fn what_is_no_address_is_named_with_its_problem() {
        let all = [
            ("https://localhost:8080", "TLS"),
            ("ftp://localhost:8080", "\"ftp\""),
            ("localhost", "not just a host and a port"),
            ("http://localhost:8080/api", "not just a host and a port"),
            ("", "no URL"),
            ("Endpoint=http://localhost:8080;Key=1", "\"Key\""),
            ("TaskHub=default", "no Endpoint"),
            ("Endpoint=localhost:1;nonsense", "\"nonsense\""),
            ("Endpoint=localhost:1;Authentication=DefaultAzure", "\"DefaultAzure\""),
        ];
        for (text, problem) in all {
            let error = Address::parse(text).unwrap_err().to_string();
            assert!(error.contains(problem) && error.contains("http://localhost:8080"), "{text}: {error}");
        }
    }
}
