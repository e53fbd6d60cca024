//! A reader of an event stream, line by line.

use std::time::Duration;

use reqwest::Response;
use serde_json::Value;

/// An event stream that is being read.
pub(crate) struct Told {
    response: Response,
    text: String,
}

/// One block of the stream.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Block {
    pub(crate) event: String,
    pub(crate) data: Vec<String>,
    pub(crate) retry: String,
    pub(crate) id: String,
    pub(crate) comments: usize,
}

// === impl Told ===

impl Told {
    pub(crate) fn new(response: Response) -> Self {
        Self { response, text: String::new() }
    }

    /// The next block, whatever it is; `None` at the end.
    pub(crate) async fn block(&mut self) -> Option<Block> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let block = Block::read(block);
                self.text = rest.to_owned();
                return Some(block);
            }
            let chunk = tokio::time::timeout(Duration::from_secs(20), self.response.chunk());
            let chunk = chunk.await.expect("a block comes within 20 s").unwrap()?;
            self.text += std::str::from_utf8(&chunk).unwrap();
        }
    }

    /// The next event and its data; `None` at the end.
    pub(crate) async fn event(&mut self) -> Option<(String, Value)> {
        loop {
            let block = self.block().await?;
            if !block.event.is_empty() {
                assert_eq!(block.data.len(), 1, "E33: one line of data in {block:?}");
                return Some((block.event, serde_json::from_str(&block.data[0]).unwrap()));
            }
        }
    }
}

// === impl Block ===

impl Block {
    fn read(text: &str) -> Self {
        let mut block = Self::default();
        for line in text.lines() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
            match field {
                "event" => block.event = value,
                "data" => block.data.push(value),
                "retry" => block.retry = value,
                "id" => block.id = value,
                "" => block.comments += 1,
                other => panic!("an unknown field: {other}"),
            }
        }
        block
    }
}
