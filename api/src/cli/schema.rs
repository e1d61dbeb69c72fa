//! `docket schema export`: writes the contracts into a directory.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use docket_schemas::{asyncapi, json_schema};
use serde::Serialize;

use super::Failure;
use super::output::print_line;
use crate::http;

#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Write json/*.json, asyncapi.json and openapi.json
    Export {
        /// Directory, made where there is none; files of these names are replaced
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
}

pub(super) fn run(args: &SchemaArgs) -> Result<(), Failure> {
    let Task::Export { directory } = &args.task;
    let schemas = directory.join("json");
    std::fs::create_dir_all(&schemas)
        .map_err(|error| format!("cannot make the directory {}: {error}", schemas.display()))?;
    let all = json_schema::all();
    for (name, schema) in &all {
        write(&schemas.join(name), &pretty(schema)?)?;
    }
    write(&directory.join("asyncapi.json"), &pretty(&asyncapi::document())?)?;
    write(&directory.join("openapi.json"), http::DOCUMENT)?;
    let (count, place) = (all.len(), directory.display());
    Ok(print_line(format_args!("{count} schemas, asyncapi.json and openapi.json in {place}"))?)
}

fn pretty(document: &impl Serialize) -> Result<String, serde_json::Error> {
    // By way of a value, whose fields are sorted: what is published compares byte for byte.
    Ok(format!("{}\n", serde_json::to_string_pretty(&serde_json::to_value(document)?)?))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text)
        .map_err(|error| format!("cannot write {}: {error}", path.display()).into())
}
