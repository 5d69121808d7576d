//! A permitted request, and the request to the API that is made of it: the very target received, the client's
//! `Host`, of its headers those that may pass, and what Portvakt itself says.

use super::body::{Outgoing, OutgoingBody};
use super::forwarded::Way;
use super::headers::{Hop, is_pretender};
use super::identity::say_identity;
use super::settings::UpstreamSettings;
use super::values::{MAX_ADDED_HEADERS, Values};
use crate::authorize::Permit;
use crate::domain::{Denial, DenialCode, Head, Peer, RequestId};
use http::header::{AUTHORIZATION, EXPECT, HeaderMap, HeaderName, HeaderValue, TE};
use http::{Request, Uri};

/// A permitted request, kept as long as it may have to be sent once more.
pub(super) struct Permitted {
    pub(super) permit: Permit,
    pub(super) head: Head,
    pub(super) peer: Peer,
    pub(super) request_id: RequestId,
}

impl Permitted {
    /// What is sent.
    ///
    /// No `Via` is added, though RFC 9110 §7.6.3 asks for it: its use is to find loops among proxies and to tell
    /// what they speak, neither of which there is between an API and its sidecar, while servers that see one
    /// turn off compression. The client's own is sent on.
    pub(super) fn outgoing(
        &self,
        settings: &UpstreamSettings,
        body: OutgoingBody,
    ) -> Result<Outgoing, Denial> {
        let target = self.head.target.as_ref();
        let target = target.map_err(|fault| Denial::new(DenialCode::Internal).because(fault))?;
        let mut request = Request::new(body);
        request.method_mut().clone_from(&self.head.method);
        *request.uri_mut() = Uri::from(target.as_path_and_query().clone());
        *request.headers_mut() = self.headers(settings);
        Ok(Box::new(request))
    }

    fn headers(&self, settings: &UpstreamSettings) -> HeaderMap {
        let way = Way::from(self.peer, &settings.trusted_proxies);
        // In shadow the API does all that it did before, and needs the token for it.
        let forward_authorization = settings.forward_authorization || self.permit.is_shadow();
        let mut sent = pass(&self.head.headers, &way, forward_authorization);
        let mut values = Values::new();
        way.say(&mut sent, &mut values);
        say_identity(&mut values, &self.permit, self.request_id);
        values.set_in(&mut sent);
        sent
    }
}

/// What of the client's headers is sent on, in a map with room for ours.
fn pass(received: &HeaderMap, way: &Way, forward_authorization: bool) -> HeaderMap {
    let hop = Hop::of(received);
    // A client may not say what Portvakt says; and `Expect` it has answered itself.
    let stays = |name: &HeaderName| {
        hop.keeps(name)
            || is_pretender(name)
            || way.keeps(name)
            || *name == EXPECT
            || (*name == AUTHORIZATION && !forward_authorization)
    };
    let mut sent = HeaderMap::with_capacity(received.len().saturating_add(MAX_ADDED_HEADERS));
    for (name, value) in received.iter().filter(|(name, _)| !stays(name)) {
        sent.append(name, value.clone());
    }
    if hop.takes_trailers {
        sent.insert(TE, HeaderValue::from_static("trailers"));
    }
    sent
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn map(lines: &[(&str, &str)]) -> HeaderMap {
        let line = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        };
        lines.iter().map(line).collect()
    }

    fn passed(lines: &[(&str, &str)]) -> HeaderMap {
        pass(&map(lines), &Way::from(Peer::LOCAL, &[]), false)
    }

    #[test]
    fn of_te_only_the_word_for_trailers_goes_on() {
        for (lines, kept) in [
            (vec!["trailers"], true),
            (vec!["gzip, Trailers ;q=0.5"], false),
            (vec!["deflate;q=0.5, TRAILERS"], true),
            (vec!["gzip", "trailers"], true),
            (vec!["gzip"], false),
            (vec![], false),
        ] {
            let lines: Vec<_> = lines.into_iter().map(|line| ("te", line)).collect();
            let headers = passed(&lines);
            let values: Vec<_> = headers.get_all(TE).iter().collect();
            assert_eq!(values, if kept { vec!["trailers"] } else { vec![] }, "{lines:?}");
        }
    }

    #[test]
    fn the_token_is_sent_on_where_the_api_wants_it_and_expectations_never() {
        let lines = [("authorization", "Bearer x"), ("expect", "100-continue"), ("accept", "a")];
        let way = Way::from(Peer::LOCAL, &[]);
        for (wanted, expected) in [(false, vec!["accept"]), (true, vec!["authorization", "accept"])]
        {
            let sent = pass(&map(&lines), &way, wanted);
            assert_eq!(sent.keys().map(HeaderName::as_str).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn lines_of_one_name_keep_their_order() {
        let sent =
            passed(&[("x-a", "1"), ("x-b", "2"), ("x-a", "3"), ("cookie", "4"), ("x-a", "5")]);
        assert_eq!(sent.get_all("x-a").iter().collect::<Vec<_>>(), ["1", "3", "5"]);
        assert_eq!(sent.len(), 5);
    }

    proptest! {
        #[test]
        fn nothing_of_the_hop_or_in_our_name_goes_on_and_the_second_time_all_does(
            names in proptest::collection::vec("(portvakt[-_.][a-z]{1,4}|x-[a-c]|te|keep-alive|x[-_]forwarded[-.]for)", 0..8),
            connection in "(x-[a-c]|close|portvakt-[a-z]|,| ){0,4}",
        ) {
            let mut lines: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
            lines.push(("connection", &connection));
            let sent = passed(&lines);
            let bad = |name: &HeaderName| {
                is_pretender(name) || Hop::of(&map(&lines)).keeps(name) || name.as_str().starts_with("x-f")
            };
            prop_assert!(!sent.keys().any(bad));
            prop_assert_eq!(&pass(&sent, &Way::from(Peer::LOCAL, &[]), false), &sent);
            let named = Hop::of(&map(&lines));
            let kept = |name: &&String| {
                name.len() == 3 && !named.keeps(&HeaderName::from_bytes(name.as_bytes()).unwrap())
            };
            let expected = names.iter().filter(kept).count();
            prop_assert_eq!(sent.len(), expected);
        }
    }
}
