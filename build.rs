//! Lets the server build before its pages do, and again once they did.

#![allow(clippy::print_stdout, reason = "cargo reads it")]

use std::{env, fs, io};

fn main() -> io::Result<()> {
    fs::create_dir_all(PAGES)?;
    println!("cargo:rerun-if-changed=build.rs");
    // A debug build reads the pages when it is asked for them.
    if env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        println!("cargo:rerun-if-changed={PAGES}");
    }
    Ok(())
}

const PAGES: &str = "web-demo/dist";
