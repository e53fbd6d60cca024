use std::sync::Arc;

use proptest::prelude::*;
use rtc_crypto::RTCCryptoProvider;
use rtc_crypto::providers::AwsLcRsProvider;
use rtc_srtp::context::Context;

use super::receiver::Refused;
use super::*;
use crate::media::Ssrc;

const SSRC: Ssrc = Ssrc(0xcafe_f00d);

fn crypto() -> Arc<dyn RTCCryptoProvider> {
    Arc::new(AwsLcRsProvider::new())
}

fn keys(profile: Profile) -> SessionKeys {
    let material: Vec<u8> = (1..=profile.keying_material_len() as u8).collect();
    SessionKeys::from_keying_material(profile, &material, true).unwrap()
}

fn sender(profile: Profile) -> Sender {
    Sender::new(crypto().crypto(), profile, &keys(profile).local).unwrap()
}

fn receiver(profile: Profile) -> Receiver {
    Receiver::new(crypto(), profile, &keys(profile).swapped()).unwrap()
}

fn library(profile: Profile) -> Context {
    let keys = keys(profile).local;
    let (key, salt) = (keys.key.as_ref(), keys.salt.as_ref());
    Context::new(key, salt, profile.to_srtp(), None, None, crypto().crypto()).unwrap()
}

// Twelve bytes, or twenty with a header extension.
fn packet(ssrc: Ssrc, sequence: u16, extension: bool, payload: &[u8]) -> (usize, Vec<u8>) {
    let mut bytes = vec![if extension { 0x90 } else { 0x80 }, 96];
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.extend_from_slice(&[0, 0, 0, 1]);
    bytes.extend_from_slice(&ssrc.0.to_be_bytes());
    if extension {
        bytes.extend_from_slice(&[0xbe, 0xde, 0, 1, 0x10, 0x37, 0, 0]);
    }
    let header_len = bytes.len();
    bytes.extend_from_slice(payload);
    (header_len, bytes)
}

fn seal(sender: &mut Sender, slot: Slot, header_len: usize, plain: &[u8]) -> Vec<u8> {
    let mut out = plain.to_vec();
    out.resize(plain.len() + sender.overhead() + 7, 0xee);
    let total = sender.protect(slot, &mut out, header_len, plain.len());
    assert_eq!(total, plain.len() + sender.overhead());
    assert!(out[total..].iter().all(|byte| *byte == 0xee));
    out.truncate(total);
    out
}

fn rtcp(ssrc: u32) -> Vec<u8> {
    let mut bytes = vec![0x80, 201, 0, 1];
    bytes.extend_from_slice(&ssrc.to_be_bytes());
    bytes
}

#[test]
fn the_library_opens_what_the_sender_seals_over_three_wraps() {
    for profile in Profile::ALL {
        let (mut sender, mut library) = (sender(profile), library(profile));
        let slot = sender.add(SSRC);
        let mut sequence = 65_500u16;
        for step in 0..4_000u32 {
            let payload = step.to_be_bytes().repeat(1 + (step % 40) as usize);
            let (header_len, plain) = packet(SSRC, sequence, step % 2 == 0, &payload);
            let sealed = seal(&mut sender, slot, header_len, &plain);
            assert_ne!(sealed[header_len..plain.len()], plain[header_len..]);
            assert_eq!(library.decrypt_rtp(&sealed).unwrap(), plain, "{profile} step {step}");
            sequence = sequence.wrapping_add(if step % 50 == 49 { 3_000 } else { 1 });
        }
    }
}

#[test]
fn two_ssrcs_of_one_sender_do_not_disturb_each_other() {
    for profile in Profile::ALL {
        let (mut sender, mut library) = (sender(profile), library(profile));
        let (one, two) = (sender.add(Ssrc(1)), sender.add(Ssrc(2)));
        assert_ne!(one, two);
        assert_eq!(sender.add(Ssrc(1)), one);
        for sequence in (65_000..=65_535).chain(0..100u16) {
            for (slot, ssrc, offset) in [(one, Ssrc(1), 0), (two, Ssrc(2), 50_000)] {
                let (len, plain) = packet(ssrc, sequence.wrapping_sub(offset), false, b"media");
                let sealed = seal(&mut sender, slot, len, &plain);
                assert_eq!(library.decrypt_rtp(&sealed).unwrap(), plain);
            }
        }
    }
}

