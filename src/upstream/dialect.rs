//! One request in the words of each protocol. Method, target and values are the same bytes in both.
//!
//! A request is kept in neutral words: the target alone as its URI, the client's `Host`, and `TE: trailers`
//! if the client takes trailers. Both functions may be applied to what the other has made: a request that
//! could not be sent over one connection is sent over another.

use super::body::OutgoingBody;
use http::header::{CONNECTION, HOST, HeaderValue, TE, TRANSFER_ENCODING};
use http::uri::{Authority, Parts, PathAndQuery, Scheme};
use http::{Request, Uri, Version};
use http_body::Body as _;

/// The request has no form in this protocol.
#[derive(Debug, thiserror::Error)]
#[error("the host has no form in HTTP/2")]
pub(super) struct Unsayable;

/// In HTTP/1.1: `Host`, and `TE` named by `Connection` (RFC 9110 §10.1.4).
pub(super) fn speak_http1(request: &mut Request<OutgoingBody>) {
    *request.version_mut() = Version::HTTP_11;
    let uri = std::mem::take(request.uri_mut()).into_parts();
    if let Some(host) = uri.authority
        && let Ok(host) = HeaderValue::from_str(host.as_str())
    {
        request.headers_mut().insert(HOST, host);
    }
    *request.uri_mut() = uri.path_and_query.map(Uri::from).unwrap_or_default();
    if request.headers().contains_key(TE) {
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("te"));
    }
    let unsized_body =
        !request.body().is_end_stream() && request.body().size_hint().exact().is_none();
    if unsized_body {
        // Said in so many words: the library takes a GET of unknown length for one without a body.
        request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

/// In HTTP/2: `:scheme` and `:authority` in place of `Host`, and nothing of a connection
/// (RFC 9113 §8.2.2, §8.3.1).
pub(super) fn speak_http2(
    request: &mut Request<OutgoingBody>,
    scheme: &Scheme,
) -> Result<(), Unsayable> {
    *request.version_mut() = Version::HTTP_2;
    request.headers_mut().remove(CONNECTION);
    request.headers_mut().remove(TRANSFER_ENCODING);
    let Some(host) = request.headers_mut().remove(HOST) else {
        return request.uri().authority().map(|_| ()).ok_or(Unsayable);
    };
    let authority = Authority::try_from(host.as_bytes()).map_err(|_| Unsayable)?;
    let target = std::mem::take(request.uri_mut()).into_parts().path_and_query;
    let mut parts = Parts::default();
    parts.scheme = Some(scheme.clone());
    parts.authority = Some(authority);
    parts.path_and_query = target.or(Some(PathAndQuery::from_static("/")));
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| Unsayable)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_the_same_in_both_protocols_there_and_back() {
        for target in ["/", "/a?", "/a%2f?x=/../;y", "/%C3%A6?http://x/y?z"] {
            let mut request = Request::new(OutgoingBody::empty());
            *request.uri_mut() = target.parse().unwrap();
            request.headers_mut().insert(HOST, HeaderValue::from_static("Api.example.no:8080"));
            request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
            speak_http1(&mut request);
            assert_eq!(request.headers()[CONNECTION], "te");
            speak_http2(&mut request, &Scheme::HTTPS).unwrap();
            assert_eq!(request.uri().path_and_query().unwrap().as_str(), target);
            assert_eq!(request.uri().authority().unwrap().as_str(), "Api.example.no:8080");
            assert_eq!(request.uri().scheme_str(), Some("https"));
            assert_eq!(request.headers().keys().collect::<Vec<_>>(), [TE]);
            // Once more is no more.
            speak_http2(&mut request, &Scheme::HTTPS).unwrap();
            speak_http1(&mut request);
            assert_eq!(request.uri().to_string(), target);
            assert_eq!(request.headers()[HOST], "Api.example.no:8080");
        }
    }

    #[test]
    fn a_request_without_a_host_has_no_form_in_http2() {
        let mut request = Request::new(OutgoingBody::empty());
        assert!(speak_http2(&mut request, &Scheme::HTTP).is_err());
    }
}
