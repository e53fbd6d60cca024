//! Tests that read what is written with other people's parsers.

mod golden;
mod kit;
mod multivariant;
mod parsed;
mod properties;
mod window;
