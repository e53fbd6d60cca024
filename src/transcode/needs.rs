//! The plugins that transcoding needs, and what for.

use super::{Error, pipeline};

/// A plugin that the system lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lack {
    /// The element; of several that would do, one.
    pub element: &'static str,
    /// The Debian package that has it.
    pub package: &'static str,
    /// What does not work without it.
    pub what: &'static str,
}

/// What the system lacks.
///
/// # Errors
///
/// Fails if GStreamer itself does not start.
pub fn lacks() -> Result<Vec<Lack>, Error> {
    pipeline::init()?;
    let lacks = |need: &&(&[&str], Lack)| !need.0.iter().any(|element| pipeline::exists(element));
    Ok(NEEDS.iter().filter(lacks).map(|need| need.1).collect())
}

/// What would do, and what to say where none of it is there.
type Need = (&'static [&'static str], Lack);

const NEEDS: &[Need] = &[
    (&["audioconvert"], lack("audioconvert", "base", SOUND)),
    (&["audioresample"], lack("audioresample", "base", SOUND)),
    (&["opusdec"], lack("opusdec", "base", SOUND)),
    (
        &["avenc_aac", "voaacenc"],
        Lack { element: "avenc_aac", package: "gstreamer1.0-libav", what: SOUND },
    ),
    (&["videoconvert"], lack("videoconvert", "base", "pictures that are transcoded for HLS")),
    (&["vp8dec"], lack("vp8dec", "good", "VP8 over HLS")),
    (&["vp9dec"], lack("vp9dec", "good", "smaller pictures of VP9 over HLS")),
    (&["av1dec"], lack("av1dec", "bad", "smaller pictures of AV1 over HLS")),
    (
        &["avdec_h264"],
        Lack {
            element: "avdec_h264",
            package: "gstreamer1.0-libav",
            what: "smaller pictures of H.264 over HLS",
        },
    ),
    (
        &["avdec_h265"],
        Lack {
            element: "avdec_h265",
            package: "gstreamer1.0-libav",
            what: "smaller pictures of H.265 over HLS",
        },
    ),
    (&["x264enc"], lack("x264enc", "ugly", "VP8, and smaller pictures, over HLS")),
    (&["x265enc"], lack("x265enc", "bad", "hls_codec = \"h265\"")),
];

const SOUND: &str = "sound over HLS";

const fn lack(element: &'static str, set: &str, what: &'static str) -> Lack {
    let package = match set.as_bytes() {
        b"base" => "gstreamer1.0-plugins-base",
        b"good" => "gstreamer1.0-plugins-good",
        b"ugly" => "gstreamer1.0-plugins-ugly",
        _ => "gstreamer1.0-plugins-bad",
    };
    Lack { element, package, what }
}
