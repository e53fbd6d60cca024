//! A sample entry that tells players which decoder they need, in the box and in words.

use bytes::Bytes;
use mp4_atom::esds::{DecoderConfig, DecoderSpecific, EsDescriptor};
use mp4_atom::{
    Audio, Av01, Av1c, Avc1, Avcc, AvccExt, Codec, Colr, Dops, Esds, Hvc1, HvcCArray, Hvcc, Mp4a,
    Opus, Pasp, Visual, Vp09, VpcC,
};

use super::{Unpackable, av1, h264, h265};
use crate::media::{Setup, VideoRange};

/// A sample entry and what follows from it.
pub(super) struct Entry {
    pub(super) codec: Codec,
    pub(super) codecs: String,
    /// The brand of the CMAF media profile.
    pub(super) brand: Option<&'static [u8; 4]>,
    /// Width and height on the screen; 0 for sound.
    pub(super) shown: (u16, u16),
    pub(super) range: VideoRange,
}

/// How colours are to be understood (ISO/IEC 23091-2), where a stream says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Colour {
    pub(super) primaries: u8,
    pub(super) transfer: u8,
    pub(super) matrix: u8,
    pub(super) full_range: bool,
}

/// Makes the sample entry of a setup.
pub(super) fn entry(setup: &Setup) -> Result<Entry, Unpackable> {
    match setup {
        Setup::H264 { size, sps, pps } => h264_entry(*size, sps, pps),
        Setup::H265 { size, vps, sps, pps } => h265_entry(*size, vps, sps, pps),
        Setup::Av1 { size, sequence_header } => av1_entry(*size, sequence_header),
        Setup::Vp9 { size, profile, bit_depth, chroma, full_range } => {
            let depth = (*bit_depth, *chroma, *full_range);
            Ok(vp9_entry(*size, *profile, depth))
        }
        Setup::Vp8 { .. } => Err(Unpackable::Vp8),
        Setup::Opus { channels } => Ok(opus_entry(*channels)),
        Setup::Aac { sample_rate, channels, config } => aac_entry(*sample_rate, *channels, config),
    }
}

fn h264_entry(size: (u16, u16), sps: &Bytes, pps: &[Bytes]) -> Result<Entry, Unpackable> {
    let read = h264::Sps::parse(sps).ok_or(Unpackable::Malformed)?;
    let pps = units(pps, u8::MAX.into())?;
    let [first, rest @ ..] = pps.as_slice() else { return Err(Unpackable::Malformed) };
    let mut avcc = Avcc::new(sps, first).map_err(|_| Unpackable::Malformed)?;
    avcc.sequence_parameter_sets = units(std::slice::from_ref(sps), 1)?;
    avcc.picture_parameter_sets.extend_from_slice(rest);
    // ISO/IEC 14496-15 section 5.3.3.1.2: for these profiles and no others.
    avcc.ext = matches!(read.profile, 100 | 110 | 122 | 144 | 244).then_some(AvccExt {
        chroma_format: read.chroma_format,
        bit_depth_luma: read.bit_depth.0,
        bit_depth_chroma: read.bit_depth.1,
        sequence_parameter_sets_ext: Vec::new(),
    });
    let codecs = format!("avc1.{:02x}{:02x}{:02x}", read.profile, read.constraints, read.level);
    let plain = read.chroma_format == 1 && read.bit_depth == (8, 8);
    let range = range(read.colour);
    let codec = Avc1 {
        visual: visual(size),
        avcc,
        btrt: None,
        colr: colr(read.colour),
        pasp: Some(pasp(read.aspect)),
        taic: None,
        fiel: None,
        spatial: None,
    };
    let brand = if within(size, (864, 576)) {
        Some(b"cfsd")
    } else {
        within(size, (1920, 1080)).then_some(b"cfhd")
    };
    let brand = brand.filter(|_| plain);
    Ok(Entry { codec: codec.into(), codecs, brand, shown: shown(size, read.aspect), range })
}

