use rtc_crypto::providers::AwsLcRsProvider;
use rtc_dtls::cipher_suite::CipherSuiteId;
use rtc_dtls::config::{ClientAuthType, ConfigBuilder};
use rtc_dtls::crypto::Certificate;
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;

use super::*;

fn crypto() -> Arc<dyn RTCCryptoProvider> {
    Arc::new(AwsLcRsProvider::new())
}

// The other side, straight from the library.
struct Peer {
    endpoint: Endpoint,
    fingerprint: Vec<u8>,
    config: Arc<HandshakeConfig>,
    client: bool,
}

fn peer(client: bool, profiles: &[Profile], certified: bool) -> Peer {
    let crypto = crypto();
    let certificate =
        Certificate::generate_self_signed(vec!["peer".to_owned()], crypto.crypto()).unwrap();
    let fingerprint =
        crypto.crypto().hash(HashAlgorithm::Sha256, &certificate.certificate[0]).unwrap();
    let profiles: Vec<SrtpProtectionProfile> =
        profiles.iter().map(|profile| profile.to_dtls()).collect();
    let mut builder = ConfigBuilder::default()
        .with_crypto_provider(crypto)
        .with_srtp_protection_profiles(profiles)
        .with_client_auth(ClientAuthType::RequireAnyClientCert)
        .with_insecure_skip_verify(true)
        .with_mtu(150);
    if certified {
        builder = builder.with_certificates(vec![certificate]);
    } else if !client {
        builder = builder
            .with_psk(Some(Arc::new(|_: &[u8]| Ok(vec![1; 16]))))
            .with_cipher_suites(vec![CipherSuiteId::Tls_Psk_With_Aes_128_Gcm_Sha256]);
    }
    let config = Arc::new(builder.build(client, None).unwrap());
    let endpoint = endpoint((!client).then(|| config.clone()));
    Peer { endpoint, fingerprint, config, client }
}

fn association(client: bool, peer: &Peer) -> Association {
    let identity = Identity::generate(&crypto()).unwrap();
    Association::new(identity, crypto(), peer.fingerprint.clone(), client)
}

// Carries datagrams to and fro until both are silent.
fn carry(now: Instant, ours: &mut Association, theirs: &mut Peer) -> Option<Happened> {
    let mut happened = ours.start(now);
    if theirs.client {
        theirs.endpoint.connect(now, REMOTE, theirs.config.clone(), None).unwrap();
    }
    loop {
        let mut idle = true;
        while let Some(datagram) = ours.poll_transmit() {
            idle = false;
            let _ = theirs.endpoint.read(now, REMOTE, None, datagram);
        }
        while let Some(sent) = theirs.endpoint.poll_transmit() {
            idle = false;
            if let Ok(Some(now)) = ours.handle(now, &sent.message) {
                happened = Some(now);
            }
        }
        if idle {
            return happened;
        }
    }
}

fn connect(client: bool, profiles: &[Profile]) -> Profile {
    let mut theirs = peer(!client, profiles, true);
    let mut ours = association(client, &theirs);
    let happened = carry(Instant::now(), &mut ours, &mut theirs);
    let Some(Happened::Connected(profile, keys)) = happened else { panic!("not connected") };
    let state = theirs.endpoint.get_connection_state(REMOTE).unwrap();
    assert_eq!(Profile::from_dtls(state.srtp_protection_profile()), Some(profile));
    let material =
        state.export_keying_material(EXPORTER_LABEL, &[], profile.keying_material_len()).unwrap();
    let other = SessionKeys::from_keying_material(profile, material.as_ref(), !client).unwrap();
    assert_eq!(other.local.key.as_ref(), keys.remote.key.as_ref());
    assert_eq!(other.remote.salt.as_ref(), keys.local.salt.as_ref());
    profile
}

fn refused(client: bool, certified: bool, spoil: bool) -> (CloseReason, Association) {
    let mut theirs = peer(!client, &Profile::ALL, certified);
    let mut ours = association(client, &theirs);
    if spoil {
        ours.remote_fingerprint[31] ^= 1;
    }
    match carry(Instant::now(), &mut ours, &mut theirs) {
        Some(Happened::Closed(reason)) => (reason, ours),
        Some(Happened::Connected(..)) => panic!("connected"),
        None => panic!("nothing happened"),
    }
}

#[test]
fn gcm_is_agreed_on_although_the_client_prefers_sha1() {
    let order = [Profile::Aes128CmSha1_80, Profile::AeadAes256Gcm, Profile::AeadAes128Gcm];
    assert_eq!(connect(false, &order), Profile::AeadAes256Gcm);
    assert_eq!(connect(false, &[Profile::AeadAes128Gcm]), Profile::AeadAes128Gcm);
}

#[test]
fn as_client_we_prefer_gcm_and_accept_what_the_server_takes() {
    assert_eq!(connect(true, &Profile::ALL), Profile::AeadAes128Gcm);
    assert_eq!(connect(true, &[Profile::AeadAes256Gcm]), Profile::AeadAes256Gcm);
}

#[test]
fn a_side_that_has_only_sha1_connects_in_both_roles() {
    for client in [false, true] {
        assert_eq!(connect(client, &[Profile::Aes128CmSha1_80]), Profile::Aes128CmSha1_80);
    }
}

#[test]
fn a_client_without_any_srtp_profile_fails() {
    let mut theirs = peer(true, &[], true);
    let mut ours = association(false, &theirs);
    let happened = carry(Instant::now(), &mut ours, &mut theirs);
    assert!(matches!(happened, Some(Happened::Closed(CloseReason::HandshakeFailed(_)))));
}

#[test]
fn a_wrong_certificate_ends_the_session_in_both_roles() {
    for client in [false, true] {
        let (reason, mut ours) = refused(client, true, true);
        assert_eq!(reason, CloseReason::FingerprintMismatch);
        assert_eq!(ours.handle(Instant::now(), &[22; 40]).err(), Some(Dropped::Closed));
    }
}

#[test]
fn no_certificate_ends_the_session_in_both_roles() {
    assert_eq!(refused(false, false, false).0, CloseReason::NoCertificate);
    // No cipher suite that is offered lets a server do without.
    assert!(matches!(refused(true, false, false).0, CloseReason::HandshakeFailed(_)));
}

#[test]
fn garbage_during_and_after_the_handshake_changes_nothing() {
    let now = Instant::now();
    let mut theirs = peer(true, &Profile::ALL, true);
    let mut ours = association(false, &theirs);
    for kind in [20, 21, 22, 23, 25] {
        for epoch in [0, 1, 2] {
            let mut record = vec![kind, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 9, 0, 30];
            record.extend_from_slice(&[0x55; 30]);
            assert!(matches!(ours.handle(now, &record), Err(_) | Ok(None)));
        }
    }
    let happened = carry(now, &mut ours, &mut theirs);
    assert!(matches!(happened, Some(Happened::Connected(..))));
    let mut alert = vec![21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 99, 0, 2, 2, 0];
    assert_eq!(ours.handle(now, &alert).err(), Some(Dropped::Unexpected));
    alert[4] = 1;
    assert!(matches!(ours.handle(now, &alert), Ok(None)));
    assert!(ours.poll_transmit().is_none());
}
