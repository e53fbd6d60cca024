//! What `profile-level-id` says about a stream, compared as RFC 6184 section 8.1 asks.

/// A profile together with a level.
///
/// Two formats match if their profiles are equal; levels may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProfileLevel {
    /// The profile.
    pub profile: Profile,
    /// The level.
    pub level: Level,
}

/// A profile: which coding tools a stream may use (RFC 6184 table 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    /// The tools that Baseline and Main share.
    ConstrainedBaseline,
    /// Baseline.
    Baseline,
    /// Main.
    Main,
    /// Extended.
    Extended,
    /// High without interlacing and B-frames; browsers offer it, the RFC does not know it.
    ConstrainedHigh,
    /// High.
    High,
    /// High 10.
    High10,
    /// High 4:2:2.
    High422,
    /// High 4:4:4 Predictive.
    High444,
    /// Any other, by `profile_idc` and `profile_iop`.
    Other(u8, u8),
}

/// A level: how large and fast a stream may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Level {
    level_idc: u8,
    // Orders 1b, whose `level_idc` is 11 or 9, between 1 and 1.1.
    above_tenth: bool,
}

/// Reads the six hexadecimal digits of `profile-level-id`.
pub fn parse_profile_level_id(text: &str) -> Option<ProfileLevel> {
    if text.len() != 6 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let [_, profile_idc, profile_iop, level_idc] =
        u32::from_str_radix(text, 16).ok()?.to_be_bytes();
    let profile = Profile::new(profile_idc, profile_iop);
    Some(ProfileLevel { profile, level: Level::new(profile, profile_iop, level_idc) })
}

// === impl ProfileLevel ===

impl ProfileLevel {
    /// Whether a stream of the one is a stream of the other, levels aside.
    pub fn same_profile(&self, other: &Self) -> bool {
        self.profile == other.profile
    }
}

/// What an offer without `profile-level-id` means: Baseline at level 1.
impl Default for ProfileLevel {
    fn default() -> Self {
        Self { profile: Profile::Baseline, level: Level { level_idc: 10, above_tenth: false } }
    }
}

// === impl Profile ===

impl Profile {
    fn new(profile_idc: u8, profile_iop: u8) -> Self {
        let constrained = |flags| profile_iop & flags == flags;
        match (profile_idc, profile_iop) {
            _ if profile_iop & 0x0F != 0 && (profile_idc, profile_iop) != (0x64, 0x0C) => {
                Self::Other(profile_idc, profile_iop)
            }
            (0x42, _) if constrained(SET1) => Self::ConstrainedBaseline,
            (0x4D, _) if constrained(SET0) => Self::ConstrainedBaseline,
            (0x58, _) if constrained(SET0 | SET1) => Self::ConstrainedBaseline,
            (0x42, _) => Self::Baseline,
            (0x58, _) if constrained(SET0) => Self::Baseline,
            (0x4D, _) if !constrained(SET2) => Self::Main,
            (0x58, _) if !constrained(SET1) => Self::Extended,
            (0x64, 0x0C) => Self::ConstrainedHigh,
            (0x64, 0) => Self::High,
            (0x6E, 0) => Self::High10,
            (0x7A, 0) => Self::High422,
            (0xF4, 0) => Self::High444,
            (idc, iop) => Self::Other(idc, iop),
        }
    }
}

// === impl Level ===

impl Level {
    /// Ten times the level's number, as in a sequence parameter set; 1b is 11 (H.264 annex A.3.1).
    pub fn level_idc(self) -> u8 {
        if self.is_1b() { 11 } else { self.level_idc }
    }

    /// Whether this is level 1b, which lies between 1 and 1.1.
    pub fn is_1b(self) -> bool {
        self.above_tenth
    }

    fn new(profile: Profile, profile_iop: u8, level_idc: u8) -> Self {
        let by_flag = match profile {
            Profile::ConstrainedBaseline
            | Profile::Baseline
            | Profile::Main
            | Profile::Extended => profile_iop & SET3 != 0,
            Profile::ConstrainedHigh
            | Profile::High
            | Profile::High10
            | Profile::High422
            | Profile::High444
            | Profile::Other(..) => false,
        };
        if level_idc == 9 || (level_idc == 11 && by_flag) {
            return Self { level_idc: 10, above_tenth: true };
        }
        Self { level_idc, above_tenth: false }
    }
}

// The bits of `profile_iop`: constraint_set0_flag and so on.
const SET0: u8 = 0x80;
const SET1: u8 = 0x40;
const SET2: u8 = 0x20;
const SET3: u8 = 0x10;

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(text: &str) -> Profile {
        parse_profile_level_id(text).unwrap().profile
    }

    #[test]
    fn profiles_follow_the_table_of_rfc_6184() {
        let rows = [
            ("42e01f", Profile::ConstrainedBaseline),
            ("42C01E", Profile::ConstrainedBaseline),
            ("42401f", Profile::ConstrainedBaseline),
            ("4d801f", Profile::ConstrainedBaseline),
            ("58c01f", Profile::ConstrainedBaseline),
            ("42001f", Profile::Baseline),
            ("42801f", Profile::Baseline),
            ("58801f", Profile::Baseline),
            ("4d001f", Profile::Main),
            ("4d401f", Profile::Main),
            ("4d201f", Profile::Other(0x4D, 0x20)),
            ("58001f", Profile::Extended),
            ("64001f", Profile::High),
            ("640c1f", Profile::ConstrainedHigh),
            ("64081f", Profile::Other(0x64, 0x08)),
            ("6e001f", Profile::High10),
            ("7a001f", Profile::High422),
            ("f4001f", Profile::High444),
            ("42e11f", Profile::Other(0x42, 0xE1)),
            ("2c101f", Profile::Other(0x2C, 0x10)),
        ];
        for (text, want) in rows {
            assert_eq!(profile(text), want, "{text}");
        }
    }

    #[test]
    fn formats_match_whatever_their_levels() {
        let low = parse_profile_level_id("42e00a").unwrap();
        let high = parse_profile_level_id("42c034").unwrap();
        assert!(low.same_profile(&high) && low.level < high.level);
        assert!(!low.same_profile(&ProfileLevel::default()));
        assert_eq!(parse_profile_level_id("42000a"), Some(ProfileLevel::default()));
    }

    #[test]
    fn level_1b_lies_between_1_and_1_1() {
        let level = |text: &str| parse_profile_level_id(text).unwrap().level;
        for text in ["42f00b", "4d100b", "640009"] {
            assert!(level(text).is_1b(), "{text}");
            assert!(level("42e00a") < level(text) && level(text) < level("42e00b"), "{text}");
        }
        assert!(!level("42e00b").is_1b());
        assert_eq!((level("42f00b").level_idc(), level("42e01f").level_idc()), (11, 31));
    }

    #[test]
    fn anything_but_six_digits_is_no_id() {
        for text in ["", "42e01", "42e01f0", "42e01g", "+2e01f", "42e0é"] {
            assert_eq!(parse_profile_level_id(text), None, "{text}");
        }
    }
}