fn h265_entry(
    size: (u16, u16),
    vps: &[Bytes],
    sps: &[Bytes],
    pps: &[Bytes],
) -> Result<Entry, Unpackable> {
    let first = sps.first().ok_or(Unpackable::Malformed)?;
    let read = h265::Sps::parse(first).ok_or(Unpackable::Malformed)?;
    let arrays = [(h265::VPS, vps), (h265::SPS, sps), (h265::PPS, pps)].map(|(kind, nals)| {
        units(nals, MAX_SETS).map(|nalus| HvcCArray {
            completeness: true,
            nal_unit_type: kind,
            nalus,
        })
    });
    let hvcc = Hvcc {
        general_profile_space: read.profile_space,
        general_tier_flag: read.high_tier,
        general_profile_idc: read.profile,
        general_profile_compatibility_flags: read.compatibility.to_be_bytes(),
        general_constraint_indicator_flags: read.constraints,
        general_level_idc: read.level,
        chroma_format_idc: read.chroma_format,
        bit_depth_luma_minus8: read.bit_depth.0 - 8,
        bit_depth_chroma_minus8: read.bit_depth.1 - 8,
        num_temporal_layers: read.temporal_layers,
        temporal_id_nested: read.nested,
        length_size_minus_one: 3,
        arrays: arrays.into_iter().collect::<Result<_, _>>()?,
        ..Hvcc::new()
    };
    let codec = Hvc1 {
        visual: visual(size),
        hvcc,
        lhvc: None,
        btrt: None,
        colr: colr(read.colour),
        pasp: Some(pasp(read.aspect)),
        taic: None,
        fiel: None,
        ccst: None,
        spatial: None,
    };
    let plain = read.chroma_format == 1 && read.bit_depth == (8, 8);
    let brand = (plain && within(size, (1920, 1080))).then_some(b"chhd");
    let (codecs, range) = (read.codecs(), range(read.colour));
    Ok(Entry { codec: codec.into(), codecs, brand, shown: shown(size, read.aspect), range })
}

fn av1_entry(size: (u16, u16), sequence_header: &Bytes) -> Result<Entry, Unpackable> {
    let read = av1::Sequence::parse(sequence_header).ok_or(Unpackable::Malformed)?;
    let av1c = Av1c {
        seq_profile: read.profile,
        seq_level_idx_0: read.level,
        seq_tier_0: read.high_tier,
        high_bitdepth: read.bit_depth > 8,
        twelve_bit: read.bit_depth == 12,
        monochrome: read.monochrome,
        chroma_subsampling_x: read.subsampling.0,
        chroma_subsampling_y: read.subsampling.1,
        chroma_sample_position: read.sample_position,
        initial_presentation_delay: None,
        config_obus: sequence_header.to_vec(),
    };
    let tier = if read.high_tier { 'H' } else { 'M' };
    let codecs = format!("av01.{}.{:02}{tier}.{:02}", read.profile, read.level, read.bit_depth);
    let codec = Av01 {
        visual: visual(size),
        av1c,
        btrt: None,
        ccst: None,
        colr: colr(read.colour),
        pasp: Some(pasp(SQUARE)),
        taic: None,
        spatial: None,
    };
    let range = range(read.colour);
    Ok(Entry { codec: codec.into(), codecs, brand: Some(b"av01"), shown: size, range })
}

fn vp9_entry(size: (u16, u16), profile: u8, depth: (u8, u8, bool)) -> Entry {
    let (bit_depth, chroma_subsampling, video_full_range_flag) = depth;
    let level = vp9_level(size);
    let vpcc = VpcC {
        profile,
        level,
        bit_depth,
        chroma_subsampling,
        video_full_range_flag,
        color_primaries: UNSPECIFIED,
        transfer_characteristics: UNSPECIFIED,
        matrix_coefficients: UNSPECIFIED,
        codec_initialization_data: Vec::new(),
    };
    let codec = Vp09 {
        visual: visual(size),
        vpcc,
        btrt: None,
        colr: None,
        pasp: Some(pasp(SQUARE)),
        spatial: None,
    };
    let codecs = format!("vp09.{profile:02}.{level}.{bit_depth:02}");
    // What carries its colours is the container; WebRTC has none.
    let range = VideoRange::Sdr;
    Entry { codec: codec.into(), codecs, brand: None, shown: size, range }
}

/// The lowest level for pictures of a size, thirty of them a second (VP9 Levels, table 1).
fn vp9_level((width, height): (u16, u16)) -> u8 {
    let samples = u32::from(width) * u32::from(height);
    VP9_LEVELS.iter().find(|(most, _)| samples <= *most).map_or(60, |(_, level)| *level)
}