#[test]
fn a_retransmission_from_before_a_wrap_is_the_identical_packet() {
    for profile in Profile::ALL {
        let mut sender = sender(profile);
        let slot = sender.add(SSRC);
        let (len, old) = packet(SSRC, 65_530, true, b"lost");
        let first = seal(&mut sender, slot, len, &old);
        for sequence in [65_535, 0, 1, 700] {
            let (len, plain) = packet(SSRC, sequence, true, b"more");
            seal(&mut sender, slot, len, &plain);
        }
        assert_eq!(seal(&mut sender, slot, len, &old), first, "{profile}");
        let (len, next) = packet(SSRC, 701, true, b"next");
        let sealed = seal(&mut sender, slot, len, &next);
        let mut receiver = receiver(profile);
        assert_eq!(receiver.open_rtp(&first).unwrap(), old);
        let (len, wrapped) = packet(SSRC, 5, true, b"wrap");
        let wrapped_sealed = seal(&mut sender, slot, len, &wrapped);
        assert_eq!(receiver.open_rtp(&wrapped_sealed).unwrap(), wrapped);
        assert_eq!(receiver.open_rtp(&sealed).unwrap(), next);
    }
}

#[test]
#[should_panic(expected = "two different packets under one nonce")]
fn the_ledger_notices_a_second_packet_under_one_nonce() {
    let mut sender = sender(Profile::AeadAes128Gcm);
    let slot = sender.add(SSRC);
    let (len, plain) = packet(SSRC, 7, false, b"one");
    seal(&mut sender, slot, len, &plain);
    seal(&mut sender, slot, len, &plain);
    let (len, plain) = packet(SSRC, 7, false, b"two");
    seal(&mut sender, slot, len, &plain);
}

#[test]
fn packets_that_cannot_be_sealed_give_nothing() {
    let mut sender = sender(Profile::AeadAes128Gcm);
    let slot = sender.add(SSRC);
    let (len, plain) = packet(SSRC, 7, false, b"one");
    let mut room = plain.clone();
    room.resize(plain.len() + 16, 0);
    assert_eq!(sender.protect(slot, &mut room[..plain.len() + 15], len, plain.len()), 0);
    assert_eq!(sender.protect(slot, &mut room, plain.len() + 1, plain.len()), 0);
    assert_eq!(sender.protect(slot, &mut room, 11, plain.len()), 0);
    room[11] ^= 1;
    assert_eq!(sender.protect(slot, &mut room, len, plain.len()), 0);
}

#[test]
fn replayed_and_changed_packets_are_refused() {
    for profile in Profile::ALL {
        let (mut sender, mut receiver) = (sender(profile), receiver(profile));
        let slot = sender.add(SSRC);
        let mut sealed = Vec::new();
        for sequence in 0..2_000 {
            let (len, plain) = packet(SSRC, sequence, false, b"media");
            sealed.push(seal(&mut sender, slot, len, &plain));
        }
        for packet in &sealed {
            assert!(receiver.open_rtp(packet).is_ok());
        }
        for at in [0, 500, 975, 976, 1_500, 1_999] {
            assert_eq!(receiver.open_rtp(&sealed[at]), Err(Refused::Replayed), "{profile} {at}");
        }
        let (len, plain) = packet(SSRC, 2_000, false, b"media");
        let good = seal(&mut sender, slot, len, &plain);
        for at in 12..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_eq!(receiver.open_rtp(&bad), Err(Refused::Forged), "{profile} byte {at}");
        }
        assert_eq!(receiver.open_rtp(&good).unwrap(), plain);
    }
}

#[test]
fn a_late_packet_inside_the_window_is_opened() {
    let (mut sender, mut receiver) =
        (sender(Profile::AeadAes256Gcm), receiver(Profile::AeadAes256Gcm));
    let slot = sender.add(SSRC);
    let (len, plain) = packet(SSRC, 65_000, false, b"late");
    let late = seal(&mut sender, slot, len, &plain);
    for sequence in (65_001..=65_535).chain(0..487) {
        let (len, plain) = packet(SSRC, sequence, false, b"media");
        assert!(receiver.open_rtp(&seal(&mut sender, slot, len, &plain)).is_ok());
    }
    assert_eq!(receiver.open_rtp(&late).unwrap(), plain);
}

#[test]
fn a_forged_first_packet_does_not_move_the_window() {
    for profile in Profile::ALL {
        let (mut sender, mut receiver) = (sender(profile), receiver(profile));
        let slot = sender.add(SSRC);
        let (_, mut forged) = packet(SSRC, 30_000, false, b"forged");
        forged.resize(60, 1);
        assert_eq!(receiver.open_rtp(&forged), Err(Refused::Forged));
        let (len, plain) = packet(SSRC, 5, false, b"media");
        assert!(receiver.open_rtp(&seal(&mut sender, slot, len, &plain)).is_ok());
    }
}

