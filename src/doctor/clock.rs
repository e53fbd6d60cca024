//! The clock: tokens begin and end by it, and pages tell by it how late a picture is.

use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use super::finding::Finding;

pub(super) fn examine(url: Option<&str>) -> Vec<Finding> {
    let asked = url.map(|url| match date_of(url) {
        Ok(theirs) => compare(SystemTime::now(), theirs, url),
        Err(why) => {
            let what = format!("{url} does not tell the time: {why}");
            Finding::warning(CHECK, what, "name another with --clock-url")
        }
    });
    asked.into_iter().chain([kept()]).collect()
}

/// The `Date` of a web server. It has whole seconds.
fn date_of(url: &str) -> Result<SystemTime, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let client = reqwest::Client::builder().timeout(PATIENCE).build();
        let client = client.map_err(|error| error.to_string())?;
        let response = client.head(url).send().await.map_err(|error| error.to_string())?;
        let date = response.headers().get("date").and_then(|date| date.to_str().ok());
        let date = date.ok_or("its answer has no Date")?;
        httpdate::parse_http_date(date).map_err(|error| error.to_string())
    })
}

fn compare(ours: SystemTime, theirs: SystemTime, url: &str) -> Finding {
    let (apart, word) = match ours.duration_since(theirs) {
        Ok(apart) => (apart, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    let seconds = apart.as_secs();
    let what = format!("this clock is {seconds} s {word} that of {url}");
    match seconds {
        0..=1 => Finding::fine(CHECK, format!("this clock is that of {url}, to a second or two")),
        2..=30 => Finding::warning(CHECK, what, "let NTP keep it"),
        _ => Finding::problem(CHECK, what, "let NTP keep it: tokens end too early or too late"),
    }
}

/// Whether the system says that its clock is kept.
fn kept() -> Finding {
    let told = Command::new("timedatectl")
        .args(["show", "--property=NTPSynchronized", "--value"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let told = told.ok().filter(|told| told.status.success());
    let told = told.map(|told| String::from_utf8_lossy(&told.stdout).trim().to_owned());
    match told.as_deref() {
        Some("yes") => Finding::fine(CHECK, "NTP keeps it"),
        Some("no") => {
            let what = "NTP does not keep it";
            Finding::warning(CHECK, what, "timedatectl set-ntp true, or run chrony")
        }
        Some(_) | None => Finding::fine(CHECK, "whether NTP keeps it, the system does not tell"),
    }
}

const CHECK: &str = "clock";
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_judged_by_how_far_it_is_off() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let rows = [
            (0_i64, "fine "),
            (1, "fine "),
            (5, "warning  clock: this clock is 5 s ahead of"),
            (-20, "warning  clock: this clock is 20 s behind"),
            (300, "PROBLEM "),
            (-300, "PROBLEM  clock: this clock is 300 s behind"),
        ];
        for (ahead, start) in rows {
            let apart = Duration::from_secs(ahead.unsigned_abs());
            let ours = if ahead < 0 { now - apart } else { now + apart };
            let said = compare(ours, now, "https://example.org").to_string();
            assert!(said.starts_with(start), "{ahead}: {said}");
        }
    }
}
