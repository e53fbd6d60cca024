//! A reader of an event stream.

use std::time::{Duration, Instant};

use reqwest::Response;
use serde_json::Value;

use super::Server;

/// An event stream that is being read.
pub(crate) struct Told {
    response: Response,
    text: String,
}

// === impl Told ===

impl Told {
    /// Begins to read a path, which must be an event stream.
    pub(crate) async fn read(server: &Server, path: &str) -> Self {
        let response = reqwest::get(server.url(path)).await.unwrap();
        assert_eq!(response.status(), 200, "{path} can be read");
        Self::new(response)
    }

    /// Reads an answer.
    pub(crate) fn new(response: Response) -> Self {
        Self { response, text: String::new() }
    }

    /// The next event: its type and the lines of its data; `None` at the end.
    pub(crate) async fn raw(&mut self) -> Option<(String, Vec<String>)> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let values = |field: &str| -> Vec<String> {
                    let lines = block.lines().filter_map(|line| line.strip_prefix(field));
                    lines.map(|value| value.trim_start().to_owned()).collect()
                };
                let (events, data) = (values("event:"), values("data:"));
                self.text = rest.to_owned();
                if let Some(event) = events.into_iter().next() {
                    return Some((event, data));
                }
                continue;
            }
            let chunk = tokio::time::timeout(Duration::from_secs(30), self.response.chunk());
            let chunk = chunk.await.expect("something is told within 30 s").unwrap()?;
            self.text += std::str::from_utf8(&chunk).unwrap();
        }
    }

    /// The next event and its data; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<(String, Value)> {
        let (event, data) = self.raw().await?;
        Some((event, serde_json::from_str(&data.concat()).unwrap()))
    }

    /// The data of the next event of a type; others are passed over.
    pub(crate) async fn event(&mut self, wanted: &str) -> Value {
        loop {
            let (event, data) = self.next().await.unwrap_or_else(|| panic!("{wanted}: the end"));
            if event == wanted {
                return data;
            }
        }
    }

    /// Waits for an event whose data is as expected.
    pub(crate) async fn until(
        &mut self,
        wanted: &str,
        mut is: impl FnMut(&Value) -> bool,
    ) -> Value {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let data = self.event(wanted).await;
            if is(&data) {
                return data;
            }
            assert!(Instant::now() < deadline, "{wanted} stays {data}");
        }
    }

    /// The types of all events until the end.
    pub(crate) async fn rest(&mut self) -> Vec<String> {
        let mut types = Vec::new();
        while let Some((event, _)) = self.next().await {
            types.push(event);
        }
        types
    }
}
