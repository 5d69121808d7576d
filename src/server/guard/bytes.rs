//! The classes of bytes that a head is made of, and the fast search for the end of a line.

/// `tchar` of RFC 9110 §5.6.2, of which methods and names of fields are made.
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        #[expect(clippy::indexing_slicing, reason = "checked when this is compiled")]
        {
            table[byte as usize] = byte.is_ascii_alphanumeric()
                || matches!(
                    byte,
                    b'!' | b'#'
                        | b'$'
                        | b'%'
                        | b'&'
                        | b'\''
                        | b'*'
                        | b'+'
                        | b'-'
                        | b'.'
                        | b'^'
                        | b'_'
                        | b'`'
                        | b'|'
                        | b'~'
                );
        }
        byte += 1;
    }
    table
};

/// Whether the byte may stand in a method or a name.
pub(in crate::server) fn is_token(byte: u8) -> bool {
    TOKEN.get(usize::from(byte)).copied().unwrap_or(false)
}

/// Whether the byte may stand neither in a value (RFC 9110 §5.5) nor anywhere else in a line.
pub(super) fn is_control(byte: u8) -> bool {
    (byte < b' ' && byte != b'\t') || byte == 0x7F
}

/// The place of the first control byte: of the line's end, in a sound line. Looks at many bytes at once,
/// because tokens make lines long.
pub(super) fn first_control(bytes: &[u8]) -> Option<usize> {
    let (blocks, _) = bytes.as_chunks::<32>();
    let clean = blocks
        .iter()
        .take_while(|block| !block.iter().fold(false, |any, byte| any | is_control(*byte)))
        .count();
    let mut from = clean * 32;
    let rest = bytes.get(from..).unwrap_or_default();
    let (words, _) = rest.as_chunks::<8>();
    for word in words {
        let clean = control_marks(u64::from_le_bytes(*word)).trailing_zeros() / 8;
        from += clean as usize;
        if clean < 8 {
            break;
        }
    }
    let rest = bytes.get(from..).unwrap_or_default();
    rest.iter().position(|byte| is_control(*byte)).map(|place| from + place)
}

/// The top bit of each control byte is set, as it may be of a tab. Of the bytes behind the first of them no
/// more is known: what is taken from one is borrowed from the next.
fn control_marks(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const TOPS: u64 = u64::from_le_bytes([0x80; 8]);
    const DELS: u64 = u64::from_le_bytes([0x7F; 8]);
    let below_blank = word.wrapping_sub(ONES << 5) & !word;
    let apart = word ^ DELS;
    let del = apart.wrapping_sub(ONES) & !apart;
    (below_blank | del) & TOPS
}

/// Whether the library hands such a byte of a target on wherever it stands.
pub(super) fn is_plain_in_target(byte: u8) -> bool {
    PLAIN_IN_TARGET.get(usize::from(byte)).copied().unwrap_or(false)
}

const PLAIN_IN_TARGET: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0x21_u8;
    while byte < 0x7F {
        #[expect(clippy::indexing_slicing, reason = "checked when this is compiled")]
        {
            table[byte as usize] = !matches!(byte, b'"' | b'#' | b'<' | b'>' | b'`');
        }
        byte += 1;
    }
    table
};

/// Whether a name is the given one, in any case, and with `_` and `.` for `-`: gateways behind us that
/// hand names on as variables of an environment read all of these alike.
pub(in crate::server) fn folds_to(name: &[u8], lower: &[u8]) -> bool {
    name.len() == lower.len()
        && name.iter().zip(lower).all(|(byte, wanted)| {
            byte.to_ascii_lowercase() == *wanted || (*wanted == b'-' && matches!(byte, b'_' | b'.'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_control_byte_is_found_wherever_it_stands() {
        for length in 0..100 {
            let mut bytes = vec![b'a'; length];
            assert_eq!(first_control(&bytes), None);
            for place in 0..length {
                for control in [0, b'\r', b'\n', 0x1F, 0x7F] {
                    bytes[place] = control;
                    assert_eq!(
                        first_control(&bytes),
                        Some(place),
                        "{control} at {place} of {length}"
                    );
                }
                bytes[place] = [b'\t', b' ', b'~', 0x80, 0xFF][place % 5];
            }
        }
    }

    #[test]
    fn names_fold() {
        for name in ["Content-Length", "content_length", "CONTENT.length"] {
            assert!(folds_to(name.as_bytes(), b"content-length"), "{name}");
        }
        for name in ["Content-Lengt", "Content-Lengths", "ContentxLength", "Content Length"] {
            assert!(!folds_to(name.as_bytes(), b"content-length"), "{name}");
        }
    }
}
