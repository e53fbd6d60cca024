//! The machine: its folder, its limits and its plugins.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statvfs::statvfs;

use super::finding::Finding;
use crate::config::Config;
use crate::transcode;

/// Whether the data folder can be written to, and has room.
pub(super) fn data(folder: &Path) -> Finding {
    const CHECK: &str = "data folder";
    let shown = folder.display();
    // It is made when something is kept in it: until then the folder above counts.
    let Some(there) = folder.ancestors().map(path_or_here).find(|path| path.exists()) else {
        return Finding::problem(CHECK, format!("{shown} leads nowhere"), "set data to a folder");
    };
    if !there.is_dir() {
        let what = format!("{} is no folder", there.display());
        return Finding::problem(CHECK, what, "set data to a folder");
    }
    let probe = there.join(format!(".whitewater-doctor-{}", std::process::id()));
    if let Err(error) = fs::write(&probe, b"probe") {
        let what = format!("{} cannot be written to: {error}", there.display());
        return Finding::problem(CHECK, what, "let this account write there, or set data");
    }
    let removed = fs::remove_file(&probe);
    if let Err(error) = removed {
        let what = format!("{} cannot be removed again: {error}", probe.display());
        return Finding::warning(CHECK, what, "remove it");
    }
    match statvfs(&there) {
        Ok(system) => {
            let free_mib = (system.blocks_available() * system.fragment_size()) >> 20;
            if free_mib < LITTLE_MIB {
                let what = format!("{shown} has {free_mib} MiB left");
                return Finding::warning(CHECK, what, "make room");
            }
            Finding::fine(CHECK, format!("{shown} can be written to, {free_mib} MiB are free"))
        }
        Err(error) => {
            let what = format!("how much room {shown} has cannot be told: {error}");
            Finding::warning(CHECK, what, "look with df")
        }
    }
}

fn path_or_here(path: &Path) -> PathBuf {
    if path.as_os_str().is_empty() { ".".into() } else { path.into() }
}

/// Whether as many files may be open as there may be connections.
pub(super) fn files(config: &Config) -> Finding {
    const CHECK: &str = "open files";
    let wanted = config.limits.max_http_connections as u64 + SPARE_FILES;
    match getrlimit(Resource::RLIMIT_NOFILE) {
        // The server raises the soft limit to the hard one.
        Ok((_, hard)) if hard < wanted => Finding::warning(
            CHECK,
            format!("{hard} may be open, while max_http_connections may need {wanted}"),
            format!("raise ulimit -n (LimitNOFILE= of systemd) to {wanted}, or lower it"),
        ),
        Ok((_, hard)) => Finding::fine(CHECK, format!("{hard} may be open")),
        Err(error) => Finding::warning(CHECK, error.to_string(), "see ulimit -n"),
    }
}

/// Whether the kernel grants sockets the buffers that bursts of media need.
pub(super) fn buffers() -> Finding {
    const CHECK: &str = "socket buffers";
    let read = |name: &str| {
        let text = fs::read_to_string(format!("/proc/sys/net/core/{name}"));
        text.ok().and_then(|text| text.trim().parse::<u64>().ok())
    };
    let few: Vec<_> = ["rmem_max", "wmem_max"]
        .into_iter()
        .filter_map(|name| Some((name, read(name)?)))
        .filter(|(_, bytes)| *bytes < BUFFER_BYTES)
        .collect();
    if few.is_empty() {
        return Finding::fine(CHECK, "the kernel grants what is asked for, or does not tell");
    }
    let told: Vec<_> =
        few.iter().map(|(name, bytes)| format!("net.core.{name} is {bytes}")).collect();
    let todo: Vec<_> =
        few.iter().map(|(name, _)| format!("net.core.{name}={BUFFER_BYTES}")).collect();
    let what = format!("{}: a burst may overflow them", told.join(", "));
    Finding::warning(CHECK, what, format!("sysctl -w {}", todo.join(" ")))
}

/// Which plugins of GStreamer are missing.
pub(super) fn plugins() -> Vec<Finding> {
    const CHECK: &str = "gstreamer";
    match transcode::lacks() {
        Ok(lacks) if lacks.is_empty() => vec![Finding::fine(CHECK, "every plugin is there")],
        Ok(lacks) => {
            let told = lacks.iter().map(|lack| {
                let what = format!("{} is missing, for {}", lack.element, lack.what);
                Finding::warning(CHECK, what, format!("apt-get install {}", lack.package))
            });
            told.collect()
        }
        Err(error) => {
            vec![Finding::warning(CHECK, error.to_string(), "reinstall libgstreamer1.0-0")]
        }
    }
}

const LITTLE_MIB: u64 = 256;
const SPARE_FILES: u64 = 256;
/// What the media sockets ask for.
const BUFFER_BYTES: u64 = 8 << 20;
