//! A request as the API receives it, in bytes: what is wanted, and what came.
//!
//! Header lines stand in the order of their names, because the order of different names says nothing
//! (RFC 9110 §5.3), and a chunked body as its content and trailers, because its chunks are cut anew at each
//! hop. All else is compared to the byte. What differs from run to run, the token and the request id, is
//! replaced by `{token}` and `{id}`.

use crate::support::{PERMITTED, SYSTEM_USER, VENDOR, token};

/// What must reach the API.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    start: String,
    lines: Vec<String>,
    body: Vec<u8>,
    trailers: Vec<String>,
}

impl Arrival {
    /// With the lines that Portvakt sets for every request, and those of this rule of [`super::RULES`].
    pub(crate) fn of(rule: &str, start: &str) -> Self {
        let bare = Self::public(rule, start)
            .line("authorization: Bearer {token}")
            .line("portvakt-system: 314330897_it")
            .line(&format!("portvakt-system-user: {SYSTEM_USER}"))
            .line("portvakt-system-user-org: 314242726")
            .line(&format!("portvakt-vendor: {VENDOR}"));
        if rule == "r3" {
            return bare;
        }
        bare.line("portvakt-action: read")
            .line(&format!("portvakt-party: urn:altinn:organization:identifier-no:{PERMITTED}"))
            .line("portvakt-resource: r-read")
    }

    /// Under a public rule, without a token.
    pub(crate) fn public(rule: &str, start: &str) -> Self {
        let lines = [
            "host: api.example.no",
            "portvakt-request-id: {id}",
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-host: api.example.no",
            "x-forwarded-proto: http",
        ];
        let lines = lines.map(str::to_owned).to_vec();
        let arrival =
            Self { start: start.to_owned(), lines, body: Vec::new(), trailers: Vec::new() };
        arrival.line(&format!("portvakt-rule: {rule}"))
    }

    /// Where the rule is public and the client sent a token nevertheless.
    pub(crate) fn with_token(self) -> Self {
        self.line("authorization: Bearer {token}")
    }

    /// With a further header line.
    pub(crate) fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    /// Without the lines of this name.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.lines.retain(|line| name_of(line) != name);
        self
    }

    /// With another value in place of the one of this name.
    pub(crate) fn with(self, name: &str, value: &str) -> Self {
        self.without(name).line(&format!("{name}: {value}"))
    }

    /// With this host.
    pub(crate) fn host(self, host: &str) -> Self {
        self.with("host", host).with("x-forwarded-host", host)
    }

    /// With a body and its length.
    pub(crate) fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        let length = format!("content-length: {}", self.body.len());
        self.line(&length)
    }

    /// With a body in chunks, and these trailer lines.
    pub(crate) fn chunked(mut self, body: impl AsRef<[u8]>, trailers: &[&str]) -> Self {
        self.body = body.as_ref().to_vec();
        self.trailers = trailers.iter().map(|line| (*line).to_owned()).collect();
        self.line("transfer-encoding: chunked")
    }

    pub(super) fn rendered(&self) -> Vec<String> {
        let Self { start, lines, body, trailers } = self;
        render(start.clone(), lines.clone(), body, trailers.clone())
    }
}

fn render(
    start: String,
    mut lines: Vec<String>,
    body: &[u8],
    trailers: Vec<String>,
) -> Vec<String> {
    lines.sort_by(|one, other| name_of(one).cmp(name_of(other)));
    let mut all = vec![start];
    all.append(&mut lines);
    if !body.is_empty() {
        all.push(format!("body `{}`", shown(body)));
    }
    let mut trailers = trailers;
    trailers.sort();
    all.extend(trailers.into_iter().map(|line| format!("trailer `{line}`")));
    all
}

fn name_of(line: &str) -> &str {
    line.split(':').next().unwrap_or_default()
}

/// The requests in these bytes, which hold nothing else. Reads strictly: whatever is not as RFC 9112 has it
/// fails the test.
pub(super) fn read_all(mut bytes: &[u8]) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let (request, rest) = read(bytes);
        all.push(request);
        bytes = rest;
    }
    all
}

fn read(bytes: &[u8]) -> (Vec<String>, &[u8]) {
    let (start, mut rest) = cut(bytes, b"\r\n");
    let start = shown(start);
    let mut lines = Vec::new();
    loop {
        let line;
        (line, rest) = cut(rest, b"\r\n");
        if line.is_empty() {
            break;
        }
        lines.push(without_id(&shown(line).replace(&token(), "{token}")));
    }
    let values = |name: &str| -> Vec<&str> {
        let of = |line: &'_ &String| name_of(line).eq_ignore_ascii_case(name);
        lines.iter().filter(of).filter_map(|line| line.split_once(": ")).map(|it| it.1).collect()
    };
    let (mut body, mut trailers) = (Vec::new(), Vec::new());
    match (values("content-length").as_slice(), values("transfer-encoding").as_slice()) {
        ([], []) => {}
        ([length], []) => {
            let content;
            (content, rest) = rest.split_at(length.parse().unwrap());
            body.extend(content);
        }
        ([], ["chunked"]) => (body, trailers, rest) = read_chunks(rest),
        unsound => panic!("the framing {unsound:?} was sent to the API"),
    }
    (render(start, lines, &body, trailers), rest)
}

fn read_chunks(mut bytes: &[u8]) -> (Vec<u8>, Vec<String>, &[u8]) {
    let (mut body, mut trailers) = (Vec::new(), Vec::new());
    loop {
        let (size, rest) = cut(bytes, b"\r\n");
        let size = usize::from_str_radix(std::str::from_utf8(size).unwrap(), 16).unwrap();
        if size == 0 {
            bytes = rest;
            break;
        }
        body.extend(&rest[..size]);
        let end = &rest[size..];
        bytes = end.strip_prefix(b"\r\n").expect("the end of a chunk");
    }
    loop {
        let (line, rest) = cut(bytes, b"\r\n");
        bytes = rest;
        if line.is_empty() {
            return (body, trailers, bytes);
        }
        trailers.push(shown(line));
    }
}

fn cut<'a>(bytes: &'a [u8], end: &[u8]) -> (&'a [u8], &'a [u8]) {
    let at = bytes.windows(end.len()).position(|part| part == end);
    let at = at.unwrap_or_else(|| panic!("half a request: {}", bytes.escape_ascii()));
    (&bytes[..at], &bytes[at + end.len()..])
}

/// Text as it is, and every other byte by its number.
pub(super) fn shown(bytes: &[u8]) -> String {
    let show = |byte: &u8| match byte {
        b' '..=b'~' => char::from(*byte).to_string(),
        other => format!("\\x{other:02x}"),
    };
    bytes.iter().map(show).collect()
}

/// The id is a UUID; which one, differs.
fn without_id(line: &str) -> String {
    match line.strip_prefix("portvakt-request-id: ") {
        Some(id) if uuid::Uuid::try_parse(id).is_ok() => "portvakt-request-id: {id}".to_owned(),
        Some(_) | None => line.to_owned(),
    }
}
