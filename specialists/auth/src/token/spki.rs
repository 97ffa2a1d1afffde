//! Public keys in the other forms that people keep them in: DER and PEM (RFC 5280, 4.1.2.7).
//!
//! Needed for one thing: to try whether a service takes such a text for a secret.

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Object identifiers, encoded with their tag and length.
const RSA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
const EC: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01";
const P256: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
const P384: &[u8] = b"\x06\x05\x2b\x81\x04\x00\x22";
const ED25519: &[u8] = b"\x06\x03\x2b\x65\x70";
const NULL: &[u8] = b"\x05\x00";

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;

/// Characters of a line of PEM (RFC 7468, 2).
const PEM_LINE_CHARS: usize = 64;

pub(super) fn rsa(n: &[u8], e: &[u8]) -> Vec<u8> {
    let key = tlv(SEQUENCE, &[integer(n), integer(e)].concat());
    info(&[RSA, NULL], &key)
}

pub(super) fn p256(point: &[u8]) -> Vec<u8> {
    info(&[EC, P256], point)
}

pub(super) fn p384(point: &[u8]) -> Vec<u8> {
    info(&[EC, P384], point)
}

pub(super) fn ed25519(point: &[u8]) -> Vec<u8> {
    info(&[ED25519], point)
}

/// With the line break that files end with.
pub(super) fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = "-----BEGIN PUBLIC KEY-----\n".to_owned();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(PEM_LINE_CHARS));
        pem += line;
        pem.push('\n');
        rest = more;
    }
    pem + "-----END PUBLIC KEY-----\n"
}

fn info(algorithm: &[&[u8]], key: &[u8]) -> Vec<u8> {
    // No bit of the last byte is unused.
    let bits = [&[0], key].concat();
    tlv(SEQUENCE, &[tlv(SEQUENCE, &algorithm.concat()), tlv(BIT_STRING, &bits)].concat())
}

/// Not negative: a byte of zeroes stands before a set first bit.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let bytes = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
    let sign: &[u8] = if bytes.first().is_some_and(|first| first & 0x80 != 0) { &[0] } else { &[] };
    tlv(INTEGER, &[sign, bytes].concat())
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut out = vec![tag];
    match (content.len(), u8::try_from(length.len())) {
        (0..=0x7f, _) => out.push(length.first().copied().unwrap_or(0)),
        (_, Ok(bytes)) => {
            out.push(0x80 | bytes);
            out.extend(length);
        }
        (_, Err(_)) => {}
    }
    out.extend(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8410, 10.1.
    #[test]
    fn the_example_of_the_standard() {
        let point = b"\x19\xbf\x44\x09\x69\x84\xcd\xfe\x85\x41\xba\xc1\x67\xdc\x3b\x96\xc8\x50\x86\xaa\x30\xb6\xb6\xcb\x0c\x5c\x38\xad\x70\x31\x66\xe1";
        let pem = pem(&ed25519(point));
        assert!(
            pem.contains("MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="),
            "{pem}"
        );
    }

    #[test]
    fn lengths_and_signs() {
        assert_eq!(integer(&[0, 0x80]), [INTEGER, 2, 0, 0x80]);
        assert_eq!(integer(&[0x7f]), [INTEGER, 1, 0x7f]);
        assert_eq!(tlv(SEQUENCE, &[7; 0x80])[..3], [SEQUENCE, 0x81, 0x80]);
        assert_eq!(tlv(SEQUENCE, &[7; 0x100])[..4], [SEQUENCE, 0x82, 1, 0]);
    }
}
