//! Small damage to valid bytes: what a bad wire, a bad program or a bad person makes of them.

use fastrand::Rng;

/// Damages at once: one is mostly refused at the first look, several reach further in.
const DAMAGES_MAX: usize = 4;

/// Bytes that mean something to one of our parsers: lengths, tags, brackets, quotes.
const TELLING: [&[u8]; 16] = [
    b"\x00",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\xff\xff\xff\xff\x0f",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"${",
    b": ",
    b"\n- ",
    b"&a ",
    b"*a",
];

/// The same bytes, a little broken; `other` is what pieces of another message are taken from.
pub fn mutated(sample: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = sample.to_vec();
    for _ in 0..rng.usize(1..=DAMAGES_MAX) {
        damage(&mut bytes, other, rng);
    }
    bytes
}

fn damage(bytes: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    let at = rng.usize(0..=bytes.len());
    match rng.u8(0..7) {
        0 => flip(bytes, at, 1 << rng.u8(0..8)),
        1 => bytes.truncate(at),
        2 => drop(bytes.drain(at..bytes.len().min(at + rng.usize(0..16)))),
        3 => insert(bytes, at, TELLING[rng.usize(0..TELLING.len())]),
        4 => insert(bytes, at, piece(other, rng)),
        5 => {
            let own = piece(bytes, rng).to_vec();
            insert(bytes, at, &own);
        }
        _ => flip(bytes, at, rng.u8(..)),
    }
}

fn flip(bytes: &mut [u8], at: usize, bits: u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= bits;
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    bytes.splice(at..at, piece.iter().copied());
}

fn piece<'a>(of: &'a [u8], rng: &mut Rng) -> &'a [u8] {
    let begin = rng.usize(0..=of.len());
    &of[begin..rng.usize(begin..=of.len())]
}