fn opus_entry(channels: u8) -> Entry {
    let dops = Dops {
        output_channel_count: channels,
        // A live stream is joined in the middle: there is no beginning to leave out.
        pre_skip: 0,
        input_sample_rate: 48_000,
        output_gain: 0,
        channel_mapping: None,
    };
    let codec = Opus { audio: audio(channels, 48_000), dops, btrt: None };
    Entry {
        codec: codec.into(),
        codecs: "Opus".into(),
        brand: None,
        shown: (0, 0),
        range: VideoRange::Sdr,
    }
}

fn aac_entry(sample_rate: u32, channels: u8, config: &Bytes) -> Result<Entry, Unpackable> {
    let &[first, second, ..] = config.as_ref() else { return Err(Unpackable::Malformed) };
    let profile = first >> 3;
    if config.len() > MAX_ASC || matches!(profile, 0 | 31) {
        return Err(Unpackable::Malformed);
    }
    let dec_specific = DecoderSpecific {
        profile,
        freq_index: (first & 7) << 1 | second >> 7,
        chan_conf: second >> 3 & 15,
        raw: config.to_vec(),
    };
    let dec_config = DecoderConfig {
        object_type_indication: 0x40, // ISO/IEC 14496-3
        stream_type: 5,               // sound
        dec_specific: Some(dec_specific),
        ..DecoderConfig::default()
    };
    let codec = Mp4a {
        audio: audio(channels, sample_rate),
        esds: Esds { es_desc: EsDescriptor { es_id: 0, dec_config, ..EsDescriptor::default() } },
        btrt: None,
        taic: None,
    };
    let codecs = format!("mp4a.40.{profile}");
    Ok(Entry {
        codec: codec.into(),
        codecs,
        brand: Some(b"caac"),
        shown: (0, 0),
        range: VideoRange::Sdr,
    })
}

/// Parameter sets as boxes hold them: each shorter than 64 KiB, and not more than a counter tells.
fn units(nals: &[Bytes], most: usize) -> Result<Vec<Vec<u8>>, Unpackable> {
    let fit = nals.len() <= most && nals.iter().all(|nal| nal.len() <= u16::MAX.into());
    if fit { Ok(nals.iter().map(|nal| nal.to_vec()).collect()) } else { Err(Unpackable::Malformed) }
}

fn visual((width, height): (u16, u16)) -> Visual {
    Visual { data_reference_index: 1, width, height, ..Visual::default() }
}

fn audio(channels: u8, sample_rate: u32) -> Audio {
    Audio {
        data_reference_index: 1,
        channel_count: channels.into(),
        sample_size: 16,
        // A rate that does not fit is left to the decoder's configuration.
        sample_rate: u16::try_from(sample_rate).unwrap_or(0).into(),
    }
}

fn colr(colour: Option<Colour>) -> Option<Colr> {
    colour.map(|colour| Colr::Nclx {
        colour_primaries: colour.primaries.into(),
        transfer_characteristics: colour.transfer.into(),
        matrix_coefficients: colour.matrix.into(),
        full_range_flag: colour.full_range,
    })
}

/// The range of brightness by the transfer characteristics (ISO/IEC 23091-2 section 8.2).
fn range(colour: Option<Colour>) -> VideoRange {
    match colour.map(|colour| colour.transfer) {
        Some(16) => VideoRange::Pq,
        Some(18) => VideoRange::Hlg,
        Some(_) | None => VideoRange::Sdr,
    }
}

fn pasp((h_spacing, v_spacing): (u16, u16)) -> Pasp {
    Pasp { h_spacing: h_spacing.into(), v_spacing: v_spacing.into() }
}

/// The size on the screen, where samples are not square.
fn shown((width, height): (u16, u16), (wide, high): (u16, u16)) -> (u16, u16) {
    let stretched = u32::from(width) * u32::from(wide) / u32::from(high.max(1));
    (u16::try_from(stretched).unwrap_or(width), height)
}

fn within((width, height): (u16, u16), (most_width, most_height): (u16, u16)) -> bool {
    width <= most_width && height <= most_height
}

/// Samples as wide as high.
pub(super) const SQUARE: (u16, u16) = (1, 1);

const UNSPECIFIED: u8 = 2;
/// Sets of a kind, which their ids bound.
const MAX_SETS: usize = 64;
const MAX_ASC: usize = 64;

/// Luma samples of a picture, and ten times the level.
const VP9_LEVELS: [(u32, u8); 9] = [
    (36_864, 10),
    (73_728, 11),
    (122_880, 20),
    (245_760, 21),
    (552_960, 30),
    (983_040, 31),
    (2_228_224, 40),
    (8_912_896, 50),
    (35_651_584, 60),
];
