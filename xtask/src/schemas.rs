//! `cargo xtask schemas`: publishes the JSON Schemas and the AsyncAPI document; a published schema only ever grows.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::additive;

/// Where published schemas stand, from the root of the repository.
const PUBLISHED: &str = "schemas/json";

/// Where the AsyncAPI document stands, from the root of the repository.
const ASYNCAPI: &str = "schemas/asyncapi.json";

/// What to do.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Write nothing; fail when the export is not up to date or would break a reader.
    #[arg(long)]
    check: bool,
}

/// `cargo xtask schemas [--check]`
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    if options.check { check() } else { export() }
}

/// Fails when a published schema would change other than by additions, or lacks one that the code has.
pub(crate) fn check() -> anyhow::Result<()> {
    let (published, current) = (published(Path::new(PUBLISHED))?, current()?);
    refuse_breaks(&published, &current)?;
    if published != current {
        let names: Vec<&String> =
            current.keys().filter(|name| published.get(*name) != current.get(*name)).collect();
        bail!(
            "{PUBLISHED} is behind the code: {names:?}. Run `cargo xtask schemas`, commit the result"
        );
    }
    let told = fs::read_to_string(ASYNCAPI).unwrap_or_default();
    if told != asyncapi()? {
        bail!("{ASYNCAPI} is behind the code. Run `cargo xtask schemas`, commit the result");
    }
    println!("{} schemas and {ASYNCAPI} unchanged", current.len());
    Ok(())
}

fn export() -> anyhow::Result<()> {
    let folder = Path::new(PUBLISHED);
    fs::create_dir_all(folder)?;
    let (published, current) = (published(folder)?, current()?);
    refuse_breaks(&published, &current)?;
    for (name, schema) in &current {
        let text = format!("{}\n", serde_json::to_string_pretty(schema)?);
        fs::write(folder.join(name), text).with_context(|| format!("cannot write {name}"))?;
    }
    fs::write(ASYNCAPI, asyncapi()?).with_context(|| format!("cannot write {ASYNCAPI}"))?;
    println!("{} schemas in {PUBLISHED}, and {ASYNCAPI}", current.len());
    Ok(())
}

fn asyncapi() -> anyhow::Result<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(&docket_schemas::asyncapi::document())?))
}

fn current() -> anyhow::Result<BTreeMap<String, Value>> {
    let all = docket_schemas::json_schema::all().into_iter();
    all.map(|(name, schema)| Ok((name.to_owned(), serde_json::to_value(schema)?))).collect()
}

fn published(folder: &Path) -> anyhow::Result<BTreeMap<String, Value>> {
    let mut found = BTreeMap::new();
    if !folder.exists() {
        return Ok(found);
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path)?;
            let schema = serde_json::from_str(&text);
            found.insert(name, schema.with_context(|| format!("{} is no JSON", path.display()))?);
        }
    }
    Ok(found)
}

fn refuse_breaks(
    published: &BTreeMap<String, Value>,
    current: &BTreeMap<String, Value>,
) -> anyhow::Result<()> {
    let mut breaks = Vec::new();
    for (name, old) in published {
        match current.get(name) {
            None => breaks.push(format!("{name}: the schema is gone")),
            Some(new) => {
                let found = additive::breaks(old, new);
                breaks.extend(found.iter().map(|each| format!("{name}{each}")));
            }
        }
    }
    if !breaks.is_empty() {
        bail!(
            "events that are already written would no longer match:\n  {}\n\
             Leave the published schema as it is and add the next number of it, with an upcaster",
            breaks.join("\n  ")
        );
    }
    Ok(())
}
