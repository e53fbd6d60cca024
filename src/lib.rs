//! Whitewater: publish a live stream once over WHIP, watch it in under half a second over WHEP
//! or two seconds behind over HLS.
//!
//! This package touches the world: it reads the configuration, owns the sockets and composes the
//! deciding half (`whitewater-core`) with the HTTP half (`whitewater-signaling`).

pub mod addresses;
pub mod app;
pub mod auth;
pub mod bridge;
pub mod config;
pub mod control;
pub mod doctor;
pub mod engine;
pub mod http;
pub mod load;
pub mod metrics;
pub mod origin;
pub mod priority;
pub mod record;
pub mod replay;
pub mod storage;
pub mod telemetry;
pub mod transcode;
pub mod web;
pub mod webhooks;
