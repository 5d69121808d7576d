//! The guard and the library read the same, whatever comes.

use super::*;

/// Bytes that are nearly requests.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        5 => Just(&b"GET /a HTTP/1.1\r\n"[..]),
        3 => Just(&b"POST /a?b=`c HTTP/1.1\r\n"[..]),
        1 => Just(&b"PUT /{\"|~%zz HTTP/1.0\r\n"[..]),
        1 => Just(&b"!#$%&'*+-.^_`|~ /\xc3\xa6 HTTP/1.1\r\n"[..]),
        5 => Just(&b"\r\n"[..]),
        3 => Just(&b"Host: a\r\n"[..]),
        2 => Just(&b"!#$%&'*+-.^_`|~09AZ:\t \xe6 x\t \r\n"[..]),
        2 => Just(&b"X:\r\n"[..]),
        3 => Just(&b"Content-Length: 5\r\n"[..]),
        1 => Just(&b"Content-Length:  000\r\n"[..]),
        3 => Just(&b"Transfer-Encoding: chunked\r\n"[..]),
        1 => Just(&b"Expect: 100-continue\r\n"[..]),
        1 => Just(&b"Connection: keep-alive\r\n"[..]),
        3 => Just(&b"5\r\nhello\r\n"[..]),
        2 => Just(&b"a;b=c;d=\"e\"\r\n0123456789\r\n"[..]),
        3 => Just(&b"0\r\n\r\n"[..]),
        1 => Just(&b"0\r\nX: y\r\n\r\n"[..]),
        2 => Just(&b"hello"[..]),
        1 => Just(&b"\n"[..]),
        1 => Just(&b" "[..]),
    ];
    let damage = proptest::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>()));
    (prop::collection::vec(part, 1..12), damage).prop_map(|(parts, damage)| {
        let mut bytes = parts.concat();
        if let Some((place, byte)) = damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes
    })
}

/// The fields of a sound head, read as simply as can be.
fn fields(head: &[u8]) -> Vec<(String, Vec<u8>)> {
    let lines = head.split(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\r"));
    let mut fields: Vec<_> = lines
        .skip_while(|line| line.is_empty())
        .skip(1)
        .filter(|line| !line.is_empty())
        .map(|line| {
            let colon = line.iter().position(|byte| *byte == b':').unwrap();
            let name = String::from_utf8(line[..colon].to_ascii_lowercase()).unwrap();
            (name, line[colon + 1..].trim_ascii().to_vec())
        })
        .collect();
    fields.sort();
    fields
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn what_passes_is_read_by_the_library_as_by_the_guard(bytes in nearly(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts {
            pieces.push(&bytes[from..cut]);
            from = cut;
        }
        pieces.push(&bytes[from..]);
        pieces.retain(|piece| !piece.is_empty());
        let came = runtime.block_on(play(&pieces));
        let (sighted, end) = sight(&bytes, &limits());
        for (seen, sighted) in came.seen.iter().zip(&sighted) {
            prop_assert_eq!(seen.framing, Ok(()));
            let head = &bytes[sighted.head.clone()];
            let line = String::from_utf8_lossy(head.trim_ascii_start().split(|byte| *byte == b'\r').next().unwrap()).into_owned();
            prop_assert_eq!(&seen.line, &line);
            let mut read = seen.headers.clone();
            read.sort();
            prop_assert_eq!(read, fields(head));
            let fault_here = end.is_err() && sighted.body.end > sighted.body.start && !sighted.whole;
            if sighted.whole && !fault_here {
                let body = &bytes[sighted.body.clone()];
                let chunked = seen.headers.iter().any(|(name, _)| name == "transfer-encoding");
                let body = if chunked { dechunk(body) } else { body.to_vec() };
                prop_assert_eq!(seen.body.as_deref(), Some(&body[..]));
            } else {
                prop_assert!(seen.body.is_none());
            }
        }
        // A connection may end earlier, by HTTP/1.0 or after a fault, and never goes on for longer.
        let faulty = came.seen.iter().skip(sighted.len()).collect::<Vec<_>>();
        prop_assert!(faulty.len() <= 1 && faulty.iter().all(|seen| seen.framing.is_err() && end.is_err()));
    }
}

/// The data of a sound chunked body.
fn dechunk(mut body: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    loop {
        let end = body.windows(2).position(|two| two == b"\r\n").unwrap();
        let digits = body[..end].split(|byte| *byte == b';').next().unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap();
        if size == 0 {
            return data;
        }
        data.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = &body[end + 2 + size + 2..];
    }
}
