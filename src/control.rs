//! A stand-in that refuses every session.

use std::net::SocketAddr;

use whitewater_signaling::control::{
    Answer, Control as Port, Fragment, IfMatch, LayerChoice, Open, Opened, Patched, Refusal,
    SessionPath, StreamInfo, StreamName,
};

use crate::engine;

/// The port.
pub struct Control {
    _engine: engine::Handle,
}

impl Control {
    /// A port over an engine.
    pub fn new(engine: engine::Handle, _advertised: Vec<SocketAddr>) -> Self {
        Self { _engine: engine }
    }
}

fn refused<T: Send + 'static>() -> Answer<'static, T> {
    Box::pin(async { Err(Refusal::Full("no media engine".into())) })
}

impl Port for Control {
    fn publish(&self, _: Open) -> Answer<'_, Opened> {
        refused()
    }
    fn subscribe(&self, _: Open) -> Answer<'_, Opened> {
        refused()
    }
    fn patch(&self, _: SessionPath, _: IfMatch, _: Fragment) -> Answer<'_, Patched> {
        refused()
    }
    fn delete(&self, _: SessionPath) -> Answer<'_, ()> {
        refused()
    }
    fn probe(&self, _: SessionPath) -> Answer<'_, ()> {
        refused()
    }
    fn select_layer(&self, _: SessionPath, _: LayerChoice) -> Answer<'_, ()> {
        refused()
    }
    fn streams(&self) -> Answer<'_, Vec<StreamInfo>> {
        Box::pin(async { Ok(Vec::new()) })
    }
    fn stream(&self, name: StreamName) -> Answer<'_, StreamInfo> {
        Box::pin(async { Err(Refusal::NotLive(name)) })
    }
}
