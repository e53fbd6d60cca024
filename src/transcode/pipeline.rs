//! A pipeline that ends with its owner and tells when it failed.

use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSinkCallbacks, AppSrc};

use super::Error;

/// Elements that run until this is dropped.
pub(super) struct Pipeline {
    pipeline: gst::Pipeline,
    bus: gst::Bus,
}

/// Starts GStreamer, once for the process.
pub(super) fn init() -> Result<(), Error> {
    gst::init().map_err(Error::Init)
}

/// Whether the system has an element.
pub(super) fn exists(element: &str) -> bool {
    gst::ElementFactory::find(element).is_some()
}

// === impl Pipeline ===

impl Pipeline {
    /// Makes the pipeline that the words describe. It stands still until [`Pipeline::play`].
    pub(super) fn launch(description: &str) -> Result<Self, Error> {
        let pipeline = gst::parse::launch(description)
            .map_err(|error| Error::Pipeline(error.to_string()))?
            .downcast::<gst::Pipeline>()
            .map_err(|_| Error::Pipeline(format!("one element is none: {description}")))?;
        let bus = pipeline.bus().ok_or_else(|| Error::Pipeline("it has no bus".into()))?;
        Ok(Self { pipeline, bus })
    }

    /// The source of this name.
    pub(super) fn source(&self, name: &str) -> Result<AppSrc, Error> {
        self.element(name)
    }

    /// Calls a closure for each sample that comes out of the sink of this name.
    pub(super) fn each_sample(
        &self,
        name: &str,
        mut take: impl FnMut(&gst::SampleRef) + Send + 'static,
    ) -> Result<(), Error> {
        let sink: AppSink = self.element(name)?;
        let callbacks = AppSinkCallbacks::builder().new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            take(&sample);
            Ok(gst::FlowSuccess::Ok)
        });
        sink.set_callbacks(callbacks.build());
        Ok(())
    }

    /// Lets it run.
    pub(super) fn play(&self) -> Result<(), Error> {
        self.pipeline.set_state(gst::State::Playing).map(|_| ()).map_err(|_| {
            Error::Pipeline(self.failure().unwrap_or_else(|| "it does not run".into()))
        })
    }

    /// Ends its source and lets what is in it come out, but does not wait for ever.
    pub(super) fn drain(&self, source: &AppSrc, patience: Duration) {
        if source.end_of_stream().is_ok() {
            let wait = gst::ClockTime::from_nseconds(patience.as_nanos() as u64);
            let ends = [gst::MessageType::Eos, gst::MessageType::Error];
            self.bus.timed_pop_filtered(wait, &ends);
        }
    }

    /// What went wrong since this was last asked.
    pub(super) fn failure(&self) -> Option<String> {
        let mut failure = None;
        while let Some(message) = self.bus.pop() {
            if let gst::MessageView::Error(error) = message.view() {
                failure.get_or_insert(error.error().to_string());
            }
        }
        failure
    }

    /// Makes the pipeline say that it failed.
    pub(super) fn inject_failure(&self) {
        gst::element_error!(self.pipeline, gst::StreamError::Failed, ["asked to fail"]);
    }

    fn element<T: IsA<gst::Element>>(&self, name: &str) -> Result<T, Error> {
        self.pipeline
            .by_name(name)
            .and_then(|element| element.downcast().ok())
            .ok_or_else(|| Error::Pipeline(format!("it has no element of this name: {name}")))
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        // Waits for its threads; that a broken pipeline refuses changes nothing.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}
