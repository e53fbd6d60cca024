//! A key derivation that turns a master key into session keys (RFC 3711 section 4.3).

use rtc_crypto::{BlockCipherAlgorithm, CryptoError, RTCCrypto};

/// What a derived key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Label {
    /// Encrypting RTP.
    RtpEncryption = 0,
    /// Authenticating RTP.
    RtpAuthentication = 1,
    /// The salt of RTP's nonces.
    RtpSalt = 2,
}

/// Fills `out` with the session key of a label, for a key derivation rate of zero.
///
/// The pseudo-random function is AES in counter mode under a master key of 16 bytes, or of 32
/// (RFC 6188). Salts shorter than 14 bytes are padded with zeros on the right (RFC 7714 section
/// 11).
pub fn derive(
    crypto: &dyn RTCCrypto,
    master_key: &[u8],
    master_salt: &[u8],
    label: Label,
    out: &mut [u8],
) -> Result<(), CryptoError> {
    let algorithm = match master_key.len() {
        16 => BlockCipherAlgorithm::Aes128,
        32 => BlockCipherAlgorithm::Aes256,
        actual => return Err(CryptoError::InvalidKeyLength { expected: 16, actual }),
    };
    let mut input = [0; BLOCK_LEN];
    let salt_len = master_salt.len().min(MAX_SALT_LEN);
    input[..salt_len].copy_from_slice(&master_salt[..salt_len]);
    input[LABEL_AT] ^= label as u8;
    for (counter, chunk) in out.chunks_mut(BLOCK_LEN).enumerate() {
        let mut block = input;
        block[MAX_SALT_LEN..].copy_from_slice(&(counter as u16).to_be_bytes());
        crypto.block_encrypt(algorithm, master_key, &mut block)?;
        chunk.copy_from_slice(&block[..chunk.len()]);
    }
    Ok(())
}

const BLOCK_LEN: usize = 16;
const MAX_SALT_LEN: usize = 14;
// The label stands above the 48-bit index, which ends with the salt.
const LABEL_AT: usize = MAX_SALT_LEN - 7;

#[cfg(test)]
mod tests {
    use rtc_crypto::RTCCryptoProvider;
    use rtc_crypto::providers::AwsLcRsProvider;

    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    fn derived(key: &str, salt: &str, label: Label, len: usize) -> Vec<u8> {
        let provider = AwsLcRsProvider::new();
        let mut out = vec![0; len];
        derive(provider.crypto(), &bytes(key), &bytes(salt), label, &mut out).unwrap();
        out
    }

    #[test]
    fn the_vectors_of_rfc_3711_appendix_b_3_come_out() {
        let key = "E1F97A0D3E018BE0D64FA32C06DE4139";
        let salt = "0EC675AD498AFEEBB6960B3AABE6";
        for (label, expected) in [
            (Label::RtpEncryption, "C61E7A93744F39EE10734AFE3FF7A087"),
            (Label::RtpSalt, "30CBBC08863D8C85D49DB34A9AE1"),
            (
                Label::RtpAuthentication,
                "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4
                 8F0A0ACF3C34E2359E6CDBCEE049646C43D9327AD175578EF7227098
                 6371C10C9A369AC2F94A8C5FBCDDDC256D6E919A48B610EF17C2041E
                 474035766B68642C59BBFC2F34DB60DBDFB2DC68",
            ),
        ] {
            let expected = bytes(expected);
            assert_eq!(derived(key, salt, label, expected.len()), expected, "{label:?}");
        }
    }

    #[test]
    fn the_vectors_of_rfc_6188_for_256_bit_keys_come_out() {
        let key = "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6";
        let salt = "3b04803de51ee7c96423ab5b78d2";
        for (label, expected) in [
            (
                Label::RtpEncryption,
                "5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4",
            ),
            (Label::RtpSalt, "fa31791685ca444a9e07c6c64e93"),
            (Label::RtpAuthentication, "fd9c32d39ed5fbb5a9dc96b30818454d1313dc05"),
        ] {
            let expected = bytes(expected);
            assert_eq!(derived(key, salt, label, expected.len()), expected, "{label:?}");
        }
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        let provider = AwsLcRsProvider::new();
        let refused = derive(provider.crypto(), &[0; 24], &[0; 14], Label::RtpSalt, &mut [0; 14]);
        assert!(matches!(refused, Err(CryptoError::InvalidKeyLength { actual: 24, .. })));
    }
}
