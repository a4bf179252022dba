//! Base32 in lower case without padding (RFC 4648 §6): what a token spells its bytes in.
//! Strict: each byte string has exactly one spelling.

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Spells bytes, 8 letters for 5 bytes.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut buffer, mut bits) = (0u32, 0);
    for byte in bytes {
        buffer = buffer << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(letter(buffer >> bits));
        }
    }
    if bits > 0 {
        text.push(letter(buffer << (5 - bits)));
    }
    text
}

fn letter(value: u32) -> char {
    char::from(ALPHABET[(value & 31) as usize])
}

/// Reads exactly `N` bytes; `None` for a wrong length, a foreign letter or a second spelling.
pub(crate) fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != (N * 8).div_ceil(5) {
        return None;
    }
    let mut bytes = [0; N];
    let (mut buffer, mut bits, mut filled) = (0u32, 0, 0);
    for letter in text.bytes() {
        let value = ALPHABET.iter().position(|known| *known == letter)?;
        buffer = buffer << 5 | value as u32;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            *bytes.get_mut(filled)? = (buffer >> bits) as u8;
            filled += 1;
        }
    }
    let rest = buffer & ((1 << bits) - 1);
    (filled == N && rest == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spells_the_vectors_of_rfc_4648() {
        for (bytes, text) in [("f", "my"), ("fo", "mzxq"), ("foo", "mzxw6"), ("foob", "mzxw6yq"), ("fooba", "mzxw6ytb")]
        {
            assert_eq!(encode(bytes.as_bytes()), text);
        }
        assert_eq!(decode::<5>("mzxw6ytb"), Some(*b"fooba"));
        assert_eq!(decode::<1>("my"), Some(*b"f"));
    }

    #[test]
    fn refuses_second_spellings_and_foreign_letters() {
        for text in ["mz", "MY", "m1", "m", "myy", "m=", ""] {
            assert_eq!(decode::<1>(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn reads_what_it_wrote(bytes: [u8; 16]) {
            proptest::prop_assert_eq!(decode::<16>(&encode(&bytes)), Some(bytes));
        }
    }
}
