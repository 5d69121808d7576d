//! The files of the status page, in the program itself. They ask for nothing that is not here, and the page may
//! do nothing else: no script but its own, no frame, no other host.

use bytes::Bytes;
use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use http::header::{HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};

struct Asset {
    path: &'static str,
    media_type: &'static str,
    text: &'static str,
}

const ASSETS: [Asset; 4] = [
    Asset { path: "/icon.svg", media_type: "image/svg+xml", text: include_str!("page/icon.svg") },
    Asset {
        path: "/",
        media_type: "text/html; charset=utf-8",
        text: include_str!("page/page.html"),
    },
    Asset {
        path: "/page.css",
        media_type: "text/css; charset=utf-8",
        text: include_str!("page/page.css"),
    },
    Asset {
        path: "/page.js",
        media_type: "text/javascript; charset=utf-8",
        text: include_str!("page/page.js"),
    },
];

/// Everything is forbidden but the files and answers of this very origin.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";
const HEADERS: [(HeaderName, &str); 6] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// The file at this path, if there is one.
pub(super) fn at(path: &str) -> Option<Response<Bytes>> {
    let asset = ASSETS.iter().find(|asset| asset.path == path)?;
    let mut answer = Response::new(Bytes::from_static(asset.text.as_bytes()));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.media_type));
    headers.extend(HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value))));
    Some(answer)
}
