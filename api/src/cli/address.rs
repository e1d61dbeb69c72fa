//! Hosts, ports and origins as they are written on the command line.

use std::net::Ipv6Addr;
use std::num::NonZeroU16;

/// Takes `host:port`.
pub(super) fn parse_server(text: &str) -> Result<String, &'static str> {
    match text.rsplit_once(':') {
        Some((host, port)) if is_host(host) && is_port(port) => Ok(text.to_owned()),
        _ => Err("not a host and a port such as 127.0.0.1:8080"),
    }
}

/// Takes what nats-server takes: `host:port`, or the port alone, at every address.
pub(super) fn parse_listen(text: &str) -> Result<String, &'static str> {
    match text.rsplit_once(':').unwrap_or(("", text)) {
        ("", port) if is_port(port) => Ok(format!("0.0.0.0:{port}")),
        (host, port) if is_host(host) && is_port(port) => Ok(text.to_owned()),
        _ => Err("neither an address and a port such as 0.0.0.0:4222 nor a port"),
    }
}

/// Takes an origin as browsers send it (RFC 6454, 6.2), without a path.
pub(super) fn parse_origin(text: &str) -> Result<String, &'static str> {
    let parts = text.split_once("://").filter(|(scheme, place)| {
        let scheme_bytes = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        let is_scheme = !scheme.is_empty() && scheme.bytes().all(scheme_bytes);
        is_scheme && (is_host(place) || parse_server(place).is_ok())
    });
    parts.map(|_| text.to_owned()).ok_or("not scheme://host[:port] such as https://desk.example")
}

/// A name, an IPv4 address, or an IPv6 address in brackets.
fn is_host(text: &str) -> bool {
    match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            !text.is_empty() && text.bytes().all(is_known)
        }
    }
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<NonZeroU16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_a_host_and_a_port() {
        for right in ["127.0.0.1:8080", "desk.example:1", "[::1]:8080", "db_1:65535"] {
            assert_eq!(parse_server(right), Ok(right.to_owned()));
        }
        for wrong in
            ["", "desk", ":80", "desk:", "desk:0", "desk:+1", "desk:65536", "::1:80", "a b:1"]
        {
            assert!(parse_server(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_port_alone_listens_everywhere() {
        for (given, taken) in
            [("4222", "0.0.0.0:4222"), (":4222", "0.0.0.0:4222"), ("[::]:4222", "[::]:4222")]
        {
            assert_eq!(parse_listen(given), Ok(taken.to_owned()));
        }
        for wrong in ["", "x", "localhost", "0", "4222x", "0.0.0.0:", "nats://h:4222"] {
            assert!(parse_listen(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_origin_has_a_scheme_and_a_host_and_no_path() {
        for right in ["https://desk.example", "http://[::1]:8080", "chrome-extension://abc"] {
            assert_eq!(parse_origin(right), Ok(right.to_owned()));
        }
        for wrong in [
            "",
            "foo",
            "null",
            "*",
            "://a",
            "https://",
            "https://a/",
            "https://a:x",
            "https://u@a",
            " https://a",
        ] {
            assert!(parse_origin(wrong).is_err(), "{wrong}");
        }
    }
}