#[test]
fn forged_packets_of_many_ssrcs_leave_no_state_and_real_ones_are_bounded() {
    let profile = Profile::AeadAes128Gcm;
    let (mut sender, mut receiver) = (sender(profile), receiver(profile));
    for ssrc in 0..200 {
        let (_, mut forged) = packet(Ssrc(ssrc), 1, false, b"forged");
        forged.resize(60, 1);
        assert_eq!(receiver.open_rtp(&forged), Err(Refused::Forged));
    }
    let opened = (0..200)
        .filter(|ssrc| {
            let slot = sender.add(Ssrc(*ssrc));
            let (len, plain) = packet(Ssrc(*ssrc), 1, false, b"media");
            receiver.open_rtp(&seal(&mut sender, slot, len, &plain)).is_ok()
        })
        .count();
    assert_eq!(opened, 64);
}

#[test]
fn reports_go_both_ways_once_and_only_protected() {
    for profile in Profile::ALL {
        let mut ours = Receiver::new(crypto(), profile, &keys(profile)).unwrap();
        let mut theirs = receiver(profile);
        let plain = rtcp(77);
        for _ in 0..200 {
            let sealed = ours.protect_rtcp(&plain).unwrap();
            assert_eq!(theirs.open_rtcp(&sealed).unwrap(), plain);
            assert_eq!(theirs.open_rtcp(&sealed), Err(Refused::Replayed), "{profile}");
        }
        let mut open = ours.protect_rtcp(&plain).unwrap();
        let flag_at = open.len() - if profile == Profile::Aes128CmSha1_80 { 14 } else { 4 };
        open[flag_at] &= 0x7f;
        assert_eq!(theirs.open_rtcp(&open), Err(Refused::Forged), "{profile}");
        assert_eq!(ours.protect_rtcp(&[0x80]), None);
    }
}

#[test]
fn extensions_that_are_padded_unusually_are_opened() {
    // Padding bytes between and before the elements, and an id of 15 that ends them.
    let block = [0, 0x10, 0x37, 0, 0, 0x20, 0x41, 0, 0xf0, 1, 2, 3];
    for profile in Profile::ALL {
        let (mut sender, mut receiver) = (sender(profile), receiver(profile));
        let slot = sender.add(SSRC);
        let (_, mut plain) = packet(SSRC, 9, false, &[0xbe, 0xde, 0, 3]);
        plain[0] = 0x90;
        plain.extend_from_slice(&block);
        let header_len = plain.len();
        plain.extend_from_slice(b"payload");
        let sealed = seal(&mut sender, slot, header_len, &plain);
        assert_eq!(receiver.open_rtp(&sealed).unwrap(), plain, "{profile}");
    }
}

#[test]
fn keys_of_a_wrong_length_are_refused() {
    let short = MasterKey::new(&[0; 16], &[0; 12]);
    for profile in [Profile::AeadAes256Gcm, Profile::Aes128CmSha1_80] {
        assert!(Sender::new(crypto().crypto(), profile, &short).is_err());
    }
    assert!(SessionKeys::from_keying_material(Profile::AeadAes128Gcm, &[0; 55], true).is_err());
}

proptest! {
    #[test]
    fn no_datagram_panics_or_opens(bytes in prop::collection::vec(any::<u8>(), 0..120), first in 0x80u8..0xc0) {
        for profile in Profile::ALL {
            let mut receiver = receiver(profile);
            let mut bytes = bytes.clone();
            prop_assert!(receiver.open_rtp(&bytes).is_err());
            prop_assert!(receiver.open_rtcp(&bytes).is_err());
            if let Some(byte) = bytes.first_mut() {
                *byte = first;
            }
            prop_assert!(receiver.open_rtp(&bytes).is_err());
            prop_assert!(receiver.open_rtcp(&bytes).is_err());
        }
    }

    #[test]
    fn any_order_of_sending_is_opened_by_the_receiver(
        steps in prop::collection::vec(-300i32..900, 1..200),
        start in 0u16..32_768,
    ) {
        let profile = Profile::AeadAes128Gcm;
        let (mut sender, mut receiver) = (sender(profile), receiver(profile));
        let slot = sender.add(SSRC);
        let mut index = i64::from(start) + 1_000;
        let mut seen = std::collections::HashSet::new();
        for step in steps {
            index = (index + i64::from(step)).max(i64::from(start));
            let (len, plain) = packet(SSRC, index as u16, false, &index.to_be_bytes());
            let sealed = seal(&mut sender, slot, len, &plain);
            if let Ok(opened) = receiver.open_rtp(&sealed) {
                prop_assert!(seen.insert(index));
                prop_assert_eq!(&opened[..], &plain[..]);
            }
        }
    }
}
