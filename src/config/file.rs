//! A reader that turns TOML into settings and knows the line of each.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::auth::AUTH_KEYS;
use super::limits::LIMIT_KEYS;
use super::options::{self, Arity, Key};
use super::recording::RECORDING_KEYS;
use super::sections::{self, ICE_SERVER_KEYS, STREAM_KEYS};
use super::setting::{Origin, Setting};
use super::value;
use super::webhooks::{WEBHOOK_KEYS, complete_webhook};
use super::{Config, ConfigError};

/// A configuration file that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File<'a> {
    /// Its name, for messages.
    pub path: &'a str,
    /// What is in it.
    pub text: &'a str,
}

/// Applies every key of the file.
pub(super) fn apply(file: File<'_>, config: &mut Config) -> Result<(), ConfigError> {
    let document = DeTable::parse(file.text).map_err(|error| ConfigError::Syntax {
        path: file.path.into(),
        line: file.line(&error.span().unwrap_or_default()),
        reason: error.message().lines().collect::<Vec<_>>().join(", "),
    })?;
    for (key, value) in document.get_ref().iter() {
        let origin = file.origin(&key.span());
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("ice_servers", DeValue::Array(array)) if has_tables(array) => {
                config.ice_servers = tables("ice_servers", array, file, |table| {
                    let server = fill("ice_servers", table, file, ICE_SERVER_KEYS)?;
                    Ok(value::complete_ice_server(server))
                })?;
            }
            ("streams", DeValue::Array(array)) => {
                config.streams = tables("streams", array, file, |table| {
                    let policy = fill("streams", table, file, STREAM_KEYS)?;
                    Ok(sections::complete_policy(policy))
                })?;
            }
            ("webhooks", DeValue::Array(array)) => {
                config.webhooks = tables("webhooks", array, file, |table| {
                    let webhook = fill("webhooks", table, file, WEBHOOK_KEYS)?;
                    Ok(complete_webhook(webhook))
                })?;
            }
            ("auth", DeValue::Table(table)) => config.auth = fill("auth", table, file, AUTH_KEYS)?,
            ("limits", DeValue::Table(table)) => {
                config.client_limits = fill("limits", table, file, LIMIT_KEYS)?;
            }
            ("recording", DeValue::Table(table)) => {
                config.recording = fill("recording", table, file, RECORDING_KEYS)?;
            }
            (name @ ("auth" | "limits" | "recording"), _) => {
                let reason = format!("it is a section that starts with [{name}]");
                return Err(options::bad_value(name, &origin, reason));
            }
            ("streams" | "webhooks" | "ice_servers", DeValue::Table(_)) => {
                let reason = format!("a section of it starts with [[{}]]", key.get_ref());
                return Err(options::bad_value(key.get_ref(), &origin, reason));
            }
            (name @ ("streams" | "webhooks"), _) => {
                let reason = format!("it is a list of sections that start with [[{name}]]");
                return Err(options::bad_value(name, &origin, reason));
            }
            (name, value) => {
                let values = match options::is_known(name) {
                    true => texts(value).map_err(|why| options::bad_value(name, &origin, why))?,
                    false => Vec::new(),
                };
                options::apply(&Setting { key: name.into(), values, origin }, config)?;
            }
        }
    }
    Ok(())
}

impl File<'_> {
    fn origin(&self, span: &Range<usize>) -> Origin {
        Origin::File { path: self.path.into(), line: self.line(span) }
    }

    fn line(&self, span: &Range<usize>) -> usize {
        let before = &self.text.as_bytes()[..span.start.min(self.text.len())];
        1 + before.iter().filter(|&&byte| byte == b'\n').count()
    }
}

fn has_tables(array: &[Spanned<DeValue<'_>>]) -> bool {
    array.iter().any(|item| matches!(item.get_ref(), DeValue::Table(_)))
}

fn tables<T>(
    name: &str,
    array: &[Spanned<DeValue<'_>>],
    file: File<'_>,
    read: impl Fn(&DeTable<'_>) -> Result<value::Parsed<T>, ConfigError>,
) -> Result<Vec<T>, ConfigError> {
    let section = |item: &Spanned<DeValue<'_>>| {
        let bad = |why| options::bad_value(name, &file.origin(&item.span()), why);
        let DeValue::Table(table) = item.get_ref() else {
            return Err(bad(format!("a section of it starts with [[{name}]]")));
        };
        read(table)?.map_err(bad)
    };
    array.iter().map(section).collect()
}

fn fill<T: Default>(
    section: &str,
    table: &DeTable<'_>,
    file: File<'_>,
    keys: &[Key<T>],
) -> Result<T, ConfigError> {
    let mut filled = T::default();
    for (name, value) in table.iter() {
        let origin = file.origin(&name.span());
        let Some(key) = keys.iter().find(|key| key.name == name.get_ref().as_ref()) else {
            let known = keys.iter().map(|key| key.name);
            return Err(options::unknown(name.get_ref(), &origin, known));
        };
        let full = format!("{section}.{}", key.name);
        let bad = |why| options::bad_value(&full, &origin, why);
        let values = texts(value.get_ref()).map_err(bad)?;
        if key.arity == Arity::One && values.len() != 1 {
            return Err(bad("it takes one value, not a list".into()));
        }
        (key.set)(&mut filled, &values).map_err(bad)?;
    }
    Ok(filled)
}

/// A value or the items of a list, as flags would give them.
fn texts(value: &DeValue<'_>) -> value::Parsed<Vec<String>> {
    match value {
        DeValue::Array(items) => items.iter().map(|item| text(item.get_ref())).collect(),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Table(_) => Ok(vec![text(value)?]),
    }
}

fn text(value: &DeValue<'_>) -> value::Parsed<String> {
    match value {
        DeValue::String(text) => Ok(text.as_ref().to_owned()),
        DeValue::Integer(number) => Ok(number.to_string()),
        DeValue::Float(number) => Ok(number.to_string()),
        DeValue::Boolean(boolean) => Ok(boolean.to_string()),
        DeValue::Datetime(_) => Err("it is a date".into()),
        DeValue::Array(_) => Err("it is a list within a list".into()),
        DeValue::Table(_) => Err("it is a section, but takes a value".into()),
    }
}
