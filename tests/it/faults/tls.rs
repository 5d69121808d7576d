//! Certificates that are not to be trusted, and peers that speak no TLS.

use super::{Findings, Row, Scene, assert_none, outage, pace, play};
use crate::support::peers::{At, Flaw, Trouble, World};
use crate::support::{PERMITTED, soon};
use std::time::Duration;

/// After two failed attempts, with what is added by chance.
const BACK_OFF: Duration = Duration::from_millis(1250 + 2500);

#[tokio::test]
async fn over_tls_everything_works_as_in_the_clear() {
    let scene = Scene::open(World::over_tls(), &pace()).await;
    assert_eq!(scene.read(PERMITTED).await.verdict(), "200");
    assert_eq!(scene.read("315556155").await.verdict(), "403 access-denied");
}

#[tokio::test]
async fn a_wrong_certificate_is_no_connection() {
    let mut rows = Vec::new();
    for at in [At::Authorize, At::Token, At::Exchange] {
        let verdict =
            if at == At::Authorize { "503 pdp-unavailable" } else { "503 credential-unavailable" };
        let recovers = if at == At::Authorize { Duration::from_millis(200) } else { BACK_OFF };
        let mut troubles: Vec<(String, Trouble)> =
            Flaw::ALL.map(|flaw| (format!("{at:?}: {flaw:?}"), Trouble::Certificate(flaw))).into();
        troubles.push((format!("{at:?}: closed"), Trouble::Slammed));
        for (name, trouble) in troubles {
            let row = Row::new(&name, trouble, verdict)
                .log("cannot connect")
                .outcome("connect")
                .calls(0..=0)
                .recovers(recovers);
            rows.push((at, row));
        }
    }
    let found = play(rows, |(at, row)| outage(at, row, World::over_tls())).await;
    assert_none(&found);
}

#[tokio::test]
async fn keys_behind_a_wrong_certificate_are_no_keys() {
    let found = play(Flaw::ALL.into(), async |flaw| {
        let mut findings = Findings::of(&format!("{flaw:?}"));
        let mut world = World::over_tls();
        world.trouble(At::Jwks, Trouble::Certificate(flaw)).await;
        let mut scene = Scene::open(world, &pace()).await;
        let reply = scene.read(PERMITTED).await;
        findings.verdict("at start", &reply, "503 keys-unavailable");
        scene.world.heal(At::Jwks).await;
        let healed = async {
            while scene.read(PERMITTED).await.status != 200 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        soon("recovery", healed).await;
        scene.world.trouble(At::Jwks, Trouble::Certificate(flaw)).await;
        findings.verdict("with keys in hand", &scene.read(PERMITTED).await, "200");
        findings.all()
    })
    .await;
    assert_none(&found);
}

/// Without the setting, our authority is a foreign one.
#[tokio::test]
async fn an_authority_is_trusted_only_where_the_settings_name_it() {
    let world = World::over_tls();
    let other = World::over_tls();
    let file = other.authority.as_ref().unwrap().file().display().to_string();
    let further = format!("outbound: {{ ca_file: '{file}' }}\n");
    let scene = Scene::open_with(world, &pace(), |setup| setup.settings(&further)).await;
    assert_eq!(scene.read(PERMITTED).await.verdict(), "503 keys-unavailable");
    assert_eq!(scene.world.keys.metadata.asked(), 0);
}
