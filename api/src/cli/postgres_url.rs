//! A database's URL as it is written on the command line.

use std::ffi::OsStr;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command, Error};

/// How a URL of PostgreSQL begins.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// Takes the URL of a PostgreSQL database. What it refuses it does not repeat, as other parsers do: it may hold a password.
#[derive(Debug, Clone, Copy)]
pub(super) struct PostgresUrl;

impl TypedValueParser for PostgresUrl {
    type Value = String;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<String, Error> {
        let begins = |url: &&str| SCHEMES.iter().any(|scheme| url.starts_with(scheme));
        if let Some(url) = value.to_str().filter(begins) {
            return Ok(url.to_owned());
        }
        let argument = argument.map(ToString::to_string).unwrap_or_default();
        let message =
            format!("the value of '{argument}' does not begin with {}", SCHEMES.join(" or "));
        Err(Error::raw(ErrorKind::ValueValidation, message + "\n").with_cmd(command))
    }
}
