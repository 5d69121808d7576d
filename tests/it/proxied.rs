//! The way to Maskinporten and Altinn through a proxy, which the API behind is never reached by.

use crate::support::peers::{ConnectProxy, Pace, World};
use crate::support::{PERMITTED, READ, Server, Sidecar, ask, exchange, ok};

/// The settings of a world whose token endpoint, exchange and PDP have names that only the proxy knows.
fn named(world: &World) -> String {
    let mut settings: serde_json::Value =
        serde_json::from_str(&world.settings(&Pace::default())).unwrap();
    let at = |url: String, name: &str| url.replace("127.0.0.1", name);
    let pdp = &mut settings["pdp"];
    pdp["url"] = at(world.pdp.peer.url(), "pdp.it.example").into();
    let grant = &mut pdp["credential"]["maskinporten"];
    grant["audience"] = format!("{}/", world.maskinporten.peer.url()).into();
    grant["token_url"] = at(world.maskinporten.token_url(), "token.it.example").into();
    grant["exchange_url"] = at(world.exchange.url(), "exchange.it.example").into();
    settings.to_string()
}

async fn open(
    world: &World,
    upstream: &Server,
    variables: &[(&str, &str)],
    further: &str,
) -> Sidecar {
    let setup = crate::support::Setup::among(upstream, &named(world)).settings(further);
    let setup = variables.iter().fold(setup, |setup, (name, value)| setup.variable(name, value));
    setup.open().await
}

#[tokio::test]
async fn calls_to_maskinporten_and_altinn_go_through_the_proxy_and_no_others() {
    let world = World::over_tls();
    let token = world.keys.token();
    let ca = world.authority.as_ref().unwrap().file().display().to_string();
    for way in ["setting", "variable"] {
        let (proxy, upstream) = (ConnectProxy::start(), Server::start(ok()));
        let url = proxy.server.url();
        let further = format!("outbound: {{ ca_file: '{ca}', proxy: '{url}' }}\n");
        let sidecar = match way {
            "setting" => open(&world, &upstream, &[], &further).await,
            _ => open(&world, &upstream, &[("HTTPS_PROXY", &url)], "").await,
        };
        let bytes = ask("GET", READ).token(&token).bytes();
        assert_eq!(exchange(sidecar.traffic, bytes).await.verdict(), "200", "{way}");
        let mut targets = proxy.targets();
        targets.sort();
        let port = |address: std::net::SocketAddr| address.port();
        let expected = [
            format!("CONNECT exchange.it.example:{}", port(world.exchange.peer.server.address)),
            format!("CONNECT pdp.it.example:{}", port(world.pdp.peer.server.address)),
            format!("CONNECT token.it.example:{}", port(world.maskinporten.peer.server.address)),
        ];
        assert_eq!(targets, expected, "{way}: loopback and the API are reached directly");
        assert_eq!(upstream.accepted(), 1);
    }
}

#[tokio::test]
async fn hosts_that_are_excepted_are_not_reached_through_the_proxy() {
    let world = World::over_tls();
    let (proxy, upstream) = (ConnectProxy::start(), Server::start(ok()));
    let url = proxy.server.url();
    let variables = [("HTTPS_PROXY", url.as_str()), ("NO_PROXY", "other.example,pdp.it.example")];
    let sidecar = open(&world, &upstream, &variables, "").await;
    let bytes = ask("GET", READ).token(&world.keys.token()).bytes();
    // No name server knows it.
    assert_eq!(exchange(sidecar.traffic, bytes).await.verdict(), "503 pdp-unavailable");
    assert_eq!(proxy.targets().len(), 2, "{:?}", proxy.targets());
    assert!(!proxy.targets().iter().any(|target| target.contains("pdp.it.example")));
    assert_eq!((upstream.accepted(), world.pdp.authorize.asked()), (0, 0), "{PERMITTED}");
}
